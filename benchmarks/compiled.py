"""What do the compiled functions compute, how much memory do they take, and how fast are they?

The three functions that take nearly all of the time, each as the library calls it first: the
spelling of words, the engine's step over all lanes, and a step of training. What is counted is what
the compiler says (``cost_analysis``, ``memory_analysis``, the program's text): the body of a loop
counts once, and a table counts whole where rows are taken from it. "Kernels" are fusions and
library calls.

``--for`` compiles for a device that need not be there (``absent.py``), also the functions over
arrays, and for TPUs a step of training that four chips share; the word table is then as large as it
may grow. Bytes read and written are not counted for a GPU that is not there.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import time
from collections.abc import Iterator, Mapping
from typing import Any

import jax

import elmo_jax
from elmo_jax import ElmoConfig
from elmo_jax.engine.plan import plan_for
from elmo_jax.model.config import PRECISIONS

from .absent import DEVICES, open_devices
from .calls import (
    DIVIDED_STEP,
    GRADIENT,
    LAYERS,
    POOLED,
    STEP,
    TRAIN_STEP,
    WORDS,
    Call,
    batch_call,
    divided_over,
    embedding_call,
    planned,
    step_call,
    training_call,
    with_full_table,
    words_unwritten,
)
from .hlo import Program
from .question import setting
from .tables import markdown
from .texts import Sentence

HERE = (WORDS, STEP, TRAIN_STEP)
FUNCTIONS = (WORDS, STEP, LAYERS, POOLED, GRADIENT, TRAIN_STEP, DIVIDED_STEP)

FORMS: dict[str, dict[str, Any]] = {
    "lanes first": {"lanes_first_from": 1, "fused_products": False},
    "joined products": {"lanes_first_from": 1, "fused_products": True},
    "lanes last": {"lanes_first_from": 1 << 20, "fused_products": False},
}
"""Of the engine's step; the compiler's opinion of them led to the plan of TPUs."""

_TOKENS, _GPU_TOKENS = 10_000, 200_000
_FEW_ROWS = 1 << 14

Row = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--for", dest="absent", choices=DEVICES, help="compile for a device that is not here")
    add("--precision", nargs="+", choices=PRECISIONS, help="default: float32; for others bfloat16")
    add("--function", nargs="+", choices=FUNCTIONS, metavar="NAME", help="default: all")
    add("--batch-size", type=int, metavar="N", help="of training (default: 128; of others 1024)")
    add("--lanes", nargs="*", type=int, default=[], metavar="N", help="also compare forms of steps")
    add("--trace", metavar="FOLDER", help="write the profiler's trace of one call of each")


def device_of(args: argparse.Namespace) -> str | None:
    """What the file of the result is named for, if not for the device at hand."""
    return f"for-{args.absent}" if args.absent else None


def measure(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    target = Target(args.absent)
    on_cpu = target.platform == "cpu"
    n_rows = args.batch_size or (8 if args.quick else 128 if on_cpu else 1024)
    setup = setting(args, _TOKENS if on_cpu else _GPU_TOKENS)
    config, params = elmo_jax.load(setup.model.native)
    what = setup.json() | {"device": target.name, "batch_size": n_rows}
    result: dict[str, Any] = {"setting": what, "functions": []}
    for precision in args.precision or ["float32" if on_cpu else "bfloat16"]:
        model = config, params, precision
        for name in args.function or target.functions:
            if name in (TRAIN_STEP, DIVIDED_STEP):
                call = training_call(config, precision, n_rows, quick=args.quick)
            elif name in (WORDS, STEP):
                call = _embedding_call(name, *model, setup.sentences, target)
            else:
                call = batch_call(name, *model)
            if name == DIVIDED_STEP:
                call = divided_over(call, target.devices)
            row = {"function": name, "precision": precision, **target.compile(call)}
            if target.absent is None:
                with jax.profiler.trace(args.trace) if args.trace else contextlib.nullcontext():
                    row["seconds"] = call.seconds().json()
            result["functions"].append(row)
            yield result
        for row in _forms(*model, args.lanes, target):
            result.setdefault("forms", []).append(row)
            yield result


class Target:
    """The device at hand, or one that is absent."""

    def __init__(self, absent: str | None) -> None:
        self.devices = open_devices(absent) if absent else jax.devices()
        self.absent = DEVICES[absent] if absent else None
        self.name = self.absent.name if self.absent else self.devices[0].device_kind
        self.platform = self.absent.platform if self.absent else jax.default_backend()

    @property
    def functions(self) -> tuple[str, ...]:
        if self.absent is None:
            return HERE
        return FUNCTIONS if len(self.devices) > 1 else FUNCTIONS[: FUNCTIONS.index(DIVIDED_STEP)]

    def build(self, call: Call) -> Any:
        """The compiled program; an error if it does not fit a TPU's memory."""
        if self.absent is None:
            return call.lower().compile()
        return call.lower(self.devices[0]).compile(compiler_options=self.absent.compiler_options)

    def compile(self, call: Call) -> Row:
        started = time.perf_counter()
        compiled = self.build(call)
        seconds = time.perf_counter() - started
        memory, cost = compiled.memory_analysis(), compiled.cost_analysis() or {}
        # For a GPU that is not here XLA counts nothing; operations are those of the program before.
        flop = (cost or call.lower().cost_analysis() or {}).get("flops", 0.0)
        program = Program(compiled.as_text())
        parts = {
            "arguments": memory.argument_size_in_bytes,
            "results": memory.output_size_in_bytes - memory.alias_size_in_bytes,
            "temporaries": memory.temp_size_in_bytes,
        }
        row: Row = {
            "kernels": program.n_kernels,
            "products": _counted(program.products()),
            "gflop": round(flop / 1e9, 3),
            "gb_accessed": round(cost["bytes accessed"] / 1e9, 4) if cost else None,
            **{f"mb_of_{part}": n_bytes / 1e6 for part, n_bytes in parts.items()},
        }
        if self.absent:
            taken = sum(parts.values()) + memory.generated_code_size_in_bytes
            row["loops"] = ", ".join(str(n or "any") for n in program.trip_counts())
            row["host_transfers"] = program.n_host_transfers
            row["per_cent_of_memory"] = round(100 * taken / self.absent.memory, 2)
            between = program.collectives().items()
            row["between_devices"] = {
                kind: {"count": count, "mb": n_bytes / 1e6} for kind, (count, n_bytes) in between
            }
        return row | {"seconds_to_compile": round(seconds, 2)}


def _counted(kinds: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))


def _embedding_call(
    name: str, config: ElmoConfig, params: Any, precision: str, text: list[Sentence], target: Target
) -> Call:
    if target.absent is None:
        return embedding_call(name, config, params, precision, text)
    unwritten = words_unwritten() if name == STEP else contextlib.nullcontext()
    # The table that is not computed need not be as large as the one of the call.
    with planned(target.platform, word_rows=(_FEW_ROWS, _FEW_ROWS)), unwritten:
        call = embedding_call(name, config, params, precision, text)
    return with_full_table(call, target.platform)


def _forms(
    config: ElmoConfig, params: Any, precision: str, lanes: list[int], target: Target
) -> Iterator[Row]:
    """What the compiler expects of a step by lanes and form."""
    n_tokens = plan_for(target.platform).chunk_steps
    for n_lanes, (form, sizes) in itertools.product(lanes, FORMS.items()):
        shape = n_lanes, n_tokens, precision, target.platform
        with words_unwritten():
            call = step_call(config, params, *shape, **sizes)
        compiled = target.build(call)
        row: Row = {
            "form": form,
            "precision": precision,
            "lanes": n_lanes,
            "cycles_per_token": None,
        }
        with contextlib.suppress(jax.errors.JaxRuntimeError):  # libtpu cannot print every program
            cycles = Program(compiled.as_text()).cycles(n_tokens)
            row["cycles_per_token"] = round(cycles / (n_lanes * n_tokens), 1)
        yield row | {"mb_of_temporaries": compiled.memory_analysis().temp_size_in_bytes / 1e6}


def table(result: dict[str, Any]) -> str:
    what = result["setting"]
    rows = [dict(row) for row in result["functions"]]
    between = [
        {
            "function": row["function"],
            "precision": row["precision"],
            "between_devices": kind,
            **size,
        }
        for row in rows
        for kind, size in row.pop("between_devices", {}).items()
    ]
    text = f"Model {what['model']}, {what['device']}; training with {what['batch_size']} rows."
    tables = [markdown(part) for part in (rows, between, result.get("forms")) if part]
    return "\n\n".join([text, *tables])
