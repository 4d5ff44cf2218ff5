"""The training options in an options.json of bilm-tf, as settings of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ElmoError
from ..model.options import KEYS

_FIELDS = {
    "batch_size": "batch_size",
    "unroll_steps": "unroll_steps",
    "n_epochs": "epochs",
    "n_negative_samples_batch": "n_negative_samples",
    "dropout": "dropout",
}
_OF_ADAGRAD = {"learning_rate": "learning_rate", "all_clip_norm_val": "clip_norm"}

_NEEDLESS = {
    "bidirectional", "share_embedding_softmax",  # read with the architecture
    "sample_softmax",  # read below
    "n_train_tokens", "n_tokens_vocab",  # counted from the text and the vocabulary
}  # fmt: skip
_ARCHITECTURE = {path for path, _ in KEYS.values()} | {"char_cnn.n_characters"}


def read_settings(
    options: Mapping[str, Any], source: str, recipe: str | None
) -> tuple[dict[str, Any], list[str]]:
    """Fields of TrainingSettings, and the keys of the options that set none.

    Args:
        options: the parsed JSON object; null is as good as an absent key.
        source: what to call the object in errors.
        recipe: that the user chose, if one. Without one, a learning rate or a bound on the
            gradient in the options, which are Adagrad's, choose "original".

    Raises:
        ElmoError: if the options are no JSON object.
    """
    if not isinstance(options, Mapping):
        raise ElmoError(f"{source}: expected a JSON object, got {type(options).__name__}.")
    present = {key: value for key, value in options.items() if value is not None}
    fields = {field: present[key] for key, field in _FIELDS.items() if key in present}
    if present.get("sample_softmax") is False:
        fields["n_negative_samples"] = 0
    of_adagrad = {field: present[key] for key, field in _OF_ADAGRAD.items() if key in present}
    known = {*_FIELDS, *_NEEDLESS}
    if recipe != "modern":
        known |= _OF_ADAGRAD.keys()
        fields.update(of_adagrad)
        if of_adagrad:
            fields["recipe"] = "original"
    return fields, [path for path in _paths(present) if path not in known | _ARCHITECTURE]


def _paths(options: Mapping[str, Any], before: str = "") -> list[str]:
    """The keys, those of objects inside joined by dots."""
    paths = []
    for key, value in options.items():
        path = f"{before}{key}"
        paths += _paths(value, f"{path}.") if isinstance(value, Mapping) and value else [path]
    return paths
