"""``elmo-jax align``: the matrix that maps one language's vectors into another's space."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ElmoError, counted
from .flags import add_flag, add_flags
from .models import files_in

if TYPE_CHECKING:
    import numpy as np

    from ..alignment import Anchors


def add_arguments(parser: argparse.ArgumentParser) -> None:
    source = (
        "anchors of the language to map: a folder that `elmo-jax anchors` wrote (its layer 1 is "
        "used), or a file in it, avg_embeds_LAYER.txt"
    )
    target = (
        "anchors of the language to map it to. Without them, OUT is the matrix for a language that "
        "others are mapped to: it only divides the vectors by their mean norm"
    )
    parser.add_argument("source", metavar="SOURCE_ANCHORS", help=source)
    parser.add_argument("target", metavar="TARGET_ANCHORS", nargs="?", help=target)
    pairs = "pairs of words: each line has a source word and a target word"
    parser.add_argument("--dictionary", metavar="FILE", help=pairs)
    test = "other pairs, to measure how well OUT fits words that it was not fitted to"
    parser.add_argument("--test-dictionary", metavar="FILE", help=test)
    add_flag(parser, "--output", " (.npz or .npy)", required=True)
    add_flags(parser, "--overwrite")


def run(args: argparse.Namespace) -> dict[str, Any]:
    """The scores on the dictionary's pairs, and on those of --test-dictionary, if it is named."""
    from ..alignment import (
        fit_alignment,
        read_anchors,
        read_dictionary,
        scaling_alignment,
        write_matrix,
    )

    _check(args)
    source, scores = read_anchors(args.source), {}
    if args.target is None:
        matrix = scaling_alignment(source)
    else:
        target = read_anchors(args.target)
        pairs = read_dictionary(args.dictionary)
        test_pairs = read_dictionary(args.test_dictionary) if args.test_dictionary else None
        matrix = fit_alignment(source, target, pairs)
        scores["dictionary"] = _scores(matrix, source, target, pairs)
        if test_pairs is not None:
            scores["test_dictionary"] = _scores(matrix, source, target, test_pairs)
    write_matrix(args.output, matrix, overwrite=args.overwrite)
    return {
        "output": args.output,
        "dimensions": len(matrix),
        "layer": source.layer,
        "mean_norm": source.mean_norm,
        **scores,
    }


def _check(args: argparse.Namespace) -> None:
    from ..checkpoint.matrices import check_matrix_path
    from ..files import refuse_existing, refuse_input

    if (args.target is None) != (args.dictionary is None):
        raise ElmoError(
            "TARGET_ANCHORS and --dictionary belong together: name both to map one language to "
            "another, or neither for the matrix of the target language itself."
        )
    if args.test_dictionary is not None and args.dictionary is None:
        raise ElmoError("--test-dictionary measures a matrix that --dictionary makes. Name both.")
    output = Path(args.output)
    check_matrix_path(output)
    inputs = (args.source, args.target, args.dictionary, args.test_dictionary)
    names = [Path(name) for name in inputs if name is not None]
    refuse_input(output, [file for name in names for file in files_in(name)])
    refuse_existing(output, args.overwrite)


def _scores(
    matrix: np.ndarray, source: Anchors, target: Anchors, pairs: list[tuple[str, str]]
) -> dict[str, Any]:
    import numpy as np

    from ..alignment import score_alignment

    before = score_alignment(np.eye(len(matrix)), source, target, pairs)
    after = score_alignment(matrix, source, target, pairs)
    return {
        "pairs": after.pairs,
        "pairs_missing": after.missing,
        "cosine_before": before.cosine,
        "cosine": after.cosine,
        "precision_before": before.precision,
        "precision": after.precision,
    }


def text(summary: dict[str, Any]) -> str:
    layer = "" if summary["layer"] is None else f"layer {summary['layer']}, "
    lines = [
        f"{summary['output']}: {layer}{counted(summary['dimensions'], 'dimension')}, "
        f"mean norm {summary['mean_norm']:.4g}"
    ]
    names = {"dictionary": "fitted to", "test_dictionary": "tested on"}
    lines += [f"{what} {_line(summary[name])}" for name, what in names.items() if name in summary]
    return "\n".join(lines)


def _line(scores: dict[str, Any]) -> str:
    n_missing = scores["pairs_missing"]
    missing = f" ({n_missing:,} more lack an anchor)" if n_missing else ""
    return (
        f"{counted(scores['pairs'], 'pair')}{missing}: mean cosine {scores['cosine_before']:.3f} "
        f"before, {scores['cosine']:.3f} after; precision@1 "
        f"{scores['precision_before']:.1%} before, {scores['precision']:.1%} after"
    )
