"""simple_elmo 0.9.2 on TensorFlow.

It opens a folder with options.json and model.hdf5, so links of those names are made. Its calls
are the ones that its documentation has for more than one call: a session that the caller keeps
(without it every call builds the graph's end and loads the weights again) and no warm-up (it runs
the first batch of every call twice). ``embed`` makes a call for each batch, because the results of
a call come as one float64 matrix padded to its longest sentence: tens of gigabytes for a corpus.

What differs from other tools: the LSTM state is carried on from batch to batch, as in bilm-tf
(``embed`` leaves that as it is, ``vectors`` resets it); its mean over a sentence counts padding as
tokens and is scaled to length 1, so sentence vectors are not comparable in value.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from simple_elmo import ElmoModel, weight_layers

PACKAGES = ("simple-elmo", "tensorflow-cpu", "numpy")
_BATCH_SIZE = 32  # simple_elmo's own default


class Model:
    """An ``ElmoModel`` with a session that lasts.

    Args:
        options: options.json.
        weights: the HDF5 file.
        max_batch_size: the most sentences a batch; it must be known when the graph is built.
    """

    def __init__(self, options: str, weights: str, max_batch_size: int = 128) -> None:
        self._model, self._max_batch_size = ElmoModel(), max_batch_size
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "options.json").symlink_to(Path(options).resolve())
            (Path(folder) / "model.hdf5").symlink_to(Path(weights).resolve())
            self._model.load(folder, max_batch_size=max_batch_size)
        operations = self._model.sentence_embeddings_op
        self._outputs = {
            layers: weight_layers("input", operations, use_layers=layers)
            for layers in ("all", "average")
        }
        self._session = tf.compat.v1.Session()
        self._session.run(tf.compat.v1.global_variables_initializer())
        # The states are the only variables that bilm-tf's code leaves without a name.
        states = [v for v in tf.compat.v1.global_variables() if "/Variable" in v.name]
        self._reset = tf.compat.v1.variables_initializer(states)

    def embed(
        self, sentences: list[list[str]], batch_size: int | None, output: str
    ) -> Iterator[Any]:
        """Batch after batch, carrying the state on; 32 sentences a batch unless told."""
        size = batch_size or _BATCH_SIZE
        if size > self._max_batch_size:
            raise ValueError(
                f"batch_size {size} is larger than max_batch_size {self._max_batch_size}, a "
                "setting of open"
            )
        for start in range(0, len(sentences), size):
            batch = sentences[start : start + size]
            yield from self._layers(batch) if output == "layers" else self._means(batch)

    def vectors(self, sentences: list[list[str]]) -> Iterator[Any]:
        """The same, from a fresh state for each batch."""
        for start in range(0, len(sentences), _BATCH_SIZE):
            self._session.run(self._reset)
            yield from self._layers(sentences[start : start + _BATCH_SIZE])
        self._session.run(self._reset)

    def _layers(self, batch: list[list[str]]) -> Iterator[Any]:
        found = self._call(self._model.get_elmo_vectors, batch, "all")
        for words, vectors in zip(batch, found, strict=True):
            yield vectors[:, : len(words)].astype(np.float32)  # a copy: the padding can go

    def _means(self, batch: list[list[str]]) -> Iterator[Any]:
        yield from self._call(self._model.get_elmo_vector_average, batch, "average")

    def _call(self, method: Any, batch: list[list[str]], layers: str) -> Any:
        self._model.batch_size = len(batch)
        self._model.elmo_sentence_input = self._outputs[layers]
        return method(batch, warmup=False, layers=layers, session=self._session)
