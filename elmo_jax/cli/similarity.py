"""``elmo-jax similarity``: how alike are sentences, or the words of two?"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import ElmoError
from ..model.config import SENTENCE_POOLINGS
from ..text.sentences import tokenize
from .flags import add_flag, add_flags, add_input, add_layers, add_model_flags, add_word_flags
from .inputs import check_output, open_records
from .models import chosen_tokenizer, open_elmo
from .similarity_text import layer_text, similarity_text

if TYPE_CHECKING:
    from ..explore import Heatmap

_MOST_SENTENCES = 200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sentences", metavar="SENTENCE", nargs="*", help="two or more sentences")
    add_input(parser, "--input")
    add_word_flags(parser)
    parser.add_argument("--words", action="store_true", help="compare two sentences word by word")
    add_flag(parser, "--output", ": heat.html; or heat.png, .pdf or .svg (extra: plots)")
    default = (
        " (default: 0 for sentences, 1 with --words: in tests of mini, layer 0 was best at the "
        "similarity of sentences, and layers 1 and 2 at the senses of words)"
    )
    # SUPPRESS: what is best depends on --words.
    add_layers(parser, "average", "top", default=argparse.SUPPRESS, detail=default)
    mean = " (default: mean; not with --words)"
    add_flag(parser, "--pooling", mean, choices=SENTENCE_POOLINGS, default=argparse.SUPPRESS)
    add_model_flags(parser)
    add_flags(parser, "--overwrite", "--quiet")


def run(args: argparse.Namespace) -> dict[str, Any]:
    from ..explore import write_heatmap
    from ..explore.heatmap import SENTENCE_LAYER, WORD_LAYER

    _refuse_what_has_no_effect(args)
    if args.output:
        check_output(args)
    layer = vars(args).get("layers", WORD_LAYER if args.words else SENTENCE_LAYER)
    heatmap = _compare(args, _sentences(args), layer)
    if args.output:
        title = f"{'Words' if args.words else 'Sentences'}, {layer_text(layer)}"
        write_heatmap(args.output, heatmap, title=title, overwrite=args.overwrite)
    return {
        "words": args.words,
        "layer": layer,
        "rows": heatmap.rows,
        "columns": heatmap.columns,
        "cosines": [[round(float(value), 4) for value in row] for row in heatmap.values],
        "output": args.output,
    }


def text(summary: dict[str, Any]) -> str:
    shown = similarity_text(summary)
    return f"{shown}\ndrawn in {summary['output']}" if summary["output"] else shown


def _refuse_what_has_no_effect(args: argparse.Namespace) -> None:
    if args.words and "pooling" in args:
        raise ElmoError(
            "--pooling makes one vector of a sentence, but --words compares the vectors of single "
            "words. Leave one out."
        )
    for flag, value in ("--column", args.column), ("--input-format", args.input_format):
        if value is not None and not args.input:
            raise ElmoError(
                f"{flag} says how to read the files of --input, and there are none. Leave it out."
            )


def _sentences(args: argparse.Namespace) -> list[Sequence[str]]:
    from ..text.splitting import split_sentences

    if bool(args.sentences) == bool(args.input):
        raise ElmoError("Expected sentences as arguments, or a text with --input FILE.")
    if args.input:
        sentences = [record.words for record in open_records(args) if record.text.strip()]
    else:
        texts, language = args.sentences, args.split_sentences
        if language:
            texts = [sentence for text in texts for sentence in split_sentences(text, language)]
        sentences = list(tokenize(texts, chosen_tokenizer(args)))
    if not 2 <= len(sentences) <= _MOST_SENTENCES:
        expected = f"2 to {_MOST_SENTENCES} sentences to compare"
        files = [text for text in args.sentences if os.path.lexists(text)]
        hint = f" For the sentences of a file: --input {files[0]}." if files else ""
        raise ElmoError(f"Expected {expected}, got {len(sentences):,}.{hint}")
    if not all(sentences):
        raise ElmoError(f"Sentence {[*map(bool, sentences)].index(False) + 1} has no words.")
    return sentences


def _compare(args: argparse.Namespace, sentences: list[Sequence[str]], layer: str | int) -> Heatmap:
    from ..explore import sentence_similarity, word_similarity

    if not args.words:
        pooling = vars(args).get("pooling", "mean")
        return sentence_similarity(open_elmo(args), sentences, layers=layer, pooling=pooling)
    if len(sentences) != 2:
        raise ElmoError(f"--words compares two sentences, got {len(sentences)}.")
    return word_similarity(open_elmo(args), *sentences, layers=layer)
