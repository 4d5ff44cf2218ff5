"""Linear maps after the layers of a model: alignments, and the projection after a mix.

A map needs a whole vector. The two directions read the tokens in opposite order, so the halves of
a vector only meet on the host, which therefore applies the maps.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..model.layers import LayerSelection, alignments
from ..model.parameters import Params


class LayerMaps(NamedTuple):
    """What to compute from whole vectors; float32."""

    alignments: Mapping[int, np.ndarray]  # by layer, [D, D]
    kernel: np.ndarray | None = None  # of the output projection, [O, D]
    bias: np.ndarray | None = None  # [O]

    def apply(
        self, layers: np.ndarray, selection: LayerSelection, layer_weights_L: np.ndarray
    ) -> np.ndarray:
        """The wanted layers from all that are computed, [L, ..., D]."""
        layers = layers.copy()
        for layer, matrix_DD in self.alignments.items():
            layers[layer] = layers[layer] @ matrix_DD.T
        if selection.index is not None:
            return layers[selection.index]
        if not selection.weighted:
            return layers
        mixed = np.tensordot(layer_weights_L.astype(np.float32), layers, axes=1)
        return mixed if self.kernel is None else mixed @ self.kernel.T + self.bias


def maps_for(params: Params, selection: LayerSelection) -> LayerMaps | None:
    """The maps that a selection needs; None if it needs none."""
    wanted = range(selection.n_computed) if selection.index is None else [selection.index]
    matrices = {n: np.asarray(m) for n, m in alignments(params).items() if n in wanted}
    projection: Mapping[str, Any] = params["output_projection"] if selection.projected else {}
    if projection:
        return LayerMaps(matrices, *(np.asarray(projection[name]) for name in ("kernel", "bias")))
    return LayerMaps(matrices) if matrices else None
