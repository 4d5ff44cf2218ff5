"""Models on disk: the native folder, and the published options.json with its HDF5 file."""

from .native import read_metadata, read_native
from .published import read_published
from .sources import open_files, open_model
from .writing import FORMATS, save

__all__ = [
    "FORMATS",
    "open_files",
    "open_model",
    "read_metadata",
    "read_native",
    "read_published",
    "save",
]
