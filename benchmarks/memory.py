"""How much memory does a job take at its peak?

Every system does the same job in a process of its own: it opens the published files, embeds the
same sentences, all layers, and keeps the vectors, as a user does who lists them. The peak is the
largest resident memory of the process, libraries included; on a GPU that is the host's.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from .peers import open_peer
from .question import setting
from .systems import ELMO_JAX, SYSTEMS, TOLERANCES, add_peers, opened, source
from .tables import markdown, number
from .texts import count_tokens, write_sentences

PEERS = tuple(TOLERANCES)
_TOKENS = 5000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_peers(parser, PEERS)


def measure(args: argparse.Namespace) -> dict[str, Any]:
    setup = setting(args, _TOKENS)
    with opened(args.peers, setup) as (_, head):
        pass
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        text = write_sentences(Path(folder) / "text.txt", setup.sentences)
        for system in SYSTEMS:
            if system.peer in (ELMO_JAX, *args.peers):
                with open_peer(system.peer) as peer:
                    peer.ask("open", **source(system.peer, setup.model))
                    open_bytes = peer.ask("memory")["peak_bytes"]
                    system.embed(peer, text, "layers")
                    peak = peer.ask("memory")["peak_bytes"]
                rows.append({"system": system.label, "open_bytes": open_bytes, "peak_bytes": peak})
    config = setup.model.config
    n_numbers = count_tokens(setup.sentences) * config.n_output_layers * config.output_dim
    model_bytes = sum(file.stat().st_size for file in setup.model.native.iterdir())
    return {**head, "model_bytes": model_bytes, "vector_bytes": 4 * n_numbers, "rows": rows}


def table(result: dict[str, Any]) -> str:
    what = result["setting"]
    rows = (
        {
            "system": row["system"],
            "MB at the peak": row["peak_bytes"] / 1e6,
            "of it, model opened": row["open_bytes"] / 1e6,
            "times elmo-jax": row["peak_bytes"] / result["rows"][0]["peak_bytes"],
        }
        for row in result["rows"]
    )
    return (
        f"Model {what['model']} ({number(result['model_bytes'] / 1e6)} MB of weights), all layers "
        f"of {what['tokens']:,} tokens ({number(result['vector_bytes'] / 1e6)} MB of vectors).\n\n"
        f"{markdown(rows)}"
    )
