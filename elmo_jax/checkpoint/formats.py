"""The two formats of a model on disk, and the names of their files."""

from __future__ import annotations

FILES = {
    "native": ("config.json", "model.safetensors"),
    "hdf5": ("options.json", "weights.hdf5"),
}
"""The formats and their files."""

FORMATS = tuple(FILES)

WEIGHT_NAMES = ("weights.hdf5", "model.hdf5")
"""Names of the weight file in a published folder; the first of these that exists is opened."""

VOCABULARY_FILE = "vocab.txt"
"""The words of the softmax, beside a model that has one, in the vocabulary format of bilm-tf."""

VOCABULARY_NAMES = (VOCABULARY_FILE, f"{VOCABULARY_FILE}.gz")
"""The names of that file; the NLPL repository's models may have it compressed."""

ALPHABET_FILE = "alphabet.json"
"""The words and characters of a native model that has an alphabet, each by row."""

MODEL_FILES = (
    *FILES["native"],
    *FILES["hdf5"],
    *WEIGHT_NAMES,
    *VOCABULARY_NAMES,
    ALPHABET_FILE,
)
"""All files of a model, which a new model in the same folder replaces or removes: an old
vocabulary, or old weights under another name, would be taken for the new model's."""
