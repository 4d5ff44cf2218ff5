"""Arguments that say how lines become sentences and words, shared by the commands."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..tokenizers import Tokenizer


def add_tokenizer_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``tokenizer_of`` and ``sentences_of`` read."""
    parser.add_argument(
        "--tokenizer",
        metavar="NAME",
        default="whitespace",
        help="lines to words: whitespace (default), words, spacy[:LANGUAGE or PIPELINE], "
        "nltk[:treebank|wordpunct|casual]",
    )
    parser.add_argument(
        "--split-sentences",
        metavar="LANGUAGE",
        nargs="?",
        const="en",
        help="the input is running text, to be split into sentences (default language: en)",
    )


def tokenizer_of(args: argparse.Namespace) -> Tokenizer:
    """The tokenizer that was asked for.

    Raises:
        ElmoError: for an unknown name, or one whose package is not installed.
    """
    from ..tokenizers import tokenizer_named

    return tokenizer_named(args.tokenizer)


def sentences_of(args: argparse.Namespace, lines: Iterable[str]) -> Iterator[str]:
    """The sentences of a text's lines: the lines themselves, unless they are to be split.

    Raises:
        ElmoError: at once, if they are to be split and cannot.
    """
    from ..splitting import stream_sentences

    if args.split_sentences is None:
        return iter(lines)
    return stream_sentences(lines, args.split_sentences)
