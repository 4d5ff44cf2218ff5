"""The native format: config.json and model.safetensors, in a folder or an archive.

A model with an alphabet also has alphabet.json. config.json binds the files to each other: it has
the digests of all tensors, of the alphabet, of the softmax's words, and of itself.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import ElmoError
from ..json_text import to_json
from ..model.alphabet import Alphabet
from ..model.config import ElmoConfig
from . import native_config
from .containers.archives import archive_kind
from .containers.model_files import ModelFiles, open_files
from .formats import ALPHABET_FILE, FILES
from .opened import Opened, config_from
from .safetensors_weights import read_tensors, write_tensors
from .vocabulary import Words

FORMAT = "native"
EXPECTED = "config.json and model.safetensors"

CONFIG_FILE, WEIGHT_FILE = FILES["native"]
_MOST_ALPHABET = 10**9
"""Bytes of alphabet.json, which may have millions of words."""

_LATER_FIELDS = frozenset({"token_layer", "word_dim", "forced_projections"})
"""Fields that older files lack; their defaults say what those models are."""


def recognizes(files: ModelFiles) -> bool:
    """Whether the files of the native format are there."""
    return {CONFIG_FILE, WEIGHT_FILE} <= set(files.names)


def read(
    files: ModelFiles,
    options: Mapping[str, Any],
    vocabulary: Words | None = None,
    *,
    verify: bool = True,
) -> Opened:
    """A model from its files; its metadata are the remarks. ``vocabulary`` is not needed.

    ``verify`` compares the digests of config.json and of the tensors, if it has them.
    """
    content = _read_content(files, verify=verify)
    config = _config_of(files, content, options)
    digests = content.get("tensors") if verify else None
    return Opened(
        config,
        read_tensors(files.path(WEIGHT_FILE), files.label(WEIGHT_FILE), config, digests),
        FORMAT,
        words_record=content.get("vocabulary"),
        compared={} if digests is None else _compared(digests, config),
        remarks=content.get("metadata", {}),
    )


def _compared(digests: Mapping[str, str], config: ElmoConfig) -> dict[str, str]:
    compared = {CONFIG_FILE: "its digest", WEIGHT_FILE: f"the digests of {len(digests)} tensors"}
    return {**compared, ALPHABET_FILE: "its digest"} if config.alphabet else compared


def read_metadata(source: Path) -> dict[str, Any]:
    """The remarks about a model, such as its origin; a model that is not native has none."""
    if not source.is_dir() and not (source.is_file() and archive_kind(source)):
        return {}
    with open_files(source) as files:
        native = next(filter(recognizes, files.roots()), None)
        return {} if native is None else _read_content(native).get("metadata", {})


def _read_content(files: ModelFiles, *, verify: bool = True) -> dict[str, Any]:
    text = files.read(CONFIG_FILE, native_config.MOST_BYTES)
    return native_config.parse_content(text, files.label(CONFIG_FILE), verify=verify)


def write_native(
    folder: Path,
    config: ElmoConfig,
    params: dict[str, Any],
    metadata: dict[str, Any],
    dtype: str | None,
    words_record: Mapping[str, Any] | None,
) -> None:
    """Write the two files of the native format, with the record of the softmax's vocabulary."""
    content = {
        "format": "elmo-jax",
        "version": native_config.VERSION,
        "config": config.to_dict(),
        "metadata": metadata,
        "vocabulary": words_record,
    }
    if config.alphabet is not None:
        content["alphabet"] = {"sha256": config.alphabet.sha256}
        entries = {"words": config.alphabet.words, "characters": config.alphabet.characters}
        text = to_json(entries, indent=0) + "\n"
        (folder / ALPHABET_FILE).write_text(text, encoding="utf-8")
    content["tensors"] = write_tensors(folder / WEIGHT_FILE, params, dtype)
    (folder / CONFIG_FILE).write_text(native_config.to_text(content), encoding="utf-8")
    # safetensors ignores the umask: only the owner could read the file.
    shutil.copymode(folder / CONFIG_FILE, folder / WEIGHT_FILE)


def _config_of(
    files: ModelFiles, content: Mapping[str, Any], options: Mapping[str, Any]
) -> ElmoConfig:
    source = files.label(CONFIG_FILE)
    fields = content["config"]
    names = {field.name for field in dataclasses.fields(ElmoConfig)} - {"alphabet"}
    problems = [f"{name} is missing" for name in sorted(names - fields.keys() - _LATER_FIELDS)]
    problems += [f"{name} is unexpected" for name in sorted(fields.keys() - names)]
    if problems:
        raise ElmoError(f"{source}: its 'config' does not describe an ELMo: {'; '.join(problems)}.")
    alphabet = _read_alphabet(files, content["alphabet"]) if content.get("alphabet") else None
    config, _ = config_from({**fields, "alphabet": alphabet}, (), options, source)
    return config


def _read_alphabet(files: ModelFiles, record: Mapping[str, Any]) -> Alphabet:
    if ALPHABET_FILE not in files.names:
        raise ElmoError(
            f"{files.label(CONFIG_FILE)} belongs to {ALPHABET_FILE}, the words and characters of "
            "the model, which is missing. Copy it, too."
        )
    source = files.label(ALPHABET_FILE)
    content = files.read_json(ALPHABET_FILE, _MOST_ALPHABET)
    lists: list[Any] = [content.get(name) for name in ("words", "characters")]
    if not all(isinstance(entries, list) for entries in lists):
        raise ElmoError(f"{source}: expected two lists, 'words' and 'characters'.")
    try:
        alphabet = Alphabet(*lists)
    except ElmoError as error:
        raise ElmoError(f"{source}: {error}") from None
    if record["sha256"] != alphabet.sha256:
        raise ElmoError(
            f"{source} is not the one of this model: {files.label(CONFIG_FILE)} has another hash "
            "of it. Copy the two files of one model."
        )
    return alphabet
