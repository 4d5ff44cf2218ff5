"""Write a random model of ELMoForManyLangs, with the code of ELMoForManyLangs.

Started as ``python elmoformanylangs_model.py FOLDER VOCABULARY`` in the environment of that peer.
FOLDER holds config.json, and the configuration that it names; VOCABULARY is a file of words.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from elmoformanylangs.biLM import Model
from elmoformanylangs.modules.embedding_layer import EmbeddingLayer

_WORD_MARKS = ("<oov>", "<bos>", "<eos>", "<pad>")
_CHARACTER_MARKS = ("<bos>", "<eos>", "<oov>", "<pad>", "<bow>", "<eow>")

# Gives vectors of the size of a trained model's. With the weights that training starts from, they
# are far smaller.
_GAIN = 1.5


def main(folder: Path, vocabulary: Path) -> None:
    """Write the two dictionaries and the two state dicts, as training does."""
    torch.manual_seed(0)
    path = json.loads((folder / "config.json").read_text("utf-8"))["config_path"]
    config = json.loads((folder / path).read_text("utf-8"))
    words = vocabulary.read_text("utf-8").split()
    entries = {
        "word": (*_WORD_MARKS, *words),
        "char": (*dict.fromkeys("".join(words)), *_CHARACTER_MARKS),
    }
    tables = []
    for name, tokens in entries.items():
        rows = {token: row for row, token in enumerate(tokens)}
        lines = [f"{token}\t{row}\n" for token, row in rows.items()]
        (folder / f"{name}.dic").write_text("".join(lines), "utf-8")
        size = config["token_embedder"][f"{name}_dim"]
        tables.append(EmbeddingLayer(size, rows, fix_emb=False))
    model = Model(config, *tables, n_class=len(entries["word"]))
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=_GAIN * parameter[0].numel() ** -0.5)
    model.save_model(str(folder), save_classify_layer=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
