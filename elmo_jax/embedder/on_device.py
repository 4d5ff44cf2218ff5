"""A model on its devices: opened, described, saved, pickled."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import jax
import numpy as np

from ..checkpoint import (
    Alignment,
    Opened,
    Options,
    check_vocabulary,
    open_source,
    save_opened,
    words_of,
)
from ..checkpoint.other_signatures import refuse_others
from ..checkpoint.vocabulary import Vocabulary, Words
from ..engine import Engine
from ..errors import ElmoError, check_flag, shortened
from ..files import check_name
from ..forking import check_process
from ..lanes.devices import check_devices
from ..model.config import ElmoConfig
from ..model.parameters import Params, check_finite_params, check_params, model_digest
from ..model.precision import check_precision
from ..pretrained import BUNDLED
from ..text.tokenizers import DEFAULT, check_plain_name
from .other_names import here
from .pickling import absolute, device_names, unpickle
from .sif import sif_weights

PathLike = str | os.PathLike[str]


class ModelOnDevice:
    """What ``Elmo`` is, without what it does with sentences; see there."""

    config: ElmoConfig
    params: dict[str, Any]
    precision: str
    tokenizer: str
    _failure: str | None = None

    @refuse_others
    def __init__(
        self,
        source: PathLike | None = None,
        weight_file: PathLike | None = None,
        *,
        options_file: PathLike | None = None,
        vocabulary_file: PathLike | None = None,
        options: Options | None = None,
        alignment: Alignment = None,
        token_table: PathLike | None = None,
        verify: bool = True,
        precision: str = "float32",
        devices: Sequence[jax.Device] | None = None,
    ) -> None:
        check_process()
        check_precision(precision)
        check_devices(devices)
        files: dict[str, Any] = {
            "source": source,
            "options_file": options_file,
            "weight_file": weight_file,
            "vocabulary_file": vocabulary_file,
            "options": options,
            "alignment": alignment,
            "token_table": token_table,
            "verify": verify,
        }
        opened = open_source(**files)
        self._set_up(opened, precision, devices, files, opened.tokenizer)

    @classmethod
    def from_params(
        cls,
        config: ElmoConfig,
        params: Params,
        *,
        precision: str = "float32",
        devices: Sequence[jax.Device] | None = None,
        tokenizer: str = DEFAULT,
        vocabulary: Words | None = None,
    ) -> Self:
        """An Elmo with parameters in memory.

        ``tokenizer`` names what splits raw text for it. ``vocabulary`` has the words of the
        softmax, if the parameters have one, or else words for ``pooling="sif"``, the most frequent
        ones first: a Vocabulary, a list of words, or a file with them.

        Raises:
            ElmoError: if they do not fit ``config``, or are no finite floats; for a tokenizer that
                has no name, see ``tokenizer_named``; for words that are not those of the softmax.
        """
        check_precision(precision)
        check_devices(devices)
        check_params(config, params)
        check_finite_params(params)
        check_plain_name(tokenizer)
        words = None if vocabulary is None else Vocabulary.of(vocabulary)
        if words is not None and "softmax" in params:
            check_vocabulary(params, words)
        remarks = {} if tokenizer == DEFAULT else {"tokenizer": tokenizer}
        elmo = cls.__new__(cls)
        opened = Opened(config, dict(params), "native", vocabulary=words, remarks=remarks)
        elmo._set_up(opened, precision, devices, None, tokenizer)
        return elmo

    def _set_up(
        self,
        opened: Opened,
        precision: str,
        devices: Sequence[jax.Device] | None,
        files: Mapping[str, Any] | None,
        tokenizer: str,
    ) -> None:
        check_process()
        self.config, self.precision, self.tokenizer = opened.config, precision, tokenizer
        self._devices = devices
        self._files = files and {name: absolute(value) for name, value in files.items()}
        # On the device once: every call of a function on host arrays would copy them again.
        self.params = jax.device_put(opened.params, devices[0] if devices else None)
        self._origin = dataclasses.replace(opened, params={})  # the host's copy may go
        self._engine = Engine(self.config, self.params, precision, devices=devices)

    # What it is

    @property
    def dim(self) -> int:
        """D, the size of its vectors: 256 for mini, 1024 for the large published models.

        Only ``layers="mix"`` may have another, if the model has an output projection.
        """
        return self.config.output_dim

    @property
    def n_output_layers(self) -> int:
        """L, the layers that ``layers="all"`` gives, the token layer among them."""
        return self.config.n_output_layers

    def __repr__(self) -> str:
        kind = type(self).__name__
        if self._failure is not None:
            return f"<{kind} that cannot be used: {self._failure}>"
        return (
            f"<{kind} {self._shown_source()}: {self.n_output_layers} layers of {self.dim} "
            f"dimensions, {self.precision}, tokenizer {self.tokenizer!r}>"
        )

    def _shown_source(self) -> str:
        if self._files is None:
            return "from parameters"
        names = ("source", "options_file", "weight_file")
        paths = [os.fspath(self._files[name]) for name in names if self._files[name] is not None]
        return " and ".join(map(repr, paths or [BUNDLED]))

    # Saving

    def save_pretrained(self, path: PathLike, *, overwrite: bool = False) -> None:
        """Save the model as a native folder, which ``Elmo(path)`` opens with the same vectors.

        The folder also gets the tokenizer, the metadata, and vocab.txt if the model has a softmax
        and its words are known. The folder that the model was opened from may be replaced.

        Args:
            path: the folder, which appears only when it is complete.
            overwrite: replace the model in an existing folder; files that are not the model's stay.

        Raises:
            ElmoError: for a folder that has files already, a model in the published format there,
                or a disk that cannot take it.

        Warns:
            ElmoWarning: if the words of the model's softmax are not known.

        Example:
            >>> elmo_jax.Elmo().save_pretrained("my-elmo")
            >>> elmo_jax.Elmo("my-elmo").dim
            256
        """
        check_flag(overwrite, "overwrite")
        if not isinstance(path, str | os.PathLike):
            raise ElmoError(f"path is {shortened(path)}, expected the path of a folder.")
        opened, folder = self._opened(), Path(path)
        check_name(folder)
        if self.tokenizer != opened.tokenizer:
            remarks = {**opened.remarks, "tokenizer": self.tokenizer}
            opened = dataclasses.replace(opened, remarks=remarks)
        save_opened(folder, opened, self._files or {}, overwrite=overwrite)

    def _weigh_words(self) -> None:
        """Give words their weights for ``pooling="sif"``."""
        if self._engine.weighs_words:
            return
        opened = dataclasses.replace(self._origin, params=self.params)
        vocabulary = words_of(opened, self._files or {})
        if vocabulary is None:
            raise ElmoError(
                "pooling='sif' weighs words by their rank in the model's vocabulary, and this "
                "model has none. Name a file with the most frequent words first with "
                "vocabulary_file=, or choose pooling='mean'."
            )
        self._engine.weigh_words(sif_weights(vocabulary))

    def _opened(self) -> Opened:
        """The model as it was opened, with its parameters as NumPy arrays."""
        return dataclasses.replace(self._origin, params=jax.tree.map(np.asarray, self.params))

    # Copies and pickles

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        model = self._opened() if self._files is None else self._digest
        devices = device_names(self._devices)
        state = self._files, model, self.precision, devices, self.tokenizer
        return unpickle, (type(self), *state)

    @functools.cached_property
    def _digest(self) -> str:
        return model_digest(self.config, self.params)

    def __getattr__(self, name: str) -> Any:
        # If this Elmo could not be unpickled, its first use raises why.
        failure = self.__dict__.get("_failure")
        if failure is None or name.startswith("__"):
            problem = f"{type(self).__name__!r} object has no attribute {name!r}{here(name)}"
            raise AttributeError(problem, name=name, obj=self)
        raise ElmoError(failure)
