"""A question as a command: its arguments, its measurement, and the files its result goes to.

A question is a module with ``measure(args)``, which returns a JSON-ready result, ``table(result)``,
which shows it in Markdown, and ``add_arguments(parser)`` if it takes arguments of its own. A long
measurement yields instead: all it has so far, after each of its parts. The files are written each
time, so a run that is cut off leaves what it had. ``MODEL`` is the question's default model;
*original* if it has none. ``device_of(args)`` names the device in the name of the file, if that may
not be the one at hand.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from elmo_jax.files import atomic_file, refuse_existing
from elmo_jax.json_text import to_json

from . import models
from .card import card, card_line, device_name
from .texts import BENCH, Sentence, corpus_file, count_tokens, even_sample, read_sentences

QUESTIONS = (
    *("limit", "throughput", "latency", "startup", "memory", "scaling", "host", "corpus"),
    *("equality", "processes", "compiled", "precision", "training", "accelerator"),
)
"""Questions about speed, and about what speed must not change; each is the name of a module."""

WITH_PEERS = ("throughput", "latency", "startup", "memory", "training", "accelerator")
"""The questions that take ``--peers``."""

MODEL = "original"
RESULTS = Path(__file__).resolve().parent / "results"

_QUICK_TOKENS = 300


class Question:
    """A question's module, in the shape that ``elmo_jax.cli.run_command`` expects of a command."""

    def __init__(self, name: str, module: ModuleType) -> None:
        self._name, self._module = name, module
        self._model: str = getattr(module, "MODEL", MODEL)
        self._device_of: Callable[..., str | None] = getattr(module, "device_of", lambda args: None)

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add = parser.add_argument
        add("--model", default=self._model, help=f"a shape or a model (default: {self._model})")
        add("--corpus", metavar="FILE", help="text, one tokenized sentence a line")
        add("--tokens", type=int, metavar="N", help="how much of the text to use")
        add("--quick", action="store_true", help="a small run: shows that it works, not how fast")
        add("--save", action="store_true", help="also write the result to benchmarks/results/")
        add_output(parser)
        if hasattr(self._module, "add_arguments"):
            self._module.add_arguments(parser)

    def run(self, args: argparse.Namespace) -> dict[str, Any]:
        head = card()
        outputs = [Path(args.output)] if args.output else []
        if args.save:
            device = self._device_of(args) or device_name(head["machine"])
            outputs.append(RESULTS / result_name(self._name, args.model, device, self._model))
        for output in outputs:  # before minutes of work, not after them
            refuse_existing(output, args.overwrite)
        measured = self._module.measure(args)
        states: Iterable[dict[str, Any]] = [measured] if isinstance(measured, dict) else measured
        result: dict[str, Any] = {}
        for state in states:
            overwrite = args.overwrite or bool(result)  # the first part of this run wrote the file
            result = {"question": self._name, "card": head, "quick": args.quick, **state}
            for output in outputs:
                write_json(output, result, overwrite=overwrite)
        return result

    def text(self, result: dict[str, Any]) -> str:
        """The card, the table, and a last line of JSON."""
        lines = [f"# {self._name}", card_line(result["card"])]
        if result["quick"]:
            lines.append("**--quick: shows that it works; not to be compared with anything.**")
        return "\n\n".join([*lines, self._module.table(result), to_json(result)])


def add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", metavar="JSON", help="also write the result to this file")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing JSON file")


def write_json(file: Path, result: dict[str, Any], *, overwrite: bool) -> None:
    with atomic_file(file, overwrite=overwrite) as path:
        path.write_text(to_json(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


@dataclasses.dataclass(frozen=True)
class Setting:
    """A model, a text, and the part of it (or of so many copies of it) to measure on."""

    model: models.Model
    corpus: Path
    text: list[Sentence]
    sentences: list[Sentence]
    copies: int = 1

    def json(self) -> dict[str, Any]:
        return {
            "model": self.model.name,
            "corpus": self.corpus.name,
            "sentences": len(self.sentences),
            "tokens": count_tokens(self.sentences),
        }


def setting(
    args: argparse.Namespace, n_tokens: int, text: Sequence[str] = BENCH, *, repeat: bool = False
) -> Setting:
    """Open the model and the text that the arguments of a ``Question`` name.

    ``--corpus`` goes before ``text``, a path in the shared data, and ``--tokens`` and ``--quick``
    before ``n_tokens``. A text that is too short is repeated if ``repeat``.
    """
    file = corpus_file(args.corpus, text)
    whole = read_sentences(file)
    n_tokens = args.tokens or (_QUICK_TOKENS if args.quick else n_tokens)
    copies = -(-n_tokens // count_tokens(whole)) if repeat else 1
    sentences = even_sample(whole * copies, n_tokens)
    return Setting(models.open_model(args.model), file, whole, sentences, copies)


def result_name(question: str, model: str, device: str, default: str = MODEL) -> str:
    """The file of a result; the question's default model is left out of the name."""
    parts = [question, *([] if model == default else [Path(model).name]), device]
    return "-".join(parts) + ".json"
