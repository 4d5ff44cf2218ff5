"""How long does one sentence take, warm?

One call embeds one sentence, all layers, from a list of words to a NumPy array; the systems take
turns. Each call gets another sentence of the text, so elmo-jax spells the words that are new to it;
"same sentence" repeats one, so all its words are known. "layer_outputs" is the compiled function
alone, which spells every word of its batch.

Memory bounds a single sentence: its time is compared with the time that it takes to read the
weights it needs (``work.weight_bytes``), at the memory's rate in the same run.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import elmo_jax

from . import manylangs
from .limit import bandwidth
from .measure import Spread, interleave, ratios, timed
from .question import setting
from .systems import ELMO_JAX, LABELS, System, add_peers, opened
from .tables import markdown, number, spread
from .texts import Sentence, recut, write_sentences
from .work import weight_bytes

PEERS = ("allennlp", "torch_lstm", manylangs.PEER)
_TOKENS, _N_WARM_UPS = 2000, 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_peers(parser, PEERS)
    add = parser.add_argument
    add("--lengths", type=int, nargs="+", metavar="N", help="words (default: 1 5 20 50)")
    add("--calls", type=int, metavar="N", help="timed calls of each system (default: 30)")


def measure(args: argparse.Namespace) -> dict[str, Any]:
    setup = setting(args, _TOKENS)
    n_calls = args.calls or (3 if args.quick else 30)
    lengths = args.lengths or ((1, 5) if args.quick else (1, 5, 20, 50))
    config, params = elmo_jax.load(setup.model.native)

    def layer_outputs(sentence: Sentence) -> float:
        char_ids, lengths_B = elmo_jax.encode_batch([sentence], config)
        return timed(lambda: elmo_jax.layer_outputs(params, char_ids, lengths_B, config=config))

    rows = []
    with opened(args.peers, setup) as (peers, head):
        for length in lengths:
            sentences = recut(setup.text, length, length * (n_calls + _N_WARM_UPS))
            with tempfile.TemporaryDirectory() as folder:
                files = [Path(folder) / f"{i}.txt" for i in range(len(sentences))]
                texts = [write_sentences(f, [s]) for f, s in zip(files, sentences, strict=True)]
                embed = {
                    name: functools.partial(System(LABELS[name], name).embed, peer, output="layers")
                    for name, peer in peers.items()
                }
                calls = {LABELS[name]: _next_of(embed[name], texts) for name in peers}
                calls["elmo-jax, same sentence"] = _next_of(embed[ELMO_JAX], texts[:1])
                calls["elmo-jax, layer_outputs"] = _next_of(layer_outputs, sentences)
                interleave(calls, _N_WARM_UPS, pause=0)
                seconds = interleave(calls, n_calls)
            rows += [
                {
                    "tokens": length,
                    "system": label,
                    "seconds": Spread.of(samples).json(),
                    "times_elmo_jax": ratios(samples, seconds[LABELS[ELMO_JAX]]).json(),
                }
                for label, samples in seconds.items()
            ]
    rate = bandwidth(quick=args.quick)
    limits: list[dict[str, Any]] = [
        {"tokens": length, "weight_bytes": weight_bytes(config, length)} for length in lengths
    ]
    for row in limits:
        row["seconds"] = round(row["weight_bytes"] / (rate.median * 1e9), 5)
    return {**head, "gigabytes_per_second": rate.json(), "limits": limits, "rows": rows}


def _next_of(function: Callable[[Any], float], inputs: Iterable[Any]) -> Callable[[], float]:
    """A call that takes the next input every time."""
    coming = itertools.cycle(inputs)
    return lambda: function(next(coming))


def table(result: dict[str, Any]) -> str:
    rows = (
        {
            "system": row["system"],
            "words": row["tokens"],
            "ms (p10 – p90)": spread(row["seconds"], 1e3),
            "times elmo-jax (p10 – p90)": row["times_elmo_jax"],
        }
        for row in result["rows"]
    )
    limits = "; ".join(
        f"{row['tokens']} words {number(row['seconds'] * 1e3)} ms" for row in result["limits"]
    )
    rate = number(result["gigabytes_per_second"]["median"])
    return (
        f"Model {result['setting']['model']}, one sentence a call, all layers.\n\n"
        f"{markdown(rows)}\n\n"
        f"Reading the weights that a sentence needs takes, at the memory's {rate} GB/s: {limits}."
    )
