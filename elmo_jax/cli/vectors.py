"""``elmo-jax vectors``: one vector per word, in a file that gensim reads."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import counted
from .chosen_words import (
    add_chosen_word_flags,
    chosen_words,
    count_missing,
    listed_words,
    shown_missing,
    word_files,
)
from .flags import add_flag, add_input, add_layers, add_model_flags, add_word_flags
from .inputs import check_output, open_records
from .mixes import add_mix_flags, mix_arguments, mix_files
from .models import open_elmo

if TYPE_CHECKING:
    from ..embedder import Elmo
    from ..text.readers import Records
    from ..word_vectors import WordVectors


def add_arguments(parser: argparse.ArgumentParser) -> None:
    text = parser.add_argument_group("input")
    add_input(text)
    add_word_flags(text)
    add_chosen_word_flags(parser)
    means = (
        "A word's vector is the mean over the places where it occurs. In layer 0, the token layer, "
        "it is the same everywhere: there a list of words is enough."
    )
    vectors = parser.add_argument_group("vectors", means)
    add_layers(vectors, "average", "top", "mix", default="1")
    add_mix_flags(vectors)
    add_flag(vectors, "--output", ": .vec or .txt (text), or .bin (binary)", required=True)
    add_flag(vectors, "--overwrite")
    add_model_flags(parser.add_argument_group("model"))
    add_flag(parser, "--quiet")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """``words_found`` counts the words of the text, ``words_missing`` those of --only-words."""
    from ..files import refuse_input
    from ..word_vectors.from_model import selected_layers
    from ..word_vectors.vector_files import check_suffix

    mix, output = mix_arguments(args), check_output(args)
    check_suffix(output)
    refuse_input(output, [*word_files(args), *mix_files(args)])
    records = open_records(args)
    listed = listed_words(args)
    elmo = open_elmo(args)
    selected_layers(elmo, args.layers, **mix)  # an error before the text is read
    words, counts = chosen_words(args, records, listed)
    vectors = _vectors(args, elmo, records, words, counts.total(), mix)
    vectors.save(output, overwrite=args.overwrite)
    return {
        "output": str(output),
        "words": len(vectors),
        "words_found": len(counts),
        "words_missing": count_missing(listed, counts),
        "tokens": counts.total(),
        "layers": args.layers,
        "dimensions": vectors.vectors.shape[1],
        "bytes": output.stat().st_size,
    }


def _vectors(
    args: argparse.Namespace,
    elmo: Elmo,
    records: Records,
    words: Sequence[str],
    n_tokens: int,
    mix: dict[str, Any],
) -> WordVectors:
    from ..progress import progress_bar
    from ..word_vectors import without_context
    from ..word_vectors.from_model import average_of

    if args.layers == 0 and words:
        with progress_bar(len(words), 0, not args.quiet) as bar:
            return without_context(elmo, words, done=bar.update)
    with progress_bar(n_tokens, 0, not args.quiet) as bar:
        sentences = (record.words for record in records)
        return average_of(elmo, sentences, words, args.layers, **mix, done=bar.update)


def text(summary: dict[str, Any]) -> str:
    from ..files import shown_size

    dimensions = counted(summary["dimensions"], "dimension")
    lines = [
        f"{summary['output']}: {counted(summary['words'], 'word')} of {dimensions}, from "
        f"{counted(summary['tokens'], 'token')} of {counted(summary['words_found'], 'word')}, "
        f"{shown_size(summary['bytes'])}"
    ]
    return "\n".join([*lines, *shown_missing(summary["words_missing"])])
