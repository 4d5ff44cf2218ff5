"""A model as one file that runs without this library: ``elmo_jax.export_function``.

The file is a NumPy archive (.npz):

===============  =================================================================================
``function``     uint8: the output of ``jax.export``
``width``        C, the number of ids per word
``weights/...``  float32: the parameters, which the function takes as a dictionary by these names
``alphabet``     uint8: JSON with the words and characters of a model that has an alphabet, by row
===============  =================================================================================

``examples/exported.py`` reads it with NumPy and JAX alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .errors import ElmoError, shortened
from .files import atomic_file
from .functional import layer_outputs, pooled_sentences
from .json_text import to_json
from .model.alphabet import Alphabet
from .model.config import ElmoConfig
from .model.layers import Layers, check_pooling, project_output, select_layers
from .model.parameters import (
    Params,
    check_finite_params,
    check_params,
    datasets,
    extra_datasets,
    flatten,
    unflatten,
)
from .model.precision import check_precision
from .model.spelling import unknown_of, word_limit

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")


def export_function(
    path: str | os.PathLike[str],
    config: ElmoConfig,
    params: Params,
    *,
    layers: Layers = "average",
    pooling: str | None = "mean",
    mix_weights: Any = None,
    mix_gamma: Any = 1.0,
    precision: str = "float32",
    platforms: Sequence[str] = ("cpu", "cuda", "tpu"),
    overwrite: bool = False,
) -> None:
    """Write a function from character ids to vectors to a file that needs only JAX, for serving.

    The function takes the weights, and char_ids int32 [B, T, C] and lengths int32 [B] as
    ``encode_batch`` makes them. B and T may be any size from 1. It is compiled again for each new
    B and T, so a server should pad to a small number of shapes. The documentation of
    ``jax.export`` says which later versions of JAX read such a file; export again when you upgrade.

    Args:
        path: the file to write, usually ``*.npz``.
        config: the architecture.
        params: its parameters.
        layers: "average", "top", a layer's number, "mix" or "all".
        pooling: "mean" or "max"; None for one vector per token.
        mix_weights: for "mix", L unnormalized weights.
        mix_gamma: for "mix", the scale.
        precision: for matrix products: "float32", "tf32" or "bfloat16".
        platforms: where it will run: one or more of "cpu", "cuda", "rocm", "tpu".
        overwrite: replace an existing file.

    Raises:
        ElmoError: for an unknown name, parameters that do not fit, or a file that exists or
            cannot be written; or if the package flatbuffers is not installed.

    Example:
        >>> elmo_jax.export_function("elmo.npz", *elmo_jax.load(), layers="top")
    """
    check_precision(precision)
    check_params(config, params)
    if pooling is not None:
        check_pooling(pooling)
    is_list = isinstance(platforms, Sequence) and not isinstance(platforms, str)
    if not is_list or not platforms or any(name not in PLATFORMS for name in platforms):
        raise ElmoError(
            f"platforms is {shortened(platforms)}, expected a list of any of "
            f"{', '.join(PLATFORMS)}."
        )
    check_finite_params(params)
    selection, layer_weights_L = select_layers(layers, config, mix_weights, mix_gamma, params)

    def embed(
        weights: Mapping[str, jax.Array], char_ids_BTC: jax.Array, lengths_B: jax.Array
    ) -> jax.Array:
        params = unflatten({tuple(name.split(".")): value for name, value in weights.items()})
        batch = params, char_ids_BTC, lengths_B
        if pooling is not None:
            return pooled_sentences(
                *batch,
                config=config,
                layers=layers,
                pooling=pooling,
                mix_weights=mix_weights,
                mix_gamma=mix_gamma,
                precision=precision,
            )
        layers_BLTD = layer_outputs(*batch, config=config, precision=precision)
        computed = [layers_BLTD[:, layer] for layer in range(selection.n_computed)]
        vectors = selection.apply(computed, layer_weights_L, axis=1)
        return project_output(vectors, params) if selection.projected else vectors

    # Embedding needs no softmax.
    every = [*datasets(config), *extra_datasets(config, flatten(params))]
    training = ("softmax", "word_embedding")
    needed = {path for d in every for path in d.paths if path[0] not in training}
    flat = {path: value for path, value in flatten(params).items() if path in needed}
    weights = {".".join(path): np.asarray(value, np.float32) for path, value in flat.items()}
    # numpy.savez adds a suffix to a path, but not to an open file.
    with atomic_file(Path(path), overwrite=overwrite) as temporary, temporary.open("wb") as file:
        serialized = _serialize(embed, weights, config, platforms)
        arrays: dict[str, Any] = {f"weights/{name}": value for name, value in weights.items()}
        arrays["function"] = np.frombuffer(serialized, np.uint8)
        arrays["width"] = np.int32(config.spelling_width)
        if config.alphabet is not None:
            arrays["alphabet"] = np.frombuffer(_alphabet_json(config, config.alphabet), np.uint8)
        np.savez(file, **arrays)


def _alphabet_json(config: ElmoConfig, alphabet: Alphabet) -> bytes:
    content = {
        "words": alphabet.words if config.word_columns else [],
        "characters": alphabet.characters if config.filters else [],
        "unknown": unknown_of(config),
        "longest": word_limit(config).most,  # characters of a word that are read; null for all
    }
    return to_json(content).encode()


def _serialize(
    function: Callable[..., jax.Array],
    weights: Mapping[str, np.ndarray],
    config: ElmoConfig,
    platforms: Sequence[str],
) -> bytearray:
    from jax import export

    # One exported function serves every B and T.
    n_sentences, n_tokens = export.symbolic_shape("sentences, tokens")
    words = (n_sentences, n_tokens, config.spelling_width)
    array: Callable[..., jax.ShapeDtypeStruct] = jax.ShapeDtypeStruct
    exported = export.export(jax.jit(function), platforms=platforms)(
        {name: array(value.shape, jnp.float32) for name, value in weights.items()},
        array(words, jnp.int32),
        array((n_sentences,), jnp.int32),
    )
    try:
        return exported.serialize()
    except ImportError as error:
        if "flatbuffers" not in str(error):
            raise
        raise ElmoError(
            "Exporting needs the package flatbuffers: pip install 'elmo-jax[export]'."
        ) from None
