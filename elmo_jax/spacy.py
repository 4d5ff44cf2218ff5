"""ELMo vectors for the tokens, spans and docs of spaCy (extra ``spacy``).

Example:
    >>> import spacy
    >>> nlp = spacy.blank("en")
    >>> nlp.add_pipe("elmo_jax")
    >>> nlp("She sat by the bank.").tensor.shape
    (6, 256)

Where elmo-jax is installed, spaCy finds "elmo_jax" by itself, and imports this module for every
pipeline that it makes: nothing here loads JAX before a component is added.
"""

from __future__ import annotations

import dataclasses
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import ElmoError, missing_package, shortened
from .forking import check_process
from .text.tokenizers import CheckedWords

try:  # spaCy, not this module: imports are absolute
    from spacy.language import Language
    from spacy.tokens import Doc, Span, Token
    from spacy.util import from_bytes, minibatch, raise_error, to_bytes
except ImportError:
    raise missing_package("spacy", "elmo_jax.spacy", "spacy") from None

if TYPE_CHECKING:
    from .checkpoint import Opened
    from .embedder import Elmo
    from .model.layers import Layers

_LAYERS = "elmo_layers"
"""The key of ``Doc.user_data`` that holds all layers."""

_opening = threading.Lock()


class ElmoComponent:
    """The component "elmo_jax", which gives each token of a doc its ELMo vector.

    ``nlp.add_pipe("elmo_jax", config={"model": …, "layers": …, "precision": …})`` makes one.

    It sets ``doc.tensor``, float32 [T, D], one row per token, which ``vector``, ``vector_norm``,
    ``has_vector`` and ``similarity`` of the doc, its spans and its tokens then use. The vector of a
    span or a doc is the mean over its tokens. ``doc._.elmo`` is what ``Elmo.embed`` gives, as
    ``span._.elmo`` and ``token._.elmo`` are: [T, D], and for ``layers="all"`` [L, T, D], in which
    case ``doc.tensor`` is the mean of the layers.

    The words are spaCy's tokens. Tokens of whitespace have zeros, do not count in a mean, and are
    not shown to the model. If a doc has sentence boundaries, each sentence is embedded for itself;
    otherwise the whole doc is one sentence.

    The model is opened when the first doc comes. A pipeline that is saved has its model inside.

    Args:
        name: of the component in its pipeline.
        model: a model as ``elmo_jax.load`` takes it; None for mini.
        layers: "average", "top", a layer's number (0 is the token layer), "mix", or "all".
        precision: of the matrix products: "float32", "tf32" or "bfloat16".

    Raises:
        ElmoError: for an unknown name of layers or precision; when the first doc comes, if there is
            no such model or layer.
    """

    def __init__(
        self,
        name: str = "elmo_jax",
        *,
        model: str | None = None,
        layers: Layers = "average",
        precision: str = "float32",
    ) -> None:
        from .checkpoint import is_model_path
        from .model.layers import LAYER_NAMES
        from .model.precision import check_precision

        is_number = hasattr(layers, "__index__") and not isinstance(layers, bool)
        if not (is_number or (isinstance(layers, str) and layers in LAYER_NAMES)):
            raise ElmoError(
                f"Unknown layers={shortened(layers)}: expected one of "
                f"{', '.join(map(repr, LAYER_NAMES))}, or the number of a layer."
            )
        check_precision(precision)
        self.name, self.layers, self.precision = name, layers, precision
        is_path = model is not None and is_model_path(Path(model))
        self._source = str(Path(model).absolute()) if model and is_path else model
        self._saved: Opened | None = None  # the model that came with a saved pipeline
        self._elmo: Elmo | None = None
        self._handle_error: Callable[..., Any] = raise_error
        _add_extensions()

    @property
    def elmo(self) -> Elmo:
        """The model, which is opened on first use.

        Raises:
            ElmoError: if there is no such model, or this process was forked after JAX was in use.
        """
        from .embedder import Elmo

        try:
            check_process()  # before the lock: a thread of the parent process may hold it
        except ElmoError as error:
            raise ElmoError(
                f'{error} For nlp.pipe(n_process=…): multiprocessing.set_start_method("spawn") at '
                "the start of the program, or embed nothing before; or leave n_process out, since "
                "one process uses all cores."
            ) from None
        with _opening:
            if self._elmo is None:
                opened = self._model()
                choices = {"precision": self.precision, "tokenizer": opened.tokenizer}
                self._elmo = Elmo.from_params(opened.config, opened.params, **choices)
        return self._elmo

    def _model(self) -> Opened:
        from .checkpoint import open_source

        return self._saved or open_source(self._source)

    # Embedding

    def __call__(self, doc: Doc) -> Doc:
        """Set the vectors of one doc, and return it."""
        self._embed([doc])
        return doc

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Set the vectors of a stream of docs, ``batch_size`` of them at a time."""
        for docs in minibatch(stream, batch_size):  # type: ignore[no-untyped-call]
            try:
                self._embed(docs)
            except Exception as error:
                self._handle_error(self.name, self, docs, error)
            else:
                yield from docs

    def _embed(self, docs: Sequence[Doc]) -> None:
        sentences = [_sentences(doc) for doc in docs]
        words = [
            CheckedWords(doc[i].text for i in indices)  # whitespace inside a token is meant
            for doc, of_doc in zip(docs, sentences, strict=True)
            for indices in of_doc
        ]
        vectors = iter(self.elmo.embed(words, self.layers))
        for doc, of_doc in zip(docs, sentences, strict=True):
            parts = [next(vectors) for _ in of_doc]
            *n_layers, _, dim = parts[0].shape
            rows = np.zeros((*n_layers, len(doc), dim), np.float32)
            for indices, part in zip(of_doc, parts, strict=True):
                rows[..., indices, :] = part
            doc.user_data.pop(_LAYERS, None)
            if n_layers:
                doc.user_data[_LAYERS] = rows
            doc.tensor = rows.mean(axis=0) if n_layers else rows
            set_hooks(doc)

    # What spaCy calls

    def set_error_handler(self, error_handler: Callable[..., Any]) -> None:
        """Let ``error_handler`` decide what becomes of docs that cannot be embedded."""
        self._handle_error = error_handler

    def to_disk(self, path: str | Path, *, exclude: Sequence[str] = ()) -> None:
        """Save the model as a native folder, without the softmax that only training needs.

        Raises:
            ElmoError: if the disk cannot take it.
        """
        from .checkpoint import save_opened

        opened = self._model()
        params = {name: part for name, part in opened.params.items() if name != "softmax"}
        save_opened(Path(path), dataclasses.replace(opened, params=params), {}, overwrite=True)

    def from_disk(self, path: str | Path, *, exclude: Sequence[str] = ()) -> ElmoComponent:
        """Take the model in a folder instead of the one in the configuration.

        Raises:
            ElmoError: if its files have problems.
        """
        from .checkpoint import open_source

        # Into memory at once: the folder may be gone or another one when the first doc comes.
        self._saved, self._elmo = open_source(path), None
        return self

    def to_bytes(self, *, exclude: Sequence[str] = ()) -> bytes:
        """The files that ``to_disk`` writes, as bytes."""
        with tempfile.TemporaryDirectory() as parent:
            folder = Path(parent) / "model"
            self.to_disk(folder)
            return to_bytes({path.name: path.read_bytes for path in folder.iterdir()}, ())

    def from_bytes(self, content: bytes, *, exclude: Sequence[str] = ()) -> ElmoComponent:
        """Take the model from what ``to_bytes`` gave.

        Raises:
            ElmoError: if the model in it is damaged.
        """
        from .checkpoint.formats import MODEL_FILES

        with tempfile.TemporaryDirectory() as folder:
            from_bytes(
                content, {name: (Path(folder) / name).write_bytes for name in MODEL_FILES}, ()
            )
            return self.from_disk(folder)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_elmo": None}  # opened anew where the pickle is loaded


@Language.factory(
    "elmo_jax",
    assigns=["doc.tensor"],
    default_config={"model": None, "layers": "average", "precision": "float32"},
)
def make_component(
    nlp: Language, name: str, model: str | None, layers: Any, precision: str
) -> ElmoComponent:
    """The factory of the component, which spaCy finds through its entry point."""
    return ElmoComponent(name, model=model, layers=layers, precision=precision)


def _sentences(doc: Doc) -> list[list[int]]:
    """The numbers of the tokens of each sentence, without whitespace; at least one sentence."""
    spans = doc.sents if doc.has_annotation("SENT_START") else [doc]
    return [[token.i for token in span if not token.is_space] for span in spans] or [[]]


# What docs, spans and tokens answer. Functions of a module, so that docs can be pickled.


def set_hooks(doc: Doc) -> Doc:
    """Let a doc, its spans and its tokens use the vectors in ``doc.tensor``, and return the doc.

    The component does this. spaCy keeps ``doc.tensor``, but not these hooks, in ``Doc.to_bytes``
    and ``nlp.pipe(n_process=2)``; without them ``similarity`` is 1 for equal words. A ``DocBin``
    keeps neither.

    Raises:
        ElmoError: if ``doc.tensor`` does not have one row per token.

    Example:
        >>> docs = [set_hooks(doc) for doc in nlp.pipe(texts, n_process=2)]
    """
    _tensor_of(doc)
    _add_extensions()
    same: dict[str, Callable[..., Any]] = {"has_vector": _has_vector, "similarity": _similarity}
    doc.user_hooks.update(same, vector=_mean, vector_norm=_norm)
    # No vector_norm: spaCy calls the hook "vector" in its place. Its own norm is right.
    doc.user_span_hooks.update(same, vector=_mean)
    doc.user_token_hooks.update(same, has_vector=_is_word, vector=_row, vector_norm=_norm)
    return doc


def _tensor_of(doc: Doc) -> np.ndarray:
    return _with_row_per_token(doc.tensor, doc)


def _with_row_per_token(vectors: Any, doc: Doc) -> np.ndarray:
    """``vectors``, after a check: [..., T, D]."""
    if vectors.ndim < 2 or vectors.shape[-2] != len(doc):
        raise ElmoError(
            f"The doc has {len(doc)} tokens, and its vectors have the shape {vectors.shape}: "
            "expected one row per token. If tokens were merged or split after elmo_jax, put the "
            "component that does it before; or embed the doc again: nlp.get_pipe('elmo_jax')(doc)."
        )
    array: np.ndarray = vectors
    return array


def _is_word(token: Token) -> bool:
    return not token.is_space


def _has_vector(tokens: Doc | Span) -> bool:
    return any(map(_is_word, tokens))


def _row(token: Token) -> np.ndarray:
    row_D: np.ndarray = _tensor_of(token.doc)[token.i]
    return row_D


def _mean(tokens: Doc | Span) -> np.ndarray:
    """The mean of the rows of words, [D]; zeros if there are none."""
    of_tokens = slice(None) if isinstance(tokens, Doc) else slice(tokens.start, tokens.end)
    rows_TD = _tensor_of(tokens.doc)[of_tokens]
    words_TD = rows_TD[[_is_word(token) for token in tokens]]
    mean_D: np.ndarray = words_TD.sum(axis=0) / np.float32(max(1, len(words_TD)))
    return mean_D


def _norm(part: Doc | Token) -> float:
    return float(np.linalg.norm(np.asarray(part.vector)))


def _similarity(part: Doc | Span | Token, other: Any) -> float:
    """The cosine of two vectors; 0 if one of them is zero."""
    a, b = np.asarray(part.vector, np.float64), np.asarray(other.vector, np.float64)
    if a.shape != b.shape:
        raise ElmoError(
            f"Cannot compare a vector of {a.size} numbers with the {b.size} of "
            f"{shortened(other)}: expected a doc, span or token of a pipeline with the same model."
        )
    norms = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / norms) if norms else 0.0


def _add_extensions() -> None:
    """Add ``_.elmo``, unless the user has an extension of that name."""
    of_kind: dict[Any, Callable] = {Doc: _elmo_of_doc, Span: _elmo_of_span, Token: _elmo_of_token}
    for kind, getter in of_kind.items():
        if not kind.has_extension("elmo"):
            kind.set_extension("elmo", getter=getter)


def _elmo_of_doc(doc: Doc) -> np.ndarray:
    return _with_row_per_token(doc.user_data.get(_LAYERS, doc.tensor), doc)


def _elmo_of_span(span: Span) -> np.ndarray:
    return _elmo_of_doc(span.doc)[..., span.start : span.end, :]


def _elmo_of_token(token: Token) -> np.ndarray:
    return _elmo_of_doc(token.doc)[..., token.i, :]
