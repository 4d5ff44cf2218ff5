"""How long does one sentence take, warm?

Run from a checkout::

    python -m benchmarks latency
    python -m benchmarks latency --lengths 20 --peers allennlp --calls 50

One call embeds one sentence, all layers, from a list of words to a NumPy array; the calls of the
systems are interleaved. Each call gets another sentence of the text, so elmo-jax spells out the
words that it has not met before; "same sentence" repeats one, whose words it then knows.
"layer_outputs" is the compiled function on its own, which spells out every word of its batch.

A single sentence is bound by memory: its time is compared with that of reading, at the memory's
rate in the same run, the weights that it needs (``work.weight_bytes``).
"""

from __future__ import annotations

import argparse
import functools
import itertools
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import elmo_jax

from .arguments import setting
from .corpus import Sentence, recut, write_sentences
from .limits import bandwidth
from .measure import Spread, interleave, ratios, timed
from .systems import ELMO_JAX, check_peers, check_same, opened
from .tables import markdown, number, spread
from .work import weight_bytes

HELP = "Time to embed one sentence, warm."

PEERS = ("allennlp", "torch_lstm")
LABELS = {ELMO_JAX: "elmo-jax", "allennlp": "AllenNLP", "torch_lstm": "PyTorch nn.LSTM"}

_SAME, _FUNCTION = "elmo-jax, same sentence", "elmo-jax, layer_outputs"
_TOKENS = 2000
_N_WARM_UPS = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``measure`` reads from the command line."""
    add = parser.add_argument
    add("--peers", nargs="*", default=list(PEERS), metavar="NAME", help=f"of {', '.join(PEERS)}")
    add("--lengths", type=int, nargs="+", metavar="N", help="words (default: 1 5 20 50)")
    add("--calls", type=int, metavar="N", help="timed calls of each system (default: 30)")


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Check, warm up, and time single sentences in turn.

    Raises:
        ElmoError: if a peer is missing, or does not compute the same.
    """
    names = check_peers(args.peers, PEERS)
    setup = setting(args, _TOKENS)
    n_calls = args.calls or (3 if args.quick else 30)
    lengths = args.lengths or ((1, 5) if args.quick else (1, 5, 20, 50))
    rows = []
    config, params = elmo_jax.load(setup.model.native)
    function = functools.partial(_layer_outputs, config, params)
    with (
        tempfile.TemporaryDirectory() as folder,
        opened([ELMO_JAX, *names], setup) as (peers, versions),
    ):
        differences = check_same(peers, setup.sentences)
        for length in lengths:
            needed = length * (n_calls + _N_WARM_UPS)
            sentences = recut(setup.text, length, needed)
            calls = _calls(peers, function, sentences, Path(folder))
            interleave(calls, _N_WARM_UPS, pause=0)
            seconds = interleave(calls, n_calls)
            rows += _rows(length, seconds)
    rate = bandwidth(quick=args.quick)
    return {
        "setting": setup.json(),
        "versions": versions,
        "largest_difference": differences,
        "gigabytes_per_second": rate.json(),
        "limits": [_limit(config, length, rate) for length in lengths],
        "rows": rows,
    }


def _calls(
    peers: Mapping[str, Any],
    function: Callable[[Sentence], float],
    sentences: Sequence[Sentence],
    folder: Path,
) -> dict[str, Callable[[], float]]:
    """A call of each system, which takes the next sentence every time."""
    texts = [
        write_sentences(folder / f"{index}.txt", [sentence])
        for index, sentence in enumerate(sentences)
    ]

    def call(peer: Any, several: Sequence[Path]) -> Callable[[], float]:
        coming = itertools.cycle(several)

        def embed() -> float:
            return float(peer.ask("embed", sentences=next(coming), output="layers")["seconds"][0])

        return embed

    calls = {LABELS[name]: call(peer, texts) for name, peer in peers.items()}
    coming = itertools.cycle(sentences)
    return {
        **calls,
        _SAME: call(peers[ELMO_JAX], texts[:1]),
        _FUNCTION: lambda: function(next(coming)),
    }


def _layer_outputs(config: Any, params: Any, sentence: Sentence) -> float:
    """Seconds of one call, with what makes its arrays of words."""

    def call() -> Any:
        char_ids, lengths = elmo_jax.encode_batch([sentence], config)
        return elmo_jax.layer_outputs(params, char_ids, lengths, config=config)

    return timed(call)


def _rows(length: int, seconds: Mapping[str, Sequence[float]]) -> list[dict[str, Any]]:
    first = seconds[LABELS[ELMO_JAX]]
    return [
        {
            "tokens": length,
            "system": label,
            "seconds": Spread.of(samples).json(),
            "times_elmo_jax": ratios(samples, first).json(),
        }
        for label, samples in seconds.items()
    ]


def _limit(config: elmo_jax.ElmoConfig, length: int, rate: Spread) -> dict[str, float]:
    """How long the weights of one sentence take to be read."""
    n_bytes = weight_bytes(config, length)
    seconds = n_bytes / (rate.median * 1e9)
    return {"tokens": length, "weight_bytes": n_bytes, "seconds": round(seconds, 5)}


def table(summary: dict[str, Any]) -> str:
    """A row for each length and system."""
    heads = ["system", "words", "ms (p10 – p90)", "times elmo-jax (p10 – p90)"]
    rows = [
        [
            row["system"],
            str(row["tokens"]),
            spread(row["seconds"], 1e3),
            spread(row["times_elmo_jax"]),
        ]
        for row in summary["rows"]
    ]
    name = summary["setting"]["model"]
    read = "; ".join(
        f"{row['tokens']} words {number(row['seconds'] * 1e3)} ms" for row in summary["limits"]
    )
    gigabytes = number(summary["gigabytes_per_second"]["median"])
    return (
        f"Model {name}, one sentence a call, all layers.\n\n{markdown(heads, rows)}\n\n"
        f"The weights that a sentence reads at least, at the memory's {gigabytes} GB/s: {read}."
    )
