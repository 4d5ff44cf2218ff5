"""How does throughput grow: with lanes, with the length of sentences, with the size of a text?

* lanes: the engine's compiled step, all layers, over N lanes of 16 tokens each;
* length: ``Elmo.stream`` over running text, cut into sentences of one length;
* corpus: ``Elmo.stream`` over 10³ to 10⁶ tokens of a text, which is repeated if it is too short.

Results are dropped as they come. Each run has a new ``Elmo``, which knows no word.
"""

from __future__ import annotations

import argparse
import functools
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax

import elmo_jax
from elmo_jax import Elmo, ElmoConfig

from .calls import step_call
from .limit import matmul_rate
from .question import setting
from .tables import markdown, spread
from .texts import Sentence, count_tokens, even_sample, recut
from .work import needed_work, step_work

POINTS: dict[str, tuple[int, ...]] = {
    "lanes": (1, 2, 4, 8, 16, 32, 64, 128, 256),
    "length": (1, 2, 5, 10, 20, 50, 100, 200, 500),
    "corpus": (1_000, 10_000, 100_000, 1_000_000),
}
_TITLES = {"lanes": "lanes", "length": "words a sentence", "corpus": "tokens"}
_QUICK: dict[str, tuple[int, ...]] = {"lanes": (1, 4), "length": (1, 10), "corpus": (100, 1_000)}
_STEP_TOKENS, _LENGTH_TOKENS = 16, 4_000

Row = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--part", nargs="+", choices=POINTS, default=list(POINTS), help="which (default: all)")
    add("--budget", type=float, default=600, metavar="SECONDS", help="of each part (default: 600)")


def measure(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    setup = setting(args, _LENGTH_TOKENS)
    config, params = elmo_jax.load(setup.model.native)
    params = jax.device_put(params)
    n_tokens = count_tokens(setup.sentences)

    def point(part: str, size: int) -> Row:
        if part == "lanes":
            return {"lanes": size, **_step(config, params, size)}
        if part == "length":
            sentences = recut(setup.text, size, max(n_tokens, size))
            return {"length": size, **_embed(config, params, sentences)}
        copies = -(-size // count_tokens(setup.text))
        sentences = even_sample(setup.text * copies, size)
        return {"corpus": size, "text_copies": copies, **_embed(config, params, sentences)}

    result: dict[str, Any] = {
        "setting": setup.json(),
        "matmul_gflops": matmul_rate(quick=args.quick).json(),
    }
    for part in args.part:
        result[part] = []
        sizes = (_QUICK if args.quick else POINTS)[part]
        for row in within(args.budget, sizes, functools.partial(point, part)):
            result[part].append(row)
            yield result


def within(budget: float, sizes: tuple[int, ...], point: Callable[[int], Row]) -> Iterator[Row]:
    """Points of rising size, until the next one would likely pass the budget of seconds."""
    started = time.perf_counter()
    for size, following in zip(sizes, (*sizes[1:], None), strict=True):
        before = time.perf_counter()
        yield point(size)
        now = time.perf_counter()
        if following and now - started + (now - before) * following / size > budget:
            return


def _step(config: ElmoConfig, params: Any, n_lanes: int) -> Row:
    # The first layer's input product is not in it: the word table holds its results.
    seconds = step_call(config, params, n_lanes, _STEP_TOKENS, "float32").seconds()
    rate = n_lanes * _STEP_TOKENS / seconds.median
    return {
        "seconds": seconds.json(),
        "tokens_per_second": round(rate, 1),
        "gflops": round(rate * step_work(config, config.n_layers) / 1e9, 2),
    }


def _embed(config: ElmoConfig, params: Any, sentences: list[Sentence]) -> Row:
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
    limit, model = result["matmul_gflops"], result["setting"]["model"]
    head = f"Model {model}, all layers, float32; float32 matmul limit {spread(limit)} GFLOP/s."
    tables = (
        markdown(
            {
                _TITLES[part]: row[part],
                "tokens/s": row["tokens_per_second"],
                "GFLOP/s": row["gflops"],
                "% of limit": f"{100 * row['gflops'] / limit['median']:.0f}",
            }
            for row in result[part]
        )
        for part in POINTS
        if part in result
    )
    return "\n\n".join([head, *tables])
