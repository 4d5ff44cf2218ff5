"""How fast is an accelerator, how near to its limit, and against PyTorch on the same one?

Run from a checkout on a machine with a GPU::

    python -m benchmarks accelerator --save --peers-here
    python -m benchmarks accelerator --part steps pieces

Everything in one run, so that all numbers are of one card: its rates, the error of the precision
before anything is timed, sentence vectors and all layers of a large text from words to host memory,
how busy the device was, PyTorch peers in turn with elmo-jax, the compiled step alone by lanes and
length, and the kinds of work in it. The results are written after every part, and no part begins
once --budget seconds are over, so a machine that is lent for minutes is enough.

``--peers-here`` runs the peers with this Python, where PyTorch with CUDA, NumPy and h5py must be.
AllenNLP is pure Python: it runs beside any PyTorch if it, and three packages that it imports, lie
in a folder that PYTHONPATH names::

    pip install --no-deps --target FOLDER allennlp==2.10.1 base58 dill more-itertools

On a CPU, which is no accelerator, it reads a little text: that shows that it works.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import Any

import jax

import elmo_jax
from elmo_jax.model import PRECISIONS

from . import accelerator_parts as parts
from .accelerator_peers import PEERS, compare
from .arguments import setting
from .systems import check_peers
from .tables import markdown, number, spread

HELP = "Throughput on a GPU, per cent of its limit, and PyTorch on the same one."

PARTS: dict[str, Callable[[parts.Job], Iterator[Any]]] = {
    "limit": parts.limit,
    "error": parts.error,
    "sentences": parts.sentences,
    "layers": parts.layers,
    "busy": parts.busy,
    "peers": compare,
    "steps": parts.steps,
    "pieces": parts.kinds,
}
"""The parts in their order: the first are needed by others, and the dearest come last."""

_TOKENS, _CPU_TOKENS, _QUICK_TOKENS = 2_000_000, 5_000, 300


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``measure`` reads from the command line."""
    add = parser.add_argument
    add("--part", nargs="+", choices=PARTS, default=list(PARTS), help="which (default: all)")
    add("--precision", choices=PRECISIONS, default="bfloat16", help="default: bfloat16")
    add("--rounds", type=int, default=3, metavar="N", help="samples of each (default: 3)")
    add("--budget", type=float, default=480, metavar="SECONDS", help="in all (default: 480)")
    add("--peers", nargs="*", default=list(PEERS), metavar="NAME", help=f"of {', '.join(PEERS)}")
    add("--peers-here", action="store_true", help="run the peers with this Python")
    add("--peer-tokens", type=int, metavar="N", help="of the text, for a peer (default: 60000)")


def measure(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Measure part by part, as far as the time allows.

    Raises:
        ElmoError: if the precision gives something else than float32.
    """
    check_peers(args.peers, PEERS)
    setup = setting(args, _CPU_TOKENS)
    config, params = elmo_jax.load(setup.model.native)
    usual = _CPU_TOKENS if jax.default_backend() == "cpu" else _TOKENS
    n_tokens = args.tokens or (_QUICK_TOKENS if args.quick else usual)
    text, copies = parts.repeated(setup, n_tokens)
    job = parts.Job(args, setup, config, jax.device_put(params), text)
    found: dict[str, Any] = {
        "setting": setup.json() | {"tokens": job.n_tokens, "text_copies": copies},
        "precision": args.precision,
        "left_out": [],
    }
    for name, part in PARTS.items():
        if name not in args.part:
            continue
        if job.is_over:
            found["left_out"].append(name)
        else:
            for value in part(job):
                found[name] = value
                found["seconds"] = job.seconds
                yield found
    yield found


def table(summary: dict[str, Any]) -> str:
    """What there is of each part."""
    what = summary["setting"]
    copies = what["text_copies"]
    repeated = f", a text of {what['tokens'] // copies:,} read {copies} times" if copies > 1 else ""
    shown = [f"Model {what['model']}, {what['tokens']:,} tokens{repeated}; {summary['precision']}."]
    limit = summary.get("limit", {})
    if limit:
        rates = [f"{kind} {number(rate['median'] / 1e3)}" for kind, rate in limit["gflops"].items()]
        memory = number(limit["gigabytes_per_second"]["median"])
        shown.append(f"Matmul, TFLOP/s: {', '.join(rates)}. Memory, read: {memory} GB/s.")
    makers: dict[str, Callable[[Any], str]] = {
        "error": _errors,
        "busy": _busy,
        "peers": _peers,
        "steps": _steps,
        "pieces": _pieces,
    }
    rows = [_own(name, summary[name]) for name in ("sentences", "layers") if name in summary]
    if rows:
        heads = ["from words to host memory", "no word known", "run again", "% of the limit"]
        shown.append(markdown(heads, rows))
    shown += [make(summary[name]) for name, make in makers.items() if name in summary]
    if summary["left_out"]:
        shown.append(f"Left out, for the time was over: {', '.join(summary['left_out'])}.")
    return "\n\n".join(shown)


def _own(name: str, found: dict[str, Any]) -> list[str]:
    title = {"sentences": "sentence vectors", "layers": "all layers, float16"}[name]
    rates = [spread(found[key]) for key in ("tokens_per_second", "again_tokens_per_second")]
    return [f"{title}, tokens/s", *rates, number(found["per_cent"])]


def _errors(found: dict[str, Any]) -> str:
    rows = [
        [name, *(f"{row['relative_error']:.1e}" for row in layers)]
        for name, layers in found.items()
    ]
    n_layers = len(next(iter(found.values())))
    heads = ["relative error against float32", *(f"layer {k}" for k in range(n_layers))]
    return markdown(heads, rows)


def _busy(found: dict[str, Any]) -> str:
    return (
        f"Sentence vectors once more, call by call: the device's calls take {found['device']} s, a "
        f"run in which host and device work at once {found['run']} s: the device is busy "
        f"{number(found['per_cent'])}% of it."
    )


def _peers(rows: list[dict[str, Any]]) -> str:
    heads = ["peer", "tokens measured on", "tokens/s (p10 – p90)", "elmo-jax is … times faster"]
    made = [
        [
            f"{row['peer']}, {row['output']}",
            f"{row['tokens']:,}",
            spread(row["tokens_per_second"]),
            spread(row["elmo_jax_times_faster"]),
        ]
        for row in rows
        if "tokens_per_second" in row
    ]
    failed = [f"{row['peer']}: {row['error']}" for row in rows if "error" in row]
    return "\n\n".join([markdown(heads, made), *failed])


def _steps(rows: list[dict[str, Any]]) -> str:
    heads = ["lanes × tokens", "tokens/s", "TFLOP/s", "% of the limit", "µs a step"]
    made = [
        [
            f"{row['lanes']} × {row['length']}",
            number(row["tokens_per_second"]),
            number(row["gflops"] / 1e3),
            number(row["per_cent"]),
            number(1e6 * row["seconds"]["median"] / row["length"]),
        ]
        for row in rows
    ]
    return "The compiled step alone, all layers:\n\n" + markdown(heads, made)


def _pieces(rows: list[dict[str, Any]]) -> str:
    heads = ["one direction's step, a kind of work alone", "lanes", "µs", "TFLOP/s"]
    made = [
        [
            row["what"],
            str(row["lanes"]),
            spread(row["step"], 1e6),
            number(row["gflops"] / 1e3 if row["gflops"] else None),
        ]
        for row in rows
    ]
    return markdown(heads, made)
