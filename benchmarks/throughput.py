"""How many tokens a second, against the other implementations, and how near to the limit?

All layers of every token in float32, from lists of words to NumPy arrays. A slower system gets an
even part of the same sentences, in the batches it would make of all of them; tokens a second are
compared round by round. elmo-jax starts each round with an empty word table, so it spells every
distinct word in each. Sentence vectors are a second table, beside those of MiniLM, the sentence
encoder that people would pick today: the two compute different things.
"""

from __future__ import annotations

import argparse
import functools
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import systems
from .limit import matmul_rate
from .measure import Spread, compare_rates, interleave
from .question import Setting, setting
from .systems import ELMO_JAX, MINILM, SYSTEMS, TOLERANCES, System
from .tables import markdown, number
from .texts import count_tokens, even_batches, write_sentences
from .work import needed_work

PEERS = (*TOLERANCES, MINILM)
_TOKENS, _PEER_TOKENS, _QUICK_PEER_TOKENS = 75_000, 15_000, 100
_SENTENCE_SYSTEMS = (System("elmo-jax", ELMO_JAX), System("MiniLM-L6", MINILM))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    systems.add_peers(parser, PEERS)
    add = parser.add_argument
    add("--peer-tokens", type=int, metavar="N", help="part of the text for a peer (default: 15000)")
    add("--rounds", type=int, metavar="N", help="samples of each (default: 3)")


def measure(args: argparse.Namespace) -> dict[str, Any]:
    rounds = args.rounds or (2 if args.quick else 3)
    peer_tokens = args.peer_tokens or (_QUICK_PEER_TOKENS if args.quick else _PEER_TOKENS)
    setup = setting(args, _TOKENS)
    ways = [system for system in SYSTEMS if system.peer in (ELMO_JAX, *args.peers)]
    with systems.opened(args.peers, setup) as (peers, head):
        compare = functools.partial(_compare, setup, peers, peer_tokens, rounds)
        before = matmul_rate(quick=args.quick)
        layers = compare(ways, "layers")
        after = matmul_rate(quick=args.quick)
        sentences = compare(_SENTENCE_SYSTEMS, "sentences") if MINILM in args.peers else None
    work = needed_work(setup.model.config, setup.sentences).json()
    gflops = work["gflop"] / layers[0]["seconds"]["median"]
    per_cent = 100 * gflops / max(before.median, after.median)
    return {
        **head,
        "matmul_gflops": {"before": before.json(), "after": after.json()},
        "work": work,
        "layers": layers,
        "limit": {"gflops": round(gflops, 2), "per_cent": round(per_cent, 1)},
        **({"sentences": sentences} if sentences else {}),
    }


def _compare(
    setup: Setting,
    peers: Mapping[str, Any],
    peer_tokens: int,
    rounds: int,
    ways: Sequence[System],
    output: str,
) -> list[dict[str, Any]]:
    """Warm all systems up, then time them in turn; ratios are those to the first."""
    counts = {}
    calls: dict[str, Callable[[], float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for index, system in enumerate(ways):
            part, first = setup.sentences, setup.sentences  # elmo-jax compiles for all its shapes
            if system.peer != ELMO_JAX:
                # A peer that chooses its batches itself makes batches of about 32 sentences.
                size = system.batch_size or 32
                part = even_batches(setup.sentences, peer_tokens, size, system.order)
                first = part[:size]
            counts[system.label] = {"sentences": len(part), "tokens": count_tokens(part)}
            text = write_sentences(Path(folder) / f"{index}.txt", part)
            warm_up = write_sentences(Path(folder) / f"{index}-first.txt", first)
            embed = functools.partial(_embed, setup, peers[system.peer], system, output)
            embed(warm_up)
            calls[system.label] = functools.partial(embed, text)
        seconds = interleave(calls, rounds)
    rates = compare_rates(seconds, {label: count["tokens"] for label, count in counts.items()})
    return [
        {"system": label, **counts[label], "seconds": Spread.of(seconds[label]).json(), **row}
        for label, row in rates.items()
    ]


def _embed(setup: Setting, peer: Any, system: System, output: str, text: Path) -> float:
    if system.peer == ELMO_JAX:  # a new one knows no word of the round before
        peer.ask("open", **systems.source(ELMO_JAX, setup.model))
    return system.embed(peer, text, output)


def table(result: dict[str, Any]) -> str:
    what, limit = result["setting"], result["limit"]
    rates = [number(rate["median"]) for rate in result["matmul_gflops"].values()]
    parts = [
        f"Model {what['model']}, all layers of {what['tokens']:,} tokens, float32.",
        markdown(map(_row, result["layers"])),
        f"elmo-jax: {number(limit['gflops'])} GFLOP/s of needed work, "
        f"{limit['per_cent']:.0f}% of the float32 matmul limit "
        f"({' GFLOP/s before, '.join(rates)} after).",
    ]
    if "sentences" in result:
        parts.append("Sentence vectors (mean over layers and tokens; MiniLM's are its own):")
        parts.append(markdown(map(_row, result["sentences"])))
    return "\n\n".join(parts)


def _row(row: dict[str, Any]) -> dict[str, Any]:
    is_own = row["system"] == "elmo-jax"
    return {
        "system": row["system"],
        "tokens measured on": row["tokens"],
        "tokens/s (p10 – p90)": row["tokens_per_second"],
        "elmo-jax is … times faster": 1 if is_own else row["elmo_jax_times_faster"],
    }
