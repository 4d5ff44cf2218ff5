"""Linear probes: logistic regression on one layer, or on a trained scalar mix of all layers.

The steps of a probe are scikit-learn's. Dimensions are scaled to variance 1, so that no layer has
an advantage of scale, and whitened: that changes only the coordinates and leaves the probe linear,
but logistic regression converges in a tenth of the steps, and its L2 penalty treats all directions
alike.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from scipy.optimize import minimize
from scipy.special import softmax
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

# Weights of half the squared norm of a probe's matrix, beside the mean cross-entropy.
TOKEN_PENALTIES = (1e-3, 1e-4)
SENTENCE_PENALTIES = (1.0, 1e-1, 1e-2, 1e-3)

# Directions with less than this share of the variance hold rounding noise, which whitening would
# blow up. A token layer has many: both of its halves hold the same numbers.
_NOISE = 1e-4

_MIX_ROWS = 10_000  # enough for a mix's few weights
_MIX_PENALTY = 1e-3
# Peters et al. 2018, section 3.2, regularise a mix too. Without, one layer takes nearly all of it.
_MIX_WEIGHT_PENALTY = 1e-2


class LayerMix(TransformerMixin, BaseEstimator):
    """Vectors [N, L, D] to their scalar mix [N, D]; ``shares_L`` are the layers' softmax weights.

    Each dimension of each layer is scaled to variance 1 before it is mixed.
    """

    def fit(self, vectors_NLD: np.ndarray, labels_N: np.ndarray) -> Self:
        """Find the shares with which a probe of the mix has the least loss."""
        rng = np.random.default_rng(0)
        rows = np.sort(rng.permutation(len(vectors_NLD))[:_MIX_ROWS])
        sample_NLD = vectors_NLD[rows].astype(np.float32)
        deviations_LD = np.maximum(sample_NLD.std(axis=0), 1e-6)
        n_layers = vectors_NLD.shape[1]
        self.shares_L = np.ones(1)
        if n_layers > 1:
            self.shares_L = _train_shares(sample_NLD / deviations_LD, labels_N[rows])
        self._weights_LD = (self.shares_L[:, None] / deviations_LD).astype(np.float32)
        return self

    def transform(self, vectors_NLD: np.ndarray) -> np.ndarray:
        """The mix, float32 [N, D]."""
        return np.einsum("nld,ld->nd", vectors_NLD, self._weights_LD, dtype=np.float32)


def features() -> Pipeline:
    """Vectors [N, L, D] of one layer or more to what a probe classifies, float32 [N, ≤ D]."""
    return make_pipeline(LayerMix(), StandardScaler(), _whitening())


def _whitening() -> PCA:
    return PCA(1 - _NOISE, whiten=True, svd_solver="covariance_eigh")


def probe() -> LogisticRegression:
    """A probe; each fit starts from the one before."""
    # More exact ones take four times as long, and score the same.
    return LogisticRegression(max_iter=1000, tol=1e-3, warm_start=True)


def inverse_penalty(penalty: float, n_rows: int) -> float:
    """scikit-learn's C, which weighs the sum of the losses of all rows, not their mean."""
    return 1 / (penalty * n_rows)


def _train_shares(vectors_NLD: np.ndarray, labels_N: np.ndarray) -> np.ndarray:
    """The softmax weights with which a probe of the mix has the least loss: float [L]."""
    centered_NLD = vectors_NLD - vectors_NLD.mean(axis=0)
    whitening = _whitening().fit(centered_NLD.mean(axis=1))
    layers_LND = np.stack([whitening.transform(x_ND) for x_ND in centered_NLD.swapaxes(0, 1)])
    # An inexact probe would leave noise in the loss, which the descent in the weights would follow.
    classifier = probe().set_params(C=inverse_penalty(_MIX_PENALTY, len(labels_N)), tol=1e-5)

    def loss(weights_L: np.ndarray) -> tuple[float, np.ndarray]:
        """That of the best probe for these weights, and its gradient in the weights.

        The gradient in the probe is 0, since the probe is the best one.
        """
        shares_L = softmax(weights_L)
        mix_ND = np.einsum("l,lnd->nd", shares_L.astype(np.float32), layers_LND)
        chances_NK = classifier.fit(mix_ND, labels_N).predict_proba(mix_ND)
        right_NK = labels_N[:, None] == classifier.classes_
        kernel_KD = classifier.coef_  # of two classes, the second one's only
        errors_NK = (chances_NK - right_NK)[:, -len(kernel_KD) :] / len(labels_N)
        slopes_L = np.einsum("lnd,kd,nk->l", layers_LND, kernel_KD, errors_NK, optimize=True)
        gradient_L = shares_L * (slopes_L - shares_L @ slopes_L)
        cross_entropy = -np.log(chances_NK[right_NK]).mean()
        penalties = _MIX_PENALTY / 2 * np.square(kernel_KD).sum()
        penalties += _MIX_WEIGHT_PENALTY * np.square(weights_L).sum()
        return cross_entropy + penalties, gradient_L + 2 * _MIX_WEIGHT_PENALTY * weights_L

    return softmax(minimize(loss, np.zeros(len(layers_LND)), jac=True, method="L-BFGS-B").x)
