"""Corpora in every format as records: words, their text, and a key if the format has keys."""

from .corpus_reader import COLUMN_FORMATS, TEXT_FORMATS, Records, format_of
from .input_files import Files, find_files, open_file
from .record import Record
from .stored_bytes import BrokenFile

__all__ = [
    "COLUMN_FORMATS",
    "TEXT_FORMATS",
    "BrokenFile",
    "Files",
    "Record",
    "Records",
    "find_files",
    "format_of",
    "open_file",
]
