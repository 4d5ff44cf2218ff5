"""Models of ELMoForManyLangs, which exist for 44 languages (Che et al. 2018, HIT-SCIR).

Token layer and LSTMs are state dicts of torch; two dictionaries say which word and which character
has which vector. Sizes are those of the tensors. Activation, clips and the length of words are in
a configuration that published models do not have beside them, but that their config.json names.
"""

from __future__ import annotations

import contextlib
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...errors import ElmoError, counted
from ...model.alphabet import Alphabet
from ...model.config import ElmoConfig
from ...model.options import MANYLANGS_KEYS, read_manylangs_fields
from ...model.parameters import Path, unflatten
from ...model.spelling import LEXICON_MARKS
from ..containers.model_files import ModelFiles
from ..containers.torch_file import read_state_dict
from ..opened import Opened, config_from
from ..vocabulary import MARKERS, MOST_BYTES, Vocabulary, Words
from .dictionaries import read_dictionary
from .torch_layers import (
    LayerNames,
    Shapes,
    Tensor,
    ToParams,
    fields_from_shapes,
    lstm_tensors,
    read_tensors,
    token_tensors,
)

FORMAT = "ELMoForManyLangs"
EXPECTED = "encoder.pkl and token_embedder.pkl"

_STATE_DICTS = ("token_embedder.pkl", "encoder.pkl")
_CLASSIFIER = "classifier.pkl"
_WORDS, _CHARACTERS = "word.dic", "char.dic"
_COMMAND_LINE, _META = "config.json", "meta.json"  # of the training; of the NLPL repository
_READ = (*_STATE_DICTS, _CLASSIFIER, _WORDS, _CHARACTERS)

_MOST_JSON = 10**6
"""Bytes of a JSON file. Real ones have about 1 kB."""

_LAYERS = LayerNames("convolutions.{}", "highways._layers.{}", "projection", "{}_layer_{}")
_TABLES = {
    _WORDS: "word_emb_layer.embedding.weight",
    _CHARACTERS: "char_emb_layer.embedding.weight",
}
_ENCODER = "lexicon_encoder"

_OTHER_NETWORKS = {
    "encoder.weight_ih_l0": "encoder.name",
    "char_lstm.weight_ih_l0": "token_embedder.name",
}
"""Tensors of networks that are not ELMo's, and what their configuration calls "lstm"."""

_SOFTMAXES = (
    ("column_emb.weight", "column_bias.weight"),  # sampled_softmax
    ("hidden2tag.weight", "hidden2tag.bias"),  # softmax
)
"""The names of a softmax's matrix and bias."""

_FIXED = {"token_layer": "lexicon", "forced_projections": True, "use_skip_connections": True}
_ASSUMED = {
    "activation": "relu",
    "cell_clip": 3.0,
    "proj_clip": 3.0,
    "max_characters_per_token": 50,
}
"""What tensors do not say; both configurations of the package have these values."""

_OF_THE_PACKAGE = ("cnn_50_100_512_4096_sample.json", "cnn_0_100_512_4096_sample.json")
_SIZES_OF_THE_PACKAGE = {"word_dim": 100, "char_embedding_dim": 50}
_SIZES_OF_ORIGINAL = ("filters", "n_highway", "projection_dim", "cell_dim", "n_layers")
"""In which both configurations of the package are as ELMo's original model."""

_SECTIONS = {"encoder", "token_embedder"}
_OWN_OPTIONS = {*_SECTIONS, "classifier"}
"""Keys of the configuration that options.json does not have."""

_MARKER_OF = dict(zip((*LEXICON_MARKS, "<oov>"), MARKERS, strict=True))
"""What bilm-tf calls the words that are no words."""


def recognizes(files: ModelFiles) -> bool:
    """Whether the two state dicts are there."""
    return all(name in files.names for name in _STATE_DICTS)


def read(files: ModelFiles, options: Mapping[str, Any], vocabulary: Words | None = None) -> Opened:
    """A model of ELMoForManyLangs, with its softmax if that was saved.

    Args:
        files: of a folder or archive.
        options: nested as options.json is, or the configuration of the model.
        vocabulary: not needed.

    Raises:
        ElmoError: if the files do not fit each other or are damaged, or if their network is not
            ELMo's.
    """
    source = str(files.source)
    files.paths([name for name in _READ if name in files.names])  # in one pass through an archive
    tensors = _read_state_dicts(files)
    shapes = {name: array.shape for name, array in tensors.items()}
    settings = _find_configuration(files, options)
    if settings is None:
        _refuse_other_networks(shapes, source)
    sizes = _sizes(shapes, source)
    if settings is None:
        settings = _configuration_of_the_package(files, sizes)
    dictionaries = _read_dictionaries(files, shapes)
    _check_fit(files, shapes, sizes, settings, dictionaries)

    configured = {} if settings is None else {name: settings.fields[name] for name in _ASSUMED}
    alphabet = Alphabet(
        dictionaries.get(_WORDS, ()) if sizes["word_dim"] else (),
        dictionaries.get(_CHARACTERS, ()) if sizes["filters"] else (),
    )
    fields = {**sizes, **_FIXED, **_ASSUMED, **configured, "alphabet": alphabet}
    unknown = () if configured else _assumed(sizes)
    others = {key: value for key, value in options.items() if key not in _OWN_OPTIONS}
    config, assumed = config_from(fields, unknown, others, source)
    softmax = _find_softmax(files, config, dictionaries.get(_WORDS))
    expected = [*_token_tensors(config), *lstm_tensors(config, _LAYERS), *softmax.expected]
    params = unflatten(read_tensors({**tensors, **softmax.tensors}, expected, source))
    remarks = _remarks(files, settings, softmax)
    return Opened(config, params, FORMAT, assumed, softmax.words, remarks)


def _read_state_dicts(files: ModelFiles) -> dict[str, np.ndarray]:
    tensors: dict[str, np.ndarray] = {}
    for name in _STATE_DICTS:
        new = read_state_dict(files.path(name), files.label(name))
        if both := sorted(tensors.keys() & new.keys()):
            raise ElmoError(
                f"{files.source} has {', '.join(both[:4])} in each of {' and '.join(_STATE_DICTS)}."
                " Are these the same file?"
            )
        tensors |= new
    return tensors


# The configuration


class _Configuration(NamedTuple):
    fields: Mapping[str, Any]  # of an ElmoConfig
    source: str  # where they come from, for errors and remarks


def _find_configuration(files: ModelFiles, options: Mapping[str, Any]) -> _Configuration | None:
    """What the user says, or what config.json names, if that is among the files.

    The original looks for it under the path, which mostly is one on another machine, and then for
    a file of that name in the folder of the model.
    """
    if _SECTIONS & options.keys():
        own = {key: value for key, value in options.items() if key not in ("lstm", "char_cnn")}
        return _Configuration(read_manylangs_fields(own, "options"), "options")
    path = _named_configuration(files)
    for name in (posixpath.normpath(path), posixpath.basename(path)):
        if name in files.names:
            source = files.label(name)
            return _Configuration(
                read_manylangs_fields(files.read_json(name, _MOST_JSON), source), source
            )
    return None


def _configuration_of_the_package(
    files: ModelFiles, sizes: Mapping[str, Any]
) -> _Configuration | None:
    """That of the same name in the package itself, where the original looks at last.

    All published models are of its sizes. One of others was not made with it.
    """
    name = posixpath.basename(_named_configuration(files))
    original = ElmoConfig.preset("original")
    of_the_package = {field: getattr(original, field) for field in _SIZES_OF_ORIGINAL}
    if name in _OF_THE_PACKAGE and sizes == of_the_package | _SIZES_OF_THE_PACKAGE:
        return _Configuration({**sizes, **_ASSUMED}, f"{name} of the package elmoformanylangs")
    return None


def _named_configuration(files: ModelFiles) -> str:
    """The path that config.json has, with slashes; "" if there is none."""
    if _COMMAND_LINE not in files.names:
        return ""
    path = files.read_json(_COMMAND_LINE, _MOST_JSON).get("config_path")
    return path.replace("\\", "/") if isinstance(path, str) else ""


def _refuse_other_networks(shapes: Shapes, source: str) -> None:
    for tensor, key in _OTHER_NETWORKS.items():
        if tensor in shapes:
            raise ElmoError(
                f"{source} was made with {key} 'lstm', which is another network than ELMo's and "
                "cannot be read."
            )


# What the tensors and dictionaries say


def _sizes(shapes: Shapes, source: str) -> dict[str, Any]:
    sizes = fields_from_shapes(shapes, _LAYERS, source)
    for field, name in (("word_dim", _WORDS), ("char_embedding_dim", _CHARACTERS)):
        shape = shapes.get(_TABLES[name], ())
        sizes[field] = shape[1] if len(shape) == 2 else 0
    return sizes


def _assumed(sizes: Mapping[str, Any]) -> list[str]:
    """The fields that nothing tells, but the activation of convolutions that are not there."""
    return [name for name in _ASSUMED if name != "activation" or sizes["filters"]]


def _read_dictionaries(files: ModelFiles, shapes: Shapes) -> dict[str, tuple[str, ...]]:
    """Those that the model needs, as far as they are there; others may lie beside them."""
    needed = [name for name, table in _TABLES.items() if table in shapes]
    if _CLASSIFIER in files.names and _WORDS not in needed:
        needed.append(_WORDS)
    return {
        name: read_dictionary(files.read(name, _most_bytes(name, shapes)), files.label(name))
        for name in needed
        if name in files.names
    }


def _most_bytes(name: str, shapes: Shapes) -> int:
    """How large the dictionary of a table may be: a line takes about ten bytes."""
    shape = shapes.get(_TABLES[name], ())
    return min(MOST_BYTES, 10**6 + 200 * shape[0]) if shape else MOST_BYTES


def _check_fit(
    files: ModelFiles,
    shapes: Shapes,
    sizes: Mapping[str, Any],
    settings: _Configuration | None,
    dictionaries: Mapping[str, Sequence[str]],
) -> None:
    """Raise ElmoError if configuration, tensors and dictionaries are not those of one model."""
    problems = [] if settings is None else list(_differences(sizes, settings))
    for name, table in _TABLES.items():
        if table not in shapes:
            continue
        n_rows = shapes[table][0] if shapes[table] else 0
        if name not in dictionaries:
            problems.append(f"{name} is missing; it says what the {n_rows:,} rows of {table} are")
        elif len(dictionaries[name]) != n_rows:
            problems.append(
                f"{files.label(name)} has {counted(len(dictionaries[name]), 'token')}, but {table} "
                f"has {n_rows:,} rows (size mismatch: is it another model's dictionary?)"
            )
    if problems:
        listed = "".join(f"\n  {problem}" for problem in problems)
        raise ElmoError(
            f"{files.source}: the files are not those of one model "
            f"({counted(len(problems), 'problem')}):{listed}"
        )


def _differences(sizes: Mapping[str, Any], settings: _Configuration) -> Iterator[str]:
    configured = settings.fields
    for field, size in sizes.items():
        if field == "n_highway" and configured["char_embedding_dim"] == 0:
            continue  # without characters there are no highway layers, whatever their number is
        if configured[field] != size:
            key = MANYLANGS_KEYS[field][0]
            value = f"{configured[field]!r:.200}"
            yield f"{settings.source} has {key} {value}, but the tensors have {size}"


def _token_tensors(config: ElmoConfig) -> Iterator[Tensor]:
    alphabet = config.alphabet
    assert alphabet is not None
    if config.word_dim:
        shape = (len(alphabet.words), config.word_dim)
        yield Tensor(_TABLES[_WORDS], shape, _to((_ENCODER, "word_embedding")))
    if config.filters:
        shape = (len(alphabet.characters), config.char_embedding_dim)
        yield Tensor(_TABLES[_CHARACTERS], shape, _to((_ENCODER, "char_embedding")))
    yield from token_tensors(config, _LAYERS, _ENCODER)


def _to(path: Path) -> ToParams:
    return lambda array: {path: array}


# The softmax, which published models lack


class _Softmax(NamedTuple):
    tensors: Mapping[str, np.ndarray]
    expected: Sequence[Tensor]
    words: Vocabulary | None
    left_out: str | None  # why, if there is one that cannot be used


_NONE = _Softmax({}, (), None, None)


def _find_softmax(files: ModelFiles, config: ElmoConfig, words: Sequence[str] | None) -> _Softmax:
    """The softmax over the words of word.dic that classifier.pkl may have."""
    if _CLASSIFIER not in files.names:
        return _NONE
    tensors = read_state_dict(files.path(_CLASSIFIER), files.label(_CLASSIFIER))
    names = next((names for names in _SOFTMAXES if names[0] in tensors), None)
    if names is None:
        return _NONE._replace(left_out="it spells the words that it predicts (cnn_softmax)")
    if words is None:
        return _NONE._replace(left_out=f"{_WORDS} is missing, which has its words")
    kernel, bias = (tensors.get(name, np.empty(0)) for name in names)
    shape = (len(words), config.projection_dim)
    if kernel.shape != shape:
        return _NONE._replace(left_out=f"{names[0]} has shape {kernel.shape}, expected {shape}")
    if bias.size != len(words):
        left_out = f"{names[1]} has {bias.size:,} numbers, expected {len(words):,}"
        return _NONE._replace(left_out=left_out)
    if taken := [marker for marker in MARKERS if marker in words]:
        return _NONE._replace(left_out=f"{_WORDS} has {taken[0]} as a word of the text")
    try:
        renamed = Vocabulary([_MARKER_OF.get(word, word) for word in words], files.label(_WORDS))
    except ElmoError as error:
        return _NONE._replace(left_out=str(error))
    expected = [
        Tensor(names[0], shape, _to(("softmax", "kernel"))),
        Tensor(names[1], bias.shape, lambda array: {("softmax", "bias"): array.reshape(-1)}),
    ]
    return _Softmax({name: tensors[name] for name in names}, expected, renamed, None)


def _remarks(
    files: ModelFiles, settings: _Configuration | None, softmax: _Softmax
) -> dict[str, Any]:
    """Where the model comes from, and what was left out, ready for JSON."""
    # The training texts are Universal Dependencies' raw ones: punctuation stands alone.
    remarks: dict[str, Any] = {"tokenizer": "words"}
    if settings is not None:
        remarks["configuration"] = settings.source
    if softmax.left_out is not None:
        remarks["left_out"] = f"the softmax in {_CLASSIFIER}: {softmax.left_out}"
    for key, name in (("training_options", _COMMAND_LINE), ("meta", _META)):
        if name in files.names:
            with contextlib.suppress(ElmoError):  # the model can do without
                remarks[key] = files.read_json(name, _MOST_JSON)
    return remarks
