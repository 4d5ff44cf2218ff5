"""How long until the first vector, in a fresh process?

Every sample is a new process: it starts Python, imports the library, opens the model and embeds one
sentence. elmo-jax opens its own format, and compiles. JAX can keep compiled functions in a folder
(JAX_COMPILATION_CACHE_DIR), so elmo-jax is measured with an empty folder, and with one that an
earlier run has filled. The peers compile nothing.
"""

from __future__ import annotations

import argparse
import functools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from . import manylangs
from .measure import Spread, interleave, ratios
from .peers import open_peer
from .question import Setting, setting
from .systems import ELMO_JAX, LABELS, add_peers, opened, source
from .tables import markdown
from .texts import recut, write_sentences

PEERS = ("allennlp", "torch_lstm", manylangs.PEER)
PARTS = ("python", "import", "open", "first_sentence")
COLD, WARM = "elmo-jax, empty compilation cache", "elmo-jax, filled compilation cache"

_WORDS = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_peers(parser, PEERS, default=["allennlp"])
    parser.add_argument("--rounds", type=int, metavar="N", help="processes of each (default: 5)")


def measure(args: argparse.Namespace) -> dict[str, Any]:
    setup = setting(args, _WORDS)
    with opened(args.peers, setup) as (_, head):  # the files are in the page cache then
        pass
    with tempfile.TemporaryDirectory() as folder:
        text = write_sentences(Path(folder) / "first.txt", recut(setup.text, _WORDS, _WORDS))
        parts: dict[str, list[dict[str, float]]] = {}

        def start(label: str, name: str = ELMO_JAX, cache: Path | None = None) -> float:
            parts.setdefault(label, []).append(_start(name, setup, text, cache))
            return sum(parts[label][-1].values())

        def start_cold() -> float:
            with tempfile.TemporaryDirectory(dir=folder) as empty:
                return start(COLD, cache=Path(empty))

        start_warm = functools.partial(start, WARM, cache=Path(folder) / "cache")
        calls: dict[str, Callable[[], float]] = {COLD: start_cold, WARM: start_warm}
        calls |= {LABELS[name]: functools.partial(start, LABELS[name], name) for name in args.peers}
        start_warm()  # fills its cache
        parts.clear()
        totals = interleave(calls, args.rounds or (1 if args.quick else 5))
    rows = []
    for label, seconds in totals.items():
        spreads = {part: Spread.of([x[part] for x in parts[label]]).json() for part in PARTS}
        row = {"system": label, "seconds": Spread.of(seconds).json(), "parts": spreads}
        rows.append(row | {"times_elmo_jax_filled": ratios(seconds, totals[WARM]).json()})
    return {**head, "rows": rows}


def _start(name: str, setup: Setting, text: Path, cache: Path | None) -> dict[str, float]:
    """Seconds of each part of a fresh process, with JAX's compilation cache in ``cache``."""
    variables = {
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    started = time.perf_counter()
    with mock.patch.dict("os.environ", variables if cache else {}), open_peer(name) as peer:
        reply = peer.ask("open", **source(name, setup.model, native=True))
        embedded = peer.ask("embed", sentences=text, output="layers")
        total = time.perf_counter() - started
    seconds = reply["import_seconds"], reply["seconds"], embedded["seconds"][0]
    # The rest is Python's own start, and a few requests over a pipe.
    return dict(zip(PARTS, (total - sum(seconds), *seconds), strict=True))


def table(result: dict[str, Any]) -> str:
    rows = (
        {
            "system": row["system"],
            "seconds (p10 – p90)": row["seconds"],
            "times elmo-jax, filled cache": row["times_elmo_jax_filled"],
            **{part: row["parts"][part]["median"] for part in PARTS},
        }
        for row in result["rows"]
    )
    what = f"Model {result['setting']['model']}, to all layers of a first sentence of {_WORDS}"
    return f"{what} words.\n\n{markdown(rows)}"
