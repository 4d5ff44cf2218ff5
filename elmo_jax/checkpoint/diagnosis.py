"""Why a weight file does not fit its options: a guess, from the shapes that it holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..model.config import ElmoConfig

_CELL = "RNN_0/RNN/MultiRNNCell/Cell{}/LSTMCell/{}"


def likely_cause(config: ElmoConfig, shapes: Mapping[str, tuple[int, ...]], damaged: bool) -> str:
    """A sentence for the end of an error about a weight file.

    Args:
        config: what options.json says.
        shapes: of every dataset in the file.
        damaged: whether HDF5 itself failed on some dataset.
    """
    if damaged:
        return "the file is damaged; copy or download it again."
    if not any(name.startswith(("CNN", "RNN_0", "char_embed")) for name in shapes):
        return "this is not an ELMo weight file; none of its datasets has an ELMo's name."
    differences = [
        f"{name} {seen} (the options say {getattr(config, name)})"
        for name, seen in _seen(shapes).items()
        if getattr(config, name) != seen
    ]
    if differences:
        return (
            "options and weights belong to different models; the weights were made with "
            + ", ".join(differences)
            + "."
        )
    return "the file was edited or written by another tool, or its training went wrong."


def _seen(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """The config fields that the shapes of a weight file give away."""
    seen: dict[str, Any] = {}
    filters: list[tuple[int, int]] = []
    while len(shape := shapes.get(f"CNN/W_cnn_{len(filters)}", ())) == 4:
        filters.append((shape[1], shape[3]))
    if filters:
        seen["filters"] = tuple(filters)
    if len(embedding := shapes.get("char_embed", ())) == 2:
        seen["char_embedding_dim"] = embedding[1]
    seen["n_highway"] = sum(
        name.startswith("CNN_high_") and name.endswith("/W_carry") for name in shapes
    )
    seen["n_layers"] = sum(
        name.startswith("RNN_0/") and name.endswith("LSTMCell/W_0") for name in shapes
    )
    if len(bias := shapes.get(_CELL.format(0, "B"), ())) == 1:
        seen["cell_dim"] = bias[0] // 4
    if len(kernel := shapes.get(_CELL.format(0, "W_0"), ())) == 2:
        seen["projection_dim"] = kernel[0] // 2
    return seen
