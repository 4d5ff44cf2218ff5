"""What a model is compared with, on the same code."""

from __future__ import annotations

from typing import Any

from elmo_jax import Elmo, ElmoConfig
from elmo_jax.model.bilm import init_params

MODEL = "model"
RANDOM_LSTM = "random LSTM"
BASELINE = "baseline"  # what reads no vectors

_SEED = 0


def random_lstm(config: ElmoConfig, params: dict[str, Any]) -> dict[str, Any]:
    """Parameters with the model's token layer under LSTMs that have learnt nothing.

    Their weights are drawn as training draws them at its start. Such LSTMs already see the
    context; what the model has above them, it has learnt.

    Args:
        config: the architecture.
        params: the model's parameters, which stay as they are.
    """
    return {**init_params(config, _SEED), "char_encoder": params["char_encoder"]}


def variants(elmo: Elmo) -> dict[str, Elmo]:
    """The model and the one with random LSTM weights; the token layer is layer 0 of both."""
    untrained = random_lstm(elmo.config, elmo.params)
    return {MODEL: elmo, RANDOM_LSTM: Elmo.from_params(elmo.config, untrained)}
