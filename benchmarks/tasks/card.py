"""What was measured: the model, and with what and where."""

from __future__ import annotations

from typing import Any

from elmo_jax import Elmo
from elmo_jax.checkpoint import is_native, model_folder, read_metadata
from elmo_jax.model.parameters import count_parameters

from ..card import card as machine_card


def card(model: str, elmo: Elmo) -> dict[str, Any]:
    """The model, the versions and the machine, ready for JSON."""
    config, path = elmo.config, model_folder(model)
    return {
        "model": model,
        "metadata": read_metadata(path) if is_native(path) else {},
        "parameters": count_parameters(elmo.params),
        "layers": config.n_output_layers,
        "dim": config.output_dim,
        "cell_dim": config.cell_dim,
        **machine_card(),
    }
