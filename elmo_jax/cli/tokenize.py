"""``elmo-jax tokenize``: text in any format to one tokenized sentence per line."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import ElmoError, counted, shortened
from ..text.tokenizers import AUTO, DEFAULT
from .flags import add_flag, add_flags, add_input
from .inputs import check_output, open_records


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_input(parser)
    add_flag(parser, "--output", ": text, with single spaces between the words", required=True)
    add_flag(parser, "--tokenizer", default=DEFAULT)
    add_flag(parser, "--split-sentences")
    add_flag(parser, "--model", ", for --tokenizer auto")
    add_flags(parser, "--overwrite", "--quiet")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """``sentences`` counts lines of OUT, ``tokens`` the words in them."""
    from ..files import atomic_file

    if args.model is not None and args.tokenizer != AUTO:
        raise ElmoError(
            f"--model is for --tokenizer auto, the tokenizer of that model, got --tokenizer "
            f"{args.tokenizer}. Leave one out, or write auto."
        )
    output = check_output(args)
    _check_name(output)
    n_sentences = n_tokens = 0
    with (
        atomic_file(output, overwrite=args.overwrite) as temporary,
        temporary.open("w", encoding="utf-8", newline="\n") as file,
    ):
        for n_words, line in _tokenized(args):
            file.write(f"{line}\n")
            n_sentences, n_tokens = n_sentences + 1, n_tokens + n_words
    return {
        "output": str(output),
        "sentences": n_sentences,
        "tokens": n_tokens,
        "tokenizer": args.tokenizer,
    }


def text(summary: dict[str, Any]) -> str:
    sentences = counted(summary["sentences"], "sentence")
    return f"{summary['output']}: {sentences}, {counted(summary['tokens'], 'token')}"


def _tokenized(args: argparse.Namespace) -> Iterator[tuple[int, str]]:
    """How many words each sentence has, and its line. A blank line stays blank."""
    for record in open_records(args):
        words, line = record.words, " ".join(record.words)
        if line.split() != list(words):
            word = next(word for word in words if word.split() != [word])
            raise ElmoError(
                f"{record.file}, line {record.number}: the word {shortened(word)} holds "
                "whitespace, so that its line would be split into other words. Choose a tokenizer "
                "or column without such words; every command reads this INPUT as it is."
            )
        yield len(words), line


def _check_name(output: Path) -> None:
    """Raise ElmoError for a name from which other commands would take OUT for another format."""
    from ..text.readers import format_of
    from ..text.readers.input_files import without_compression

    if format_of(output.name) != "text" or without_compression(output.name) != output.name:
        raise ElmoError(
            f"OUT is plain text, but {output.name} has the suffix of another format: expected a "
            "name such as tokenized.txt."
        )
