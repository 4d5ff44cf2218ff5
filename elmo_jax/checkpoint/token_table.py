"""Tables of token vectors: what the token layer makes of each word of a vocabulary.

Three tools write such tables. bilm-tf (``dump_token_embeddings``) writes an HDF5 file whose dataset
``embedding`` has a row for each line of the vocabulary; pytorch-fast-elmo writes a text, a word and
its numbers in each line; AllenNLP (``create_elmo_embeddings_from_vocab``) the same text, compressed
with gzip. The content of a file decides which it is.

A model with its characters does not need a table, which can only show that it belongs to the model.
Without them, a table makes a model of words.
"""

from __future__ import annotations

import codecs
import dataclasses
import gzip
import os
import re
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from ..errors import ElmoError, counted, first_few, shortened
from ..files import atomic_file
from ..forking import check_process
from ..model.alphabet import Alphabet
from ..model.config import ElmoConfig
from ..model.parameters import Params, has_token_layer, token_layer_name
from ..model.spelling import spell
from ..text.contents import check_is_text, head_of
from .formats import VOCABULARY_NAMES
from .gzip_text import GZIP, lines_of, most_expanded
from .hdf5_arrays import DAMAGED, SIGNATURE, arrays_in, open_hdf5, unreadable
from .opened import Opened
from .stored_arrays import UnreadableArray
from .vocabulary import MARKERS, UNK, Vocabulary, Words

DATASET = "embedding"

SAMPLED_ROWS = 64
"""How many rows of a table are compared with a model."""

TOLERANCE = 1e-4
"""By how much a number may differ from the model's, as a share of the largest one if that is above
1. Other libraries and devices differ by less than 1e-5, other models by tenths."""

_KIND = "token table"
_UNKNOWN_IN_ALLENNLP = "@@UNKNOWN@@"
_FIELDS_KEPT = (
    "projection_dim",
    "cell_dim",
    "n_layers",
    "cell_clip",
    "proj_clip",
    "use_skip_connections",
    "forced_projections",
)
_PARTS_KEPT = ("forward", "backward", "scalar_mixes", "output_projection", "alignment")
_MOST_PROBLEMS = 10_000
"""After so many lines that are wrong, no further ones are read."""

_HEADER = re.compile(rb"([0-9]{1,18}) ([0-9]{1,18}) ?\r?\n?")


class TokenTable(NamedTuple):
    """The vectors of words.

    Attributes:
        words: V words, including the sentence markers ``<S>`` and ``</S>``.
        vectors: float32 [V, P].
        source: the name of the table in errors.
    """

    words: tuple[str, ...]
    vectors: np.ndarray
    source: str = "the table"


# Reading


def read_token_table(path: str | os.PathLike[str], vocabulary: Words | None = None) -> TokenTable:
    """Read a table that bilm-tf, pytorch-fast-elmo, AllenNLP or ``write_token_table`` wrote.

    Args:
        path: an HDF5 file, or a text file, which may be compressed with gzip.
        vocabulary: the words of an HDF5 file, row by row; None for vocab.txt beside it. A text file
            names its own words.

    Raises:
        ElmoError: if there is no such file, a number is not finite, rows have different lengths,
            or the vocabulary is missing or has a different number of words. The message names the
            first lines or rows that are wrong.

    Example:
        >>> read_token_table("token_embeddings.hdf5", "vocab.txt").vectors.shape
        (793471, 512)
    """
    file, source = Path(path), os.fspath(path)
    if file.exists() and not file.is_file():  # a pipe would be waited for
        raise ElmoError(f"Cannot read the token table {source}: it is no file.")
    try:
        with file.open("rb") as stream:
            head = stream.read(len(SIGNATURE))
            stream.seek(0)
            if head == SIGNATURE:
                return _read_hdf5(file, source, vocabulary)
            if not head.startswith(GZIP):
                return _read_text(stream, source, file.stat().st_size)
            most = most_expanded(file.stat().st_size)
            with gzip.open(stream) as unpacked:
                return _read_text(unpacked, source, most)
    except FileNotFoundError:
        raise ElmoError(f"There is no token table at {source}: no such file.") from None
    except (OSError, EOFError, zlib.error) as error:
        raise ElmoError(f"Cannot read the token table {source}: {error}.") from None


def _read_hdf5(path: Path, source: str, vocabulary: Words | None) -> TokenTable:
    words = _words_of_rows(path, source, vocabulary)
    with open_hdf5(path, source, _KIND) as file:
        arrays = arrays_in(file, source, _KIND)
        if (array := arrays.get(DATASET)) is None:
            raise ElmoError(
                f"The HDF5 file {source} is not a token table: it has no dataset {DATASET!r}; "
                f"found {first_few(list(map(shortened, sorted(arrays)))) or 'nothing'}."
            )
        shape = array.shape
        if shape is None or len(shape) != 2 or not array.dtype.startswith("float") or 0 in shape:
            raise ElmoError(
                f"{source}: {DATASET} is {array.dtype} of shape {shape}, expected float32 [words, "
                "dimensions]."
            )
        _check_length(words, shape[0], source)
        if array.problem:
            raise ElmoError(f"The token table {source} cannot be used: {array.problem}.")
        try:
            vectors = _to_float32(array.read())
        except UnreadableArray as error:
            raise unreadable(source, DAMAGED, error, _KIND) from None
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    problems = [f"row {row + 1:,} ({shortened(words.words[row])})" for row in bad]
    if problems:
        raise ElmoError(
            f"The token table {source} has numbers that are not finite: {first_few(problems)}."
        )
    return TokenTable(words.words, vectors, source)


def _words_of_rows(path: Path, source: str, vocabulary: Words | None) -> Vocabulary:
    if vocabulary is None:
        beside = (path.with_name(name) for name in VOCABULARY_NAMES)
        vocabulary = next(filter(Path.is_file, beside), None)
    if vocabulary is None:
        raise ElmoError(
            f"Which words does the token table {source} have? An HDF5 file has only their vectors. "
            "Name the vocabulary that it was made with, one word per line: vocabulary_file=..., in "
            f"a command --vocabulary; or put it beside the table as {VOCABULARY_NAMES[0]}."
        )
    return Vocabulary.of(vocabulary)


def _check_length(words: Vocabulary, n_rows: int, source: str) -> None:
    if len(words) != n_rows:
        raise ElmoError(
            f"{words.source} has {counted(len(words), 'word')}, but the token table {source} has "
            f"{counted(n_rows, 'row')}. Expected the vocabulary that the table was made with."
        )


def _to_float32(numbers: Any) -> np.ndarray:
    with np.errstate(over="ignore"):  # float64 beyond float32 is reported as infinite
        return np.asarray(numbers).astype(np.float32, copy=False)


def _read_text(file: Any, source: str, most: int) -> TokenTable:
    """Read lines ``word number … number``; the first one may say how many lines and numbers."""
    check_is_text(head_of(file), f"The token table {source}")
    vectors: dict[str, np.ndarray] = {}
    problems, n_lines, declared, dim = [], 0, None, None
    for number, line in enumerate(lines_of(file, f"The token table {source}", most), 1):
        line = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
        if number == 1 and (header := _HEADER.fullmatch(line)):
            declared, dim = int(header[1]), int(header[2])
            continue
        if not line.strip():
            continue
        word, vector_P, problem = _parse(line, dim)
        # A vocabulary may have a word twice, but then its vectors are the same.
        if not problem and not np.array_equal(vectors.setdefault(word, vector_P), vector_P):
            problem = f"{shortened(word)} has other numbers than before"
        if problem:
            problems.append(f"line {number:,}: {problem}")
        n_lines, dim = n_lines + 1, dim or len(vector_P)
        if len(problems) > _MOST_PROBLEMS:
            break
    if not problems and declared is not None and declared != n_lines:
        problems.append(f"line 1 says {counted(declared, 'word')}, found {n_lines:,}")
    if problems or not vectors:
        raise ElmoError(
            f"Cannot read the token table {source}: {first_few(problems) or 'it has no words'}. "
            "Expected a word and its numbers in each line, with single spaces between them."
        )
    return TokenTable(tuple(vectors), np.stack(list(vectors.values())), source)


def _parse(line: bytes, dim: int | None) -> tuple[str, np.ndarray, str]:
    """A word, its vector float32 [P], and what is wrong with the line, if anything."""
    nothing = np.zeros(0, np.float32)
    try:
        word, *numbers = line.decode().rstrip(" \r\n").split(" ")
        vector_P = _to_float32(np.array(numbers, np.float64))
    except UnicodeDecodeError as error:
        return "", nothing, f"the byte 0x{line[error.start]:02x} is not UTF-8"
    except ValueError as error:
        return "", nothing, str(error)
    if len(vector_P) != dim and (dim or not numbers):
        expected = f"expected {dim:,}" if dim else "expected at least one"
        return word, nothing, f"{counted(len(vector_P), 'number')}, {expected}"
    return word, vector_P, "" if np.isfinite(vector_P).all() else "a number that is not finite"


# Writing


def write_token_table(
    path: str | os.PathLike[str],
    shape: tuple[int, int],
    vectors: Iterable[np.ndarray],
    *,
    overwrite: bool = False,
) -> None:
    """Write a table as bilm-tf's ``dump_token_embeddings`` does.

    Args:
        path: an HDF5 file, which appears only when it is complete.
        shape: V and P.
        vectors: the rows in order, in parts of any size: float32 [n, P].
        overwrite: replace an existing file.

    Raises:
        ElmoError: if the file exists, cannot be written, or there are not V rows.

    Example:
        >>> words = Vocabulary.read("vocab.txt").words
        >>> size = elmo.config.projection_dim
        >>> rows = (vectors[:, :size] for vectors in elmo.stream([words], layers=0))
        >>> write_token_table("token_embeddings.hdf5", (len(words), size), rows)
    """
    with atomic_file(Path(path), overwrite=overwrite) as temporary:
        n_written = 0
        with h5py.File(temporary, "w") as file:
            dataset = file.create_dataset(DATASET, shape, np.float32)
            for part in vectors:
                dataset[n_written : n_written + len(part)] = part
                n_written += len(part)
        if n_written != shape[0]:
            raise ElmoError(f"Expected {counted(shape[0], 'vector')} to write, got {n_written:,}.")


# Using


def with_token_table(
    opened: Opened, table: TokenTable | None, *, words_only: bool = False
) -> Opened:
    """The model that files and a table of token vectors make together.

    A model that makes its token vectors itself stays as it is, as it then knows all words, and the
    table only has to agree with it. With ``words_only``, or if the weight file has nothing but
    LSTMs, the result is that of ``as_word_model``.

    Raises:
        ElmoError: if the table belongs to another model, lacks a marker that is needed, or is
            missing where it is needed.
    """
    config, params = opened.config, opened.params
    is_whole = has_token_layer(config, params)
    if table is None:
        if is_whole and not words_only:
            return opened
        reason = "The weight file of this model has its LSTMs, but nothing that makes token vectors"
        if is_whole:
            reason = "A model of words needs their vectors, which `elmo-jax token-table` makes"
        raise ElmoError(
            f"{reason}. Expected a table of token vectors: token_table=..., in a command "
            "--token-table."
        )
    if is_whole:
        check_token_table(config, params, table)
        if not words_only:
            return opened
    config, params = as_word_model(config, params, table)
    return dataclasses.replace(opened, config=config, params=params, vocabulary=None)


def check_token_table(config: ElmoConfig, params: Params, table: TokenTable) -> None:
    """Raise ElmoError unless a model makes the vectors of a table itself.

    ``SAMPLED_ROWS`` words are compared, evenly spread over the table.
    """
    _check_size(config, table)
    n_words = len(table.words)
    rows = np.unique(np.linspace(0, n_words - 1, min(SAMPLED_ROWS, n_words)).astype(int))
    words = [table.words[row] for row in rows]
    own_UP = _token_vectors(config, params, words)
    differences_U = np.abs(table.vectors[rows] - own_UP).max(axis=1)
    is_wrong_U = differences_U > TOLERANCE * np.maximum(np.abs(own_UP).max(axis=1), 1)
    if is_wrong_U.any():
        first = int(np.argmax(is_wrong_U))
        raise ElmoError(
            f"The token table {table.source} belongs to another model, or its rows to other words: "
            f"the vector of {shortened(words[first])} (row {rows[first] + 1:,}) differs by "
            f"{differences_U[first]:.3g} from the one that this model makes, and "
            f"{int(is_wrong_U.sum())} of {counted(len(words), 'word')} that were compared differ. "
            "Name the table and the vocabulary of this model. It also works without a table."
        )


def _check_size(config: ElmoConfig, table: TokenTable) -> None:
    dim = table.vectors.shape[1]
    if dim != config.projection_dim:
        raise ElmoError(
            f"The token table {table.source} has vectors of {counted(dim, 'number')}; this model "
            f"has token vectors of {config.projection_dim:,}. Expected the table of this model."
        )


def _token_vectors(config: ElmoConfig, params: Params, words: list[str]) -> np.ndarray:
    """The token vectors of U words, float32 [U, P]."""
    import jax  # only here, because opening a model does without

    from ..model.token_layer import make_token_layer

    check_process()
    layer = make_token_layer(config, "float32")
    variables = {"params": params[token_layer_name(config)]}
    return np.asarray(jax.jit(layer.apply)(variables, spell(words, config).ids_UC))


def as_word_model(
    config: ElmoConfig, params: Params, table: TokenTable
) -> tuple[ElmoConfig, dict[str, Any]]:
    """A model of words: it takes their vectors from a table, as bilm-tf does.

    All other words get the vector of ``<UNK>``, which AllenNLP's tables call ``@@UNKNOWN@@``. The
    model's softmax is left out, because it has a different vocabulary.

    Raises:
        ElmoError: if the table has vectors of another size, or lacks ``<S>``, ``</S>`` or
            ``<UNK>``.
    """
    _check_size(config, table)
    words = list(table.words)
    if UNK not in words and _UNKNOWN_IN_ALLENNLP in words:
        words[words.index(_UNKNOWN_IN_ALLENNLP)] = UNK
    if missing := [marker for marker in MARKERS if marker not in words]:
        raise ElmoError(
            f"The token table {table.source} has no row for {', '.join(missing)}. A model that "
            "reads whole words needs the vectors of both sentence markers and of unknown words: "
            f"make the table from a vocabulary that has {', '.join(MARKERS)} in it."
        )
    fields = {field: getattr(config, field) for field in _FIELDS_KEPT}
    new_config = ElmoConfig(filters=(), token_layer="table", alphabet=Alphabet(words), **fields)
    new_params = {part: params[part] for part in _PARTS_KEPT if part in params}
    return new_config, {"word_encoder": {"embedding": table.vectors}, **new_params}
