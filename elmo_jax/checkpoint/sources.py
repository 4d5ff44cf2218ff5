"""Finding the files of a model: in a native folder, a published one, or an NLPL zip."""

from __future__ import annotations

import io
import lzma
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Any

import h5py

from ..errors import ElmoError
from ..model.config import ElmoConfig
from ..model.parameters import Params
from .native import is_native, read_native
from .published import DAMAGE, read_published
from .vocabulary import Vocabulary
from .words import VOCABULARY_NAMES, check_vocabulary
from .writing import REPLACED, WEIGHT_NAMES

_SUFFIXES = (".hdf5", ".h5")
# Of a damaged archive, or one that Python's zipfile cannot open (RuntimeError: a password).
_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError)


def open_model(source: Path) -> tuple[ElmoConfig, dict[str, Any]]:
    """Read a model from a folder or a zip file, whatever its format.

    A folder is native, or holds ``options.json`` and one weight file: ``weights.hdf5``,
    ``model.hdf5``, or the only HDF5 file in it that holds an ELMo.

    Returns:
        The config, and the parameters as float32 NumPy arrays.

    Raises:
        ElmoError: if there is no model; the message lists what was found instead.
    """
    if source.is_dir():
        return read_native(source) if is_native(source) else _open_folder(source)
    if not source.exists():
        raise ElmoError(f"There is no model at {source}: no such file or folder.")
    if zipfile.is_zipfile(source):
        try:
            return _open_zip(source)
        except _ZIP_ERRORS as error:
            raise ElmoError(
                f"Cannot read the zip {source}: {error}. If it is damaged, download it again."
            ) from None
    with source.open("rb") as file:
        if file.read(4) == b"PK\x03\x04":
            raise ElmoError(f"The zip {source} is truncated; copy or download it again.")
    raise ElmoError(
        f"{source} is a file, expected a folder or a zip with options.json and weights. "
        "A weight file alone is opened with options_file=..., weight_file=... ."
    )


def open_files(options: Path, weights: Path) -> tuple[ElmoConfig, dict[str, Any]]:
    """Read a model from the two files of the published format, wherever they lie."""
    if not options.is_file():
        raise ElmoError(f"Options file {options} does not exist.")
    return read_published(options.read_bytes(), weights, str(options), str(weights))


def open_vocabulary(source: Path, params: Params, options: Path | None = None) -> Vocabulary | None:
    """The words of a model's softmax, from vocab.txt or vocab.txt.gz beside its files.

    Where its files are links, the words may lie beside what they lead to. In a zip they may also
    lie at its top.

    Args:
        source: the folder or zip of the model, or its weight file.
        params: of the model.
        options: the options file that belongs to the weight file.

    Returns:
        None for a model without a softmax, or where there is no such file.

    Raises:
        ElmoError: for a file that is no vocabulary, or not that of this softmax.
    """
    if "softmax" not in params:
        return None
    is_zip = source.is_file() and zipfile.is_zipfile(source)
    if is_zip:
        name, content = _words_in_zip(source)
    else:
        name, content = _words_in_folders(_folders_of(source, options))
    if content is None:
        return None
    vocabulary = Vocabulary.from_bytes(content, name)
    check_vocabulary(params, vocabulary, source, name)
    return vocabulary


def _folders_of(source: Path, options: Path | None) -> list[Path]:
    """Where the words of a model may lie, the likeliest folder first."""
    if source.is_dir():
        files = sorted(path for path in source.iterdir() if _is_of_a_model(path.name))
        return [source, *(path.resolve().parent for path in files)]
    files = [source] if options is None else [source, options]
    return [*(path.parent for path in files), *(path.resolve().parent for path in files)]


def _is_of_a_model(name: str) -> bool:
    return name in REPLACED or name.endswith(_SUFFIXES)


def _words_in_folders(folders: list[Path]) -> tuple[str, bytes | None]:
    for path in (folder / name for folder in folders for name in VOCABULARY_NAMES):
        if path.is_file():
            try:
                return str(path), path.read_bytes()
            except OSError as error:
                raise ElmoError(f"Cannot read the vocabulary {path}: {error}") from None
    return "", None


def _words_in_zip(path: Path) -> tuple[str, bytes | None]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            options = next(name for name in names if PurePosixPath(name).name == "options.json")
            beside = [str(PurePosixPath(options).with_name(name)) for name in VOCABULARY_NAMES]
            for name in (*beside, *VOCABULARY_NAMES):
                if name in names:
                    return f"{path}:{name}", archive.read(name)
    except _ZIP_ERRORS as error:
        raise ElmoError(
            f"Cannot read the zip {path}: {error}. If it is damaged, download it again."
        ) from None
    return "", None


def _open_folder(folder: Path) -> tuple[ElmoConfig, dict[str, Any]]:
    names = sorted(file.name for file in folder.iterdir() if file.is_file())
    if "options.json" not in names:
        raise ElmoError(
            f"{folder} holds no model: expected config.json and model.safetensors, or "
            f"options.json and an HDF5 file; found {_listed(names)}."
        )
    weights = [name for name in WEIGHT_NAMES if name in names][:1] or _hdf5_names(names)
    if len(weights) > 1:
        weights = [name for name in weights if _holds_an_elmo(folder / name)]
    return open_files(folder / "options.json", folder / _the_only(weights, str(folder), names))


def _open_zip(path: Path) -> tuple[ElmoConfig, dict[str, Any]]:
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        options = [name for name in names if PurePosixPath(name).name == "options.json"]
        if len(options) != 1:
            raise ElmoError(f"{path}: expected one options.json, found {_listed(names)}.")
        # Some archives hold the folder, not its files.
        folder = PurePosixPath(options[0]).parent
        beside = [name for name in names if PurePosixPath(name).parent == folder]
        known = [name for name in beside if PurePosixPath(name).name in WEIGHT_NAMES]
        weights = _the_only(known[:1] or _hdf5_names(beside), str(path), names)
        # HDF5 seeks back and forth, which a compressed member cannot do quickly.
        content = io.BytesIO(archive.read(weights))
        return read_published(
            archive.read(options[0]), content, f"{path}:{options[0]}", f"{path}:{weights}"
        )


def _the_only(candidates: list[str], where: str, names: list[str]) -> str:
    if len(candidates) == 1:
        return candidates[0]
    problem = "several HDF5 weight files" if candidates else "no HDF5 weight file"
    raise ElmoError(
        f"{where} has {problem}; expected weights.hdf5, model.hdf5, or one HDF5 file with an "
        f"ELMo; found {_listed(names)}."
    )


def _hdf5_names(names: list[str]) -> list[str]:
    return [name for name in names if name.endswith(_SUFFIXES)]


def _holds_an_elmo(path: Path) -> bool:
    try:
        with h5py.File(path, "r") as file:
            return "char_embed" in file
    except DAMAGE:
        return False


def _listed(names: list[str]) -> str:
    if not names:
        return "nothing"
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
