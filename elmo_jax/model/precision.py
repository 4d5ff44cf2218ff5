"""What each precision means. All large products of the model are computed here.

=============  ==============================================================================
"float32"      products of float32 operands, on every device (no TF32; a TPU takes six bfloat16
               passes, which are as exact)
"tf32"         float32 operands, and the device may round them to TF32 (NVIDIA tensor cores);
               a TPU takes three bfloat16 passes, which are more exact; on a CPU the same as
               "float32"
"bfloat16"     operands rounded to bfloat16, sums in float32. Large arrays in memory are rounded
               too: gradients, the input's part of the gates, and on accelerators the state's
=============  ==============================================================================

In all of them, the cell state, the arithmetic of the gates and the clips are float32.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..errors import ElmoError, shortened
from .config import PRECISIONS


def check_precision(precision: str) -> None:
    """Raise ElmoError unless ``precision`` is one of PRECISIONS."""
    if not (isinstance(precision, str) and precision in PRECISIONS):
        expected = ", ".join(PRECISIONS)
        raise ElmoError(f"Unknown precision {shortened(precision)}: expected one of {expected}.")


def gate_dtype(precision: str, otherwise: Any = np.float32) -> Any:
    """The dtype in which the input's part of the gates is stored."""
    return jnp.bfloat16 if precision == "bfloat16" else otherwise


def round_kernels(params: Any, precision: str) -> Any:
    """Round the kernels of a parameter tree once, not again in each product.

    With "bfloat16" they take half the memory; the products are the same.
    """
    if precision != "bfloat16":
        return params

    def rounded(path: Any, x: jax.Array) -> jax.Array:
        return x.astype(jnp.bfloat16) if path[-1].key.endswith("kernel") else x

    return jax.tree_util.tree_map_with_path(rounded, params)


def linear(
    kernel: jax.Array,
    inputs: jax.Array,
    precision: str,
    kernel_first: bool = True,
    bfloat16_result: bool = False,
) -> jax.Array:
    """Kernel [out, in] times every vector of inputs [..., in], giving [..., out].

    ``kernel_first``, the order of the operands, does not change the result. It decides the layout
    under ``jax.vmap``, and so the speed on a CPU: [out, in] @ [in, lanes] with the kernel first is
    faster with few lanes, [lanes, in] @ [in, out] with 128.

    With "bfloat16", ``bfloat16_result`` rounds the result too. Half as many bytes then go through
    an accelerator's memory; a CPU has no fast product of that kind.
    """
    if kernel_first:
        return _product("oi,...i->...o", kernel, inputs, precision, bfloat16_result)
    return _product("...i,oi->...o", inputs, kernel, precision, bfloat16_result)


def convolve(kernel: jax.Array, inputs_TCE: jax.Array, precision: str) -> jax.Array:
    """VALID convolution of inputs [T, C, E] along C with kernel [width, E, n]."""
    if precision == "bfloat16":
        # As one product, because tensor cores compute those, and because JAX (up to 0.7 at least)
        # cannot differentiate a convolution whose result is wider than its operands.
        n_windows = inputs_TCE.shape[1] - len(kernel) + 1
        columns = [inputs_TCE[:, first : first + n_windows] for first in range(len(kernel))]
        windows = jnp.concatenate(columns, axis=-1)
        kernel = kernel.reshape(-1, kernel.shape[-1])
        return _product("tci,io->tco", windows, kernel, precision)
    return lax.conv_general_dilated(
        inputs_TCE,
        kernel,
        (1,),
        "VALID",
        dimension_numbers=("NWC", "WIO", "NWC"),
        precision=_lax_precision(precision),
    )


def _product(
    equation: str, left: jax.Array, right: jax.Array, precision: str, bfloat16_result: bool = False
) -> jax.Array:
    if precision == "bfloat16":
        return _rounded_product(equation, bfloat16_result, left, right)
    return jnp.einsum(equation, left, right, precision=_lax_precision(precision))


def _lax_precision(precision: str) -> lax.Precision:
    # HIGH, which JAX also calls "tensorfloat32", because by default a TPU rounds to bfloat16.
    return lax.Precision.HIGH if precision == "tf32" else lax.Precision.HIGHEST


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _rounded_product(
    equation: str, bfloat16_result: bool, left: jax.Array, right: jax.Array
) -> jax.Array:
    dtype = jnp.bfloat16 if bfloat16_result else jnp.float32
    operands = (x.astype(jnp.bfloat16) for x in (left, right))
    return jnp.einsum(equation, *operands, preferred_element_type=dtype)


@_rounded_product.defjvp
def _rounded_product_jvp(
    equation: str,
    bfloat16_result: bool,
    primals: tuple[jax.Array, jax.Array],
    tangents: tuple[jax.Array, jax.Array],
) -> tuple[jax.Array, jax.Array]:
    """Without this, JAX would multiply a float32 gradient and a bfloat16 operand in float32."""
    (left, right), (left_tangent, right_tangent) = primals, tangents
    result = _rounded_product(equation, bfloat16_result, left, right)
    tangent = _rounded_product(equation, True, left_tangent, right)
    tangent += _rounded_product(equation, True, left, right_tangent)
    return result, tangent.astype(result.dtype)
