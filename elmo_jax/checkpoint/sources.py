"""Opening a model from whatever names it: a folder, a zip, two files, or a published name."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

from .. import pretrained
from ..errors import ElmoError
from ..files import standing_folder
from ..model.config import ElmoConfig
from .native import is_native, read_native
from .published import read_files, read_folder, read_zip


def load(
    source: str | os.PathLike[str] | None = None,
    *,
    options_file: str | os.PathLike[str] | None = None,
    weight_file: str | os.PathLike[str] | None = None,
) -> tuple[ElmoConfig, dict[str, Any]]:
    """Open a model.

    Args:
        source: a native folder; a folder or zip with ``options.json`` and an HDF5 file, such as
            those of the NLPL repository; or a name: "mini", the model in the package and the
            default, or a published model ("small", "medium", "original", "original_5p5b"), which
            is downloaded once. A path that exists wins over a name.
        options_file: options.json of the published format, together with ``weight_file``.
        weight_file: the HDF5 file of the published format.

    Returns:
        The config, and the parameters as a nested dictionary of float32 NumPy arrays.

    Raises:
        ElmoError: if there is no such model, or its files have problems: all of them in one
            error.

    Example:
        >>> config, params = elmo_jax.load("my-elmo")
    """
    if options_file is not None or weight_file is not None:
        if source is not None or options_file is None or weight_file is None:
            raise ElmoError(
                "Expected either one source, or both options_file and weight_file; got "
                f"source={source!r}, options_file={options_file!r}, weight_file={weight_file!r}."
            )
        return read_files(Path(options_file), Path(weight_file))
    return open_model(model_folder(source))


def model_folder(source: str | os.PathLike[str] | None) -> Path:
    """The path of a model named by path or by name, downloaded if need be; None means "mini"."""
    if source is None:  # not a folder called "mini" that happens to be here
        return pretrained.fetch(pretrained.BUNDLED)
    path = standing_folder(Path(source))
    if path.exists():
        return path
    if isinstance(source, str) and source in pretrained.names():
        return pretrained.fetch(source)
    raise ElmoError(
        f"There is no model {os.fspath(source)!r}: no file or folder of that name here "
        f"({Path.cwd()}), nor one of the models {', '.join(pretrained.names())}."
    )


def open_model(path: Path) -> tuple[ElmoConfig, dict[str, Any]]:
    """Read a model from a folder or a zip, whatever its format."""
    if path.is_dir():
        return read_native(path) if is_native(path) else read_folder(path)
    if not path.exists():
        raise ElmoError(f"There is no model at {path}: no such file or folder.")
    if zipfile.is_zipfile(path):
        return read_zip(path)
    # zipfile looks for a directory at the end, which a truncated file has lost.
    with path.open("rb") as file:
        if file.read(4) == b"PK\x03\x04":
            raise ElmoError(f"The zip {path} is truncated; copy or download it again.")
    raise ElmoError(
        f"{path} is a file, expected a folder or a zip with options.json and weights. "
        "A weight file alone is opened with options_file=..., weight_file=... ."
    )
