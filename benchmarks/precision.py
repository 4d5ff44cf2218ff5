"""What does a lower precision change: in the layers, and in what people make of them?

The vectors of "bfloat16" and "tf32" are compared with those of "float32", layer by layer: the norm
of the difference over the norm, the largest difference of a number, the cosine of a token's two
vectors. Then what people would notice: whether a sentence keeps its nearest neighbor, the rank
correlation of the cosines of all pairs of sentences, and, if the shared data has STS-B, how the
cosines correlate with human judgments. Rounding to bfloat16 is the same on every device, except
for the order of sums. A CPU has no TF32: there "tf32" is "float32", and has no row.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from scipy.stats import spearmanr

import elmo_jax
from elmo_jax import Elmo, ElmoError

from .question import setting
from .tables import markdown
from .tasks.cosines import pair_cosines, unit
from .tasks.data import data_folder, read_sts
from .tasks.scores import spearman
from .texts import HELDOUT, count_tokens

MODEL = "mini"

REFERENCE = "float32"
_TOKENS, _MAX_SENTENCES = 20_000, 1_000
_MIN_WORDS = 5  # very short sentences recur, so they have no single nearest neighbor


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-sts", action="store_true", help="leave the task STS-B out")


def measure(args: argparse.Namespace) -> dict[str, Any]:
    setup = setting(args, _TOKENS, HELDOUT)
    config, params = elmo_jax.load(setup.model.native)
    params = jax.device_put(params)
    lower = ("bfloat16",) if jax.default_backend() == "cpu" else ("bfloat16", "tf32")
    elmos = {name: Elmo.from_params(config, params, precision=name) for name in (REFERENCE, *lower)}
    sentences = [words for words in setup.sentences if len(words) >= _MIN_WORDS][:_MAX_SENTENCES]
    vectors = {name: elmo.embed_sentences(sentences) for name, elmo in elmos.items()}
    exact = elmos[REFERENCE].embed(setup.sentences)
    return {
        "setting": setup.json(),
        "compared_sentences": {"sentences": len(sentences), "tokens": count_tokens(sentences)},
        "precisions": {
            name: {
                "layers": compare_layers(elmos[name].embed(setup.sentences), exact),
                "sentences": compare_sentences(vectors[name], vectors[REFERENCE]),
            }
            for name in lower
        },
        "sts": {} if args.no_sts else _sts_scores(elmos, quick=args.quick),
    }


def compare_layers(
    actual: Sequence[np.ndarray], exact: Sequence[np.ndarray]
) -> list[dict[str, float]]:
    """The errors of each layer, from the vectors [L, T, D] of the same sentences."""
    rows = []
    for x_ND, y_ND in zip(*(np.concatenate(list(v), axis=1) for v in (actual, exact)), strict=True):
        difference_ND = (x_ND - y_ND).astype(np.float64)
        cosines_N = (unit(x_ND.astype(np.float64)) * unit(y_ND.astype(np.float64))).sum(-1)
        errors = {
            "relative_error": np.linalg.norm(difference_ND) / np.linalg.norm(y_ND),
            "largest_difference": np.abs(difference_ND).max(),
            "one_minus_mean_cosine": 1 - cosines_N.mean(),
            "one_minus_least_cosine": 1 - cosines_N.min(),
        }
        rows.append({name: float(f"{error:.4g}") for name, error in errors.items()})
    return rows


BOUNDS = {"float32": 1e-5, "tf32": 0.003, "bfloat16": 0.03}
"""The relative error of a layer above which a precision is broken, not coarse."""


def largest_error(
    name: str, actual: Sequence[np.ndarray], exact: Sequence[np.ndarray], bound: float
) -> float:
    """The largest relative error of a layer; an ElmoError if it is above the bound."""
    error = max(layer["relative_error"] for layer in compare_layers(actual, exact))
    if not error <= bound:  # NaN is within nothing
        raise ElmoError(
            f"{name} does not compute the same as float32: a layer's relative error is "
            f"{error:.2g}, expected at most {bound}. It was not timed."
        )
    return error


def compare_sentences(actual_SD: np.ndarray, exact_SD: np.ndarray) -> dict[str, float]:
    """The share of sentences with the same nearest other one; Spearman's of all pairs' cosines."""
    units = [unit(vectors_SD.astype(np.float64)) for vectors_SD in (actual_SD, exact_SD)]
    cosines = [units_SD @ units_SD.T for units_SD in units]
    pairs = np.triu_indices(len(exact_SD), k=1)
    correlation = spearmanr(*(cosines_SS[pairs] for cosines_SS in cosines)).statistic
    for cosines_SS in cosines:
        np.fill_diagonal(cosines_SS, -np.inf)
    nearest = [cosines_SS.argmax(1) for cosines_SS in cosines]
    return {
        "same_neighbour": float(f"{(nearest[0] == nearest[1]).mean():.4g}"),
        "rank_correlation": round(float(correlation), 7),
    }


def _sts_scores(elmos: dict[str, Elmo], *, quick: bool) -> dict[str, float]:
    """Spearman's correlation (in points) with the judgments of STS-B's test set."""
    try:
        pairs = read_sts(data_folder(None), "test")[: 20 if quick else None]
    except ElmoError:  # it is not a part of the project
        return {}
    gold_S = np.array([pair.similarity for pair in pairs])
    # The last column is the average of the layers.
    cosines = {name: pair_cosines(elmo, pairs)[:, -1] for name, elmo in elmos.items()}
    return {name: round(spearman(gold_S, x_S), 3) for name, x_S in cosines.items()}


def table(result: dict[str, Any]) -> str:
    what, compared = result["setting"], result["compared_sentences"]
    layers = (
        {
            "against float32": f"{name}, layer {layer}",
            "relative error": f"{row['relative_error']:.1e}",
            "largest difference": f"{row['largest_difference']:.1e}",
            "mean cosine": f"1 - {row['one_minus_mean_cosine']:.1e}",
            "least cosine": f"1 - {row['one_minus_least_cosine']:.1e}",
        }
        for name, errors in result["precisions"].items()
        for layer, row in enumerate(errors["layers"])
    )
    sentences = {REFERENCE: {"same_neighbour": 1, "rank_correlation": 1}}
    sentences |= {name: errors["sentences"] for name, errors in result["precisions"].items()}
    results = (
        {
            "": name,
            "same nearest neighbor": f"{row['same_neighbour']:.4g}",
            "rank correlation of all cosines": f"{row['rank_correlation']:.7g}",
            "STS-B, Spearman": f"{result['sts'][name]:.2f}" if name in result["sts"] else "–",
        }
        for name, row in sentences.items()
    )
    parts = [
        f"Model {what['model']}, {what['tokens']:,} tokens of {what['corpus']}.",
        markdown(layers),
        f"Vectors of {compared['sentences']:,} sentences, the mean over layers and tokens:",
        markdown(results),
    ]
    if result["card"]["machine"]["platform"] == "cpu":
        parts.append('On a CPU, "tf32" computes the same as "float32"; it has no row.')
    return "\n\n".join(parts)
