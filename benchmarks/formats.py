"""How long does it take to write vectors into a file, by the file's format?

Run from a checkout::

    python -m benchmarks formats

No model runs: random vectors of a text's sentences go through the writers of ``elmo-jax embed``,
one format after the other in each round. A ratio is that to ``.npz`` in the same round.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from elmo_jax import ElmoError
from elmo_jax.corpus.writers import FileLayout, RecordVectors, writer_for
from elmo_jax.text.readers import Record

from .arguments import setting
from .measure import Spread, interleave, ratios
from .tables import markdown, number, spread

HELP = "How long it takes to write vectors into a file, by the file's format."
MODEL = "mini"

_SENTENCES, _QUICK_SENTENCES = 100_000, 300
_ROUNDS, _QUICK_ROUNDS = 5, 1
_DIM = 256
_CASES = tuple(itertools.product((True, False), ("float32", "float16")))
_FORMATS = ("npz", "h5", "parquet", "npy")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``measure`` reads from the command line."""
    parser.add_argument("--sentences", type=int, help=f"how many (default: {_SENTENCES})")


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Each format that can hold them, for pooled vectors and for those of tokens."""
    n_sentences = args.sentences or (_QUICK_SENTENCES if args.quick else _SENTENCES)
    setup = setting(args, 20_000)
    text = [Record(words, " ".join(words)) for words in setup.sentences]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for pooled, dtype in _CASES:
            records = list(itertools.islice(itertools.cycle(text), n_sentences))
            layout = _layout(records, pooled, dtype)
            sizes: dict[str, int] = {}
            calls = {
                name: functools.partial(
                    _write, Path(folder) / f"vectors.{name}", layout, records, sizes
                )
                for name in _FORMATS
                if _can_hold(name, layout)
            }
            seconds = interleave(calls, _QUICK_ROUNDS if args.quick else _ROUNDS)
            for name in calls:
                rows.append(
                    {
                        "format": name,
                        "pooled": pooled,
                        "dtype": dtype,
                        "microseconds_per_sentence": Spread.of(
                            [1e6 * each / n_sentences for each in seconds[name]]
                        ).json(),
                        "times_npz": ratios(seconds[name], seconds["npz"]).json(),
                        "bytes": sizes[name],
                    }
                )
    return {"setting": setup.json() | {"sentences": n_sentences, "dim": _DIM}, "rows": rows}


def _layout(records: list[Record], pooled: bool, dtype: str) -> FileLayout:
    n_tokens = sum(len(record.words) for record in records)
    text_bytes = sum(len(record.text.encode()) for record in records)
    return FileLayout((_DIM,), pooled, dtype, len(records), n_tokens, text_bytes, 0, True)


def _can_hold(name: str, layout: FileLayout) -> bool:
    try:
        writer_for(Path(f"vectors.{name}")).check(layout)
    except ElmoError:  # a matrix has no place for tokens; a package may be missing
        return False
    return True


def _write(path: Path, layout: FileLayout, records: list[Record], sizes: dict[str, int]) -> float:
    """Seconds for one file, which is removed."""
    results = _results(layout, records)
    started = time.perf_counter()
    writer_for(path).write(path, layout, results)
    seconds = time.perf_counter() - started
    sizes[path.suffix[1:]] = path.stat().st_size
    path.unlink()
    return seconds


def _results(layout: FileLayout, records: list[Record]) -> RecordVectors:
    """The records with random vectors; records of one length share an array."""
    rng = np.random.default_rng(0)
    arrays: dict[int, np.ndarray] = {}
    for record in records:
        n = 1 if layout.pooled else len(record.words)
        if n not in arrays:
            arrays[n] = rng.standard_normal((n, _DIM)).astype(layout.dtype)

    def pairs() -> Iterator[tuple[Record, np.ndarray]]:
        for record in records:
            yield record, arrays[1][0] if layout.pooled else arrays[len(record.words)]

    return pairs()


def table(summary: dict[str, Any]) -> str:
    """A row a format and kind of vectors."""
    what = summary["setting"]
    heads = ["format", "vectors", "µs a sentence", "times .npz", "MB"]
    rows = [
        [
            f".{row['format']}",
            f"{'pooled' if row['pooled'] else 'tokens'}, {row['dtype']}",
            spread(row["microseconds_per_sentence"]),
            spread(row["times_npz"]),
            number(row["bytes"] / 1e6),
        ]
        for row in summary["rows"]
    ]
    shown = f"{what['sentences']:,} sentences, vectors of {what['dim']} dimensions, no model."
    return f"{shown}\n\n{markdown(heads, rows)}"
