"""``elmo-jax token-table``: the token vectors of a vocabulary, as bilm-tf's tables have them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ElmoError, counted
from .flags import add_flag, add_flags
from .inputs import check_output
from .models import open_elmo

if TYPE_CHECKING:
    import numpy as np

    from ..embedder import Elmo

_WORDS_AT_ONCE = 1024


def add_arguments(parser: argparse.ArgumentParser) -> None:
    words = "a file with one word per line, including <S>, </S> and <UNK>; also as .gz"
    parser.add_argument("words", metavar="VOCABULARY", help=words)
    add_flag(parser, "--output", ": an HDF5 file with one row per word", required=True)
    add_flags(parser, "--overwrite", "--model", "--options-file", "--weight-file", "--option")
    add_flags(parser, "--precision", "--quiet")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """``dimensions`` is P: a row has a token's vector once."""
    from ..checkpoint import write_token_table
    from ..checkpoint.vocabulary import Vocabulary
    from ..files import refuse_input

    output = check_output(args)
    refuse_input(output, [args.words])
    words = Vocabulary.read(args.words).words
    elmo = open_elmo(args)
    if elmo.config.token_layer != "bytes":
        raise ElmoError(
            f"This model does not spell words in bytes (its token layer is "
            f"{elmo.config.token_layer!r}). Tables of token vectors are for the models of bilm-tf "
            "and AllenNLP, which do."
        )
    shape = len(words), elmo.config.projection_dim
    write_token_table(output, shape, _vectors(args, elmo, words), overwrite=args.overwrite)
    return {
        "output": str(output),
        "words": shape[0],
        "dimensions": shape[1],
        "bytes": output.stat().st_size,
    }


def _vectors(args: argparse.Namespace, elmo: Elmo, words: Sequence[str]) -> Iterator[np.ndarray]:
    """Token vectors, float32 [n, P], in the order of the words."""
    from ..progress import progress_bar
    from ..text.tokenizers import CheckedWords

    starts = range(0, len(words), _WORDS_AT_ONCE)
    # A blank line of a vocabulary is a word without characters, which no sentence has.
    parts = (CheckedWords(words[start : start + _WORDS_AT_ONCE]) for start in starts)
    with progress_bar(len(words), 0, not args.quiet) as bar:
        for vectors in elmo.stream(parts, layers=0):
            yield vectors[:, : elmo.config.projection_dim]  # layer 0 has them twice
            bar.update(len(vectors))


def text(summary: dict[str, Any]) -> str:
    from ..files import shown_size

    words, size = counted(summary["words"], "word"), counted(summary["dimensions"], "dimension")
    return f"{Path(summary['output'])}: {words} of {size}, {shown_size(summary['bytes'])}"
