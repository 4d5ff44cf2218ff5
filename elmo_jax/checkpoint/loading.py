"""Opening a model from whatever names it: a folder, a zip, two files, or a known name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from .. import pretrained
from ..errors import ElmoError
from ..files import standing_folder
from ..model.config import ElmoConfig
from .sources import open_files, open_model


def load(
    source: str | os.PathLike[str] | None = None,
    *,
    options_file: str | os.PathLike[str] | None = None,
    weight_file: str | os.PathLike[str] | None = None,
) -> tuple[ElmoConfig, dict[str, Any]]:
    """Open a model.

    Args:
        source: a native folder; a folder or zip with ``options.json`` and an HDF5 file (as the
            NLPL repository gives them out); "mini", the model that comes with the package and
            is opened if nothing is named; or the name of a published model ("small", "medium",
            "original", "original_5p5b"), which is downloaded once. A path that exists comes
            before a name.
        options_file: options.json of the published format, together with ``weight_file``.
        weight_file: the HDF5 file of the published format.

    Returns:
        The config, and the parameters as float32 NumPy arrays, a nested dictionary.

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
        return open_files(Path(options_file), Path(weight_file))
    return open_model(model_folder(source))


def model_folder(source: str | os.PathLike[str] | None) -> Path:
    """The path of a model given by path or by name, downloaded if need be; None means "mini".

    Raises:
        ElmoError: if there is no such path or name, or the download fails.
    """
    if source is None:  # whatever a folder of that name here may hold
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
