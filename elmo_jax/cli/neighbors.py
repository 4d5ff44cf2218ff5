"""``elmo-jax neighbors``: where is a word used as it is used here?"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import ElmoError, counted, shortened
from ..text.sentences import tokenize
from .absent_word import refuse_absent_word, refuse_word_absent_from_text
from .flags import add_flag, add_flags, add_layers, add_model_flags, whole_number
from .frame import note
from .inputs import LabelledText, add_text_arguments, labelled_text
from .models import chosen_tokenizer, open_elmo
from .neighbors_text import neighbors_text

if TYPE_CHECKING:
    from ..explore import Neighbor, Occurrence

_MOST_QUERIES = 1000
"""Memory holds the candidates of each."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("word", metavar="WORD", help="the word")
    add_text_arguments(parser)
    query = parser.add_mutually_exclusive_group()
    query.add_argument("--sentence", help="start from WORD in this sentence of yours")
    nth = "start from WORD's Nth occurrence in the text (default: 1), or from 'each' (at most "
    nth += f"{_MOST_QUERIES:,}, at even distances)"
    query.add_argument("--occurrence", default="1", metavar="N", help=nth)
    add_layers(parser, "all", "top", default="top")
    add_flag(parser, "-n", " occurrences", default=10)
    any_word = "look among all words, not only at WORD"
    parser.add_argument("--any-word", action="store_true", help=any_word)
    add_model_flags(parser)
    add_flags(parser, "--quiet")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """``occurrences`` counts those in the text if it was searched for each of them, else null."""
    from ..explore import neighbors
    from ..explore.occurrences import Occurrences
    from ..text.readers import find_files

    sentences = labelled_text(args)
    queries = _queries(args, sentences)
    elmo = open_elmo(args)
    layers = _layers(args.layers, elmo.config.n_output_layers)
    word = None if args.any_word else args.word
    rankings = neighbors(elmo, queries, sentences(), n=args.n, word=word, exact=args.exact)
    summaries = []
    for query, ranking in zip(queries, rankings, strict=True):
        nearest = {str(layer): list(map(_neighbor, ranking[layer])) for layer in layers}
        summaries.append({**_occurrence(query), "layers": nearest})
    return {
        "word": args.word,
        "files": len(find_files(args.input, or_stdin=True)),
        "n_layers": elmo.config.n_output_layers,
        "occurrences": queries.total if isinstance(queries, Occurrences) else None,
        "queries": summaries,
    }


def text(summary: dict[str, Any]) -> str:
    return neighbors_text(summary)


def _queries(args: argparse.Namespace, sentences: LabelledText) -> Sequence[Occurrence]:
    from ..explore import find_occurrences, occurrence_in
    from ..explore.occurrences import iter_occurrences

    if args.sentence is not None:
        (words,) = tokenize([args.sentence], chosen_tokenizer(args))
        problem = f"{args.word!r} is not a word of the sentence {args.sentence!r}"
        refuse_absent_word(args, [words], problem)
        return [occurrence_in(words, args.word, exact=args.exact)]
    wanted = whole_number(args.occurrence)
    if not wanted and args.occurrence != "each":
        raise ElmoError(
            f"Expected --occurrence as a number from 1 or each, got {shortened(args.occurrence)}."
        )
    refuse_word_absent_from_text(args, sentences)
    if not wanted:
        most = _MOST_QUERIES
        queries = find_occurrences(args.word, sentences(), most=most, exact=args.exact)
        if len(queries) < queries.total:
            of_all = f"{len(queries):,} of {counted(queries.total, 'occurrence')}"
            note(args, f"note: starting from {of_all}, taken at even distances")
        return queries
    number = 0
    occurrences = iter_occurrences(args.word, sentences(), exact=args.exact)
    for number, occurrence in enumerate(occurrences, start=1):
        if number == wanted:
            return [occurrence]
    raise ElmoError(
        f"There is no occurrence {wanted}: {' '.join(args.input)} has "
        f"{counted(number, 'occurrence')} of {args.word!r}."
    )


def _layers(layers: str | int, n_layers: int) -> range | list[int]:
    if layers == "all":
        return range(n_layers)
    number = n_layers - 1 if layers == "top" else layers
    if not isinstance(number, int) or not -n_layers <= number < n_layers:
        raise ElmoError(
            f"Unknown --layers {layers}: expected all, top, or a number from 0 (the token layer) "
            f"to {n_layers - 1}."
        )
    return [number % n_layers]


def _occurrence(occurrence: Occurrence) -> dict[str, Any]:
    return {
        "sentence": None if occurrence.sentence < 0 else occurrence.sentence + 1,
        "file": occurrence.file or None,
        "line": occurrence.line or None,
        "position": occurrence.position,
        "word": occurrence.word,
        "words": list(occurrence.words),
        "text": occurrence.marked(),
    }


def _neighbor(neighbor: Neighbor) -> dict[str, Any]:
    return {"score": round(neighbor.score, 4), **_occurrence(neighbor.occurrence)}
