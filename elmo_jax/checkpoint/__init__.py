"""Models on disk: the native folder, and the published options.json with its HDF5 file."""

from .native import is_native, read_metadata, read_native, read_vocabulary_record
from .published import read_options, read_published
from .sources import open_files, open_model, open_vocabulary
from .words import VOCABULARY_FILE, check_vocabulary, softmax_size, vocabulary_record
from .writing import DTYPES, FILES, FORMATS, WEIGHT_NAMES, save

__all__ = [
    "DTYPES",
    "FILES",
    "FORMATS",
    "VOCABULARY_FILE",
    "WEIGHT_NAMES",
    "check_vocabulary",
    "is_native",
    "open_files",
    "open_model",
    "open_vocabulary",
    "read_metadata",
    "read_native",
    "read_options",
    "read_published",
    "read_vocabulary_record",
    "save",
    "softmax_size",
    "vocabulary_record",
]
