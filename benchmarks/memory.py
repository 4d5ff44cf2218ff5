"""How much memory does a job take at its peak?

Run from a checkout::

    python -m benchmarks memory

Every system does the same job in a process of its own: it opens the published files and embeds the
same sentences, all layers, and keeps the vectors, as a user does who lists them. Measured is the
most resident memory that the process had, libraries included; on a GPU that is the host's.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from .arguments import setting
from .corpus import count_tokens, write_sentences
from .peers import open_peer
from .systems import (
    ELMO_JAX,
    SAME_VECTORS,
    SYSTEMS,
    System,
    check_peers,
    check_same,
    opened,
    source,
)
from .tables import markdown, number

HELP = "Peak resident memory of the same job."

_TOKENS = 5000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``measure`` reads from the command line."""
    peers = list(SAME_VECTORS)
    add = parser.add_argument
    add("--peers", nargs="*", default=peers, metavar="NAME", help=f"of {', '.join(peers)}")


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Check, then run the job once in a fresh process of each system.

    Raises:
        ElmoError: if a peer is missing, or does not compute the same.
    """
    names = check_peers(args.peers, SAME_VECTORS)
    setup = setting(args, _TOKENS)
    with opened([ELMO_JAX, *names], setup) as (peers, versions):
        differences = check_same(peers, setup.sentences)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        text = write_sentences(Path(folder) / "text.txt", setup.sentences)
        for system in SYSTEMS:
            if system.peer in (ELMO_JAX, *names):
                peaks = _job(system, text, source(system.peer, setup))
                rows.append({"system": system.label, **peaks})
    vectors = count_tokens(setup.sentences) * setup.model.config.n_output_layers
    return {
        "setting": setup.json(),
        "versions": versions,
        "largest_difference": differences,
        "model_bytes": setup.model.weight_file.stat().st_size,
        "vector_bytes": vectors * setup.model.config.output_dim * 4,
        "rows": rows,
    }


def _job(system: System, text: Path, what: dict[str, Path]) -> dict[str, int]:
    """The peaks after opening the model, and after the job."""
    choice = {"batch_size": system.batch_size, "order": system.order}
    with open_peer(system.peer) as peer:
        peer.ask("open", **what)
        after_open = peer.ask("memory")["peak_bytes"]
        peer.ask("embed", sentences=text, output="layers", **choice)
        peak = peer.ask("memory")["peak_bytes"]
    return {"open_bytes": after_open, "peak_bytes": peak}


def table(summary: dict[str, Any]) -> str:
    """Megabytes of each system, and how they compare."""
    own = summary["rows"][0]["peak_bytes"]
    heads = ["system", "MB at the peak", "of it, model opened", "times elmo-jax"]
    rows = [
        [
            row["system"],
            number(row["peak_bytes"] / 1e6),
            number(row["open_bytes"] / 1e6),
            number(row["peak_bytes"] / own),
        ]
        for row in summary["rows"]
    ]
    what = summary["setting"]
    return (
        f"Model {what['model']} ({number(summary['model_bytes'] / 1e6)} MB of weights), all layers "
        f"of {what['tokens']:,} tokens ({number(summary['vector_bytes'] / 1e6)} MB of vectors)."
        f"\n\n{markdown(heads, rows)}"
    )
