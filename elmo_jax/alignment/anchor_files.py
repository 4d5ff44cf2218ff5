"""Anchors on disk, as CrossLingualELMo wrote them and as programs for word vectors read them.

A folder holds ``avg_embeds_<layer>.txt`` for each layer, see ``vector_text``, and ``norms.json``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import ElmoError, check_count, first_few, number_problem, shortened
from ..folders import atomic_folder
from ..json_text import parse_json_object, to_json
from .anchors import Anchors, check_anchors
from .vector_text import is_storable, read_vector_text, write_vector_text

NORMS_FILE = "norms.json"

_NAME = re.compile(r"avg_embeds_(\d+)\.txt")


def anchor_file(layer: int) -> str:
    """The name of the file with the anchors of a layer."""
    return f"avg_embeds_{layer}.txt"


def anchor_files_in(folder: Path) -> list[Path]:
    """The files of anchors in a folder, which may be missing."""
    if not folder.is_dir():
        return []
    return sorted(
        path for path in folder.iterdir() if path.name == NORMS_FILE or _NAME.match(path.name)
    )


def write_anchors(
    path: str | os.PathLike[str], anchors: Mapping[int, Anchors], *, overwrite: bool = False
) -> None:
    """Write the anchors of layers, as ``compute_anchors`` returns them, to a folder.

    The numbers have the nine digits that a float32 needs. With ``overwrite``, anchors in an
    existing folder are replaced, and its other files stay.

    Raises:
        ElmoError: if a mean norm is not known, a word contains whitespace, or the folder already
            has files.
    """
    target = Path(path)
    if not isinstance(anchors, Mapping):
        raise ElmoError(f"Expected anchors by layer, a dictionary, got {shortened(anchors)}.")
    for layer, of_layer in anchors.items():
        _check_writable(layer, of_layer)
    old = [file.name for file in anchor_files_in(target)]
    with atomic_folder(target, overwrite=overwrite, replaced=old) as folder:
        for layer, of_layer in anchors.items():
            with (folder / anchor_file(layer)).open("w", encoding="utf-8", newline="\n") as file:
                write_vector_text(file, of_layer.words, of_layer.vectors)
        norms = {_norm_key(layer): of_layer.mean_norm for layer, of_layer in anchors.items()}
        (folder / NORMS_FILE).write_text(to_json(norms, indent=2) + "\n", encoding="utf-8")


def _norm_key(layer: int) -> str:
    return f"avg_norm_layer_{layer}"


def _check_writable(layer: int, anchors: Anchors) -> None:
    check_count(layer, "layer", least=0)
    check_anchors(anchors, f"the anchors of layer {layer}")
    if anchors.mean_norm is None:
        raise ElmoError(f"The anchors of layer {layer} have no mean norm; {NORMS_FILE} needs it.")
    bad = [word for word in anchors.words if not is_storable(word)]
    if bad:
        raise ElmoError(
            f"Cannot write the anchors of {first_few(list(map(shortened, bad)))}: expected words "
            "without whitespace. frequent_words leaves such words out."
        )


def read_anchors(path: str | os.PathLike[str], layer: int | None = None) -> Anchors:
    """Read the anchors of one layer; ``vectors`` is float32 [V, D].

    Args:
        path: a folder, or a text file in it. The mean norm is read from ``norms.json`` beside the
            file, if there is one.
        layer: the number of the layer. The default is 1 for a folder; for a file it is the number
            in its name, if there is one.

    Raises:
        ElmoError: if there is no such file, or it has problems; the message names the lines.

    Example:
        >>> read_anchors("english").words[:3]
        ('the', ',', '.')
    """
    if layer is not None:
        check_count(layer, "layer", least=0)
    file = Path(path)
    if file.is_dir():
        layer = 1 if layer is None else layer
        file = _file_in(file, layer)
    elif layer is None and (match := _NAME.match(file.name)):
        layer = int(match[1])
    words, vectors_VD = read_vector_text(file)
    mean_norm = None if layer is None else _read_mean_norm(file.parent / NORMS_FILE, layer)
    return Anchors(words, vectors_VD, mean_norm, layer)


def _file_in(folder: Path, layer: int) -> Path:
    file = folder / anchor_file(layer)
    if not file.is_file():
        names = [path.name for path in anchor_files_in(folder) if path.name != NORMS_FILE]
        there = f"there are {', '.join(names)}; name one of them" if names else "there are none"
        raise ElmoError(
            f"The folder {folder} has no anchors of layer {layer} ({file.name}): {there}."
        )
    return file


def _read_mean_norm(path: Path, layer: int) -> float | None:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ElmoError(f"Cannot read the mean norms in {path}: {error}.") from None
    norms = parse_json_object(content, str(path))
    norm: Any = norms.get(_norm_key(layer))
    if number_problem(norm, "", positive=True):
        raise ElmoError(
            f"{path} has no mean norm of layer {layer}: expected {_norm_key(layer)!r} with a "
            f"number above 0, got {shortened(norms)}."
        )
    return float(norm)
