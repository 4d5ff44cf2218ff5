"""What could the device do at most? Its matmul rate and its memory bandwidth.

Large square products in float32, on a GPU also with TF32 and bfloat16 operands; and one vector
times a matrix that no cache holds, which is what a single sentence asks of the memory. Every
question that gives a per cent of a limit measures it again in its own run.
"""

from __future__ import annotations

import argparse
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from .measure import Spread, timed
from .tables import markdown

_N_SAMPLES = 7
_BANDWIDTH_BYTES, _QUICK_BYTES, _COLUMNS = 1 << 29, 1 << 22, 512


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--size", type=int, help="of the matrices (default: 4096; on a GPU 8192)")


def measure(args: argparse.Namespace) -> dict[str, Any]:
    size = args.size or _size(args.quick)
    return {
        "size": size,
        "gflops": {kind: matmul_rate(kind, size=size).json() for kind in precisions()},
        "gigabytes_per_second": bandwidth(quick=args.quick).json(),
    }


def table(result: dict[str, Any]) -> str:
    size = result["size"]
    rows = [
        {"limit": f"{name} matmul, {size} × {size}", "median (p10 – p90)": rate, "unit": "GFLOP/s"}
        for name, rate in result["gflops"].items()
    ]
    rate = result["gigabytes_per_second"]
    rows.append({"limit": "memory, read", "median (p10 – p90)": rate, "unit": "GB/s"})
    return markdown(rows)


def precisions() -> tuple[str, ...]:
    """The precisions of products that differ in speed; a CPU has no TF32."""
    return ("float32",) if jax.default_backend() == "cpu" else ("float32", "tf32", "bfloat16")


def matmul_rate(
    precision: str = "float32", *, size: int | None = None, quick: bool = False
) -> Spread:
    """GFLOP/s of large square products on the default device; sums are float32."""
    size = size or _size(quick)
    dtype = jnp.bfloat16 if precision == "bfloat16" else jnp.float32
    levels = {"float32": lax.Precision.HIGHEST, "tf32": lax.Precision.HIGH}
    level = levels.get(precision, lax.Precision.DEFAULT)
    keys = jax.random.split(jax.random.key(0))
    a, b = (jax.random.normal(key, (size, size), jnp.float32).astype(dtype) for key in keys)
    multiply = jax.jit(
        lambda a, b: jnp.matmul(a, b, precision=level, preferred_element_type=jnp.float32)
    )
    return _rate(2 * size**3, multiply, a, b)


def bandwidth(*, quick: bool = False) -> Spread:
    """GB/s at which a large float32 matrix is read, to multiply it by one vector."""
    n_bytes = _QUICK_BYTES if quick else _BANDWIDTH_BYTES
    matrix = jnp.ones((n_bytes // 4 // _COLUMNS, _COLUMNS), jnp.float32)
    multiply = jax.jit(lambda a, x: jnp.matmul(a, x, precision=lax.Precision.HIGHEST))
    return _rate(n_bytes, multiply, matrix, jnp.ones((_COLUMNS, 1), jnp.float32))


def _rate(amount: float, multiply: Any, *operands: jax.Array) -> Spread:
    """Billions a second; the first call compiles."""
    seconds = [timed(lambda: multiply(*operands)) for _ in range(_N_SAMPLES + 1)]
    return Spread.of([amount / s / 1e9 for s in seconds[1:]])


def _size(quick: bool) -> int:
    if quick:
        return 512
    return 4096 if jax.default_backend() == "cpu" else 8192
