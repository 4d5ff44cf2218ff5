"""Opening a model from whatever names it: a folder, an archive, two files, or a published name."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from .. import pretrained
from ..errors import ElmoError, shortened
from ..folders import standing_folder
from ..model.config import ElmoConfig
from . import native, published
from .containers.model_files import ModelFiles, open_files
from .foreign import allennlp, bilm_tf, hub_module, manylangs
from .matrices import as_matrix, read_matrix
from .opened import Opened
from .other_signatures import refuse_others
from .softmax_words import check_record
from .token_table import read_token_table, with_token_table

PathLike = str | os.PathLike[str]

Options = Mapping[str, Any] | PathLike
"""Nested as options.json is, whole or in part; or the path of such a file."""

Alignment = Any
"""A matrix or the path of one, for layer 1; or a dictionary of these by layer."""

READERS: tuple[ModuleType, ...] = (
    native,
    published,
    manylangs,
    allennlp,
    bilm_tf,
    hub_module,
)
"""The formats. Each module says whether files are of its format, and reads them."""


_MOST_REPLACEMENTS = 50
"""How often a model may be replaced while it is opened."""

_MOST_LOOKS = 5
"""How often to look for a model that may be replaced meanwhile. A published name takes them all."""


@refuse_others
def load(
    source: PathLike | None = None,
    weight_file: PathLike | None = None,
    *,
    options_file: PathLike | None = None,
    vocabulary_file: PathLike | None = None,
    options: Options | None = None,
    alignment: Alignment = None,
    token_table: PathLike | None = None,
    verify: bool = True,
) -> tuple[ElmoConfig, dict[str, Any]]:
    """Open a model of any format.

    Args:
        source: a folder or archive (zip, tar, also compressed) with a model: the native format;
            ``options.json`` with an HDF5 file; ELMoForManyLangs; an AllenNLP model; a bilm-tf
            checkpoint, also by the prefix of its files; a TF-Hub module. Or a name: "mini", the
            bundled model and the default; or a published model ("original", "nlpl:225"; see
            ``pretrained.names``), which is downloaded once. A path that exists takes precedence
            over a name. Or ``options.json``, followed by ``weight_file``, as in AllenNLP.
        weight_file: the HDF5 file of the published format.
        options_file: options.json in the published format, together with ``weight_file``.
        vocabulary_file: the words of a model of words, or of ``token_table``, one per line, if
            they are not beside it.
        options: values that the files leave out or have wrong: a dictionary nested like
            options.json, or the path of such a file. For an archive with several ELMos also
            "prefix", a part of the name of one of them.
        alignment: a matrix [D, D] for the vectors of layer 1, as an array or a file (.pth, .npy or
            .npz); or a dictionary of such matrices by layer. It replaces the model's own.
        token_table: a file of the model's token vectors, as bilm-tf, pytorch-fast-elmo and AllenNLP
            write it. A model that can spell words keeps doing so, and the table is only compared
            with it: its vectors are the same for the words of the table. A weight file without
            characters becomes a model of words that reads the words of the table; all others are
            ``<UNK>``.
        verify: compare the weights and the configuration of a native model (including "mini") with
            the digests saved with them. Other formats have no digests.

    Returns:
        The config, and the parameters as a nested dictionary of float32 NumPy arrays.

    Raises:
        ElmoError: if there is no such model; if its files have problems, which one error lists
            together; if a native model is not what was saved; or if the token table belongs to
            another model.

    Example:
        >>> config, params = elmo_jax.load("my-elmo")
        >>> config, params = elmo_jax.load("options.json", "weights.hdf5")
        >>> config, params = elmo_jax.load("model.tar.gz", options={"lstm": {"cell_clip": None}})
    """
    opened = open_source(
        source,
        options_file=options_file,
        weight_file=weight_file,
        vocabulary_file=vocabulary_file,
        options=options,
        alignment=alignment,
        token_table=token_table,
        verify=verify,
    )
    return opened.config, opened.params


def open_source(
    source: PathLike | None = None,
    *,
    options_file: PathLike | None = None,
    weight_file: PathLike | None = None,
    vocabulary_file: PathLike | None = None,
    options: Options | None = None,
    alignment: Alignment = None,
    token_table: PathLike | None = None,
    verify: bool = True,
    with_softmax: bool = False,
    words_only: bool = False,
) -> Opened:
    """What ``load`` does, with all that is known about the model.

    ``with_softmax`` prefers a checkpoint to the HDF5 file beside it, which never has a softmax.
    ``words_only`` makes a model that reads the words of the token table and no characters.
    """
    source, options_file, weight_file = resolve_files(source, options_file, weight_file)
    own_options = _as_mapping(options)
    vocabulary = None if vocabulary_file is None else Path(vocabulary_file)
    table = None if token_table is None else read_token_table(token_table, vocabulary)
    if options_file is None and weight_file is None:
        choices = {"with_softmax": with_softmax, "verify": verify}
        opened = _open_whole(source, own_options, vocabulary, **choices)
        if tokenizer := _tokenizer_of_name(source):
            remarks = {"tokenizer": tokenizer, **opened.remarks}
            opened = dataclasses.replace(opened, remarks=remarks)
    elif source is None and options_file is not None and weight_file is not None:
        options_path, weight_path = Path(options_file), Path(weight_file)
        opened = published.read_files(options_path, weight_path, own_options, vocabulary)
    else:
        paths = {"source": source, "options_file": options_file, "weight_file": weight_file}
        got = (f"{name}={os.fspath(path)!r}" for name, path in paths.items() if path is not None)
        raise ElmoError(
            "Expected either one model, or both options_file= and weight_file=; got "
            f"{' and '.join(got)}."
        )
    check_record(opened.params, opened.words_record, source or pretrained.BUNDLED)
    opened = with_token_table(opened, table, words_only=words_only)
    if alignment is not None:
        opened.params["alignment"] = _read_alignment(alignment, opened.config)
    return opened


def resolve_files(
    source: PathLike | None, options_file: PathLike | None, weight_file: PathLike | None
) -> tuple[PathLike | None, PathLike | None, PathLike | None]:
    """The three arguments as they are meant.

    An options file may come first, as in AllenNLP; and the addresses of a published model's two
    files, which AllenNLP takes, stand for its name.
    """
    if not isinstance(source, str | os.PathLike | None):
        raise ElmoError(
            f"Expected a model's name or path, got {shortened(source)}. If these are sentences: "
            "elmo = Elmo(), then elmo.encode(texts)."
        )
    if source is not None and weight_file is not None and options_file is None:
        path = Path(source)
        if path.suffix == ".json" or path.is_file():
            source, options_file = None, source
    addresses = [str(file) for file in (options_file, weight_file) if _is_address(file)]
    if not addresses:
        return source, options_file, weight_file
    if source is None and (name := pretrained.name_of_addresses(addresses)):
        return name, None, None
    raise ElmoError(
        f"{' and '.join(addresses)}: expected the paths of two files, or the addresses of those of "
        f"a published model. Download them first. {pretrained.names_like('')}"
    )


def _is_address(file: PathLike | None) -> bool:
    return isinstance(file, str) and file.startswith(("https://", "http://"))


def _open_whole(source: PathLike | None, *arguments: Any, **choices: Any) -> Opened:
    """``open_model``, again if the model was replaced meanwhile: never half of one, half of two."""
    for _ in range(_MOST_REPLACEMENTS):
        path = model_folder(source)
        before, problem = _identity(path), None
        try:
            opened = open_model(path, *arguments, **choices)
        except (ElmoError, OSError) as error:
            problem = error
        if _identity(path) == before:
            break
    if problem is not None:
        raise problem
    return opened


def _identity(path: Path) -> tuple[int, ...] | None:
    """What tells a file or folder from another one that takes its place."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns


def model_folder(source: PathLike | None) -> Path:
    """The path of a model named by path or by name, downloaded if need be; None means "mini"."""
    if source is None:  # not a folder called "mini" that happens to be here
        return pretrained.fetch(pretrained.BUNDLED)
    path = _standing_model(source)
    if path is not None:
        return path
    if isinstance(source, str) and pretrained.is_name(source):
        return pretrained.fetch(source)
    name = os.fspath(source)
    raise ElmoError(
        f"There is no model {name!r}: no file or folder of that name here ({Path.cwd()}), nor a "
        f"pretrained model. {pretrained.names_like(name)}"
    )


def _standing_model(source: PathLike) -> Path | None:
    """The path of a model that is here, or None."""
    for _ in range(_MOST_LOOKS):  # the folder may be renamed just after it has been looked for
        path = standing_folder(Path(source))
        if is_model_path(path):
            return path
    return None


def _tokenizer_of_name(source: PathLike | None) -> str | None:
    """The tokenizer of a published model that is opened by its name, as ``model_folder`` finds it.

    The files themselves do not say it.
    """
    if not isinstance(source, str) or _standing_model(source) is not None:
        return None
    return pretrained.tokenizer_of(source)


def is_model_path(path: Path) -> bool:
    """Whether there is something to open: a file, a folder, or a checkpoint with this prefix."""
    return path.exists() or path.with_name(f"{path.name}.index").is_file()


def open_model(
    path: Path,
    options: Mapping[str, Any] | None = None,
    vocabulary: Path | None = None,
    *,
    with_softmax: bool = False,
    verify: bool = True,
) -> Opened:
    """Read a model from a folder, an archive or a checkpoint, whatever its format.

    Raises:
        ElmoError: if there is no model, or several, or its files have problems.
    """
    with open_files(path) as files:
        found = [(root, readers) for root in files.roots() if (readers := _readers_of(root))]
        nearest = [(root, readers) for root, readers in found if root.depth == found[0][0].depth]
        if len(nearest) != 1:
            _refuse_run(path)
            _refuse(files, several=bool(nearest))
        root, readers = nearest[0]
        reader = _choose(root, readers, with_softmax)
        if reader is native:
            return native.read(root, options or {}, vocabulary, verify=verify)
        opened: Opened = reader.read(root, options or {}, vocabulary)
        return opened


def _readers_of(files: ModelFiles) -> list[ModuleType]:
    return [reader for reader in READERS if reader.recognizes(files)]


def _refuse_run(path: Path) -> None:
    """Raise ElmoError, with the place of its model, if this is the folder of a training run."""
    if not (path / "run.json").is_file():  # ``training.run_folder`` says what a run writes
        return
    for folder in ("model", "hdf5"):
        if (path / folder).is_dir():
            raise ElmoError(
                f"{path} is the folder of a training run; its model is {path / folder}."
            )
    raise ElmoError(
        f"{path} is the folder of a training run that is not finished: it has no model yet. Run "
        "the command that started it again, which resumes it."
    )


def _refuse(files: ModelFiles, *, several: bool) -> None:
    problem = "several models" if several else "no model"
    advice = " Unpack it, and name the folder of one of them." if several else ""
    formats = "; ".join(f"{reader.EXPECTED} ({reader.FORMAT})" for reader in READERS)
    raise ElmoError(
        f"{files.source} holds {problem}; found {files.listed()}. Expected one of: {formats}."
        f"{advice}"
    )


def _choose(files: ModelFiles, readers: Sequence[ModuleType], with_softmax: bool) -> ModuleType:
    """The format to read, if files are of several."""
    if len(readers) == 1:
        return readers[0]
    by_name = {reader.FORMAT: reader for reader in readers}
    checkpoint = by_name.get(bilm_tf.FORMAT)
    if checkpoint is not None and files.prefix is not None:  # the user named the checkpoint
        return checkpoint
    # In NLPL's repository, an HDF5 file has the checkpoint that it was made from beside it.
    if checkpoint is not None and by_name.keys() == {published.FORMAT, bilm_tf.FORMAT}:
        return checkpoint if with_softmax else by_name[published.FORMAT]
    raise ElmoError(
        f"{files.source} can be read in more than one way: as {' and as '.join(by_name)}. Give "
        "each model a folder of its own."
    )


def _as_mapping(options: Options | None) -> Mapping[str, Any]:
    if options is None or isinstance(options, Mapping):
        return options or {}
    is_path = isinstance(options, str | os.PathLike)
    mapping: Any = published.read_options(Path(options)) if is_path else options
    if not isinstance(mapping, Mapping):
        raise ElmoError(
            "Expected options as a dictionary nested like options.json, or the path of such a "
            f"file; got {type(mapping).__name__} {shortened(mapping)}."
        )
    return mapping


def _read_alignment(alignment: Alignment, config: ElmoConfig) -> dict[str, np.ndarray]:
    by_layer = alignment if isinstance(alignment, Mapping) else {1: alignment}
    matrices, size = {}, config.output_dim
    for layer, value in by_layer.items():
        is_path = isinstance(value, str | os.PathLike)
        matrix = read_matrix(value) if is_path else as_matrix(value, "The alignment")
        if layer not in range(config.n_output_layers):
            raise ElmoError(
                f"There is no layer {layer!r} to align: expected a number from 0 (the token layer) "
                f"to {config.n_output_layers - 1}."
            )
        if matrix.shape != (size, size):
            raise ElmoError(
                f"The alignment of layer {layer} has shape {matrix.shape}, expected {(size, size)} "
                "for the vectors of this model."
            )
        matrices[f"layer_{layer}"] = matrix
    return matrices
