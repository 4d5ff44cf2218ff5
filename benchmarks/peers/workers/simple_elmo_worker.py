"""simple_elmo 0.9.2 on TensorFlow.

It opens a folder with options.json and model.hdf5, so links of those names are made. Its calls
are the ones that its documentation has for more than one call: the caller keeps a session (without
it every call builds the graph's end and loads the weights again), and there is no warm-up (it runs
the first batch of every call twice). There is a call for each batch, because the results of a call
come as one float64 matrix padded to its longest sentence: tens of gigabytes for a corpus.

What differs from other tools: the LSTM state is carried on from batch to batch, as in bilm-tf; its
mean over a sentence counts padding as tokens and is scaled to length 1, so sentence vectors are not
comparable in value.
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
BATCH_SIZE = 32  # simple_elmo's own default


class Model:
    """An ``ElmoModel`` with a session that lasts.

    Args:
        options: options.json.
        weights: the HDF5 file.
        max_batch_size: the most sentences of a batch; the graph is built for it.
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

    def reset(self) -> None:
        """Forget the state of the last batch."""
        self._session.run(self._reset)

    def embed(self, batch: list[list[str]], output: str) -> Iterator[Any]:
        """A call for one batch."""
        if len(batch) > self._max_batch_size:
            raise ValueError(f"batch_size is larger than open's max_batch_size, {len(batch)} here")
        if output == "sentences":
            yield from self._call(self._model.get_elmo_vector_average, batch, "average")
            return
        layers = self._call(self._model.get_elmo_vectors, batch, "all")
        for words, vectors in zip(batch, layers, strict=True):
            yield vectors[:, : len(words)].astype(np.float32)  # a copy: the padding can go

    def _call(self, method: Any, batch: list[list[str]], layers: str) -> Any:
        self._model.batch_size = len(batch)
        self._model.elmo_sentence_input = self._outputs[layers]
        return method(batch, warmup=False, layers=layers, session=self._session)
