"""Arguments that say how lines become sentences and words, shared by the commands."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..text.tokenizers import Tokenizer


def add_tokenizer_arguments(parser: argparse._ActionsContainer) -> None:
    """Declare what ``tokenizer_of`` reads, and ``--split-sentences``."""
    parser.add_argument(
        "--tokenizer",
        metavar="NAME",
        default="whitespace",
        help="lines to words: whitespace (default), spaces, words, spacy[:LANGUAGE or PIPELINE], "
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
    from ..text.tokenizers import tokenizer_named

    return tokenizer_named(args.tokenizer)
