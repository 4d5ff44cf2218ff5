"""What do the compiled functions compute, how much memory do they take, and how fast are they?

The three functions that take nearly all of the time, each as the library calls it first: the
spelling of words, the engine's step over all lanes, and a step of training. What is counted is what
the compiler says (``cost_analysis``, ``memory_analysis``): the body of a loop counts once, and a
table counts whole where rows are taken from it. "Kernels" are the fusions and library calls of the
program's text. ``--for`` compiles for a GPU that need not be there, with JAX's CUDA plugin; bytes
read and written are not counted then.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import gc
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
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
from elmo_jax.model.config import PRECISIONS
from elmo_jax.training import TrainingSettings, train

from .measure import Spread, timed
from .question import setting
from .tables import markdown
from .texts import Sentence, spell, write_made_up_text

WORDS, STEP, TRAIN_STEP = "_write_words", "read_lanes", "train_step"
"""The functions, by their names in the library."""

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
"""The vendor's figures for the SXM parts, in the words of ``_HOPPER``."""


@dataclasses.dataclass
class Call:
    """A call of a compiled function that has not been made."""

    function: Any
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]

    def lower(self, device: jax.Device | None = None) -> Any:
        """Lower the function for the device at hand, or for one that need not be there."""
        sharding = device and jax.sharding.SingleDeviceSharding(device)
        arguments = jax.tree.map(functools.partial(_shape, sharding=sharding), self.arguments)
        return self.function.lower(*arguments, **self.keywords)

    def seconds(self) -> Spread:
        """On the device at hand."""
        samples = []
        for _ in range(_N_SAMPLES + 1):
            fresh = jax.tree.map(_copy, self.arguments)  # the function may donate them
            jax.block_until_ready(fresh)  # type: ignore[no-untyped-call]
            samples.append(timed(functools.partial(self.function, *fresh, **self.keywords)))
        return Spread.of(samples[1:])


def _shape(leaf: Any, sharding: Any) -> Any:
    shape: Any = jax.ShapeDtypeStruct
    is_array = hasattr(leaf, "shape") and hasattr(leaf, "dtype")  # others are static
    return shape(leaf.shape, leaf.dtype, sharding=sharding) if is_array else leaf


def _copy(leaf: Any) -> Any:
    return jnp.array(leaf) if isinstance(leaf, jax.Array) else leaf


@contextlib.contextmanager
def replaced(name: str, replace: Callable[[Any], Any], *unwanted: str) -> Iterator[None]:
    """Put ``replace(function)`` in the place of the library's compiled function ``name``.

    ``unwanted`` are options of ``jax.jit`` to leave out of a function that is made meanwhile.
    """
    jit = jax.jit

    def replacing_jit(function: Any, **options: Any) -> Any:
        if function.__name__ != name:
            return jit(function, **options)
        wanted = {key: value for key, value in options.items() if key not in unwanted}
        return replace(jit(function, **wanted))

    modules = [module for key, module in sys.modules.items() if key.startswith("elmo_jax.")]
    with contextlib.ExitStack() as patches:
        patches.enter_context(mock.patch.object(jax, "jit", replacing_jit))
        for module in modules:
            if function := vars(module).get(name):
                patches.enter_context(mock.patch.object(module, name, replace(function)))
        yield


@contextlib.contextmanager
def first_call(name: str) -> Iterator[list[Call]]:
    """Leave the context when the library is about to call ``name``; the list then has the call."""
    calls: list[Call] = []

    def record(function: Any, *arguments: Any, **keywords: Any) -> Any:
        calls.append(Call(function, arguments, keywords))
        raise _Stop

    # Sharding names devices that are here, and the call may be compiled for others.
    patched = replaced(name, lambda function: functools.partial(record, function), "out_shardings")
    with contextlib.suppress(_Stop), patched:
        yield calls


class _Stop(BaseException):
    """The call has been recorded."""


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
    """The engine's step over all layers of ``n_tokens`` tokens of each of ``n_lanes`` lanes."""
    words = [spell(number * 7919 % _N_WORDS) for number in range(n_lanes * n_tokens)]
    text = [words[i : i + n_tokens] for i in range(0, len(words), n_tokens)]
    shape = {"lane_shapes": (n_lanes,), "chunk_steps": n_tokens, "window_tokens": len(words)}
    with planned(platform, **shape, **sizes):
        return _embedding_call(STEP, config, params, precision, text)


def _embedding_call(
    name: str, config: ElmoConfig, params: Any, precision: str, text: list[Sentence]
) -> Call:
    with first_call(name) as calls:
        Elmo.from_params(config, params, precision=precision).embed(text)
    gc.collect()  # the device memory of the Elmo, which is left in a cycle
    return calls[0]


def _training_call(config: ElmoConfig, precision: str, n_rows: int, *, quick: bool) -> Call:
    n_words, n_samples = (200, 50) if quick else (100_000, 8192)
    options: Any = {"n_steps": 2, "n_negative_samples": n_samples, "precision": precision}
    settings = TrainingSettings(batch_size=n_rows, **options)
    words = ["<S>", "</S>", "<UNK>", *map(spell, range(n_words))]
    with tempfile.TemporaryDirectory() as folder:
        text = write_made_up_text(Path(folder) / "text.txt", 3 * settings.tokens_per_step, n_words)
        with first_call(TRAIN_STEP) as calls:
            train(Path(folder) / "run", text, config=config, vocabulary=words, settings=settings)
    return calls[0]


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
    n_rows = args.batch_size or (8 if args.quick else 128 if on_cpu else 1024)
    setup = setting(args, _TOKENS if on_cpu else _GPU_TOKENS)
    config, params = elmo_jax.load(setup.model.native)
    device = GPUS[args.gpu]["name"] if target else jax.devices()[0].device_kind
    what = {"device": device, "precision": precision, "batch_size": n_rows}
    result: dict[str, Any] = {"setting": setup.json() | what, "functions": []}
    for name in (WORDS, STEP, TRAIN_STEP):
        if name == TRAIN_STEP:
            call = _training_call(config, precision, n_rows, quick=args.quick)
        else:
            with planned(platform):
                call = _embedding_call(name, config, params, precision, setup.sentences)
        row = {"function": name, **_compile(call, target)}
        if target is None:
            with jax.profiler.trace(args.trace) if args.trace else contextlib.nullcontext():
                row["seconds"] = call.seconds().json()
        result["functions"].append(row)
        yield result


def _compile(call: Call, target: jax.Device | None) -> dict[str, Any]:
    # XLA chooses among its own kernels for products by timing them; cuBLAS it can just call.
    options: dict[str, Any] = {"xla_gpu_enable_triton_gemm": False} if target else {}
    started = time.perf_counter()
    compiled = call.lower(target).compile(compiler_options=options)
    seconds = time.perf_counter() - started
    memory, cost = compiled.memory_analysis(), compiled.cost_analysis() or {}
    # For a device that is not there XLA counts nothing; operations are those of the program before.
    flop = (cost or call.lower().cost_analysis() or {}).get("flops", 0.0)
    return {
        "kernels": len(re.findall(r"(?m)^ .* (?:fusion|custom-call)\(", compiled.as_text())),
        "gflop": round(flop / 1e9, 3),
        "gb_accessed": round(cost["bytes accessed"] / 1e9, 4) if cost else None,
        "mb_of_arguments": memory.argument_size_in_bytes / 1e6,
        "mb_of_results": (memory.output_size_in_bytes - memory.alias_size_in_bytes) / 1e6,
        "mb_of_temporaries": memory.temp_size_in_bytes / 1e6,
        "seconds_to_compile": round(seconds, 2),
    }


def _absent_device(name: str) -> jax.Device:
    try:
        options = {"target_config": _HOPPER.format(**GPUS[name]), "topology": "1x1x1"}
        topology: Any = topologies.get_topology_desc(platform="cuda", topology_name="", **options)
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
