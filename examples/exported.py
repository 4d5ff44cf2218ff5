"""Run a function that ``elmo_jax.export_function`` wrote, with NumPy and JAX alone.

    python examples/exported.py elmo.npz "The bank of the river ." "Hi"

``bytes_of`` is all of spelling for most models: a word is its UTF-8 bytes, each plus one, between
two word markers. A model with an alphabet has rows of its own, see ``ids_in``.
"""

import json
import sys

import jax
import numpy as np
from jax import export

BEGIN_WORD, END_WORD, PADDING = 259, 260, 261
MARKERS = {"<S>": 257, "</S>": 258}  # the words for the begin and the end of a sentence


def bytes_of(word, width):
    """The ids of a word that is spelled in bytes."""
    spelled = [byte + 1 for byte in word.encode("utf-8", "ignore")[: width - 2]]
    ids = [BEGIN_WORD, *([MARKERS[word]] if word in MARKERS else spelled), END_WORD]
    return ids + [PADDING] * (width - len(ids))


def ids_in(alphabet):
    """The function that gives the ids of a word: its row, those of its characters, or both."""
    words = {word: row + 1 for row, word in enumerate(alphabet["words"])}
    characters = {character: row + 1 for row, character in enumerate(alphabet["characters"])}
    unknown = alphabet["unknown"]

    def spell(word, width):
        word = word[: alphabet["longest"]]
        ids = [words.get(word, words[unknown])] if words else []
        if characters:
            inner = [word] if word in ("<bos>", "<eos>") else word
            ids.append(characters["<eow>"])  # the marks of a word stand the wrong way round
            ids += [characters.get(each, characters[unknown]) for each in inner]
            ids.append(characters["<bow>"])
            ids += [characters["<pad>"]] * (width - len(ids))
        return ids

    return spell


def encode(sentences, width, spell):
    """Lists of words to char_ids int32 [B, T, width], 0 at padding, and lengths int32 [B]."""
    lengths = np.array([len(sentence) for sentence in sentences], np.int32)
    char_ids = np.zeros((len(sentences), max(1, *lengths), width), np.int32)
    for row, sentence in enumerate(sentences):
        for column, word in enumerate(sentence):
            char_ids[row, column] = spell(word, width)
    return char_ids, lengths


def pad(char_ids, lengths):
    """Pad B and T to powers of two: each new shape takes seconds to compile."""
    n_rows, n_columns = ((1 << (size - 1).bit_length()) - size for size in char_ids.shape[:2])
    return np.pad(char_ids, ((0, n_rows), (0, n_columns), (0, 0))), np.pad(lengths, (0, n_rows))


def load(path):
    """The function in the file, from lists of words to vectors (zeros after the last word)."""
    with np.load(path) as file:
        function = jax.jit(export.deserialize(bytearray(file["function"])).call)
        width = int(file["width"])
        spell = ids_in(json.loads(bytes(file["alphabet"]))) if "alphabet" in file else bytes_of
        prefix = "weights/"
        weights = {
            name.removeprefix(prefix): jax.device_put(file[name])
            for name in file.files
            if name.startswith(prefix)
        }

    def embed(sentences):
        batch = pad(*encode(sentences, width, spell))
        return np.asarray(function(weights, *batch))[: len(sentences)]

    return embed


if __name__ == "__main__":
    print(load(sys.argv[1])([text.split() for text in sys.argv[2:]]))
