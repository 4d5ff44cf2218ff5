"""What do the compiled functions compute, how much memory do they take, and how fast are they?

Run from a checkout::

    python -m benchmarks compiled                      # on the device at hand, and measured
    python -m benchmarks compiled --trace FOLDER       # and its kernels, for Perfetto or XProf
    JAX_PLATFORMS=cpu python -m benchmarks compiled --for h200 --precision bfloat16

The functions are recorded while the library embeds a text and begins to train, so they have the
arguments that it calls them with, the largest of each. What is counted is what the compiler says
(``cost_analysis``, ``memory_analysis``): the body of a loop counts once, and a table counts whole
where rows are taken from it. "Kernels" are the fusions and library calls of the program's text.
``--for`` compiles for a GPU that need not be there, with JAX's CUDA plugin; while the calls are
recorded then, nothing is computed, and bytes read and written are not counted.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import math
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
from jax.experimental import topologies

import elmo_jax
from elmo_jax import Elmo, ElmoConfig, ElmoError
from elmo_jax.engine import engine
from elmo_jax.engine.plan import plan_for
from elmo_jax.model.precision import PRECISIONS
from elmo_jax.training import TrainingSettings, train

from .measure import Spread, timed
from .question import Setting, setting
from .tables import markdown
from .texts import spell, write_made_up_text

HELP = "What the compiled functions compute and take, on this device or on one that is not here."

STEP, TRAIN_STEP = "read_lanes", "train_step"
"""The functions that take nearly all of the time of embedding and training."""

_TOKENS, _GPU_TOKENS = 10_000, 200_000
_N_SAMPLES = 5
_N_WORDS = 2048  # enough for their rows to miss the nearest cache, as in real text

_HOPPER = """
gpu_device_info {{
  cuda_compute_capability {{ major: 9 }}
  core_count: 132  fpus_per_core: 128  clock_rate_ghz: 1.98
  threads_per_block_limit: 1024  threads_per_warp: 32  threads_per_core_limit: 2048
  shared_memory_per_block: 49152  shared_memory_per_block_optin: 232448
  shared_memory_per_core: 233472
  registers_per_core_limit: 65536  registers_per_block_limit: 65536
  block_dim_limit_x: 2147483647  block_dim_limit_y: 65535  block_dim_limit_z: 65535
  l2_cache_size: 52428800
  memory_bandwidth: {bandwidth}  device_memory_size: {memory}
}}
platform_name: "CUDA"
dnn_version_info {{ major: 9  minor: 10 }}
runtime_version {{ major: 12  minor: 9 }}
device_description_str: "{name}"
"""
GPUS = {
    "h100": {"name": "NVIDIA H100 80GB HBM3", "memory": 80 * 10**9, "bandwidth": 3350 * 10**9},
    "h200": {"name": "NVIDIA H200", "memory": 141 * 10**9, "bandwidth": 4800 * 10**9},
}
"""What the vendor says of the SXM parts, as XLA wants to be told."""


@dataclasses.dataclass
class Call:
    """One call of a compiled function; the arrays of ``arguments`` may be shapes alone."""

    function: Any
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]

    @property
    def n_bytes(self) -> int:
        arrays = filter(_is_array, jax.tree.leaves(self.arguments))
        return sum(math.prod(array.shape) * array.dtype.itemsize for array in arrays)

    def lower(self) -> Any:
        return self.function.lower(*self.arguments, **self.keywords)

    def compile(self, target: jax.Device | None) -> Any:
        """Compile for the device at hand, or for one that need not be there."""
        arguments: Any = self.arguments
        options: dict[str, Any] = {}
        if target is not None:
            sharding = jax.sharding.SingleDeviceSharding(target)
            arguments = jax.tree.map(lambda x: _shape(x, sharding), arguments)
            # XLA chooses among its own kernels for products by timing them; cuBLAS it can call.
            options = {"xla_gpu_enable_triton_gemm": False}
        lowered = self.function.lower(*arguments, **self.keywords)
        return lowered.compile(compiler_options=options)

    def seconds(self) -> Spread:
        """Of the call on the device at hand; it takes fresh arguments, for it may donate them."""
        samples = []
        for _ in range(_N_SAMPLES + 1):
            fresh = jax.block_until_ready(jax.tree.map(_copy, self.arguments))  # type: ignore[no-untyped-call]
            samples.append(timed(functools.partial(self.function, *fresh, **self.keywords)))
        return Spread.of(samples[1:])


@contextlib.contextmanager
def recorded(
    names: str = ".*", *, idle: bool = False, stop: bool = False
) -> Iterator[dict[str, Call]]:
    """The calls of the library's compiled functions within the context, the largest of each.

    Args:
        names: a regular expression for the functions to record; others run as always.
        idle: compute nothing: results are zeros of the right shapes.
        stop: end the context at the first call.
    """
    calls: dict[str, Call] = {}
    jit = jax.jit

    def recorder(function: Any) -> Any:
        name = function.__name__

        @functools.wraps(function)
        def record(*arguments: Any, **keywords: Any) -> Any:
            call = Call(function, arguments, keywords)
            if name not in calls or calls[name].n_bytes < call.n_bytes:
                copy = _shape if idle else _copy  # the function may donate its arguments
                calls[name] = dataclasses.replace(call, arguments=jax.tree.map(copy, arguments))
            if stop:
                raise _Stop
            if not idle:
                return function(*arguments, **keywords)
            return _without_computing(function, arguments, keywords)

        return record

    def is_recorded(function: Any) -> bool:
        own = getattr(function, "__module__", "").startswith("elmo_jax.")
        return own and re.fullmatch(names, function.__name__) is not None

    def recording_jit(function: Any, **options: Any) -> Any:
        if not is_recorded(function):
            return jit(function, **options)
        if stop:
            options.pop("out_shardings", None)  # they name devices that are here
        return recorder(jit(function, **options))

    with contextlib.ExitStack() as patches, contextlib.suppress(_Stop):
        for module in [m for name, m in sys.modules.items() if name.startswith("elmo_jax.")]:
            for name, value in list(vars(module).items()):
                if callable(value) and hasattr(value, "trace") and is_recorded(value):
                    patches.enter_context(mock.patch.object(module, name, recorder(value)))
        patches.enter_context(mock.patch.object(jax, "jit", recording_jit))
        yield calls


class _Stop(BaseException):
    """Ends what is being recorded."""


def _without_computing(function: Any, arguments: Any, keywords: Any) -> Any:
    """An argument of the same shape for each result, if there is one, else zeros."""
    leaves = [leaf for leaf in jax.tree.leaves(arguments) if isinstance(leaf, jax.Array)]
    by_shape = {(leaf.shape, leaf.dtype): leaf for leaf in leaves}
    shapes = function.eval_shape(*arguments, **keywords)
    return jax.tree.map(
        lambda x: by_shape.setdefault((x.shape, x.dtype), jnp.zeros(x.shape, x.dtype)), shapes
    )


def _is_array(leaf: Any) -> bool:
    return hasattr(leaf, "shape") and hasattr(leaf, "dtype")


def _shape(leaf: Any, sharding: Any = None) -> Any:
    """A static argument stays as it is."""
    shape: Any = jax.ShapeDtypeStruct
    return shape(leaf.shape, leaf.dtype, sharding=sharding) if _is_array(leaf) else leaf


def _copy(leaf: Any) -> Any:
    return jnp.array(leaf) if isinstance(leaf, jax.Array) else leaf


@contextlib.contextmanager
def planned(platform: str | None = None, **sizes: Any) -> Iterator[None]:
    """An Elmo that is opened within has the engine's plan of a platform, with other sizes."""
    plan = plan_for(platform or jax.default_backend())
    changed = dataclasses.replace(plan, **sizes)
    with mock.patch.object(engine, "plan_for", lambda _: changed):
        yield


def step_call(
    config: ElmoConfig,
    params: Any,
    n_lanes: int,
    n_tokens: int,
    precision: str,
    platform: str | None = None,
    **sizes: Any,
) -> Call:
    """The engine's step over all layers of ``n_tokens`` tokens of each of ``n_lanes`` lanes.

    ``platform`` and ``sizes`` are as in ``planned``.
    """
    words = [spell(number * 7919 % _N_WORDS) for number in range(n_lanes * n_tokens)]
    text = [words[i : i + n_tokens] for i in range(0, len(words), n_tokens)]
    sizes = {"lane_shapes": (n_lanes,), "stretch": n_tokens, "window_tokens": len(words), **sizes}
    with planned(platform, **sizes), recorded(STEP, stop=True) as calls:
        Elmo.from_params(config, params, precision=precision).embed(text)
    return calls[STEP]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--for", dest="gpu", choices=GPUS, help="compile for a GPU that need not be there")
    add("--precision", choices=PRECISIONS, help="default: float32; of a GPU bfloat16")
    add("--batch-size", type=int, metavar="N", help="of training (default: 128; of a GPU 1024)")
    add("--trace", metavar="FOLDER", help="write the profiler's trace of one call of each")


def measure(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    target = _absent_device(args.gpu) if args.gpu else None
    platform = "gpu" if target else jax.default_backend()
    on_cpu = platform == "cpu"
    precision = args.precision or ("float32" if on_cpu else "bfloat16")
    setup, _ = setting(args, _TOKENS if on_cpu else _GPU_TOKENS)
    batch_size = args.batch_size or (8 if args.quick else 128 if on_cpu else 1024)
    device = GPUS[args.gpu]["name"] if target else jax.devices()[0].device_kind
    what = {"device": device, "precision": precision, "batch_size": batch_size}
    result: dict[str, Any] = {"setting": setup.json() | what, "functions": []}
    calls = _calls_of_embedding(setup, platform, precision, idle=target is not None)
    calls |= _call_of_training(setup.model.config, precision, batch_size, quick=args.quick)
    for name, call in calls.items():
        row = _compiled(name, call, target)
        if target is None:
            with jax.profiler.trace(args.trace) if args.trace else contextlib.nullcontext():
                row["seconds"] = call.seconds().json()
        result["functions"].append(row)
        yield result


def _compiled(name: str, call: Call, target: jax.Device | None) -> dict[str, Any]:
    jax.clear_caches()  # type: ignore[no-untyped-call]  # what ran before is compiled already
    started = time.perf_counter()
    compiled = call.compile(target)
    compile_seconds = time.perf_counter() - started
    memory, cost = compiled.memory_analysis(), compiled.cost_analysis() or {}
    # For a device that is not there XLA counts nothing; operations are those of the program before.
    flop = (cost or call.lower().cost_analysis() or {}).get("flops", 0.0)
    return {
        "function": name,
        "kernels": len(re.findall(r"(?m)^ .* (?:fusion|custom-call)\(", compiled.as_text())),
        "gflop": round(flop / 1e9, 3),
        "gb_accessed": round(cost["bytes accessed"] / 1e9, 4) if cost else None,
        "mb_of_arguments": memory.argument_size_in_bytes / 1e6,
        "mb_of_results": (memory.output_size_in_bytes - memory.alias_size_in_bytes) / 1e6,
        "mb_of_temporaries": memory.temp_size_in_bytes / 1e6,
        "seconds_to_compile": round(compile_seconds, 2),
    }


def _calls_of_embedding(
    setup: Setting, platform: str, precision: str, *, idle: bool
) -> dict[str, Call]:
    config, params = elmo_jax.load(setup.model.native)
    with planned(platform), recorded(idle=idle) as calls:
        elmo = Elmo.from_params(config, params, precision=precision)
        for _ in elmo.stream(setup.sentences, dtype="float16"):
            pass
        elmo.embed_sentences(setup.sentences)
    return calls


def _call_of_training(
    config: ElmoConfig, precision: str, batch_size: int, *, quick: bool
) -> dict[str, Call]:
    """The first step of a run, which is stopped before it computes."""
    n_words, n_samples = (200, 50) if quick else (100_000, 8192)
    settings = TrainingSettings(
        batch_size=batch_size, n_steps=2, n_negative_samples=n_samples, precision=precision
    )
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "text.txt"
        write_made_up_text(text, 3 * settings.tokens_per_step, n_words)
        vocabulary = ["<S>", "</S>", "<UNK>", *map(spell, range(n_words))]
        with recorded(TRAIN_STEP, stop=True) as calls:
            train(
                Path(folder) / "run", text, config=config, vocabulary=vocabulary, settings=settings
            )
    return calls


def _absent_device(name: str) -> jax.Device:
    """Something to compile for.

    Raises:
        ElmoError: without JAX's CUDA plugin.
    """
    try:
        topology: Any = topologies.get_topology_desc(
            platform="cuda",
            topology_name="",
            target_config=_HOPPER.format(**GPUS[name]),
            topology="1x1x1",
        )
    except Exception as error:  # whatever a missing or broken plugin raises
        raise ElmoError(
            f"Cannot compile for {GPUS[name]['name']} without one: {error}. Expected JAX's CUDA "
            'plugin (pip install "jax[cuda12]") and, where there is no GPU, JAX_PLATFORMS=cpu.'
        ) from error
    device: jax.Device = topology.devices[0]
    return device


def table(result: dict[str, Any]) -> str:
    what = result["setting"]
    return (
        f"Model {what['model']}, {what['precision']}, {what['device']}; training with "
        f"{what['batch_size']} rows.\n\n{markdown(result['functions'])}"
    )
