"""What every question takes from the command line, and what it is asked about in the end."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from . import models
from .corpus import BENCH, Sentence, corpus_file, count_tokens, even_sample, read_sentences

MODEL = "original"
"""What a question is about unless it, or the command line, says else."""

_QUICK_TOKENS = 300


@dataclasses.dataclass(frozen=True)
class Setting:
    """A model and a text.

    Attributes:
        model: in both formats.
        corpus: the text's file.
        sentences: the part of it that is measured on.
        text: all of it.
    """

    model: models.Model
    corpus: Path
    sentences: list[Sentence]
    text: list[Sentence]

    def json(self) -> dict[str, object]:
        """What tables need to say of it."""
        return {
            "model": self.model.name,
            "corpus": self.corpus.name,
            "sentences": len(self.sentences),
            "tokens": count_tokens(self.sentences),
        }


def add_common(parser: argparse.ArgumentParser, model: str = MODEL) -> None:
    """Declare what is common to all questions; ``model`` is the default of ``--model``."""
    add = parser.add_argument
    add("--model", default=model, help=f"a published shape, or a model (default: {model})")
    add("--corpus", metavar="FILE", help="text, one tokenised sentence a line (default: shared)")
    add("--tokens", type=int, metavar="N", help="how much of the text (default: the question's)")
    add("--quick", action="store_true", help="a small run: shows that it works, not how fast")
    add("--output", metavar="JSON", help="also write the results to this file")
    add("--save", action="store_true", help="also write them to benchmarks/results/")
    add("--overwrite", action="store_true", help="replace an existing JSON")


def setting(args: argparse.Namespace, n_tokens: int, text: Sequence[str] = BENCH) -> Setting:
    """Open the model and the text that the arguments name.

    Args:
        args: of ``add_common``.
        n_tokens: how much text the question wants, unless ``--tokens`` or ``--quick`` says else.
        text: where it lies in the shared data, unless ``--corpus`` says else.

    Raises:
        ElmoError: if there is no such model or text.
    """
    file = corpus_file(args.corpus, text)
    whole = read_sentences(file)
    n_tokens = args.tokens or (_QUICK_TOKENS if args.quick else n_tokens)
    return Setting(models.open_model(args.model), file, even_sample(whole, n_tokens), whole)
