"""``elmo-jax similarity``: how alike are sentences, or the words of two?"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ElmoError
from ..text.sentences import tokenize
from .model import add_model_arguments, layers_argument, model_files, open_elmo
from .reading import add_format_arguments, input_files
from .words import add_tokenizer_arguments, tokenizer_of

if TYPE_CHECKING:
    from ..explore import Heatmap

_MOST = 200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``run`` reads from the command line."""
    add = parser.add_argument
    add("sentences", metavar="SENTENCE", nargs="*", help="two or more sentences")
    add("--in", dest="input", metavar="FILE", help="or a text with them, one a line; - for stdin")
    add_format_arguments(parser)
    add("--words", action="store_true", help="compare two sentences word by word")
    add("-o", "--output", metavar="OUT", help="draw: heat.html; or .png, .pdf, .svg (extra: plots)")
    add(
        "--layer",
        type=layers_argument("average", "top"),
        default="average",
        help="average (default), top, a number",
    )
    add("--pooling", choices=("mean", "max"), default="mean", help="of a sentence's words")
    add_tokenizer_arguments(parser)
    add_model_arguments(parser)
    add("--overwrite", action="store_true", help="replace an existing OUT")
    add("--quiet", action="store_true", help="no notes")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Compare, and give a JSON-ready summary.

    Raises:
        ElmoError: for sentences, a model or an output that cannot be used.
    """
    from ..explore import write_heatmap
    from ..files import refuse_existing, refuse_input

    if args.output:
        refuse_input(Path(args.output), [*input_files(args), *model_files(args)])
        refuse_existing(Path(args.output), args.overwrite)
    sentences = _sentences(args)
    heatmap = _compare(args, sentences)
    if args.output:
        title = f"{'Words' if args.words else 'Sentences'}, layer: {args.layer}"
        write_heatmap(args.output, heatmap, title=title, overwrite=args.overwrite)
    return {
        "rows": heatmap.rows,
        "columns": heatmap.columns,
        "cosines": [[round(float(value), 4) for value in row] for row in heatmap.values],
        "output": args.output,
    }


def text(summary: dict[str, Any]) -> str:
    """The summary for a person."""
    rows, heads = summary["rows"], summary["columns"]
    if rows == heads:  # sentences with one another: too long to stand above columns
        heads = [f"[{number}]" for number in range(1, len(rows) + 1)]
        rows = [f"{head} {row}" for head, row in zip(heads, rows, strict=True)]
    width = 2 + max(map(len, [*heads, "0.000"]))
    first = max(map(len, rows))
    lines = [" " * first + "".join(head.rjust(width) for head in heads)]
    for row, cosines in zip(rows, summary["cosines"], strict=True):
        lines.append(row.ljust(first) + "".join(f"{value:{width}.3f}" for value in cosines))
    if summary["output"]:
        lines.append(f"drawn in {summary['output']}")
    return "\n".join(lines)


def _sentences(args: argparse.Namespace) -> list[Sequence[str]]:
    from ..text.readers import Records
    from ..text.splitting import split_sentences

    if bool(args.sentences) == bool(args.input):
        raise ElmoError("Expected sentences as arguments, or a text with --in FILE.")
    tokenizer, language = tokenizer_of(args), args.split_sentences
    if args.input:
        records = Records.of(
            args.input,
            args.input_format,
            column=args.column,
            tokenizer=tokenizer,
            running_text=language,
        )
        sentences = [record.words for record in records if record.text.strip()]
    else:
        texts = args.sentences
        if language:
            texts = [sentence for text in texts for sentence in split_sentences(text, language)]
        sentences = list(tokenize(texts, tokenizer))
    if not 2 <= len(sentences) <= _MOST:
        raise ElmoError(f"Expected 2 to {_MOST} sentences to compare, got {len(sentences):,}.")
    if not all(sentences):
        raise ElmoError(f"Sentence {[*map(bool, sentences)].index(False) + 1} has no words.")
    return sentences


def _compare(args: argparse.Namespace, sentences: list[Sequence[str]]) -> Heatmap:
    from ..explore import sentence_similarity, word_similarity

    if not args.words:
        elmo = open_elmo(args)
        return sentence_similarity(elmo, sentences, layer=args.layer, pooling=args.pooling)
    if len(sentences) != 2:
        raise ElmoError(f"--words compares two sentences, got {len(sentences)}.")
    return word_similarity(open_elmo(args), *sentences, layer=args.layer)
