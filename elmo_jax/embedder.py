"""Elmo: a model with the machinery to embed sentences, texts and words."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Generator, Iterable, Iterator, MutableSequence, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from .checkpoint.loading import load
from .engine import Engine, Request
from .errors import ElmoError
from .forking import check_process
from .lanes.devices import check_devices
from .model.config import ElmoConfig
from .model.layers import Layers, check_pooling, select_layers
from .model.parameters import Params, check_params, model_digest
from .model.precision import check_precision
from .text.cut_words import CutWords
from .text.sentences import check_not_a_string, check_sentences, check_strings, checked, tokenize
from .text.tokenizers import Tokenizer

DTYPES = ("float32", "float16")

_Path = str | os.PathLike[str]

_NOTHING = np.zeros(0)


class Elmo:
    """An ELMo, ready to use.

    Deterministic and without memory: what it returns for a sentence depends on that sentence
    alone, up to float32 rounding (a few 1e-6): which lanes a call has decides the last bits. The
    same call gives the same bits, see ``forget_words``. It keeps the token vectors of words it has
    seen, and takes sentences in any number and of any length through a few compiled shapes.
    Threads may share it.

    It never changes, so ``copy.deepcopy`` gives itself. A pickle names the files and has them
    read again where it is loaded; if they hold another model by then, the first use of the Elmo
    raises ElmoError. The pickle of an Elmo ``from_params`` holds the parameters. It names
    ``devices`` by platform and number; where these are not all there, the Elmo takes the usual
    ones.

    Args:
        source: a folder, a zip or a published model's name, see ``load``.
        options_file: options.json of the published format, together with ``weight_file``.
        weight_file: the HDF5 file of the published format.
        precision: of the matrix products: "float32", "tf32" or "bfloat16".
        devices: JAX devices that share the work; None for all local ones.

    Attributes:
        config: the architecture.
        params: the parameters on the device, for the functions.
        precision: of the matrix products.

    Raises:
        ElmoError: if there is no such model, or its files have problems.

    Example:
        >>> elmo = elmo_jax.Elmo(options_file="options.json", weight_file="weights.hdf5")
        >>> [vectors.shape for vectors in elmo.embed([["The", "bank", "."], ["Hi"]])]
        [(3, 3, 1024), (3, 1, 1024)]
    """

    config: ElmoConfig
    params: dict[str, Any]
    precision: str
    _failure: str | None = None

    def __init__(
        self,
        source: str | os.PathLike[str] | None = None,
        *,
        options_file: str | os.PathLike[str] | None = None,
        weight_file: str | os.PathLike[str] | None = None,
        precision: str = "float32",
        devices: Sequence[jax.Device] | None = None,
    ) -> None:
        check_process()
        check_precision(precision)
        check_devices(devices)
        files: dict[str, _Path | None]
        files = {"source": source, "options_file": options_file, "weight_file": weight_file}
        config, params = load(**files)
        self._set_up(config, params, precision, devices, files)

    @classmethod
    def from_params(
        cls,
        config: ElmoConfig,
        params: Params,
        *,
        precision: str = "float32",
        devices: Sequence[jax.Device] | None = None,
    ) -> Elmo:
        """An Elmo of parameters that are in memory already.

        Raises:
            ElmoError: if ``params`` does not fit ``config``.
        """
        check_precision(precision)
        check_devices(devices)
        check_params(config, params)
        return cls._made(config, params, precision, devices, None)

    @classmethod
    def _made(cls, *parts: Any) -> Elmo:
        elmo = cls.__new__(cls)
        elmo._set_up(*parts)
        return elmo

    def _set_up(
        self,
        config: ElmoConfig,
        params: Params,
        precision: str,
        devices: Sequence[jax.Device] | None,
        files: dict[str, _Path | None] | None,
    ) -> None:
        check_process()
        self.config, self.precision = config, precision
        self._devices = devices
        self._files = files and {name: _absolute(path) for name, path in files.items()}
        self.params = jax.device_put(dict(params), devices[0] if devices else None)
        self._engine = Engine(config, self.params, precision, devices=devices)

    def __getattr__(self, name: str) -> Any:
        """Of a pickle that could not be opened here, say why as soon as it is used.

        Raised while it is unpickled, the error would be lost in a ``multiprocessing.Pool``, which
        then waits for ever.
        """
        failure = self.__dict__.get("_failure")
        if failure is None or name.startswith("__"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        raise ElmoError(failure)

    def __copy__(self) -> Elmo:
        """Itself: an Elmo never changes."""
        return self

    def __deepcopy__(self, memo: Any) -> Elmo:
        """Itself: an Elmo never changes."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Of files, their place and a digest; of parameters in memory, the parameters."""
        devices = self._devices and [(device.platform, device.id) for device in self._devices]
        choices = self.precision, devices
        if self._files is not None:
            return _open_again, (type(self), self._files, self._digest, *choices)
        params = jax.tree.map(np.asarray, self.params)
        return _make_again, (type(self), self.config, params, *choices)

    @functools.cached_property
    def _digest(self) -> str:
        return model_digest(self.config, self.params)

    def stream(
        self,
        sentences: Iterable[Sequence[str]],
        layers: Layers = "all",
        *,
        pooling: str | None = None,
        mix_weights: Any = None,
        mix_gamma: Any = 1.0,
        dtype: str = "float32",
        cut_words: CutWords | None = None,
    ) -> Iterator[np.ndarray]:
        """Embed any number of sentences, one result after the other, in bounded memory.

        Args:
            sentences: an iterable of lists of words; an empty string is no word. It is read as
                results are taken.
            layers: "all", "average", "top", a layer's number (0 is the token layer), or "mix".
                Layers above the highest that is needed are not computed.
            pooling: None for a vector a token; "mean" or "max" for one a sentence.
            mix_weights: for "mix", L unnormalised weights, as a ``ScalarMix`` trains them.
            mix_gamma: for "mix", the scale.
            dtype: of the results: "float32" or "float16".
            cut_words: counts the words that are longer than the model reads, for a caller who
                warns of them in a way of his own; there is no warning then.

        Yields:
            In the order of the sentences, [T, D], or [L, T, D] for all layers; pooled [D] or
            [L, D]. An empty sentence gives T = 0, and pooled zeros.

        Raises:
            ElmoError: at once for an unknown name; on its turn for a bad sentence.

        Warns:
            WordsCutWarning: once, as soon as words come that are longer than the model reads.
        """
        request = self._request(layers, pooling, mix_weights, mix_gamma, dtype)
        check_not_a_string(sentences)
        if cut_words is not None:
            return self._engine.run(checked(sentences), request, cut_words)
        cut = self._count_of_cut_words()
        return _warn_once(self._engine.run(checked(sentences), request, cut), cut)

    def embed(
        self,
        sentences: Iterable[Sequence[str]],
        layers: Layers = "all",
        *,
        mix_weights: Any = None,
        mix_gamma: Any = 1.0,
        dtype: str = "float32",
    ) -> list[np.ndarray]:
        """Embed sentences, a vector for each token.

        Args:
            sentences: lists of words, which are taken as they are; an empty string is no word.
            layers: as in ``stream``.
            mix_weights: as in ``stream``.
            mix_gamma: as in ``stream``.
            dtype: as in ``stream``.

        Returns:
            For each sentence, in order: float32 [L, T, D], or [T, D] unless ``layers="all"``.

        Raises:
            ElmoError: for an unknown name or a bad sentence; nothing has been computed then.

        Warns:
            WordsCutWarning: if words are longer than the model reads.

        Example:
            >>> [v.shape for v in elmo.embed([["The", "bank", "."], []], layers="average")]
            [(3, 1024), (0, 1024)]
        """
        request = self._request(layers, None, mix_weights, mix_gamma, dtype)
        listed = _listed(sentences)
        results: list[np.ndarray] = [_NOTHING] * len(listed)
        self._run_all(listed, request, results)
        return results

    def embed_sentences(
        self,
        texts: Iterable[str | Sequence[str]],
        layers: Layers = "average",
        pooling: str = "mean",
        *,
        tokenizer: Tokenizer | str | None = None,
        mix_weights: Any = None,
        mix_gamma: Any = 1.0,
        dtype: str = "float32",
    ) -> np.ndarray:
        """One vector a sentence, pooled over its tokens.

        Args:
            texts: strings, which are split, and lists of words, which are taken as they are.
            layers: as in ``stream``.
            pooling: "mean" or "max".
            tokenizer: string to words, or a name ("words", "nltk", "spacy", see
                ``tokenizer_named``); splits on whitespace if None.
            mix_weights: as in ``stream``.
            mix_gamma: as in ``stream``.
            dtype: as in ``stream``.

        Returns:
            float32 [B, D], or [B, L, D] for ``layers="all"``; zeros for an empty sentence.

        Raises:
            ElmoError: for an unknown name or a bad text; nothing has been computed then.

        Warns:
            WordsCutWarning: if words are longer than the model reads.

        Example:
            >>> elmo.embed_sentences(["The bank .", ["Hi"]]).shape
            (2, 1024)
        """
        check_pooling(pooling)
        request = self._request(layers, pooling, mix_weights, mix_gamma, dtype)
        listed = _listed(tokenize(texts, tokenizer))
        results = np.empty((len(listed), *request.shape(self.config, 0)), dtype)
        self._run_all(listed, request, results)
        return results

    def get_word_embeddings(self, items: Sequence[str]) -> np.ndarray | list[np.ndarray]:
        """Vectors of the words of one sentence, or of several sentences given as strings.

        Args:
            items: strings. Without whitespace in any, they are the words of one sentence; else
                each is a sentence of its own, which is split on whitespace.

        Returns:
            For words float32 [T, L, D], so that ``[i][1]`` is word i in the first biLM layer;
            for sentences a list of float32 [L, T, D].

        Raises:
            ElmoError: if ``items`` is not a list of strings.

        Example:
            >>> elmo.get_word_embeddings(["The", "quick", "fox"]).shape
            (3, 3, 1024)
            >>> elmo.get_word_embeddings(["The quick fox"])[0].shape
            (3, 3, 1024)
        """
        check_strings(items, "the words")
        if any(character.isspace() for item in items for character in item):
            return self.embed(list(tokenize(items)))
        return np.ascontiguousarray(self.embed([items])[0].swapaxes(0, 1))

    def forget_words(self) -> None:
        """Drop the token vectors of the words seen so far.

        What is computed next is then the same to the last bit, whatever was computed before:
        words that are new together are spelled together, and the size of such a batch may decide
        on a last bit. Streams that are under way keep their words.
        """
        self._engine.forget_words()

    def _run_all(
        self,
        sentences: Sequence[Sequence[str]],
        request: Request,
        results: MutableSequence | np.ndarray,
    ) -> None:
        cut = self._count_of_cut_words()
        self._engine.run_all(sentences, request, results, cut)
        cut.warn()

    def _count_of_cut_words(self) -> CutWords:
        return CutWords(self.config.max_characters_per_token)

    def _request(
        self, layers: Layers, pooling: str | None, mix_weights: Any, mix_gamma: Any, dtype: str
    ) -> Request:
        if pooling is not None:
            check_pooling(pooling)
        if dtype not in DTYPES:
            raise ElmoError(f"Unknown dtype {dtype!r}: expected one of {', '.join(DTYPES)}.")
        selection, shares = select_layers(layers, self.config, mix_weights, mix_gamma)
        return Request(selection, shares, pooling, dtype)


def _warn_once(results: Generator[np.ndarray, None, None], cut: CutWords) -> Iterator[np.ndarray]:
    """The results; warns when the first words that are cut have been read."""
    with contextlib.closing(results):  # so that an interrupt while it closes is not lost
        for result in results:
            if cut.n_cut:
                cut.warn(so_far=True)
                yield result
                break
            yield result
        yield from results


def _absolute(path: _Path | None) -> _Path | None:
    """The same from any working folder; a model's name stays as it is."""
    return Path(path).absolute() if path is not None and Path(path).exists() else path


def _open_again(
    kind: type[Elmo],
    files: dict[str, _Path | None],
    digest: str,
    precision: str,
    devices: list[tuple[str, int]] | None,
) -> Elmo:
    """From the pickle of an Elmo that was opened from files."""
    try:
        check_process()
        config, params = load(**files)
        if model_digest(config, params) != digest:
            names = " and ".join(str(path) for path in files.values() if path is not None)
            raise ElmoError(
                f"The model {names or 'mini'} is another one than when this Elmo was pickled. Open "
                "it anew and pickle that; or pickle an Elmo.from_params(config, params), which "
                "takes its parameters along."
            )
        return kind._made(config, params, precision, _devices_here(devices), files)
    except ElmoError as error:
        return _unusable(kind, error)


def _make_again(
    kind: type[Elmo],
    config: ElmoConfig,
    params: Params,
    precision: str,
    devices: list[tuple[str, int]] | None,
) -> Elmo:
    """From the pickle of an Elmo of parameters in memory."""
    try:
        check_process()
        return kind._made(config, params, precision, _devices_here(devices), None)
    except ElmoError as error:
        return _unusable(kind, error)


def _unusable(kind: type[Elmo], error: ElmoError) -> Elmo:
    """An Elmo that raises the error when it is used."""
    elmo = kind.__new__(kind)
    elmo._failure = str(error)
    return elmo


def _devices_here(names: list[tuple[str, int]] | None) -> list[jax.Device] | None:
    """The devices of that platform and number; None, for the usual ones, unless all are here."""
    if names is None:
        return None
    check_process()
    try:
        local = {device.id: device for device in jax.local_devices(backend=names[0][0])}
    except RuntimeError:  # no such platform
        return None
    numbers = [number for _, number in names]
    return [local[number] for number in numbers] if {*numbers} <= local.keys() else None


def _listed(sentences: Iterable[Sequence[str]]) -> list[Sequence[str]]:
    check_not_a_string(sentences)
    listed = list(sentences)
    check_sentences(listed)
    return listed
