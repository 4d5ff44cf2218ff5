"""How long until the first vector, in a fresh process?

Run from a checkout::

    python -m benchmarks startup

Every sample is a new process: it starts Python, imports the library, opens the model and embeds one
sentence. elmo-jax opens its own format, and compiles; JAX can keep what it compiled in a folder
(the environment variable JAX_COMPILATION_CACHE_DIR), so it is measured with an empty one and with
one that a run before has filled. The peers compile nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from .arguments import Setting, setting
from .corpus import recut, write_sentences
from .latency import LABELS
from .measure import Spread, interleave, ratios
from .peers import open_peer
from .systems import ELMO_JAX, check_peers, check_same, opened, source
from .tables import markdown, number, spread

HELP = "Time to the first vector in a fresh process."

PEERS = ("allennlp", "torch_lstm")
PARTS = ("python", "import", "open", "first_sentence")
COLD, WARM = "elmo-jax, empty compilation cache", "elmo-jax, filled compilation cache"

_WORDS = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``measure`` reads from the command line."""
    add = parser.add_argument
    add("--peers", nargs="*", default=["allennlp"], metavar="NAME", help=f"of {', '.join(PEERS)}")
    add("--rounds", type=int, metavar="N", help="processes of each (default: 5)")


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Check, then start processes in turn.

    Raises:
        ElmoError: if a peer is missing, or does not compute the same.
    """
    names = check_peers(args.peers, PEERS)
    setup = setting(args, _WORDS)
    with opened([ELMO_JAX, *names], setup) as (peers, versions):  # files are cached then
        differences = check_same(peers, setup.sentences)
    with tempfile.TemporaryDirectory() as folder:
        first = recut(setup.text, _WORDS, _WORDS)
        starts = Starts(setup, write_sentences(Path(folder) / "first.txt", first), Path(folder))
        calls: dict[str, Callable[[], float]] = {COLD: starts.cold, WARM: starts.warm}
        calls |= {LABELS[name]: functools.partial(starts.peer, name) for name in names}
        starts.warm()  # fills its cache
        starts.parts.clear()
        totals = interleave(calls, args.rounds or (1 if args.quick else 5))
    rows = [_row(label, totals, starts.parts[label]) for label in totals]
    return {
        "setting": setup.json(),
        "versions": versions,
        "largest_difference": differences,
        "rows": rows,
    }


class Starts:
    """Fresh processes, one after the other.

    Attributes:
        parts: of each system, the parts of each start's seconds.
    """

    def __init__(self, setup: Setting, text: Path, folder: Path) -> None:
        self._setup, self._text, self._folder = setup, text, folder
        self.parts: dict[str, list[dict[str, float]]] = {}

    def cold(self) -> float:
        """elmo-jax with nothing compiled before."""
        with tempfile.TemporaryDirectory(dir=self._folder) as cache:
            return self._start(COLD, ELMO_JAX, Path(cache))

    def warm(self) -> float:
        """elmo-jax with the compiled functions of the run before."""
        return self._start(WARM, ELMO_JAX, self._folder / "cache")

    def peer(self, name: str) -> float:
        """Another implementation."""
        return self._start(LABELS[name], name, None)

    def _start(self, label: str, name: str, cache: Path | None) -> float:
        started = time.perf_counter()
        with _compilation_cache(cache), open_peer(name) as peer:
            found = peer.ask("open", **source(name, self._setup, native=True))
            embedded = peer.ask("embed", sentences=self._text, output="layers")
            total = time.perf_counter() - started
        parts = {
            "import": found["import_seconds"],
            "open": found["seconds"],
            "first_sentence": embedded["seconds"][0],
        }
        # Whatever is not one of the parts: Python's own start, and a few requests over a pipe.
        parts["python"] = total - sum(parts.values())
        self.parts.setdefault(label, []).append(parts)
        return total


@contextlib.contextmanager
def _compilation_cache(folder: Path | None) -> Iterator[None]:
    """Environment variables for processes that are started meanwhile."""
    variables = (
        {}
        if folder is None
        else {
            "JAX_COMPILATION_CACHE_DIR": str(folder),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        }
    )
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _row(
    label: str, totals: dict[str, list[float]], parts: Sequence[dict[str, float]]
) -> dict[str, Any]:
    return {
        "system": label,
        "seconds": Spread.of(totals[label]).json(),
        "times_elmo_jax_filled": ratios(totals[label], totals[WARM]).json(),
        "parts": {part: Spread.of([found[part] for found in parts]).json() for part in PARTS},
    }


def table(summary: dict[str, Any]) -> str:
    """Seconds in all, and their parts."""
    heads = ["system", "seconds (p10 – p90)", "times elmo-jax, filled cache"]
    heads += ["start of Python", "import", "open", "first sentence"]
    rows = [
        [
            row["system"],
            spread(row["seconds"]),
            spread(row["times_elmo_jax_filled"]),
            *(number(row["parts"][part]["median"]) for part in PARTS),
        ]
        for row in summary["rows"]
    ]
    what = f"Model {summary['setting']['model']}, to all layers of a first sentence of {_WORDS}"
    return f"{what} words.\n\n{markdown(heads, rows)}"
