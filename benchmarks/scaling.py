"""How does throughput grow: with lanes, with the length of sentences, with the size of a text?

Run from a checkout::

    python -m benchmarks scaling
    python -m benchmarks scaling --part lanes --budget 120

* lanes: the engine's compiled step, all layers, over N lanes of 16 tokens each;
* length: ``Elmo.stream`` over running text, cut into sentences of one length;
* corpus: ``Elmo.stream`` over 10³ to 10⁶ tokens of a text, which is repeated if it is too short.

Results are dropped as they come. Each run has a new ``Elmo``, which knows no word.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax

import elmo_jax
from elmo_jax import Elmo, ElmoConfig

from .compiled import step_call
from .limit import bandwidth, matmul_rate
from .question import setting
from .tables import markdown, spread
from .texts import Sentence, count_tokens, even_sample, recut
from .work import needed_work, step_work

HELP = "How throughput grows with lanes, sentence length and corpus size."

POINTS: dict[str, tuple[int, ...]] = {
    "lanes": (1, 2, 4, 8, 16, 32, 64, 128, 256),
    "length": (1, 2, 5, 10, 20, 50, 100, 200, 500),
    "corpus": (1_000, 10_000, 100_000, 1_000_000),
}
TITLES = {"lanes": "lanes", "length": "words a sentence", "corpus": "tokens"}

_QUICK: dict[str, tuple[int, ...]] = {"lanes": (1, 4), "length": (1, 10), "corpus": (100, 1_000)}
_STEP_TOKENS, _LENGTH_TOKENS = 16, 4_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--part", nargs="+", choices=POINTS, default=list(POINTS), help="which (default: all)")
    add("--budget", type=float, default=600, metavar="SECONDS", help="of each part (default: 600)")


def measure(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    setup = setting(args, _LENGTH_TOKENS)
    config, params = elmo_jax.load(setup.model.native)
    params = jax.device_put(params)
    n_tokens = count_tokens(setup.sentences)

    def length_point(length: int) -> dict[str, Any]:
        sentences = recut(setup.text, length, max(n_tokens, length))
        return {"length": length, **_embed(config, params, sentences)}

    def corpus_point(size: int) -> dict[str, Any]:
        copies = -(-size // count_tokens(setup.text))
        sentences = even_sample(setup.text * copies, size)
        return {"corpus": size, "text_copies": copies, **_embed(config, params, sentences)}

    def lanes_point(n_lanes: int) -> dict[str, Any]:
        return _lanes_point(config, params, n_lanes)

    points = {"lanes": lanes_point, "length": length_point, "corpus": corpus_point}
    result: dict[str, Any] = {
        "setting": setup.json(),
        "matmul_gflops": matmul_rate(quick=args.quick).json(),
        "gigabytes_per_second": bandwidth(quick=args.quick).json(),
    }
    for part in args.part:
        values = _QUICK[part] if args.quick else POINTS[part]
        result[part] = []
        for row in within(args.budget, values, points[part]):
            result[part].append(row)
            yield result


def within(
    budget: float, values: tuple[int, ...], point: Callable[[int], dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Points of rising size, until the next one would likely pass the budget of seconds."""
    started = time.perf_counter()
    for value, following in zip(values, (*values[1:], None), strict=True):
        before = time.perf_counter()
        yield point(value)
        now = time.perf_counter()
        if following and now - started + (now - before) * following / value > budget:
            return


def _lanes_point(config: ElmoConfig, params: Any, n_lanes: int) -> dict[str, Any]:
    seconds = step_call(config, params, n_lanes, _STEP_TOKENS, "float32").seconds()
    n_tokens = n_lanes * _STEP_TOKENS
    # The first layer's input product is not in it: the word table holds its results.
    flop_of_a_token = step_work(config, config.n_layers)
    weights = jax.tree.leaves((params["forward"], params["backward"]))
    n_bytes = sum(array.nbytes for array in weights)
    return {
        "lanes": n_lanes,
        "seconds": seconds.json(),
        "tokens_per_second": round(n_tokens / seconds.median, 1),
        "gflops": round(n_tokens * flop_of_a_token / seconds.median / 1e9, 2),
        # A step reads every weight once for all lanes.
        "flop_per_byte": round(n_lanes * flop_of_a_token / n_bytes, 3),
    }


def _embed(config: ElmoConfig, params: Any, sentences: list[Sentence]) -> dict[str, Any]:
    """A run that finds its shapes compiled by an earlier run over a part of the text."""
    warm_up = even_sample(sentences, _LENGTH_TOKENS)
    for text in (warm_up, sentences):
        elmo = Elmo.from_params(config, params)
        started = time.perf_counter()
        for _ in elmo.stream(text):  # each result is a NumPy array
            pass
        seconds = time.perf_counter() - started
    work = needed_work(config, sentences)
    return {
        "tokens": work.n_tokens,
        "distinct_words": work.n_words,
        "seconds": round(seconds, 3),
        "tokens_per_second": round(work.n_tokens / seconds, 1),
        "gflops": round(work.total / seconds / 1e9, 2),
    }


def table(result: dict[str, Any]) -> str:
    limit = result["matmul_gflops"]
    parts = [
        f"Model {result['setting']['model']}, all layers, float32; float32 matmul limit "
        f"{spread(limit)} GFLOP/s."
    ]
    parts += [
        markdown(
            {
                TITLES[part]: row[part],
                "tokens/s": row["tokens_per_second"],
                "GFLOP/s": row["gflops"],
                "% of limit": f"{100 * row['gflops'] / limit['median']:.0f}",
            }
            for row in result[part]
        )
        for part in POINTS
        if part in result
    ]
    return "\n\n".join(parts)
