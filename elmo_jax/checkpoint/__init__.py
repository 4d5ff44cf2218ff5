"""Models on disk: the native folder, and the published options.json with its HDF5 file."""

from .formats import FILES, FORMATS, VOCABULARY_FILE, WEIGHT_NAMES
from .native import read_metadata
from .opened import Opened
from .published import read_options
from .resaving import save_opened, words_of
from .saving import save, write_model
from .softmax_words import check_vocabulary, open_vocabulary, softmax_size, vocabulary_record
from .sources import (
    Alignment,
    Options,
    is_model_path,
    load,
    model_folder,
    open_model,
    open_source,
)
from .token_table import TokenTable, as_word_model, read_token_table, write_token_table
from .verification import verification

__all__ = [
    "FILES",
    "FORMATS",
    "VOCABULARY_FILE",
    "WEIGHT_NAMES",
    "Alignment",
    "Opened",
    "Options",
    "TokenTable",
    "as_word_model",
    "check_vocabulary",
    "is_model_path",
    "load",
    "model_folder",
    "open_model",
    "open_source",
    "open_vocabulary",
    "read_metadata",
    "read_options",
    "read_token_table",
    "save",
    "save_opened",
    "softmax_size",
    "verification",
    "vocabulary_record",
    "words_of",
    "write_model",
    "write_token_table",
]
