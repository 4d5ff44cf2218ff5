"""The published format: options.json and one HDF5 file, apart, in a folder, or in an archive."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import ElmoError, counted, shortened
from ..json_text import parse_json
from ..model.alphabet import Alphabet
from ..model.config import ElmoConfig
from ..model.options import read_fields
from .containers.model_files import ModelFiles
from .formats import FILES, VOCABULARY_NAMES, WEIGHT_NAMES
from .hdf5_weights import holds_an_elmo, read_weights
from .opened import Opened, config_from
from .vocabulary import MOST_BYTES, Vocabulary, Words

FORMAT = "hdf5"
EXPECTED = "options.json and an HDF5 file"

HDF5_SUFFIXES = (".hdf5", ".h5")

_OPTIONS_FILE = FILES["hdf5"][0]
MOST_OPTIONS = 10**6
"""Bytes of an options.json. Real ones have less than 2 kB."""


def read_options(path: Path) -> dict[str, Any]:
    """The JSON object in an options.json, which ``ElmoConfig.from_options`` checks."""
    try:
        if (size := path.stat().st_size) > MOST_OPTIONS:
            raise ElmoError(
                f"{path} has {size:,} bytes, expected at most {MOST_OPTIONS:,} of an options file. "
                "Is it another kind of file?"
            )
        if not path.is_file():
            raise ElmoError(f"Cannot read the options file {path}: it is no file.")
        return parse_options(path.read_bytes(), str(path))
    except OSError as error:
        raise ElmoError(f"Cannot read the options file {path}: {error.strerror}.") from None


def parse_options(text: bytes, source: str) -> dict[str, Any]:
    """What ``read_options`` does, from the content of a file that errors call ``source``."""
    try:
        value = parse_json(text, source)
    except ElmoError as error:
        raise ElmoError(
            f"{error} It starts with {text[:40]!r}. Expected the options.json that came with the "
            "weights."
        ) from None
    if not isinstance(value, dict):
        raise ElmoError(f"{source}: expected a JSON object, got {type(value).__name__}.")
    return value


def recognizes(files: ModelFiles) -> bool:
    """Whether there is an options.json with an HDF5 file beside it."""
    return files.prefix is None and _OPTIONS_FILE in files.names and bool(_hdf5_names(files))


def read(files: ModelFiles, options: Mapping[str, Any], vocabulary: Words | None = None) -> Opened:
    """A model from its two files.

    The weights are ``weights.hdf5``, ``model.hdf5``, or the only HDF5 file with an ELMo. A model
    with a table of words needs them: ``vocabulary``, or vocab.txt beside the weights.

    Raises:
        ElmoError: if no file or several files may be the weights, or the files have problems: all
            of them in one error.
    """
    source = files.label(_OPTIONS_FILE)
    weights = _weights_among(files)
    parsed = parse_options(files.read(_OPTIONS_FILE, MOST_OPTIONS), source)
    if vocabulary is None:
        vocabulary = words_among(files)
    return _open(parsed, source, files.path(weights), files.label(weights), options, vocabulary)


def read_files(
    options_file: Path,
    weight_file: Path,
    options: Mapping[str, Any] | None = None,
    vocabulary: Words | None = None,
) -> Opened:
    """A model from its two files, wherever they are."""
    parsed = read_options(options_file)
    if vocabulary is None:
        beside = (weight_file.with_name(name) for name in VOCABULARY_NAMES)
        vocabulary = next(filter(Path.is_file, beside), None)
    name = str(weight_file)
    return _open(parsed, str(options_file), weight_file, name, options or {}, vocabulary)


def _open(
    parsed: Any,
    source: str,
    weights: Path,
    weights_name: str,
    options: Mapping[str, Any],
    vocabulary: Words | None,
) -> Opened:
    config, _ = config_from(read_fields(parsed, source), (), options, source)
    if config.token_layer == "table":
        config = with_words(config, vocabulary, parsed, source)
    return Opened(config, read_weights(weights, config, weights_name, source), "hdf5")


def with_words(
    config: ElmoConfig, vocabulary: Words | None, parsed: Mapping[str, Any], source: str
) -> ElmoConfig:
    """The config of a model with a table of words, with those words.

    Raises:
        ElmoError: if they are missing or do not make a vocabulary, or if the options in ``parsed``,
            which errors call ``source``, say that there is another number of them.
    """
    if vocabulary is None:
        raise ElmoError(
            f"{source} describes a model that has a vector for each word of a vocabulary; expected "
            "its vocabulary file, one word per line: as vocab.txt beside the weights, or with "
            "vocabulary_file=."
        )
    words = Vocabulary.of(vocabulary)
    n_words = parsed.get("n_tokens_vocab")
    if n_words is not None and n_words != len(words):
        raise ElmoError(
            f"{words.source} has {counted(len(words), 'word')}, but n_tokens_vocab in {source} is "
            f"{shortened(n_words)}. Expected the vocabulary file that the model was trained with."
        )
    return config.with_alphabet(Alphabet(words.words))


def words_among(files: ModelFiles) -> Vocabulary | None:
    """The words in vocab.txt or vocab.txt.gz, if one of them is there."""
    name = next((name for name in VOCABULARY_NAMES if name in files.names), None)
    if name is None:
        return None
    return Vocabulary.from_bytes(files.read(name, MOST_BYTES), files.label(name))


def _weights_among(files: ModelFiles) -> str:
    usual = [name for name in WEIGHT_NAMES if name in files.names]
    candidates = usual[:1] or _hdf5_names(files)
    if len(candidates) > 1:
        paths = zip(candidates, files.paths(candidates), strict=True)
        candidates = [name for name, path in paths if holds_an_elmo(path)]
    if len(candidates) == 1:
        return candidates[0]
    problem = "several HDF5 weight files" if candidates else "no HDF5 weight file"
    raise ElmoError(
        f"{files.source} has {problem}; expected weights.hdf5, model.hdf5, or one HDF5 file with "
        f"an ELMo; found {files.listed()}."
    )


def _hdf5_names(files: ModelFiles) -> list[str]:
    return [name for name in files.names if name.endswith(HDF5_SUFFIXES) and "/" not in name]
