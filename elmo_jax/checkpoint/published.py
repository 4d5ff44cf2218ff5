"""The published format: options.json and one HDF5 file, apart, in a folder, or in a zip."""

from __future__ import annotations

import contextlib
import io
import json
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import ElmoError
from ..model.config import ElmoConfig
from .formats import WEIGHT_NAMES
from .hdf5_weights import holds_an_elmo, read_weights

HDF5_SUFFIXES = (".hdf5", ".h5")

# Of a damaged archive, or one that Python's zipfile cannot open (RuntimeError: a password).
_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError)


def read_options(path: Path) -> Any:
    """The JSON value in an options.json, which ``ElmoConfig.from_options`` checks."""
    try:
        return _parse_options(path.read_bytes(), str(path))
    except OSError as error:
        raise ElmoError(f"Cannot read the options file {path}: {error.strerror}.") from None


def _parse_options(text: bytes, source: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise ElmoError(
            f"{source} is not JSON ({error}); it starts with {text[:40]!r}. "
            "Expected the options.json that came with the weights."
        ) from None


def read_files(options: Path, weights: Path) -> tuple[ElmoConfig, dict[str, Any]]:
    """A model from its two files, wherever they are."""
    config = ElmoConfig.from_options(read_options(options), str(options))
    return config, read_weights(weights, config, str(weights), str(options))


def read_folder(folder: Path) -> tuple[ElmoConfig, dict[str, Any]]:
    """A model from the folder with its two files.

    The weights are ``weights.hdf5``, ``model.hdf5``, or the only HDF5 file with an ELMo.
    """
    names = sorted(file.name for file in folder.iterdir() if file.is_file())
    if "options.json" not in names:
        raise ElmoError(
            f"{folder} holds no model: expected config.json and model.safetensors, or "
            f"options.json and an HDF5 file; found {_listed(names)}."
        )
    weights = [name for name in WEIGHT_NAMES if name in names][:1] or _hdf5_names(names)
    if len(weights) > 1:
        weights = [name for name in weights if holds_an_elmo(folder / name)]
    return read_files(folder / "options.json", folder / _the_only(weights, str(folder), names))


def read_zip(path: Path) -> tuple[ElmoConfig, dict[str, Any]]:
    """A model from a zip of its two files, or of a folder with them."""
    with open_zip(path) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        options = [name for name in names if PurePosixPath(name).name == "options.json"]
        if len(options) != 1:
            raise ElmoError(f"{path}: expected one options.json, found {_listed(names)}.")
        # Some archives have the files at the top, others in a folder.
        folder = PurePosixPath(options[0]).parent
        beside = [name for name in names if PurePosixPath(name).parent == folder]
        usual = [name for name in beside if PurePosixPath(name).name in WEIGHT_NAMES]
        weights = _the_only(usual[:1] or _hdf5_names(beside), str(path), names)
        source = f"{path}:{options[0]}"
        config = ElmoConfig.from_options(_parse_options(archive.read(options[0]), source), source)
        # HDF5 seeks back and forth, which is slow in a compressed member.
        content = io.BytesIO(archive.read(weights))
        return config, read_weights(content, config, f"{path}:{weights}", source)


@contextlib.contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """A zip to read from; failures in the block are reported as its own."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except _ZIP_ERRORS as error:
        raise ElmoError(
            f"Cannot read the zip {path}: {error}. If it is damaged, download it again."
        ) from None


def _the_only(candidates: list[str], where: str, names: list[str]) -> str:
    if len(candidates) == 1:
        return candidates[0]
    problem = "several HDF5 weight files" if candidates else "no HDF5 weight file"
    raise ElmoError(
        f"{where} has {problem}; expected weights.hdf5, model.hdf5, or one HDF5 file with an "
        f"ELMo; found {_listed(names)}."
    )


def _hdf5_names(names: list[str]) -> list[str]:
    return [name for name in names if name.endswith(HDF5_SUFFIXES)]


def _listed(names: list[str]) -> str:
    if not names:
        return "nothing"
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
