"""``.vec`` and ``.txt``: one line per token, the word and its numbers with spaces between them.

A blank line ends each sentence, as in CoNLL; it is not in the files of word2vec, which have one
line for each *different* word, and a header. Whitespace in a word, and NUL, become ``_``, as
word2vec writes phrases (``New_York``). Numbers have the digits that are needed to read them back
exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...errors import ElmoError
from ...text.tokenizers import ASCII_SPACES
from .delimited import number_bytes
from .layout import FileLayout, RecordVectors

_REPLACED = str.maketrans(dict.fromkeys([*ASCII_SPACES, "\0"], "_"))


def check(layout: FileLayout) -> None:
    """Raise ElmoError unless there is one vector per token."""
    if layout.pooled:
        raise ElmoError(
            "A .vec or .txt file has a line for each token, with its word. Write pooled sentences "
            "(--pooling) to a .tsv, .csv, .npz or .npy file."
        )
    if len(layout.shape) > 1:
        raise ElmoError(
            f"A .vec or .txt file has one vector per token, not {layout.shape[0]} layers. Choose "
            "one with layers=, in a command --layers (a number, top or average); or write a .tsv, "
            ".npz or .h5 file."
        )


def notes(layout: FileLayout) -> Iterator[str]:
    """Remarks for the user."""
    yield "a .vec or .txt file is large and slow to read; .npz and .parquet are not"
    if layout.longest_key:
        yield "a .vec or .txt file has no place for the records' keys; .tsv, .npz and .h5 files do"


def estimated_bytes(layout: FileLayout) -> int:
    """The approximate size of the file."""
    return number_bytes(layout) + layout.text_bytes + layout.tokens + layout.sentences


def write(path: Path, layout: FileLayout, results: RecordVectors) -> None:
    """Write results one by one."""
    with path.open("w", encoding="utf-8", newline="") as file:
        for record, vectors_TD in results:
            # NumPy writes the shortest decimals that read back as the same float32 or float16.
            for word, numbers in zip(record.words, vectors_TD.astype(str).tolist(), strict=True):
                file.write(f"{word.translate(_REPLACED)} {' '.join(numbers)}\n")
            file.write("\n")
