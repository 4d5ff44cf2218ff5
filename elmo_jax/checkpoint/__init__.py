"""Models on disk: the native folder, and the published options.json with its HDF5 file."""

from .formats import FILES, FORMATS, VOCABULARY_FILE, WEIGHT_NAMES
from .native import is_native, read_metadata, read_vocabulary_record
from .published import read_options
from .saving import save, write_model
from .softmax_words import check_vocabulary, open_vocabulary, softmax_size, vocabulary_record
from .sources import load, model_folder, open_model

__all__ = [
    "FILES",
    "FORMATS",
    "VOCABULARY_FILE",
    "WEIGHT_NAMES",
    "check_vocabulary",
    "is_native",
    "load",
    "model_folder",
    "open_model",
    "open_vocabulary",
    "read_metadata",
    "read_options",
    "read_vocabulary_record",
    "save",
    "softmax_size",
    "vocabulary_record",
    "write_model",
]
