"""ElmoTransformer: texts to features, for scikit-learn (extra ``sklearn``).

Example:
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> classifier = make_pipeline(ElmoTransformer(), LogisticRegression(max_iter=1000))
    >>> classifier.fit(["A good film .", "A dull film ."], [1, 0])
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .embedder import Elmo
from .errors import ElmoError, missing_package, shortened
from .forking import check_process
from .model.layers import Layers
from .model.precision import check_precision
from .text.sentences import check_collection
from .text.tokenizers import Tokenizer

try:  # scikit-learn, not this module: imports are absolute
    from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
except ImportError:
    raise missing_package("scikit-learn", "elmo_jax.sklearn", "sklearn") from None

_N_OPEN = 2  # models that stay open in a process
_opening = threading.Lock()


class ElmoTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Turns each text into one vector. The ELMo itself is not trained.

    There is nothing to fit: ``fit`` only checks the parameters. Clones and pickles do not contain
    the model, which is opened from ``source`` when it is needed. All transformers in a process with
    the same source share one model.

    Args:
        source: a model as ``elmo_jax.load`` takes it; None for mini.
        layers: "average", "top", a layer's number (0 is the token layer), or "all" (side by side).
        pooling: "mean", "max" or "sif", over a text's tokens.
        tokenizer: a name, see ``elmo_jax.tokenizer_named``; a function, which must be importable
            to be pickled; or None to split at whitespace.
        precision: for matrix products: "float32", "tf32" or "bfloat16".
        dtype: type of the features: "float32" or "float16".

    Example:
        >>> ElmoTransformer(layers=1).fit_transform(["The bank .", ["Hi"]]).shape
        (2, 256)
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | None = None,
        *,
        layers: Layers = "average",
        pooling: str = "mean",
        tokenizer: Tokenizer | str | None = None,
        precision: str = "float32",
        dtype: Any = "float32",
    ) -> None:
        self.source = source
        self.layers = layers
        self.pooling = pooling
        self.tokenizer = tokenizer
        self.precision = precision
        self.dtype = dtype

    def fit(self, X: Iterable[str | Sequence[str]], y: Any = None) -> ElmoTransformer:
        """Check the parameters and open the model. ``y`` is ignored.

        Raises:
            ElmoError: for parameters that do not work, or an ``X`` that is not a list of texts.
        """
        _check_texts(X)
        self._embed([])
        return self

    def transform(self, X: Iterable[str | Sequence[str]]) -> np.ndarray:
        """The features of B texts: [B, D], or [B, L · D] for all layers, the token layer first.

        ``X`` is a list, a NumPy array or a column of a table; a text is a string, which is split
        into words, or a list of words. A text without words gives zeros.

        Raises:
            ElmoError: for a bad text or parameter.
        """
        _check_texts(X)
        return self._embed(X)

    @property
    def _n_features_out(self) -> int:
        return self._embed([]).shape[1]  # for ClassNamePrefixFeaturesOutMixin

    def _embed(self, texts: Iterable[str | Sequence[str]]) -> np.ndarray:
        check_precision(self.precision)
        check_process()  # before the lock: a thread of the parent process may hold it
        with _opening:  # otherwise several threads might open it at once
            elmo = _open(self.source, self.precision)
        vectors = elmo.embed_sentences(
            texts, self.layers, self.pooling, tokenizer=self.tokenizer, dtype=self.dtype
        )
        return vectors.reshape(len(vectors), int(np.prod(vectors.shape[1:])))

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.requires_fit = False
        tags.transformer_tags.preserves_dtype = []
        return tags

    def _more_tags(self) -> dict[str, Any]:  # the same tags, for scikit-learn before 1.6
        return {"X_types": ["string"], "requires_fit": False, "preserves_dtype": []}


def _check_texts(texts: Any) -> None:
    if hasattr(texts, "columns"):
        names = getattr(texts, "column_names", texts.columns)  # pyarrow's columns are the data
        raise ElmoError(
            f"Expected texts, got a table with the columns {', '.join(map(str, names))}. "
            "Choose one: table['text'], or ColumnTransformer([('elmo', ElmoTransformer(), 'text')])"
        )
    if len(getattr(texts, "shape", (0,))) == 2:
        raise ElmoError(
            f"Expected texts, got an array of shape {texts.shape}. Pass one column of it: X[:, 0]; "
            "to a ColumnTransformer give the column's name as 'text', not as ['text']."
        )
    check_collection(texts, "transformer.transform([{}])")


def _open(source: Any, precision: str) -> Elmo:
    is_source = isinstance(source, str | os.PathLike | None)
    if not is_source:
        raise ElmoError(f"Expected source as a model's name or path, got {shortened(source)}.")
    # The state of the files is part of the key of the cache, so that new files are read again.
    path = None if source is None else Path(source).absolute()
    if path is None or not path.exists():  # the bundled model, or a name
        return _opened(source, precision, ())
    files = [path] if path.is_file() else sorted(path.iterdir())
    return _opened(path, precision, tuple(_state(file) for file in files))


def _state(file: Path) -> tuple[str, int, int]:
    stat = file.stat()
    return file.name, stat.st_size, stat.st_mtime_ns


@functools.lru_cache(maxsize=_N_OPEN)
def _opened(source: Any, precision: str, state: tuple[Any, ...]) -> Elmo:
    return Elmo(source, precision=precision)
