"""Elmo: a model with the machinery to embed sentences, texts and words."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Generator, Iterable, Iterator, Mapping, MutableSequence, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from .checkpoint import Alignment, Options, is_model_path, load, open_source
from .engine import Engine, Request, Stream
from .engine.layer_maps import maps_for
from .errors import ElmoError, WhitespaceWarning, shortened, warn
from .forking import check_process
from .lanes.devices import check_devices
from .model.config import ElmoConfig, dtype_name
from .model.layers import Layers, check_pooling, select_layers
from .model.parameters import Params, check_finite_params, check_params, model_digest
from .model.precision import check_precision
from .model.spelling import word_limit
from .text.cut_words import CutWords, check_cut_words
from .text.sentences import check_collection, check_strings, checked_sentences, tokenize
from .text.tokenizers import DEFAULT, Tokenizer

PathLike = str | os.PathLike[str]

_PLACEHOLDER = np.zeros(0)


class Elmo:
    """An ELMo, ready to use.

    It has no state: the vectors of a sentence depend on that sentence alone, up to float32 rounding
    (a few 1e-6), since the last bits depend on how many lanes a call fills. The same call gives the
    same bits, see ``forget_words``. The token vectors of words are computed once and remembered.
    Sentences of any number and length go through a few compiled shapes. Threads may share an Elmo.

    An Elmo never changes, so a copy is the object itself. A pickle names the model's files, which
    are opened again where it is loaded; if they hold another model by then, the first use of the
    Elmo raises ElmoError. The pickle of an Elmo ``from_params`` holds the parameters. ``devices``
    are pickled by platform and number; if any of them is missing, the default devices are used.

    Args:
        source: a folder, an archive or a published model's name. See ``load`` for this and the
            other arguments that say what to open, up to ``verify``.
        precision: of the matrix products: "float32", "tf32" or "bfloat16".
        devices: JAX devices that share the work; None for all local ones.

    Its ``config`` and ``params``, which are on the device, are what the functions take; its
    ``tokenizer`` is the name of what splits raw text as the model's training text was split, which
    ``tokenizer="auto"`` stands for.

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
    tokenizer: str
    _failure: str | None = None

    def __init__(
        self,
        source: PathLike | None = None,
        *,
        options_file: PathLike | None = None,
        weight_file: PathLike | None = None,
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
        self._set_up(opened.config, opened.params, precision, devices, files, opened.tokenizer)

    @classmethod
    def from_params(
        cls,
        config: ElmoConfig,
        params: Params,
        *,
        precision: str = "float32",
        devices: Sequence[jax.Device] | None = None,
        tokenizer: str = DEFAULT,
    ) -> Elmo:
        """An Elmo with parameters in memory. ``tokenizer`` names what splits raw text for it.

        Raises:
            ElmoError: if they do not fit ``config``, or are no finite floats.
        """
        check_precision(precision)
        check_devices(devices)
        check_params(config, params)
        check_finite_params(params)
        elmo = cls.__new__(cls)
        elmo._set_up(config, params, precision, devices, None, tokenizer)
        return elmo

    def _set_up(
        self,
        config: ElmoConfig,
        params: Params,
        precision: str,
        devices: Sequence[jax.Device] | None,
        files: dict[str, Any] | None,
        tokenizer: str,
    ) -> None:
        check_process()
        self.config, self.precision, self.tokenizer = config, precision, tokenizer
        self._devices = devices
        self._files = files and {name: _absolute(value) for name, value in files.items()}
        # On the device once: every call of a function on host arrays would copy them again.
        self.params = jax.device_put(dict(params), devices[0] if devices else None)
        self._engine = Engine(config, self.params, precision, devices=devices)

    # Embedding

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
            sentences: lists of words, none of them empty; read as results are taken.
            layers: "all", "average", "top", a layer's number (0 is the token layer), or "mix".
                Layers above the highest that is needed are not computed.
            pooling: None for one vector per token; "mean" or "max" for one per sentence.
            mix_weights: for "mix", L unnormalised weights, as a ``ScalarMix`` trains them; None for
                the model's own mix, followed by its output projection if it has one; or the number
                of such a mix.
            mix_gamma: for "mix", the scale.
            dtype: of the results: "float32", or "float16", which holds numbers up to 65,504.
            cut_words: counts words that are longer than the model reads, instead of the warning.

        Yields:
            For each sentence, in order: [T, D], or [L, T, D] for all layers; pooled [D] or [L, D].
            An empty sentence has T = 0, and pooled zeros.

        Raises:
            ElmoError: at once for an unknown name, or a mix that is not finite; for a bad sentence,
                or one with vectors that float16 cannot hold, when its turn comes. After an error or
                an interrupt (Ctrl-C), a stream raises this for every further result.

        Warns:
            WordsCutWarning: once, at the first words that are longer than the model reads.
        """
        request = self._request(layers, pooling, mix_weights, mix_gamma, dtype)
        check_collection(sentences)
        check_cut_words(cut_words)
        if cut_words is not None:
            return Stream(self._engine.run(checked_sentences(sentences), request, cut_words))
        cut = self._cut_words()
        results = self._engine.run(checked_sentences(sentences), request, cut)
        return Stream(_warn_once(results, cut))

    def embed(
        self,
        sentences: Iterable[Sequence[str]],
        layers: Layers = "all",
        *,
        mix_weights: Any = None,
        mix_gamma: Any = 1.0,
        dtype: str = "float32",
    ) -> list[np.ndarray]:
        """Embed sentences, lists of words, with one vector per token. Arguments as in ``stream``.

        Returns:
            For each sentence, in order: [L, T, D], or [T, D] unless ``layers="all"``.

        Raises:
            ElmoError: for an unknown name, a mix that is not finite or a bad sentence, before
                anything is computed; for vectors that float16 cannot hold.

        Warns:
            WordsCutWarning: if words are longer than the model reads.

        Example:
            >>> [v.shape for v in elmo.embed([["The", "bank", "."], []], layers="average")]
            [(3, 1024), (0, 1024)]
        """
        request = self._request(layers, None, mix_weights, mix_gamma, dtype)
        listed = _checked_list(sentences)
        # The engine fills in the results in the order in which they leave the device.
        results: list[np.ndarray] = [_PLACEHOLDER] * len(listed)
        self._fill(results, listed, request)
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
        """Embed texts, with one vector per text, pooled over its tokens ("mean" or "max").

        ``texts`` are lists of words, or strings, which ``tokenizer`` splits: a function, a name
        ("auto" for the model's own, "words", "spacy", see ``tokenizer_named``), or None to split at
        whitespace. For the other arguments see ``stream``.

        Returns:
            [B, D], or [B, L, D] for ``layers="all"``; zeros for an empty text.

        Raises:
            ElmoError: for an unknown name, a mix that is not finite or a bad text, before anything
                is computed; for vectors that float16 cannot hold.

        Warns:
            WordsCutWarning: if words are longer than the model reads.

        Example:
            >>> elmo.embed_sentences(["The bank .", ["Hi"]]).shape
            (2, 1024)
        """
        check_pooling(pooling)
        request = self._request(layers, pooling, mix_weights, mix_gamma, dtype)
        listed = _checked_list(tokenize(texts, tokenizer, self.tokenizer))
        results = np.empty((len(listed), *request.shape(self.config, 0)), request.dtype)
        self._fill(results, listed, request)
        return results

    def get_word_embeddings(self, items: Sequence[str]) -> np.ndarray | list[np.ndarray]:
        """Vectors for the words of one sentence, or for several sentences as strings.

        If no item has whitespace, they are the words of one sentence; otherwise each is a sentence,
        which is split at whitespace. So one word with a space, such as "New York", makes sentences
        of all others, each read by itself. ``embed`` is told which is which: ``embed([words])``.

        Returns:
            For words float32 [T, L, D], so that ``[i][1]`` is word i in the first biLM layer;
            for sentences a list of float32 [L, T, D].

        Raises:
            ElmoError: if ``items`` is not a list of strings.

        Warns:
            WhitespaceWarning: if some items have whitespace and some have none.

        Example:
            >>> elmo.get_word_embeddings(["The", "quick", "fox"]).shape
            (3, 3, 1024)
            >>> elmo.get_word_embeddings(["The quick fox"])[0].shape
            (3, 3, 1024)
        """
        check_strings(items, "the words")
        if spaced := [item for item in items if any(map(str.isspace, item))]:
            _warn_of_single_words(items, spaced[0])
            return self.embed(list(tokenize(items)))
        return np.ascontiguousarray(self.embed([items])[0].swapaxes(0, 1))

    def forget_words(self) -> None:
        """Drop the remembered token vectors; streams in progress keep theirs.

        The next results are then the same to the last bit, whatever was computed before: new
        words are spelled out in batches, and the size of a batch may change a last bit.
        """
        self._engine.forget_words()

    def _request(
        self, layers: Layers, pooling: str | None, mix_weights: Any, mix_gamma: Any, dtype: str
    ) -> Request:
        if pooling is not None:
            check_pooling(pooling)
        dtype = dtype_name(dtype)
        choice = layers, self.config, mix_weights, mix_gamma, self.params
        selection, layer_weights = select_layers(*choice)
        maps = maps_for(self.params, selection)
        return Request(selection, layer_weights, pooling, dtype, maps)

    def _fill(
        self,
        results: MutableSequence | np.ndarray,
        sentences: Sequence[Sequence[str]],
        request: Request,
    ) -> None:
        cut = self._cut_words()
        self._engine.run_all(sentences, request, results, cut)
        cut.warn()

    def _cut_words(self) -> CutWords:
        return CutWords(word_limit(self.config))

    # Copies and pickles

    def __copy__(self) -> Elmo:
        return self

    def __deepcopy__(self, memo: Any) -> Elmo:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        if self._files is None:
            model: Any = self.config, jax.tree.map(np.asarray, self.params)
        else:
            model = self._digest
        devices = self._devices and [(device.platform, device.id) for device in self._devices]
        state = self._files, model, self.precision, devices, self.tokenizer
        return _unpickle, (type(self), *state)

    @functools.cached_property
    def _digest(self) -> str:
        return model_digest(self.config, self.params)

    def __getattr__(self, name: str) -> Any:
        # If this Elmo could not be unpickled, its first use raises why. Raised while unpickling,
        # the error would be lost in a multiprocessing.Pool, which would then wait for ever.
        failure = self.__dict__.get("_failure")
        if failure is None or name.startswith("__"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        raise ElmoError(failure)


def _warn_of_single_words(items: Sequence[str], spaced: str) -> None:
    """Warn if words may have been meant for one sentence, and are read as sentences."""
    single = next((item for item in items if item and not any(map(str.isspace, item))), None)
    if single is not None:
        warn(
            f"{shortened(spaced)} has whitespace, so each item is read as a sentence of its own, "
            f"also {shortened(single)}. For the words of one sentence, write embed([words]); for "
            "sentences, embed([sentence.split() for sentence in sentences]).",
            WhitespaceWarning,
        )


def _unpickle(
    kind: type[Elmo],
    files: dict[str, Any] | None,
    model: Any,
    precision: str,
    devices: list[tuple[str, int]] | None,
    tokenizer: str,
) -> Elmo:
    elmo = kind.__new__(kind)
    try:
        check_process()
        config, params = model if files is None else _load_unchanged(files, model)
        elmo._set_up(config, params, precision, _devices_here(devices), files, tokenizer)
    except ElmoError as error:
        elmo = kind.__new__(kind)  # without what was set up before the error
        elmo._failure = str(error)
    return elmo


def _load_unchanged(files: dict[str, Any], digest: str) -> tuple[ElmoConfig, Params]:
    config, params = load(**files)
    if model_digest(config, params) != digest:
        paths = (files[name] for name in ("source", "options_file", "weight_file"))
        names = " and ".join(str(path) for path in paths if path is not None)
        raise ElmoError(
            f"The model {names or 'mini'} has changed since this Elmo was pickled. Open it again "
            "and pickle that; or pickle an Elmo.from_params(config, params), which takes its "
            "parameters along."
        )
    return config, params


def _devices_here(names: list[tuple[str, int]] | None) -> list[jax.Device] | None:
    """The devices with these platforms and numbers; None, for the default, if any is missing."""
    if names is None:
        return None
    try:
        local = {device.id: device for device in jax.local_devices(backend=names[0][0])}
    except RuntimeError:  # no such platform
        return None
    numbers = [number for _, number in names]
    return [local[number] for number in numbers] if {*numbers} <= local.keys() else None


def _absolute(value: Any) -> Any:
    """The same path from any working folder; whatever is not a path here stays as it is."""
    if isinstance(value, Mapping):
        return {key: _absolute(part) for key, part in value.items()}
    is_path = isinstance(value, str | os.PathLike) and is_model_path(Path(value))
    return Path(value).absolute() if is_path else value


def _warn_once(
    results: Generator[np.ndarray, None, None], cut: CutWords
) -> Generator[np.ndarray, None, None]:
    with contextlib.closing(results):  # so that an interrupt while it closes is not lost
        for result in results:
            if cut.n_cut:
                cut.warn(so_far=True)
                yield result
                break
            yield result
        yield from results


def _checked_list(sentences: Iterable[Sequence[str]]) -> list[Sequence[str]]:
    check_collection(sentences)
    return list(checked_sentences(sentences))
