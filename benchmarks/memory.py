"""How much memory does a job take at its peak?

Run from a checkout::

    python -m benchmarks memory

Every system does the same job in a process of its own: it opens the published files, embeds the
same sentences, all layers, and keeps the vectors, as a user does who lists them. The peak is the
largest resident memory of the process, libraries included; on a GPU that is the host's.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from . import systems
from .peers import open_peer
from .question import setting
from .systems import ELMO_JAX, SAME_VECTORS, SYSTEMS
from .tables import markdown, number
from .texts import count_tokens, write_sentences

HELP = "Peak resident memory of the same job."

_TOKENS = 5000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    systems.add_peers(parser, SAME_VECTORS)


def measure(args: argparse.Namespace) -> dict[str, Any]:
    names = systems.check_peers(args.peers, SAME_VECTORS)
    setup = setting(args, _TOKENS)
    with systems.opened(names, setup) as (_, head):
        pass
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        text = write_sentences(Path(folder) / "text.txt", setup.sentences)
        for system in SYSTEMS:
            if system.peer not in (ELMO_JAX, *names):
                continue
            with open_peer(system.peer) as peer:
                peer.ask("open", **systems.source(system.peer, setup))
                after_open = peer.ask("memory")["peak_bytes"]
                peer.ask("embed", sentences=text, output="layers", **system.options)
                peak = peer.ask("memory")["peak_bytes"]
            rows.append({"system": system.label, "open_bytes": after_open, "peak_bytes": peak})
    config = setup.model.config
    n_numbers = count_tokens(setup.sentences) * config.n_output_layers * config.output_dim
    return {
        **head,
        "model_bytes": setup.model.weight_file.stat().st_size,
        "vector_bytes": 4 * n_numbers,
        "rows": rows,
    }


def table(result: dict[str, Any]) -> str:
    rows = (
        {
            "system": row["system"],
            "MB at the peak": row["peak_bytes"] / 1e6,
            "of it, model opened": row["open_bytes"] / 1e6,
            "times elmo-jax": row["peak_bytes"] / result["rows"][0]["peak_bytes"],
        }
        for row in result["rows"]
    )
    what = result["setting"]
    return (
        f"Model {what['model']} ({number(result['model_bytes'] / 1e6)} MB of weights), all layers "
        f"of {what['tokens']:,} tokens ({number(result['vector_bytes'] / 1e6)} MB of vectors).\n\n"
        f"{markdown(rows)}"
    )
