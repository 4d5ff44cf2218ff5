"""What could the device do at most? Its matmul rate and its memory bandwidth.

Run from a checkout::

    python -m benchmarks limit

Large square products in float32, on a GPU also with TF32 and bfloat16 operands; and one vector
times a matrix that no cache holds, which is what a single sentence asks of the memory. Every other
question that gives a per cent of a limit measures it anew, in its own run.
"""

from __future__ import annotations

import argparse
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from .measure import Spread, timed
from .tables import markdown, number

HELP = "Measure the device's matmul rate and memory bandwidth."

_SIZES = {"cpu": 4096, "gpu": 8192}
_QUICK_SIZE = 512
_N_SAMPLES = 7
_BANDWIDTH_BYTES = 1 << 29
_COLUMNS = 512
_QUICK_BYTES = 1 << 22


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``measure`` reads from the command line."""
    parser.add_argument("--size", type=int, help="of the matrices (default: 4096; a GPU 8192)")


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Measure each rate."""
    rates = {kind: matmul_rate(kind, size=args.size, quick=args.quick).json() for kind in _kinds()}
    return {
        "size": args.size or _size(args.quick),
        "gflops": rates,
        "gigabytes_per_second": bandwidth(quick=args.quick).json(),
    }


def table(summary: dict[str, Any]) -> str:
    """The limits, with what they were measured with."""
    size = summary["size"]
    rows = [
        [f"{kind} matmul, {size} × {size}", number(rate["median"]), _range(rate), "GFLOP/s"]
        for kind, rate in summary["gflops"].items()
    ]
    rate = summary["gigabytes_per_second"]
    rows.append(["memory, read", number(rate["median"]), _range(rate), "GB/s"])
    return markdown(["limit", "median", "p10 – p90", "unit"], rows)


def matmul_rate(kind: str = "float32", *, size: int | None = None, quick: bool = False) -> Spread:
    """GFLOP/s of large square products on the default device.

    Args:
        kind: "float32", "tf32" or "bfloat16", what the operands are rounded to; sums are float32.
        size: of the matrices.
        quick: small matrices, unless ``size`` says else.
    """
    size = size or _size(quick)
    dtype = jnp.bfloat16 if kind == "bfloat16" else jnp.float32
    precision = lax.Precision.HIGHEST if kind == "float32" else lax.Precision.DEFAULT
    keys = jax.random.split(jax.random.key(0))
    a, b = (jax.random.normal(key, (size, size), jnp.float32).astype(dtype) for key in keys)
    multiply = jax.jit(
        lambda a, b: jnp.matmul(a, b, precision=precision, preferred_element_type=jnp.float32)
    )
    timed(lambda: multiply(a, b))  # compiles
    samples = [timed(lambda: multiply(a, b)) for _ in range(_N_SAMPLES)]
    return Spread.of([2 * size**3 / seconds / 1e9 for seconds in samples])


def bandwidth(*, quick: bool = False) -> Spread:
    """GB/s at which a large float32 matrix is read, to be multiplied by one vector."""
    n_bytes = _QUICK_BYTES if quick else _BANDWIDTH_BYTES
    matrix = jnp.ones((n_bytes // 4 // _COLUMNS, _COLUMNS), jnp.float32)
    multiply = jax.jit(lambda a, x: jnp.matmul(a, x, precision=lax.Precision.HIGHEST))
    vector = jnp.ones((_COLUMNS, 1), jnp.float32)
    timed(lambda: multiply(matrix, vector))
    samples = [timed(lambda: multiply(matrix, vector)) for _ in range(_N_SAMPLES)]
    return Spread.of([n_bytes / seconds / 1e9 for seconds in samples])


def _size(quick: bool) -> int:
    return _QUICK_SIZE if quick else _SIZES.get(jax.default_backend(), max(_SIZES.values()))


def _kinds() -> tuple[str, ...]:
    # A CPU has no TF32, and mostly no bfloat16 that is faster.
    return ("float32",) if jax.default_backend() == "cpu" else ("float32", "tf32", "bfloat16")


def _range(rate: dict[str, float]) -> str:
    return f"{number(rate['p10'])} – {number(rate['p90'])}"
