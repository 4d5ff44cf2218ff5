"""Corpora of every format as records: words, their text, and a key where the format has one."""

from .files import READ_ERRORS, Files, find_files, open_file
from .record import Record
from .records import FORMATS, Records, format_of

__all__ = [
    "FORMATS",
    "READ_ERRORS",
    "Files",
    "Record",
    "Records",
    "find_files",
    "format_of",
    "open_file",
]
