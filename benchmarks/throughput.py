"""How many tokens a second, against the other implementations, and how near to the limit?

Run from a checkout::

    python -m benchmarks throughput
    python -m benchmarks throughput --model small --peers allennlp --rounds 5

All layers of every token in float32, from lists of words to NumPy arrays. A slower system gets an
even part of the same sentences, in whole batches as it would make them of the whole; tokens a
second are compared round by round. elmo-jax starts each round with an empty word table, so every
distinct word is spelled once in each. Sentence vectors, beside those of the sentence encoder that
people would pick today, are a comparison of their own: those two compute different things.
"""

from __future__ import annotations

import argparse
import functools
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from . import corpus
from .arguments import Setting, setting
from .limits import matmul_rate
from .measure import Spread, interleave, ratios
from .systems import (
    ELMO_JAX,
    MINILM,
    SAME_VECTORS,
    SYSTEMS,
    System,
    check_peers,
    check_same,
    opened,
    source,
)
from .tables import markdown, number, spread
from .work import needed_work

HELP = "Tokens a second of elmo-jax and the other implementations, and per cent of the limit."

PEERS = (*SAME_VECTORS, MINILM)
_TOKENS, _PEER_TOKENS, _QUICK_PEER_TOKENS = 75_000, 15_000, 100
_SENTENCE_SYSTEMS = (System("elmo-jax", ELMO_JAX), System("MiniLM-L6", MINILM))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``measure`` reads from the command line."""
    add = parser.add_argument
    add("--peers", nargs="*", default=list(PEERS), metavar="NAME", help=f"of {', '.join(PEERS)}")
    add("--peer-tokens", type=int, metavar="N", help="of the text, for a peer (default: 15000)")
    add("--rounds", type=int, metavar="N", help="samples of each (default: 3)")


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Check, warm up, and time all systems in turn.

    Raises:
        ElmoError: if a peer is missing, or does not compute the same.
    """
    names = check_peers(args.peers, PEERS)
    rounds = args.rounds or (2 if args.quick else 3)
    peer_tokens = args.peer_tokens or (_QUICK_PEER_TOKENS if args.quick else _PEER_TOKENS)
    setup = setting(args, _TOKENS)
    systems = [system for system in SYSTEMS if system.peer in (ELMO_JAX, *names)]
    with (
        tempfile.TemporaryDirectory() as folder,
        opened([ELMO_JAX, *names], setup) as (peers, versions),
    ):
        differences = check_same(peers, setup.sentences)
        runs = Runs(setup, peers, Path(folder), peer_tokens)
        before = matmul_rate(quick=args.quick)
        tokens = runs.compare(systems, "layers", rounds)
        after = matmul_rate(quick=args.quick)
        found = {
            "setting": setup.json(),
            "versions": versions,
            "largest_difference": differences,
            "matmul_gflops": {"before": before.json(), "after": after.json()},
            "work": needed_work(setup.model.config, setup.sentences).json(),
            "layers": tokens,
        }
        found["limit"] = _per_cent_of_limit(found)
        if MINILM in names:
            found["sentences"] = runs.compare(_SENTENCE_SYSTEMS, "sentences", rounds)
    return found


class Runs:
    """The systems' runs over their parts of a text.

    Args:
        setup: the model and the text.
        peers: opened, by name.
        folder: for the texts that they read.
        peer_tokens: how much text a peer gets at least.
    """

    def __init__(
        self, setup: Setting, peers: Mapping[str, Any], folder: Path, peer_tokens: int
    ) -> None:
        self._setup, self._peers, self._folder = setup, peers, folder
        self._peer_tokens = peer_tokens

    def compare(
        self, systems: tuple[System, ...] | list[System], output: str, rounds: int
    ) -> list[dict[str, Any]]:
        """Warm all systems up, then time them in turn; the first is the one compared."""
        parts, rates, warm_up = {}, {}, {}
        calls: dict[str, Callable[[], float]] = {}
        for system in systems:
            part = self._part(system)
            parts[system.label] = {
                "sentences": len(part),
                "tokens": corpus.count_tokens(part),
            }
            name = f"{len(calls)}-{output}.txt"
            text = corpus.write_sentences(self._folder / name, part)
            calls[system.label] = functools.partial(self._embed, system, text, output)
            # elmo-jax compiles its shapes; a peer compiles nothing, a batch wakes its threads.
            few = part if system.peer == ELMO_JAX else part[: system.batch_size or 32]
            warm_up[system.label] = self._embed(
                system, corpus.write_sentences(self._folder / f"warm-{name}", few), output
            )
        seconds = interleave(calls, rounds, note=_say)
        for label, samples in seconds.items():
            rates[label] = [parts[label]["tokens"] / second for second in samples]
        first = rates[systems[0].label]
        return [
            {
                "system": label,
                **parts[label],
                "warm_up_seconds": round(warm_up[label], 3),
                "seconds": Spread.of(seconds[label]).json(),
                "tokens_per_second": Spread.of(rates[label]).json(),
                "elmo_jax_times_faster": ratios(first, rates[label]).json(),
            }
            for label in seconds
        ]

    def _part(self, system: System) -> list[corpus.Sentence]:
        if system.peer == ELMO_JAX:
            return self._setup.sentences
        # Peers that choose their batches themselves take about 32 sentences a batch.
        choice = (system.batch_size or 32, system.order)
        return corpus.even_batches(self._setup.sentences, self._peer_tokens, *choice)

    def _embed(self, system: System, text: Path, output: str) -> float:
        peer = self._peers[system.peer]
        if system.peer == ELMO_JAX:  # anew, so that no word is known from the round before
            peer.ask("open", **source(ELMO_JAX, self._setup))
        choice = {"batch_size": system.batch_size, "order": system.order}
        return float(peer.ask("embed", sentences=text, output=output, **choice)["seconds"][0])


def _say(label: str, number: int, seconds: float) -> None:
    print(f"round {number + 1}, {label}: {seconds:.1f} s", file=sys.stderr)


def _per_cent_of_limit(found: dict[str, Any]) -> dict[str, float]:
    """What elmo-jax made of the higher of the two rates measured around it."""
    rate = max(measured["median"] for measured in found["matmul_gflops"].values())
    achieved = found["work"]["gflop"] / found["layers"][0]["seconds"]["median"]
    return {"gflops": round(achieved, 2), "per_cent": round(100 * achieved / rate, 1)}


def table(summary: dict[str, Any]) -> str:
    """The rows of both comparisons, and the per cent of the limit."""
    what, limit = summary["setting"], summary["limit"]
    rates = [number(rate["median"]) for rate in summary["matmul_gflops"].values()]
    parts = [
        f"Model {what['model']}, all layers of {what['tokens']:,} tokens, float32.",
        markdown(_HEADS, map(_row, summary["layers"])),
        f"elmo-jax: {number(limit['gflops'])} GFLOP/s of needed work, "
        f"{limit['per_cent']:.0f}% of the float32 matmul limit "
        f"({' GFLOP/s before, '.join(rates)} after).",
    ]
    if "sentences" in summary:
        parts.append("Sentence vectors (mean over layers and tokens; MiniLM's are its own):")
        parts.append(markdown(_HEADS, map(_row, summary["sentences"])))
    return "\n\n".join(parts)


_HEADS = ["system", "tokens measured on", "tokens/s (p10 – p90)", "elmo-jax is … times faster"]


def _row(found: dict[str, Any]) -> list[str]:
    ratio = spread(found["elmo_jax_times_faster"])
    return [
        found["system"],
        f"{found['tokens']:,}",
        spread(found["tokens_per_second"]),
        "1" if found["system"] == "elmo-jax" else ratio,
    ]
