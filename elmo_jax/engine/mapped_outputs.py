"""Results that linear maps are applied to, on the host."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from ..lanes.devices import Devices
from ..model.config import ElmoConfig
from ..model.layers import LayerSelection
from .layer_maps import LayerMaps
from .outputs import PendingSentences, PendingTokens, PooledOutputs, Request, TokenOutputs
from .step import Outputs
from .timeline import Chunk
from .word_table import Words


def outputs_for(
    request: Request, config: ElmoConfig, devices: Devices
) -> TokenOutputs | PooledOutputs | MappedOutputs:
    """What makes the results that a request wants."""
    if request.maps is not None:
        return MappedOutputs(request, request.maps, config, devices)
    if request.pooling is None:
        return TokenOutputs(request, config)
    return PooledOutputs(request, config, devices)


class MappedOutputs:
    """Results of all computed layers, reduced on the host to what the request wants.

    A mean over tokens may come before the maps, which are linear; the maximum may not.
    """

    def __init__(
        self, request: Request, maps: LayerMaps, config: ElmoConfig, devices: Devices
    ) -> None:
        self._request, self._maps, self._config = request, maps, config
        self._weights_L = np.asarray(request.layer_weights_L)
        self._inner = outputs_for(
            dataclasses.replace(
                request,
                selection=LayerSelection(request.selection.n_computed),
                pooling=None if request.pooling == "max" else request.pooling,
                dtype="float32",
                maps=None,
            ),
            config,
            devices,
        )

    @property
    def empty(self) -> None:
        """What ``finish`` takes for a sentence without tokens."""
        return None

    def take_lanes(self, former_N: np.ndarray) -> None:
        """Follow lanes that move before the next call."""
        self._inner.take_lanes(former_N)

    def send(
        self, words: Words, chunk: Chunk, outputs: tuple[Outputs, Outputs]
    ) -> PendingTokens | PendingSentences:
        """Reduce a call's outputs on the device, and start the copy to the host."""
        return self._inner.send(words, chunk, outputs)

    def finish(self, pieces: Any) -> np.ndarray:
        """The array of a sentence that was read to its end."""
        request = self._request
        if pieces is None:
            return np.zeros(request.shape(self._config, 0), request.dtype)
        layers = self._inner.finish(pieces)
        result = self._maps.apply(layers, request.selection, self._weights_L)
        if request.pooling == "max":
            result = result.max(axis=-2)
        with np.errstate(over="ignore"):  # ``check_float16`` reports it
            return result.astype(request.dtype)
