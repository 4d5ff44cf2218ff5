"""``elmo-jax neighbors``: where is a word used as it is used here?"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import ElmoError, counted
from ..text.sentences import tokenize
from .model import add_model_arguments, layers_argument, open_elmo
from .reading import Read, add_text_arguments, reading
from .words import tokenizer_of

if TYPE_CHECKING:
    from ..explore import Neighbor, Occurrence

_EACH = 1000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``run`` reads from the command line."""
    add = parser.add_argument
    add("word", metavar="WORD", help="the word")
    add_text_arguments(parser)
    query = parser.add_mutually_exclusive_group()
    query.add_argument("--sentence", help="a sentence of yours that has WORD: start from there")
    query.add_argument(
        "--occurrence",
        default="1",
        metavar="N",
        help="start from WORD's Nth occurrence in the text (default: 1), or from 'each'",
    )
    add(
        "--layer",
        type=layers_argument("all", "top"),
        default="top",
        help="a number, top (default), or all",
    )
    add("-n", "--n", type=int, default=10, help="how many to list (default: %(default)s)")
    add("--any-word", action="store_true", help="look among all words, not only at WORD")
    add_model_arguments(parser)
    add("--quiet", action="store_true", help="no notes")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Find the neighbours, and give a JSON-ready summary.

    Raises:
        ElmoError: for a text, a word or a model that cannot be used.
    """
    from ..explore import neighbors

    read = reading(args)
    queries = _queries(args, read)
    elmo = open_elmo(args)
    layers = _layers(args.layer, elmo.config.n_output_layers)
    word = None if args.any_word else args.word
    found = neighbors(elmo, queries, read(), n=args.n, word=word, exact=args.exact)
    return {
        "word": args.word,
        "queries": [
            {
                **_told(query),
                "layers": {
                    str(layer): [_neighbor(one) for one in ranked[layer]] for layer in layers
                },
            }
            for query, ranked in zip(queries, found, strict=True)
        ],
    }


def text(summary: dict[str, Any]) -> str:
    """The summary for a person."""
    return "\n\n".join(map(_listing, summary["queries"]))


def _queries(args: argparse.Namespace, read: Read) -> Sequence[Occurrence]:
    from ..explore import find_occurrences, occurrence_in
    from ..explore.occurrences import occurrences

    if args.sentence is not None:
        (words,) = tokenize([args.sentence], tokenizer_of(args))
        return [occurrence_in(words, args.word, exact=args.exact)]
    if args.occurrence == "each":
        return find_occurrences(args.word, read(), most=_EACH, exact=args.exact)
    if not re.fullmatch("0*[1-9][0-9]*", args.occurrence):
        raise ElmoError(f"Expected --occurrence as a number from 1 or each, got {args.occurrence}.")
    count = 0
    for count, found in enumerate(occurrences(args.word, read(), exact=args.exact), start=1):
        if count == int(args.occurrence):
            return [found]
    raise ElmoError(
        f"There is no occurrence {args.occurrence}: {args.input} has "
        f"{counted(count, 'occurrence')} of {args.word!r}."
    )


def _layers(layer: str | int, n_layers: int) -> range | list[int]:
    if layer == "all":
        return range(n_layers)
    number = n_layers - 1 if layer == "top" else layer
    if not isinstance(number, int) or not -n_layers <= number < n_layers:
        raise ElmoError(
            f"Unknown --layer {layer}: expected all, top, or a number from 0 (the token layer) to "
            f"{n_layers - 1}."
        )
    return [number % n_layers]


def _told(found: Occurrence) -> dict[str, Any]:
    return {
        "sentence": None if found.sentence < 0 else found.sentence + 1,
        "position": found.position,
        "word": found.word,
        "text": found.marked(),
    }


def _neighbor(one: Neighbor) -> dict[str, Any]:
    return {"score": round(one.score, 4), **_told(one.occurrence)}


def _listing(query: dict[str, Any]) -> str:
    where = f" (sentence {query['sentence']:,})" if query["sentence"] else ""
    lines = [_around(query) + where]
    for layer, ranked in query["layers"].items():
        lines.append(f"  layer {layer}:")
        lines += [f"    {one['score']:.3f}  {_around(one)}" for one in ranked]
        if not ranked:
            lines.append("    no other occurrence")
    return "\n".join(lines)


def _around(one: dict[str, Any], most: int = 9) -> str:
    """The sentence, cut to the words around the marked one."""
    words = one["text"].split(" ")
    first, last = max(0, one["position"] - most), one["position"] + most + 1
    before, after = "… " if first else "", " …" if last < len(words) else ""
    return before + " ".join(words[first:last]) + after
