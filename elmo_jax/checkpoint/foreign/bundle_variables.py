"""The variables of a biLM in a TensorFlow checkpoint, and the datasets of a weight file they are.

Both have the same arrays in the same layout; only the names differ.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Mapping
from typing import Any

from ...errors import ElmoError
from ...model.config import ElmoConfig
from ..containers.model_files import ModelFiles
from ..containers.tensor_bundle import TensorBundle
from ..stored_arrays import StoredArray, fields_from_shapes, read_params

_CELLS = (
    "rnn/multi_rnn_cell/cell_{layer}/lstm_cell",
    "rnn/lstm_cell",
    "RNN/MultiRNNCell/Cell{layer}/rnn/lstm_cell",
)
"""Names of an LSTM layer within its direction: in the graph in which bilm-tf trains, in that graph
if the direction has only one layer, and in the graph in which bilm-tf embeds."""

_VARIABLES = {"W_0": "kernel", "B": "bias", "W_P_0": "projection/kernel"}
_DATASETS = {variable: dataset for dataset, variable in _VARIABLES.items()}
"""The arrays of an LSTM layer."""

_OF_CELL = re.compile(r"(RNN_\d+)/RNN/MultiRNNCell/Cell(\d+)/LSTMCell/(W_0|B|W_P_0)")
_OF_OPTIMIZER = re.compile(r".*/(Adagrad|Adam|Momentum|RMSProp|Adadelta|Ftrl)(_\d+)?")
_OLD_NAME = re.compile(r"/RNN_\d+/.*/(weights|biases|W_0|B|W_P_0)$")
_MOST_LISTED = 8

_FIRST_CELL = "RNN_0/RNN/MultiRNNCell/Cell0/LSTMCell"
_SIZES = {
    "char_embedding_dim": "char_embed",
    "filters": "CNN/W_cnn_0",
    "projection_dim": f"{_FIRST_CELL}/W_0",
    "cell_dim": f"{_FIRST_CELL}/B",
}
"""Fields of an ElmoConfig, and the dataset whose shape gives each away."""

_USUAL_SPELLING: dict[str, Any] = {"activation": "relu", "max_characters_per_token": 50}
_USUAL_LSTM: dict[str, Any] = {"cell_clip": 3.0, "proj_clip": 3.0, "use_skip_connections": True}
"""What no shape gives away, as it is in all published models."""


@dataclasses.dataclass(frozen=True)
class VariableNames:
    """The names of a biLM's variables, and of the same arrays in an HDF5 weight file.

    Attributes:
        scope: what all names start with.
        cell: the name of an LSTM layer, one of the above.
    """

    scope: str
    cell: str

    def variable(self, dataset: str) -> str:
        """The variable that a dataset of the weight file is."""
        if match := _OF_CELL.fullmatch(dataset):
            direction, layer, array = match.groups()
            cell = self.cell.format(layer=layer)
            return f"{self.scope}/{direction}/{cell}/{_VARIABLES[array]}"
        return f"{self.scope}/{dataset}"

    def dataset(self, variable: str) -> str:
        """The dataset that a variable is: the inverse of ``variable``."""
        if match := self._of_cell.fullmatch(variable):
            parts = {"layer": "0", **match.groupdict()}  # the only layer has no number
            array = _DATASETS[parts["array"]]
            return f"{parts['direction']}/RNN/MultiRNNCell/Cell{parts['layer']}/LSTMCell/{array}"
        return variable.removeprefix(f"{self.scope}/")

    def is_of_cell(self, variable: str) -> bool:
        """Whether a variable is an array of an LSTM layer."""
        return self._of_cell.fullmatch(variable) is not None

    @functools.cached_property
    def _of_cell(self) -> re.Pattern[str]:
        cell = re.escape(self.cell).replace(re.escape("{layer}"), r"(?P<layer>\d+)")
        arrays = "|".join(_DATASETS)
        return re.compile(rf"{self.scope}/(?P<direction>RNN_\d+)/{cell}/(?P<array>{arrays})")


@dataclasses.dataclass(frozen=True)
class BilmVariables:
    """What a checkpoint holds of a biLM.

    Attributes:
        source: what errors call the checkpoint.
        names: how its variables are named.
        arrays: those of the biLM by the names of datasets.
        others: names of variables outside the biLM.
    """

    source: str
    names: VariableNames
    arrays: Mapping[str, StoredArray]
    others: tuple[str, ...]

    def params(self, config: ElmoConfig, options_source: str) -> dict[str, Any]:
        """The parameters of ``config``; one ElmoError has all that does not fit."""
        names = self.names
        return read_params(config, self.arrays, self.source, options_source, names.variable)

    def inferred_fields(self) -> tuple[dict[str, Any], set[str]]:
        """The fields of an ElmoConfig, and the names of those that the variables do not tell.

        Those have the values of all published models.

        Raises:
            ElmoError: if a variable that gives away a size is missing.
        """
        fields = fields_from_shapes(self.arrays)
        usual = _USUAL_LSTM if self.is_table else {**_USUAL_SPELLING, **_USUAL_LSTM}
        if self.is_table:
            fields |= {"token_layer": "table", "filters": (), "char_embedding_dim": 0}
        missing = [
            self.names.variable(dataset) for field, dataset in _SIZES.items() if field not in fields
        ]
        if missing:
            found = listed([array.name for array in self.arrays.values()])
            raise ElmoError(
                f"{self.source} lacks {', '.join(missing)}, which would tell sizes of the model; "
                f"found {found}."
            )
        return {**fields, **usual}, set(usual)

    @property
    def is_table(self) -> bool:
        """Whether each word of a vocabulary has a vector of its own, and none is spelled out."""
        return "embedding" in self.arrays and "char_embed" not in self.arrays


def open_bundle(files: ModelFiles, prefix: str) -> TensorBundle:
    """The checkpoint ``prefix`` among the files of a model."""
    beside = (name for name in files.names if name.startswith(f"{prefix}.data-"))
    index, *_ = files.paths([f"{prefix}.index", *beside])
    label = files.label(f"{prefix}.index").removesuffix(".index")
    return TensorBundle(index.with_name(index.name.removesuffix(".index")), label)


def bilm_variables(bundle: TensorBundle, scope: str) -> BilmVariables:
    """The variables of a biLM, without what an optimizer keeps beside each of them.

    Raises:
        ElmoError: if there are none, if they are of one direction only, or if they have the names
            of TensorFlow before 1.2.
    """
    own = [name for name in bundle.entries if name.startswith(f"{scope}/")]
    _check_names(bundle, scope, own)
    own = [name for name in own if not _OF_OPTIMIZER.fullmatch(name)]
    choices = [VariableNames(scope, cell) for cell in _CELLS]
    names = next((names for names in choices if any(map(names.is_of_cell, own))), choices[0])
    arrays = {}
    for name in own:
        entry, read = bundle.entries[name], functools.partial(bundle.read, name)
        arrays[names.dataset(name)] = StoredArray(name, entry.shape, entry.dtype, read)
    others = tuple(name for name in bundle.entries if not name.startswith(f"{scope}/"))
    return BilmVariables(bundle.label, names, arrays, others)


def _check_names(bundle: TensorBundle, scope: str, names: list[str]) -> None:
    if not names:
        raise ElmoError(
            f"{bundle.label} holds no biLM: expected variables {scope}/..., found "
            f"{listed(list(bundle.entries))}."
        )
    if one_way := [name for name in names if re.match(rf"{scope}/(rnn|RNN)/", name)]:
        raise ElmoError(
            f"{bundle.label} is a language model of one direction: it has {one_way[0]}, as bilm-tf "
            "names it with bidirectional: false. ELMo needs both directions."
        )
    if old := [name for name in names if _OLD_NAME.match(name, len(scope))]:
        raise ElmoError(
            f"{bundle.label} has the names of TensorFlow before 1.2, such as {old[0]}. Rename them "
            "in TensorFlow: weights are now called kernel, and biases bias."
        )


def listed(names: list[str]) -> str:
    """Some names for an error."""
    if len(names) <= _MOST_LISTED:
        return ", ".join(names) or "nothing"
    return f"{', '.join(names[:_MOST_LISTED])} and {len(names) - _MOST_LISTED:,} more"
