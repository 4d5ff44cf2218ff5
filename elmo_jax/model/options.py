"""The published ``options.json`` (bilm-tf, AllenNLP): its keys and the fields they set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ElmoError

N_CHARACTERS = 261
"""How many character ids there are: 256 bytes and five markers. With padding it is 262."""

_REQUIRED = object()  # no default: None is a value of the clips

KEYS: dict[str, tuple[str, Any]] = {
    "filters": ("char_cnn.filters", _REQUIRED),
    "char_embedding_dim": ("char_cnn.embedding.dim", _REQUIRED),
    "activation": ("char_cnn.activation", _REQUIRED),
    "max_characters_per_token": ("char_cnn.max_characters_per_token", _REQUIRED),
    "projection_dim": ("lstm.projection_dim", _REQUIRED),
    "cell_dim": ("lstm.dim", _REQUIRED),
    "n_layers": ("lstm.n_layers", 1),
    "n_highway": ("char_cnn.n_highway", 0),
    "cell_clip": ("lstm.cell_clip", None),
    "proj_clip": ("lstm.proj_clip", None),
    "use_skip_connections": ("lstm.use_skip_connections", False),
}
"""Config field -> its key in options.json, and the value of a missing key. The five defaults are
those of bilm-tf."""


def read_fields(options: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The fields of an ElmoConfig from a parsed options.json; an error names all bad keys."""
    if not isinstance(options, Mapping):
        raise ElmoError(f"{source}: expected a JSON object, got {type(options).__name__}.")
    problems = []
    for key in ("bidirectional", "share_embedding_softmax"):
        value = options.get(key)
        if value is not None and not isinstance(value, bool):
            kind = type(value).__name__
            problems.append(f"{key} is {value!r} (a {kind}), expected true or false")
    if options.get("bidirectional") is False:
        problems.append("bidirectional is false, but ELMo needs both directions")
    if options.get("share_embedding_softmax") is True:
        problems.append(
            "share_embedding_softmax is true, but words that are spelled out have no embeddings "
            "that a softmax could share (bilm-tf refuses it, too)"
        )
    # Models are trained with 261 ids; for inference the file is edited to 262, with padding.
    n_characters = _get(options, "char_cnn.n_characters", N_CHARACTERS)
    if n_characters not in (N_CHARACTERS, N_CHARACTERS + 1):
        expected = "261 (as trained) or 262"
        problems.append(f"char_cnn.n_characters is {n_characters!r}, expected {expected}")
    fields = {field: _get(options, path, default) for field, (path, default) in KEYS.items()}
    problems += [f"{KEYS[field][0]} is missing" for field in fields if fields[field] is _REQUIRED]
    for field in ("n_highway", "use_skip_connections"):  # null means the same as a missing key
        fields[field] = KEYS[field][1] if fields[field] is None else fields[field]
    try:
        fields["filters"] = tuple((width, number) for width, number in fields["filters"])
    except (TypeError, ValueError):
        if fields["filters"] is not _REQUIRED:
            filters = fields["filters"]
            problems.append(f"char_cnn.filters is {filters!r}, expected [width, number] pairs")
    if problems:
        raise ElmoError(
            f"{source} does not describe a character-based ELMo: {'; '.join(problems)}. "
            "Expected the options.json that came with the weights."
        )
    return fields


def from_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON-ready options.json that ``read_fields`` reads back."""
    options: dict[str, Any] = {"char_cnn": {"n_characters": N_CHARACTERS + 1}, "lstm": {}}
    for field, (path, _) in KEYS.items():
        *parents, key = path.split(".")
        section = options
        for parent in parents:
            section = section.setdefault(parent, {})
        section[key] = fields[field]
    options["char_cnn"]["filters"] = [list(pair) for pair in fields["filters"]]
    return options


def _get(options: Mapping[str, Any], path: str, default: Any) -> Any:
    value: Any = options
    for key in path.split("."):
        if not isinstance(value, Mapping) or key not in value:
            return default
        value = value[key]
    return value
