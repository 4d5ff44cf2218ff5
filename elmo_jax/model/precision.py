"""The one place where operands are multiplied: what a precision means.

=============  ==============================================================================
"float32"      products of float32 operands, on every device (no TF32, no bfloat16 passes)
"tf32"         float32 operands, and the device may round them to TF32 (NVIDIA tensor cores);
               on a CPU the same as "float32"
"bfloat16"     operands rounded to bfloat16, sums in float32
=============  ==============================================================================

Cell state, gate arithmetic and clips are float32 in all of them.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from ..errors import ElmoError

PRECISIONS = ("float32", "tf32", "bfloat16")


def check_precision(precision: str) -> None:
    """Raise ElmoError unless ``precision`` is one of PRECISIONS."""
    if precision not in PRECISIONS:
        raise ElmoError(
            f"Unknown precision {precision!r}: expected one of {', '.join(PRECISIONS)}."
        )


def round_kernels(params: Any, precision: str) -> Any:
    """A parameter tree whose kernels are rounded already, where each product would round them.

    With "bfloat16" they are so rounded once, and take half the memory; the products are the same.
    """
    if precision != "bfloat16":
        return params

    def rounded(path: Any, x: jax.Array) -> jax.Array:
        return x.astype(jnp.bfloat16) if path[-1].key.endswith("kernel") else x

    return jax.tree_util.tree_map_with_path(rounded, params)


def linear(
    kernel: jax.Array, inputs: jax.Array, precision: str, kernel_first: bool = True
) -> jax.Array:
    """Kernel [out, in] times every vector of inputs [..., in], giving [..., out].

    The result is the same either way; the order of the operands decides the layout under
    ``jax.vmap``, and so the speed on a CPU: [out, in] @ [in, lanes] with the kernel first, which
    is faster with few lanes, or [lanes, in] @ [in, out], which is faster with 128.
    """
    if kernel_first:
        operands, options = _operands(kernel, inputs, precision=precision)
        return jnp.einsum("oi,...i->...o", *operands, **options)
    operands, options = _operands(inputs, kernel, precision=precision)
    return jnp.einsum("...i,oi->...o", *operands, **options)


def convolve(kernel: jax.Array, inputs_TCE: jax.Array, precision: str) -> jax.Array:
    """VALID convolution of inputs [T, C, E] along C with kernel [width, E, n]."""
    (inputs, kernel), options = _operands(inputs_TCE, kernel, precision=precision)
    if precision == "bfloat16":
        # Rounded operands, multiplied as float32: up to 0.7 at least, JAX cannot differentiate a
        # convolution whose result is wider than its operands.
        inputs, kernel = inputs.astype(jnp.float32), kernel.astype(jnp.float32)
        options = {"precision": lax.Precision.DEFAULT}
    return lax.conv_general_dilated(
        inputs, kernel, (1,), "VALID", dimension_numbers=("NWC", "WIO", "NWC"), **options
    )


def _operands(*arrays: jax.Array, precision: str) -> tuple[list[jax.Array], dict[str, Any]]:
    if precision == "bfloat16":
        return [a.astype(jnp.bfloat16) for a in arrays], {"preferred_element_type": jnp.float32}
    exact = lax.Precision.DEFAULT if precision == "tf32" else lax.Precision.HIGHEST
    return list(arrays), {"precision": exact}
