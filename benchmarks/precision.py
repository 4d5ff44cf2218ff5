"""What does a lower precision change: in the layers, and in what is made of them?

Run from a checkout::

    python -m benchmarks precision                    # mini, on text that it was not trained on
    python -m benchmarks precision --model FOLDER

The vectors of "bfloat16" and "tf32" are held against those of "float32", layer by layer: the norm
of the difference over the norm, the largest difference of a number, the cosine of a token's two
vectors. Then what people would notice: whether the nearest neighbour of a sentence is the same,
how the cosines of all pairs of sentences correlate in rank, and, where the shared data has it, how
the cosines correlate with what people say (STS-B). Rounding to bfloat16 is the same on every
device, but for the order of sums. A CPU has no TF32: there "tf32" is "float32", and has no row.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

import elmo_jax
from elmo_jax import Elmo, ElmoError

from .arguments import setting
from .corpus import HELDOUT, count_tokens
from .tables import markdown, number
from .tasks.data import data_folder
from .tasks.scores import AVERAGE, spearman
from .tasks.scores import MODEL as WHOLE
from .tasks.similarity import sts

HELP = "The error of bfloat16 and TF32 against float32, layer by layer and in results."
MODEL = "mini"

REFERENCE = "float32"
_TOKENS = 20_000
_MOST_SENTENCES = 1_000
_SHORTEST = 5
"""Words that a sentence must have to be compared with others: very short ones recur."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``measure`` reads from the command line."""
    parser.add_argument("--no-sts", action="store_true", help="leave the task STS-B out")


def precisions() -> tuple[str, ...]:
    """Those that round on this device, the coarser first."""
    return ("bfloat16",) if jax.default_backend() == "cpu" else ("bfloat16", "tf32")


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Embed the text in each precision, and compare."""
    setup = setting(args, _TOKENS, HELDOUT)
    config, params = elmo_jax.load(setup.model.native)
    elmos = {REFERENCE: Elmo.from_params(config, params)}
    elmos |= {
        p: Elmo.from_params(config, elmos[REFERENCE].params, precision=p) for p in precisions()
    }
    whole = [words for words in setup.sentences if len(words) >= _SHORTEST][:_MOST_SENTENCES]
    exact = elmos[REFERENCE].embed(setup.sentences)
    vectors = {name: elmo.embed_sentences(whole) for name, elmo in elmos.items()}
    scores = {} if args.no_sts else _sts(elmos, args.quick)
    found = {
        name: {
            "layers": compare_layers(elmo.embed(setup.sentences), exact),
            "sentences": compare_sentences(vectors[name], vectors[REFERENCE]),
        }
        for name, elmo in elmos.items()
        if name != REFERENCE
    }
    return {
        "setting": setup.json(),
        "compared_sentences": {"sentences": len(whole), "tokens": count_tokens(whole)},
        "precisions": found,
        "sts": scores,
    }


def compare_layers(
    found: Sequence[np.ndarray], exact: Sequence[np.ndarray]
) -> list[dict[str, float]]:
    """How far the vectors [L, T, D] of the same sentences are from exact ones, a row a layer."""
    x_LND, y_LND = (np.concatenate(list(vectors), axis=1) for vectors in (found, exact))
    return [_compare(x_ND, y_ND) for x_ND, y_ND in zip(x_LND, y_LND, strict=True)]


def _compare(x_ND: np.ndarray, y_ND: np.ndarray) -> dict[str, float]:
    difference_ND = (x_ND - y_ND).astype(np.float64)
    cosines_N = (_units(x_ND) * _units(y_ND)).sum(-1)
    return {
        "relative_error": _rounded(np.linalg.norm(difference_ND) / np.linalg.norm(y_ND)),
        "largest_difference": _rounded(np.abs(difference_ND).max()),
        "one_minus_mean_cosine": _rounded(1 - cosines_N.mean()),
        "one_minus_least_cosine": _rounded(1 - cosines_N.min()),
    }


def compare_sentences(found_SD: np.ndarray, exact_SD: np.ndarray) -> dict[str, float]:
    """What becomes of comparisons between sentence vectors.

    Returns:
        "same_neighbour": the share of sentences whose nearest other sentence is the same, and
        "rank_correlation": Spearman's, of the cosines of all pairs.
    """
    cosines = []
    for vectors_SD in (found_SD, exact_SD):
        units_SD = _units(vectors_SD)
        cosines.append(units_SD @ units_SD.T)
    pairs = np.triu_indices(len(exact_SD), k=1)
    correlation = spearman(*(between_SS[pairs] for between_SS in cosines)) / 100
    for between_SS in cosines:
        np.fill_diagonal(between_SS, -np.inf)
    nearest = [between_SS.argmax(1) for between_SS in cosines]
    return {
        "same_neighbour": _rounded((nearest[0] == nearest[1]).mean()),
        "rank_correlation": round(correlation, 7),
    }


def _units(vectors_SD: np.ndarray) -> np.ndarray:
    wide_SD = vectors_SD.astype(np.float64)
    return wide_SD / np.linalg.norm(wide_SD, axis=-1, keepdims=True)


def _rounded(value: float | np.floating) -> float:
    return float(f"{value:.4g}")


def _sts(elmos: dict[str, Elmo], quick: bool) -> dict[str, float]:
    """Spearman's correlation with people's judgements in the test set, of all layers' average."""
    try:
        folder = data_folder(None)
    except ElmoError:  # it is no part of the project
        return {}
    return {name: _sts_score(folder, elmo, quick) for name, elmo in elmos.items()}


def _sts_score(folder: Path, elmo: Elmo, quick: bool) -> float:
    rows = sts(folder, {WHOLE: elmo}, (0, 20, 20) if quick else None).rows
    return round(next(row.test for row in rows if row.reading == AVERAGE), 3)


def table(summary: dict[str, Any]) -> str:
    """The layers, and what is made of them."""
    what, compared = summary["setting"], summary["compared_sentences"]
    rows = [
        [
            f"{name}, layer {layer}",
            *(f"{row[key]:.1e}" for key in ("relative_error", "largest_difference")),
            *(f"1 - {row[f'one_minus_{key}']:.1e}" for key in ("mean_cosine", "least_cosine")),
        ]
        for name, found in summary["precisions"].items()
        for layer, row in enumerate(found["layers"])
    ]
    heads = ["against float32", "relative error", "largest difference", "mean cosine"]
    parts = [
        f"Model {what['model']}, {what['tokens']:,} tokens of {what['corpus']}.",
        markdown([*heads, "least cosine"], rows),
        f"Vectors of {compared['sentences']:,} sentences, the mean over layers and tokens:",
        markdown(
            ["", "same nearest neighbour", "rank correlation of all cosines", "STS-B, Spearman"],
            [_result(name, found, summary["sts"]) for name, found in _all(summary)],
        ),
    ]
    if summary["card"]["machine"]["platform"] == "cpu":
        parts.append('On a CPU, "tf32" computes the same as "float32"; it has no row.')
    return "\n\n".join(parts)


def _all(summary: dict[str, Any]) -> list[tuple[str, dict[str, float] | None]]:
    found = summary["precisions"].items()
    return [(REFERENCE, None), *((name, part["sentences"]) for name, part in found)]


def _result(name: str, found: dict[str, float] | None, scores: dict[str, float]) -> list[str]:
    score = f"{scores[name]:.2f}" if name in scores else number(None)
    if found is None:
        return [name, "1", "1", score]
    return [name, f"{found['same_neighbour']:.4g}", f"{found['rank_correlation']:.6f}", score]
