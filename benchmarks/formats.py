"""How long does it take to write vectors into a file, by the file's format?

Run from a checkout::

    python -m benchmarks formats

No model runs: random vectors of a text's sentences go through the writers of ``elmo-jax embed``,
one format after the other in each round. Ratios are those to ``.npz`` in the same round.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from elmo_jax import ElmoError
from elmo_jax.corpus.writers import Layout, writer_for
from elmo_jax.text.readers import Record

from .measure import Spread, interleave, ratios
from .question import setting
from .tables import markdown

HELP = "How long it takes to write vectors into a file, by the file's format."
MODEL = "mini"

_SENTENCES, _QUICK_SENTENCES = 100_000, 300
_DIM = 256
_FORMATS = ("npz", "h5", "parquet", "npy")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--sentences", type=int, help=f"how many (default: {_SENTENCES})")


def measure(args: argparse.Namespace) -> dict[str, Any]:
    n_sentences = args.sentences or (_QUICK_SENTENCES if args.quick else _SENTENCES)
    setup, _ = setting(args, 20_000)
    text = itertools.cycle(Record(words, " ".join(words)) for words in setup.sentences)
    records = list(itertools.islice(text, n_sentences))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for pooled, dtype in itertools.product((True, False), ("float32", "float16")):
            layout = _layout(records, pooled, dtype)
            sizes: dict[str, int] = {}
            calls = {
                name: functools.partial(
                    _write, Path(folder) / f"vectors.{name}", layout, records, sizes
                )
                for name in _FORMATS
                if _can_hold(name, layout)
            }
            seconds = interleave(calls, 1 if args.quick else 5)
            rows += [
                {
                    "format": name,
                    "pooled": pooled,
                    "dtype": dtype,
                    "microseconds_per_sentence": Spread.of(
                        [1e6 * sample / n_sentences for sample in seconds[name]]
                    ).json(),
                    "times_npz": ratios(seconds[name], seconds["npz"]).json(),
                    "bytes": sizes[name],
                }
                for name in calls
            ]
    return {"setting": setup.json() | {"sentences": n_sentences, "dim": _DIM}, "rows": rows}


def _layout(records: list[Record], pooled: bool, dtype: str) -> Layout:
    n_tokens = sum(len(record.words) for record in records)
    text_bytes = sum(len(record.text.encode()) for record in records)
    return Layout((_DIM,), pooled, dtype, len(records), n_tokens, text_bytes, 0, True)


def _can_hold(name: str, layout: Layout) -> bool:
    try:
        writer_for(Path(f"vectors.{name}")).check(layout)
    except ElmoError:  # a matrix has no place for tokens; a package may be missing
        return False
    return True


def _write(path: Path, layout: Layout, records: list[Record], sizes: dict[str, int]) -> float:
    """Seconds to write one file, which is removed; sentences of one length share vectors."""
    rng = np.random.default_rng(0)
    shapes = {(_DIM,) if layout.pooled else (len(record.words), _DIM) for record in records}
    vectors = {shape: rng.standard_normal(shape).astype(layout.dtype) for shape in shapes}
    results = (
        (record, vectors[(_DIM,) if layout.pooled else (len(record.words), _DIM)])
        for record in records
    )
    started = time.perf_counter()
    writer_for(path).write(path, layout, results)
    seconds = time.perf_counter() - started
    sizes[path.suffix[1:]] = path.stat().st_size
    path.unlink()
    return seconds


def table(result: dict[str, Any]) -> str:
    what = result["setting"]
    rows = (
        {
            "format": f".{row['format']}",
            "vectors": f"{'pooled' if row['pooled'] else 'tokens'}, {row['dtype']}",
            "µs a sentence": row["microseconds_per_sentence"],
            "times .npz": row["times_npz"],
            "MB": row["bytes"] / 1e6,
        }
        for row in result["rows"]
    )
    shown = f"{what['sentences']:,} sentences, vectors of {what['dim']} dimensions, no model."
    return f"{shown}\n\n{markdown(rows)}"
