"""Which kernels does a compiled function consist of, and how near is each to the device's limits?

Run from a checkout::

    python -m benchmarks kernels                          # of the device at hand, and measured
    JAX_PLATFORMS=cpu python -m benchmarks kernels --for h200 --precision bfloat16

The engine's step, its pooling, the spelling of words, and a step of training are compiled, and the
text of the compiled module says what each kernel reads, writes and multiplies (``hlo.py``). From
that and the device's rates follows the least that it can take. On the device at hand the rates are
measured, and the profiler tells what each kernel takes indeed; those that run at the same time, as
the two directions do on a CPU, take longer each. ``--for`` compiles for a GPU that need not be
there (``gpus.py``), with its vendor's rates; the products are left to cuBLAS then, for XLA chooses
among its own kernels by timing them.
"""

from __future__ import annotations

import argparse
import functools
import re
from collections.abc import Callable, Iterator
from typing import Any

import jax

import elmo_jax
from elmo_jax.engine.plan import plan_for
from elmo_jax.model.config import PRECISIONS

from .compiled import CALLS, Call
from .gpus import GPUS
from .hlo import Kernel, kernels
from .limits import bandwidth, matmul_rate
from .measure import Spread, timed
from .models import open_model
from .tables import markdown, number
from .traces import kernel_seconds

HELP = "The kernels of the compiled functions, and how near each is to the device's limits."

_LANES = {"cpu": 128, "gpu": 1024}
_QUICK_LANES = 4
_N_SAMPLES = 3
_SHOWN = 0.01
"""Kernels that take a smaller share are put together."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``measure`` reads from the command line."""
    add = parser.add_argument
    add("--part", nargs="+", choices=CALLS, default=list(CALLS), help="which (default: all)")
    add("--for", dest="gpu", choices=GPUS, help="compile for a GPU that need not be there")
    add("--lanes", type=int, metavar="N", help="or rows (default: 128; of a GPU 1024)")
    add("--precision", choices=PRECISIONS, help="default: float32; of a GPU bfloat16")


def measure(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Function by function.

    Raises:
        ElmoError: if ``--for`` finds no compiler.
    """
    platform = "gpu" if args.gpu else jax.default_backend()
    lanes = _QUICK_LANES if args.quick else _LANES.get(platform, max(_LANES.values()))
    lanes = args.lanes or lanes
    precision = args.precision or ("float32" if platform == "cpu" else "bfloat16")
    gpu = GPUS.get(args.gpu)
    target = gpu.device() if gpu else None
    if gpu:
        rates = {"gflops": gpu.gflops[precision], "gigabytes_per_second": gpu.bandwidth / 1e9}
    else:
        kind = "float32" if platform == "cpu" else precision
        rates = {
            # The higher samples: a limit is what the device does when nothing else is in its way.
            "gflops": matmul_rate(kind, quick=args.quick).p90,
            "gigabytes_per_second": bandwidth(quick=args.quick).p90,
        }
    model = open_model(args.model)
    config, params = elmo_jax.load(model.native)
    found: dict[str, Any] = {
        "setting": {"model": model.name, "lanes": lanes, "precision": precision},
        "device": gpu.name if gpu else jax.devices()[0].device_kind,
        "rates": rates,
        "functions": {},
    }
    for name in args.part:
        made = CALLS[name](config, jax.device_put(params), plan_for(platform), lanes, precision)
        found["functions"][name] = _function(made, rates, target)
        yield found


def _function(call: Call, rates: dict[str, float], target: jax.Device | None) -> dict[str, Any]:
    compiled = _compiled(call, target)
    seconds, by_kernel = (None, {}) if target else _measured(compiled, call.arguments)
    listed = kernels(compiled.as_text(), call.n_steps)
    rows = [_row(kernel, rates, by_kernel) for kernel in listed]
    return {
        "tokens": call.n_tokens,
        "launches": sum(kernel.count for kernel in listed),
        "gigabytes": _total(kernel.count * kernel.n_bytes / 1e9 for kernel in listed),
        "gflop": _total(kernel.count * kernel.flop / 1e9 for kernel in listed),
        "least_seconds": _total(row["least_seconds"] for row in rows),
        "seconds": seconds,
        **_dearest(_alike(rows), "least_seconds" if seconds is None else "seconds"),
    }


def _compiled(call: Call, target: jax.Device | None) -> Any:
    """For the device at hand, or for one that is not there."""
    arguments: Any = call.arguments
    options: dict[str, Any] = {}
    if target is not None:
        sharding = jax.sharding.SingleDeviceSharding(target)
        arguments = jax.tree.map(lambda x: _shape(x, sharding), arguments)
        options = {"xla_gpu_enable_triton_gemm": False}
    elif jax.default_backend() == "gpu":
        # Of kernels that are launched as one graph the profiler sees the graph.
        options = {"xla_gpu_enable_command_buffer": ""}
    return call.function.lower(*arguments, *call.static).compile(compiler_options=options)


def _shape(x: Any, sharding: jax.sharding.Sharding) -> Any:
    shape: Any = jax.ShapeDtypeStruct
    return shape(x.shape, x.dtype, sharding=sharding)


def _measured(compiled: Any, arguments: Any) -> tuple[float, dict[str, float]]:
    """Seconds of a call, and of each kernel by the name of its instruction."""

    def call() -> Callable[[], Any]:  # which may take its arguments' memory
        fresh = jax.tree.map(jax.numpy.array, arguments)
        return functools.partial(compiled, *jax.block_until_ready(fresh))  # type: ignore[no-untyped-call]

    timed(call())  # warm up
    by_kernel = kernel_seconds(call())
    return Spread.of([timed(call()) for _ in range(_N_SAMPLES)]).median, by_kernel


def _row(kernel: Kernel, rates: dict[str, float], seconds: dict[str, float]) -> dict[str, Any]:
    """Both times are those of all runs of the kernel in a call."""
    moved = kernel.count * kernel.n_bytes / 1e9 / rates["gigabytes_per_second"]
    computed = kernel.count * kernel.flop / 1e9 / rates["gflops"]
    return {
        "kind": kernel.kind,
        "source": _short(kernel.source),
        "count": kernel.count,
        "megabytes": round(kernel.n_bytes / 1e6, 3),
        "gflop": round(kernel.flop / 1e9, 3),
        "least_seconds": max(moved, computed),
        "seconds": seconds.get(kernel.name, 0.0),
    }


def _dearest(rows: list[dict[str, Any]], key: str) -> dict[str, Any]:
    """The kernels that take a share worth a row, the dearest first, and the others summed up."""
    least = _SHOWN * sum(row[key] for row in rows)
    ordered = sorted(rows, key=lambda row: -row[key])
    large = [row for row in ordered if row[key] >= least]
    others: dict[str, Any] = {"kinds": len(rows) - len(large)}
    for sum_of in ("count", "least_seconds", "seconds"):
        others[sum_of] = sum(row[sum_of] for row in ordered[len(large) :])
    return {"kernels": large, "others": others}


def _alike(kernels: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Kernels that do the same, for another layer or direction, as one."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in kernels:
        work = row["kind"], row["source"], row["megabytes"], row["gflop"]
        if work in found:
            for key in ("count", "least_seconds", "seconds"):
                found[work][key] += row[key]
        else:
            found[work] = dict(row)
    return list(found.values())


def _short(source: str) -> str:
    """The end of a path through the program, without the numbers of layers."""
    return re.sub(r"_\d+\b", "", "/".join(source.split("/")[-2:])) or "–"


def _total(values: Any) -> float:
    return float(f"{sum(values):.4g}")


def table(summary: dict[str, Any]) -> str:
    """A table a function: its kernels, the dearest first."""
    what, rates = summary["setting"], summary["rates"]
    shown = [
        f"Model {what['model']}, {what['lanes']} lanes, {what['precision']}; {summary['device']}: "
        f"{number(rates['gflops'] / 1e3)} TFLOP/s, {number(rates['gigabytes_per_second'])} GB/s."
    ]
    for name, found in summary["functions"].items():
        shown += [_summed(name, found), _kernels(found)]
    return "\n\n".join(shown)


def _summed(name: str, found: dict[str, Any]) -> str:
    rate = number(found["tokens"] / found["least_seconds"])
    text = (
        f"**{name}**, {found['tokens']:,} tokens a call: {found['launches']:,} launches, "
        f"{number(found['gigabytes'])} GB, {number(found['gflop'])} GFLOP; at the device's rates "
        f"{number(1e3 * found['least_seconds'])} ms, {rate} tokens/s"
    )
    if found["seconds"] is None:
        return text + "."
    share = 100 * found["least_seconds"] / found["seconds"]
    return text + f", {number(share)}% of the {number(1e3 * found['seconds'])} ms that it takes."


def _kernels(found: dict[str, Any]) -> str:
    measured = found["seconds"] is not None
    key = "seconds" if measured else "least_seconds"
    others = found["others"]
    total = sum(row[key] for row in found["kernels"]) + others[key]
    rows = [
        [
            f"{row['kind']}: {row['source']}",
            str(row["count"]),
            number(row["megabytes"]),
            number(row["gflop"]),
            number(1e6 * row["least_seconds"] / row["count"]),
            *([number(1e6 * row["seconds"] / row["count"])] if measured else []),
            number(100 * row[key] / total),
        ]
        for row in found["kernels"]
    ]
    if others["kinds"]:
        share = number(100 * others[key] / total)
        blank = "–––" + "–" * measured
        rows.append([f"{others['kinds']} others", str(others["count"]), *blank, share])
    times = ["µs at the rates", *["µs"] * measured]
    return markdown(["kernel", "runs", "MB", "GFLOP", *times, "% of all"], rows)
