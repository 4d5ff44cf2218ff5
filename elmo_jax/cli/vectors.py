"""``elmo-jax vectors``: one vector per word, in a file that gensim reads."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import counted
from .anchors import read_words
from .flags import add_flag, add_flags, add_input, add_layers, add_model_flags, add_word_flags
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
    words = parser.add_argument_group("words")
    add_flag(words, "-n", " words, the most frequent ones", default=50_000)
    add_flags(words, "--min-count", "--only-words")
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
    from ..alignment import count_words, frequent_words
    from ..files import refuse_input
    from ..word_vectors.from_model import selected_layers
    from ..word_vectors.vector_files import check_suffix

    mix, output = mix_arguments(args), check_output(args)
    check_suffix(output)
    refuse_input(output, [*([args.only_words] if args.only_words else []), *mix_files(args)])
    records = open_records(args)
    among = None if args.only_words is None else read_words(args.only_words)
    elmo = open_elmo(args)
    selected_layers(elmo, args.layers, **mix)  # an error before the text is read
    counts = count_words(record.words for record in records)
    words = frequent_words(counts, args.n, min_count=args.min_count, among=among)
    vectors = _vectors(args, elmo, records, words, counts.total(), mix)
    vectors.save(output, overwrite=args.overwrite)
    return {
        "output": str(output),
        "words": len(vectors),
        "words_found": len(counts),
        "words_missing": sum(word not in counts for word in among or ()),
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
    if summary["words_missing"]:
        missing = counted(summary["words_missing"], "word")
        lines.append(f"not in the text: {missing} of --only-words")
    return "\n".join(lines)
