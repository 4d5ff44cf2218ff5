"""How does throughput grow: with lanes, with the length of sentences, with the size of a text?

Run from a checkout::

    python -m benchmarks scaling
    python -m benchmarks scaling --part lanes --budget 120

* lanes: the engine's compiled step, all layers, over N lanes of 16 tokens each, words given;
* sentence length: ``Elmo.embed`` over running text cut into sentences of one length;
* corpus size: ``Elmo.stream`` over 10³ to 10⁶ tokens, results dropped as they come; a new ``Elmo``
  each, so no word is known before. The text is repeated where it is too short, which is said;
* devices: four fake ones of a CPU. This checks that a sharded batch gives the same vectors; it says
  nothing about speed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax

import elmo_jax
from elmo_jax import Elmo

from . import corpus
from .arguments import Setting, setting
from .devices import check_on_fake_devices
from .limits import bandwidth, matmul_rate
from .measure import Spread, timed
from .step import engine_step
from .tables import markdown, number, spread
from .work import needed_work, step_work

HELP = "How throughput grows with lanes, sentence length and corpus size."

PARTS = ("lanes", "length", "corpus", "devices")
LANES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
LENGTHS = (1, 2, 5, 10, 20, 50, 100, 200, 500)
SIZES = (1_000, 10_000, 100_000, 1_000_000)
STEP_TOKENS = 16

_QUICK = {"lanes": (1, 4), "length": (1, 10), "corpus": (100, 1_000)}
_LENGTH_TOKENS = 4_000
_N_SAMPLES = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``measure`` reads from the command line."""
    add = parser.add_argument
    add("--part", nargs="+", choices=PARTS, default=PARTS, help="which of them (default: all)")
    add("--budget", type=float, default=600, metavar="SECONDS", help="of each part (default: 600)")


def measure(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Measure each part that is asked for, as far as its time allows."""
    setup = setting(args, 200 if args.quick else _LENGTH_TOKENS)
    found: dict[str, Any] = {"setting": setup.json()}
    config, params = elmo_jax.load(setup.model.native)
    params = jax.device_put(params)
    found["matmul_gflops"] = matmul_rate(quick=args.quick).json()
    found["gigabytes_per_second"] = bandwidth(quick=args.quick).json()
    points: dict[str, tuple[tuple[int, ...], Callable[[int], dict[str, Any]]]] = {
        "lanes": (LANES, lambda n: _lanes(config, params, n)),
        "length": (LENGTHS, lambda n: _length(setup, config, params, n)),
        "corpus": (SIZES, lambda n: _corpus(setup, config, params, n)),
    }
    if "devices" in args.part:
        found["devices"] = check_on_fake_devices(setup.model.native)
    for part, (values, point) in points.items():
        if part in args.part:
            chosen = _QUICK[part] if args.quick else values
            found[part] = []
            for measured in within(args.budget, chosen, point):
                found[part].append(measured)
                yield found
    yield found


def within(
    budget: float, values: tuple[int, ...], point: Callable[[int], dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Points of rising size, until the next would likely not end within the budget."""
    started = time.perf_counter()
    for index, value in enumerate(values):
        before = time.perf_counter()
        yield point(value)
        now = time.perf_counter()
        if index + 1 < len(values):
            predicted = (now - before) * values[index + 1] / value
            if now - started + predicted > budget:
                return


def _lanes(config: elmo_jax.ElmoConfig, params: Any, n_lanes: int) -> dict[str, Any]:
    step = engine_step(config, params, n_lanes, STEP_TOKENS)
    compiling = timed(step)
    seconds = Spread.of([timed(step) for _ in range(_N_SAMPLES)])
    n_tokens = n_lanes * STEP_TOKENS
    flop = n_tokens * step_work(config, config.n_layers)
    return {
        "lanes": n_lanes,
        "first_call_seconds": round(compiling, 3),
        "seconds": seconds.json(),
        "tokens_per_second": round(n_tokens / seconds.median, 1),
        # Without the first layer's input product, which a word table can keep.
        "gflops": round(flop / seconds.median / 1e9, 2),
        # Of a step: every weight is read once for all lanes.
        "flop_per_byte": round(n_lanes * _flop_per_weight_byte(config, params), 3),
    }


def _flop_per_weight_byte(config: elmo_jax.ElmoConfig, params: Any) -> float:
    stacks = {name: params[name] for name in ("forward", "backward")}
    n_bytes = sum(leaf.nbytes for leaf in jax.tree.leaves(stacks))
    return step_work(config, config.n_layers) / n_bytes


def _length(
    setup: Setting, config: elmo_jax.ElmoConfig, params: Any, length: int
) -> dict[str, Any]:
    n_tokens = corpus.count_tokens(setup.sentences)
    sentences = corpus.recut(setup.text, length, max(n_tokens, length))
    run = _embed(setup, config, params, sentences)
    return {"length": length, **run}


def _corpus(
    setup: Setting, config: elmo_jax.ElmoConfig, params: Any, n_tokens: int
) -> dict[str, Any]:
    available = corpus.count_tokens(setup.text)
    copies = -(-n_tokens // available)
    sentences = corpus.even_sample(setup.text * copies, n_tokens)
    run = _embed(setup, config, params, sentences)
    return {"corpus": n_tokens, "text_copies": copies, **run}


def _embed(
    setup: Setting,
    config: elmo_jax.ElmoConfig,
    params: Any,
    sentences: list[corpus.Sentence],
) -> dict[str, Any]:
    """A run with an empty word table; a part of the text has compiled its shapes before."""
    warm_up = corpus.even_sample(sentences, min(corpus.count_tokens(sentences), _LENGTH_TOKENS))
    for _ in Elmo.from_params(config, params).stream(warm_up):
        pass
    elmo = Elmo.from_params(config, params)
    started = time.perf_counter()
    for _ in elmo.stream(sentences):  # each is a NumPy array when it comes
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


def table(summary: dict[str, Any]) -> str:
    """A table for each part."""
    limit = summary["matmul_gflops"]
    parts = [
        f"Model {summary['setting']['model']}, all layers, float32; float32 matmul limit "
        f"{spread(limit)} GFLOP/s."
    ]
    heads = ["tokens/s", "GFLOP/s", "% of limit"]
    for part, title in (("lanes", "lanes"), ("length", "words a sentence"), ("corpus", "tokens")):
        if part in summary:
            rows = [[f"{row[part]:,}", *_rates(row, limit["median"])] for row in summary[part]]
            parts.append(markdown([title, *heads], rows))
    if "devices" in summary:
        found = summary["devices"]
        parts.append(
            f"{found['devices']} fake devices: a batch sharded over them differs by at most "
            f"{found['largest_difference']:.1g} from one device's."
        )
    return "\n\n".join(parts)


def _rates(row: dict[str, Any], limit: float) -> list[str]:
    share = f"{100 * row['gflops'] / limit:.0f}"
    return [number(row["tokens_per_second"]), number(row["gflops"]), share]
