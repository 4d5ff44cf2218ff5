"""Checkpoints of bilm-tf and of simple_elmo_training, which train with TensorFlow.

A folder has several of them, and the options of the training. Published weights were converted
from such checkpoints; these also have the softmax.
"""

from __future__ import annotations

import dataclasses
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import ElmoError
from ...model.options import read_fields
from ...model.parameters import Params
from ..containers.model_files import ModelFiles
from ..containers.tensor_bundle import TensorBundle
from ..formats import VOCABULARY_NAMES
from ..opened import Opened, config_from
from ..published import HDF5_SUFFIXES, MOST_OPTIONS, parse_options, with_words
from ..softmax_words import check_vocabulary
from ..vocabulary import MOST_BYTES, Vocabulary, Words
from .bundle_variables import BilmVariables, bilm_variables, open_bundle

FORMAT = "bilm-tf checkpoint"
EXPECTED = "options.json with the .index and .data files of a TensorFlow checkpoint"

_OPTIONS_FILE, _STATE_FILE = "options.json", "checkpoint"
_SCOPE = "lm"
_INDEX = ".index"
_OF_SAVED_MODEL = "variables"
_MODEL_PATH = re.compile(r'^[ \t]*model_checkpoint_path:[ \t]*"(.*)"', re.MULTILINE)
_STEP = re.compile(r".*-(\d+)")
_NOT_OF_TRAINING = ("bidirectional", "char_cnn", "lstm")
_STEP_VARIABLE, _PERPLEXITY = "global_step", "train_perplexity"


def recognizes(files: ModelFiles) -> bool:
    """Whether there is a TensorFlow checkpoint, other than in a TF-Hub module."""
    return bool(_prefixes(files))


def read(files: ModelFiles, options: Mapping[str, Any], vocabulary: Words | None = None) -> Opened:
    """A model from a checkpoint and its options.json.

    If no checkpoint was named, it is the one that the file ``checkpoint`` names, or the one of the
    highest step. If there is no options.json, sizes are inferred from the variables, and the rest
    is assumed. If ``vocabulary`` is None, it is vocab.txt beside the checkpoint or one folder up;
    a model that has a vector for each word cannot do without.

    Raises:
        ElmoError: if there are several checkpoints and nothing tells which to read, or if the
            files do not describe an ELMo or do not fit each other.
    """
    prefix = _the_prefix(files)
    bundle = open_bundle(files, prefix)
    variables = bilm_variables(bundle, _SCOPE)
    parsed, source = _parsed_options(files, prefix)
    if parsed is None:
        fields, assumed = variables.inferred_fields()
    else:
        fields, assumed = read_fields(parsed, source), set()
    config, still_assumed = config_from(fields, assumed, options, source)
    remarks = _remarks(bundle, prefix, parsed or {}, variables.others)
    words = None if vocabulary is None else Vocabulary.of(vocabulary)
    if config.token_layer == "table":
        words = _words_beside(files, prefix) if words is None else words
        config = with_words(config, words, parsed or {}, source)
        variables = _with_shared_softmax(variables)
    params = variables.params(config, source)
    if "softmax" not in params:
        words = None
    elif words is not None:
        check_vocabulary(params, words)
    else:
        words = _words_of_softmax(files, prefix, params, remarks)
    return Opened(config, params, FORMAT, still_assumed, words, remarks)


# Which checkpoint


def _prefixes(files: ModelFiles) -> list[str]:
    """The checkpoints that there are, named as their files without ".index"."""
    prefixes = [files.prefix] if files.prefix is not None else list(_prefixes_among(files.names))
    return [prefix for prefix in prefixes if posixpath.basename(prefix) != _OF_SAVED_MODEL]


def _prefixes_among(names: Sequence[str]) -> Iterator[str]:
    published = {posixpath.dirname(name) for name in names if name.endswith(HDF5_SUFFIXES)}
    is_model = "config.json" in names or (_OPTIONS_FILE in names and "" in published)
    for name in names:
        prefix, suffix = posixpath.splitext(name)
        folder = posixpath.dirname(name)
        # Below a model, or beside an HDF5 file there, a checkpoint is not what is meant.
        if folder and (is_model or folder in published):
            continue
        if suffix == _INDEX and any(other.startswith(f"{prefix}.data-") for other in names):
            yield prefix


def _the_prefix(files: ModelFiles) -> str:
    prefixes = _prefixes(files)
    top = min(prefix.count("/") for prefix in prefixes)
    prefixes = [prefix for prefix in prefixes if prefix.count("/") == top]
    if len(prefixes) == 1:
        return prefixes[0]
    folders = {posixpath.dirname(prefix) for prefix in prefixes}
    if len(folders) == 1:
        if (latest := posixpath.join(*folders, _latest(files, *folders))) in prefixes:
            return latest
        steps = {prefix: int(match[1]) for prefix in prefixes if (match := _STEP.fullmatch(prefix))}
        if steps:
            return max(steps, key=steps.__getitem__)
    raise ElmoError(
        f"{files.source} has several checkpoints, and nothing tells which of them is the model: "
        f"{files.listed(prefixes)}. Name one of them instead of the folder."
    )


def _latest(files: ModelFiles, folder: str) -> str:
    """The name of the checkpoint that TensorFlow would continue with; "" if that is not known."""
    name = posixpath.join(folder, _STATE_FILE)
    if name not in files.names:
        return ""
    match = _MODEL_PATH.search(files.read(name, MOST_OPTIONS).decode(errors="replace"))
    # It may be a path on the machine where the model was trained.
    return re.split(r"[/\\]", match[1])[-1] if match else ""


# What lies beside it


def _parsed_options(files: ModelFiles, prefix: str) -> tuple[Any, str]:
    """What is in options.json, or None without it; and what errors call it."""
    name = _nearest(files, prefix, [_OPTIONS_FILE])
    if name is None:
        return None, f"the options of {files.label(prefix + _INDEX).removesuffix(_INDEX)}"
    source = files.label(name)
    return parse_options(files.read(name, MOST_OPTIONS), source), source


def _nearest(files: ModelFiles, prefix: str, names: Sequence[str]) -> str | None:
    """The first of some files in the folder of a checkpoint, or in a folder above it."""
    folder = posixpath.dirname(prefix)
    while True:
        for name in names:
            if (path := posixpath.join(folder, name)) in files.names:
                return path
        if not folder:
            return None
        folder = posixpath.dirname(folder)


def _words_beside(files: ModelFiles, prefix: str) -> Vocabulary | None:
    """The words in vocab.txt or vocab.txt.gz, beside the checkpoint or one folder up."""
    if name := _nearest(files, prefix, VOCABULARY_NAMES):
        return Vocabulary.from_bytes(files.read(name, MOST_BYTES), files.label(name))
    if files.prefix is None and not files.source.is_dir():
        return None  # an archive, where nothing is above the top
    folder = files.path(prefix + _INDEX).absolute().parent
    path = next(filter(Path.is_file, (folder.parent / name for name in VOCABULARY_NAMES)), None)
    return None if path is None else Vocabulary.read(path)


def _words_of_softmax(
    files: ModelFiles, prefix: str, params: Params, remarks: dict[str, Any]
) -> Vocabulary | None:
    """The words beside a model that spells them out, if they are its own.

    Those of another model do not keep it from opening: most uses do not need the softmax.
    """
    try:
        words = _words_beside(files, prefix)
        if words is not None:
            check_vocabulary(params, words)
    except ElmoError as error:
        remarks["vocabulary"] = f"left out: {error}"
        return None
    return words


# What is in it


def _with_shared_softmax(variables: BilmVariables) -> BilmVariables:
    """With ``share_embedding_softmax`` the softmax has no matrix of its own, only a bias."""
    arrays = dict(variables.arrays)
    if "softmax/b" in arrays and "embedding" in arrays:
        arrays.setdefault("softmax/W", arrays["embedding"])
    return dataclasses.replace(variables, arrays=arrays)


def _remarks(
    bundle: TensorBundle, prefix: str, parsed: Mapping[str, Any], others: Sequence[str]
) -> dict[str, Any]:
    """Where the model comes from, ready for JSON."""
    remarks: dict[str, Any] = {"checkpoint": posixpath.basename(prefix)}
    step = bundle.entries.get(_STEP_VARIABLE)
    if step is not None and step.shape == () and step.dtype.startswith(("float", "int")):
        number = bundle.read(_STEP_VARIABLE)  # bilm-tf counts in float32
        remarks["global_step"] = int(number) if np.isfinite(number) else None
    if training := {key: parsed[key] for key in parsed if key not in _NOT_OF_TRAINING}:
        remarks["training_options"] = training
    if left_over := [name for name in others if name not in (_STEP_VARIABLE, _PERPLEXITY)]:
        remarks["left_over"] = left_over
    return remarks
