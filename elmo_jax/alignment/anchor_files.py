"""Anchors on disk, as CrossLingualELMo wrote them and as programs for word vectors read them.

A folder holds ``avg_embeds_<layer>.txt`` for each layer, and ``norms.json``. The text begins with a
line ``count dim``; each further line is a word and its numbers, with single spaces between them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from ..errors import ElmoError, check_count, first_few, number_problem, shortened
from ..folders import atomic_folder
from ..json_text import parse_json_object, to_json
from ..text.readers import Records
from .anchors import Anchors, check_anchors, is_storable

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
                _write_text(file, of_layer)
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


def _write_text(file: TextIO, anchors: Anchors) -> None:
    n_words, dim = anchors.vectors.shape
    file.write(f"{n_words} {dim}\n")
    numbers = " %.9g" * dim
    for word, vector_D in zip(anchors.words, anchors.vectors, strict=True):
        file.write(word + numbers % tuple(vector_D.tolist()) + "\n")


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
    words, vectors_VD = _read_text(file)
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


def _read_text(path: Path) -> tuple[tuple[str, ...], np.ndarray]:
    lines = Records.of(path, "text").lines()
    n_words, dim = _read_header(path, lines)
    vectors: dict[str, np.ndarray] = {}
    problems = []
    for where, line in lines:
        word, *numbers = line.rstrip(" ").split(" ")
        if not word and not numbers:  # a blank line
            continue
        vector_D, problem = _parse(numbers, dim)
        if word in vectors:
            problem = f"{shortened(word)} has a line before"
        if problem:
            problems.append(f"{where.rpartition(', ')[2]}: {problem}")
        vectors[word] = vector_D
    if not problems and len(vectors) != n_words:
        problems.append(f"it has {len(vectors):,} words, but line 1 says {n_words:,}")
    if problems:
        raise ElmoError(f"Cannot read the anchors in {path}: {first_few(problems)}.")
    return tuple(vectors), np.stack(list(vectors.values()))


def _read_header(path: Path, lines: Iterator[tuple[str, str]]) -> tuple[int, int]:
    _, line = next(lines, ("", ""))
    if not (match := re.fullmatch(r"([1-9]\d*) ([1-9]\d*) ?", line)):
        raise ElmoError(
            f"{path} is not a file of anchors: expected the number of words and of dimensions in "
            f"line 1, such as '50000 1024', got {shortened(line)}."
        )
    return int(match[1]), int(match[2])


def _parse(numbers: list[str], dim: int) -> tuple[np.ndarray, str]:
    """A vector float32 [D], and what is wrong with it, if anything."""
    if len(numbers) != dim:
        return np.zeros(dim, np.float32), f"{len(numbers):,} numbers, expected {dim:,}"
    try:
        with np.errstate(over="ignore"):
            vector_D = np.array(numbers, np.float64).astype(np.float32)
    except ValueError as error:
        return np.zeros(dim, np.float32), str(error)
    return vector_D, "" if np.isfinite(vector_D).all() else "a number that is not finite"


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
