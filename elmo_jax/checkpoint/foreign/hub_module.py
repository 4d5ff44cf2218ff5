"""ELMos as modules of TensorFlow Hub: Google's, and those that DeepPavlov exported.

A module has the graph of bilm-tf for inference and its variables, but no options.json.
"""

from __future__ import annotations

import dataclasses
import math
import posixpath
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import ElmoError
from ...model.config import ElmoConfig
from ...model.options import N_CHARACTERS
from ..containers.model_files import ModelFiles
from ..containers.tensor_bundle import TensorBundle
from ..opened import Opened, config_from
from ..stored_arrays import StoredArray
from ..vocabulary import Words
from .bundle_variables import BilmVariables, bilm_variables, open_bundle

FORMAT = "TF-Hub module"
EXPECTED = "variables/variables.index with its .data files"

_PREFIX = "variables/variables"
_SCOPE = "bilm"
_STATE = re.compile(r"(bilm(_\d+)?/)?Variable(_\d+)?")
"""The states that sentences hand on to the next ones."""

_OF_BILM = ("char_embed", "CNN", "RNN_", "softmax/")
_MIXES = (
    ("aggregation/elmo_output_ELMo_W", "aggregation/elmo_output_ELMo_gamma"),
    ("aggregation/weights", "aggregation/scaling"),
)
"""The weights and the factor of the mix of layers, as DeepPavlov and as Google call them."""


def recognizes(files: ModelFiles) -> bool:
    """Whether there are the variables of a TF-Hub module."""
    return _prefix_among(files) is not None


def read(files: ModelFiles, options: Mapping[str, Any], vocabulary: Words | None = None) -> Opened:
    """A model from the variables of a module, with the module's mix of layers.

    Sizes are inferred from the variables. They do not tell the clips, the activation, whether
    there are skip connections, and how long words may be: these are assumed to be as in all
    published models, unless ``options`` say otherwise. ``vocabulary`` is not needed.

    Raises:
        ElmoError: if there is no biLM among the variables, or if they do not fit each other: all
            that is wrong with them is in one error.
    """
    prefix = _prefix_among(files)
    assert prefix is not None
    bundle = open_bundle(files, prefix)
    variables, left_over = _of_model(bilm_variables(bundle, _SCOPE))
    source = f"the sizes of {bundle.label}"
    fields, assumed = variables.inferred_fields()
    config, still_assumed = config_from(fields, assumed, options, source)
    params = variables.params(config, source)
    mix, of_mix = _mix(bundle, config)
    params |= mix
    left_over = [name for name in left_over if name not in of_mix]
    remarks = {"left_over": left_over} if left_over else {}
    return Opened(config, params, FORMAT, still_assumed, remarks=remarks)


def _prefix_among(files: ModelFiles) -> str | None:
    if files.prefix is not None:
        return files.prefix if files.prefix == posixpath.basename(_PREFIX) else None
    return _PREFIX if f"{_PREFIX}.index" in files.names else None


def _of_model(variables: BilmVariables) -> tuple[BilmVariables, list[str]]:
    """The biLM without its states, and the names of variables that have no use."""
    arrays = {name: array for name, array in variables.arrays.items() if name.startswith(_OF_BILM)}
    names = [array.name for name, array in variables.arrays.items() if name not in arrays]
    if "char_embed" in arrays:
        arrays["char_embed"] = _without_padding(arrays["char_embed"])
    left_over = [name for name in (*names, *variables.others) if not _STATE.fullmatch(name)]
    return dataclasses.replace(variables, arrays=arrays), left_over


def _without_padding(char_embed: StoredArray) -> StoredArray:
    """Without the first row if there is one more than characters: that of padding, which is 0."""
    shape = char_embed.shape
    if shape is None or len(shape) != 2 or shape[0] != N_CHARACTERS + 1:
        return char_embed
    read = char_embed.read
    return dataclasses.replace(char_embed, shape=(N_CHARACTERS, shape[1]), read=lambda: read()[1:])


def _mix(bundle: TensorBundle, config: ElmoConfig) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The parameters of the module's mix of layers, and the variables that they come from.

    The weights go through a softmax, and the factor multiplies their sum.
    """
    for names in _MIXES:
        if not all(name in bundle.entries for name in names):
            continue
        shapes = [bundle.entries[name].shape for name in names]
        if shapes[0] != (config.n_output_layers,) or math.prod(shapes[1]) != 1:
            continue
        with np.errstate(over="ignore"):  # float64 beyond float32 is reported as infinite
            weights, gamma = (bundle.read(name).astype(np.float32) for name in names)
        if not (np.isfinite(weights).all() and np.isfinite(gamma).all()):
            raise ElmoError(f"{bundle.label}: {' or '.join(names)} has NaN or infinite values.")
        return {"scalar_mixes": {"0": {"weights": weights, "gamma": gamma.reshape(())}}}, names
    return {}, ()
