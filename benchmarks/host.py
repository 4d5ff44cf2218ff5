"""How many tokens a second can the host prepare for a device that takes no time?

Run from a checkout::

    python -m benchmarks host

An accelerator is only as fast as its host. Measured is the processor time of Python's own thread,
per token, in each kind of work of the host: splitting; laying sentences into lanes and taking
results out of them (by the plan for accelerators, whatever the device); making windows to train on.
Nothing is computed meanwhile: what comes from the device are zeros of the right shapes.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

import elmo_jax
from elmo_jax import Elmo, ElmoConfig
from elmo_jax.training import Corpus, Vocabulary, survey
from elmo_jax.training.lexicon import Lexicon
from elmo_jax.training.streams import TrainingStreams
from elmo_jax.training.windows import assemble

from .accelerator_job import repeated
from .arguments import setting
from .corpus import Sentence, count_tokens, write_sentences
from .measure import Spread
from .tables import markdown, number, spread
from .watch import idle_device

HELP = "How many tokens a second the host can prepare, whatever the device."

_TOKENS, _QUICK_TOKENS = 1_000_000, 3_000
_SHARE_OF_LAYERS = 10
"""All layers of a token are a hundred times as large as its share of a sentence's vector."""
_ROWS, _WINDOW = 1024, 20
_ROUNDS = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``measure`` reads from the command line."""
    parser.add_argument("--rows", type=int, default=_ROWS, help="of a training window")


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Each kind of work, over the same text."""
    n_tokens = args.tokens or (_QUICK_TOKENS if args.quick else _TOKENS)
    setup = setting(args, n_tokens)
    text, copies = repeated(setup, n_tokens)
    few = text[: max(1, len(text) // _SHARE_OF_LAYERS)]
    n_tokens, n_few = count_tokens(text), count_tokens(few)
    lines = [" ".join(words) for words in text]
    config, params = elmo_jax.load(setup.model.native)
    with idle_device():
        elmo = Elmo.from_params(config, jax.device_put(params))
        rates = {
            "lines to words": _rate(lambda: [line.split() for line in lines], n_tokens),
            "lines to sentence vectors": _rate(lambda: elmo.embed_sentences(lines), n_tokens),
            "words to sentence vectors": _rate(lambda: elmo.embed_sentences(text), n_tokens),
            "words to all layers, float16": _rate(
                lambda: [None for _ in elmo.stream(few, dtype="float16")], n_few
            ),
            f"training windows of {args.rows} × {_WINDOW}": _training(config, text, args),
        }
    return {
        "setting": setup.json() | {"tokens": n_tokens, "text_copies": copies},
        "rows": [
            {"work": name, "tokens_per_second": rate.json(), "nanoseconds": 1e9 / rate.median}
            for name, rate in rates.items()
        ],
    }


def _training(config: ElmoConfig, text: list[Sentence], args: argparse.Namespace) -> Spread:
    """Windows made of a file, from the first line on; the first is not counted."""
    with tempfile.TemporaryDirectory() as folder:
        corpus = Corpus.of(write_sentences(Path(folder) / "text.txt", text))
        vocabulary = Vocabulary.from_counts(survey(corpus).counts, 100_000)
        streams = TrainingStreams(corpus, Lexicon(vocabulary, config), args.rows, _WINDOW, 0)
        n_windows = max(1, count_tokens(text) // (args.rows * _WINDOW))

        def prepare() -> None:
            for _ in range(n_windows):
                assemble(streams.take(), streams.lexicon)

        return _rate(prepare, n_windows * args.rows * _WINDOW)


def _rate(work: Callable[[], Any], n_tokens: int) -> Spread:
    """Tokens a second of this thread; the first time, which compiles, is not counted."""
    samples = []
    for _ in range(1 + _ROUNDS):
        started = time.thread_time()
        work()
        samples.append(n_tokens / (time.thread_time() - started))
    return Spread.of(samples[1:])


def table(summary: dict[str, Any]) -> str:
    """A row a kind of work."""
    what = summary["setting"]
    rows = [
        [row["work"], spread(row["tokens_per_second"]), number(row["nanoseconds"])]
        for row in summary["rows"]
    ]
    heads = ["work of the host", "tokens a second of processor time", "ns a token"]
    copies = what["text_copies"]
    read = f", a text of {what['tokens'] // copies:,} read {copies} times" if copies > 1 else ""
    shown = f"Sizes of the model {what['model']}; {what['tokens']:,} tokens{read}."
    return f"{shown}\n\n{markdown(heads, rows)}"
