"""Models on disk: the native folder, and the published options.json with its HDF5 file."""

from .native import is_native, read_metadata, read_native
from .published import read_options, read_published
from .sources import open_files, open_model
from .writing import DTYPES, FILES, FORMATS, VOCABULARY_FILE, save

__all__ = [
    "DTYPES",
    "FILES",
    "FORMATS",
    "VOCABULARY_FILE",
    "is_native",
    "open_files",
    "open_model",
    "read_metadata",
    "read_native",
    "read_options",
    "read_published",
    "save",
]
