"""The published ``options.json`` (bilm-tf, AllenNLP): its keys and the fields they set.

The configuration of ELMoForManyLangs is another file with the same purpose, and is read here, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ElmoError
from .alphabet import Alphabet

N_CHARACTERS = 261
"""How many character ids there are: 256 bytes and five markers. With padding it is 262."""

_REQUIRED = object()  # no default: None is a value of the clips

_CHARACTER_KEYS: dict[str, tuple[str, Any]] = {
    "filters": ("char_cnn.filters", _REQUIRED),
    "char_embedding_dim": ("char_cnn.embedding.dim", _REQUIRED),
    "activation": ("char_cnn.activation", _REQUIRED),
    "max_characters_per_token": ("char_cnn.max_characters_per_token", _REQUIRED),
    "n_highway": ("char_cnn.n_highway", 0),
}

_LSTM_KEYS: dict[str, tuple[str, Any]] = {
    "projection_dim": ("lstm.projection_dim", _REQUIRED),
    "cell_dim": ("lstm.dim", _REQUIRED),
    "n_layers": ("lstm.n_layers", 1),
    "cell_clip": ("lstm.cell_clip", None),
    "proj_clip": ("lstm.proj_clip", None),
    "use_skip_connections": ("lstm.use_skip_connections", False),
}

KEYS: dict[str, tuple[str, Any]] = {**_CHARACTER_KEYS, **_LSTM_KEYS}
"""Config field -> its key in options.json, and the value of a missing key. The five defaults are
those of bilm-tf."""

MANYLANGS_KEYS: dict[str, tuple[str, Any]] = {
    "filters": ("token_embedder.filters", ()),
    "char_embedding_dim": ("token_embedder.char_dim", _REQUIRED),
    "word_dim": ("token_embedder.word_dim", _REQUIRED),
    "activation": ("token_embedder.activation", "relu"),
    "max_characters_per_token": ("token_embedder.max_characters_per_token", 50),
    "n_highway": ("token_embedder.n_highway", 0),
    "projection_dim": ("encoder.projection_dim", _REQUIRED),
    "cell_dim": ("encoder.dim", _REQUIRED),
    "n_layers": ("encoder.n_layers", _REQUIRED),
    "cell_clip": ("encoder.cell_clip", None),
    "proj_clip": ("encoder.proj_clip", None),
}
"""The same for the configuration of an ELMoForManyLangs model."""


def read_fields(options: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The fields of an ElmoConfig from a parsed options.json; an error names all bad keys."""
    if not isinstance(options, Mapping):
        raise ElmoError(f"{source}: expected a JSON object, got {type(options).__name__}.")
    if {"encoder", "token_embedder"} & options.keys():
        return read_manylangs_fields(options, source)
    reads_characters = "char_cnn" in options or "n_tokens_vocab" not in options
    problems = list(_bilm_problems(options, reads_characters))
    keys = KEYS if reads_characters else _LSTM_KEYS
    fields = _read(options, keys, problems)
    for field in ("n_highway", "use_skip_connections"):  # null means the same as a missing key
        if field in fields and fields[field] is None:
            fields[field] = keys[field][1]
    if not reads_characters:
        fields |= {"filters": (), "token_layer": "table"}
    if problems:
        raise ElmoError(
            f"{source} does not describe {'a character-based' if reads_characters else 'an'} ELMo: "
            f"{'; '.join(problems)}. Expected the options.json that came with the weights."
        )
    return fields


def _bilm_problems(options: Mapping[str, Any], reads_characters: bool) -> list[str]:
    problems = []
    for key in ("bidirectional", "share_embedding_softmax"):
        value = options.get(key)
        if value is not None and not isinstance(value, bool):
            kind = type(value).__name__
            problems.append(f"{key} is {value!r} (a {kind}), expected true or false")
    if options.get("bidirectional") is False:
        problems.append("bidirectional is false, but ELMo needs both directions")
    if options.get("share_embedding_softmax") is True and reads_characters:
        problems.append(
            "share_embedding_softmax is true, but words that are spelled out have no embeddings "
            "that a softmax could share (bilm-tf refuses it, too)"
        )
    # Models are trained with 261 ids; for inference the file is edited to 262, with padding.
    n_characters = _get(options, "char_cnn.n_characters", N_CHARACTERS)
    if n_characters not in (N_CHARACTERS, N_CHARACTERS + 1):
        expected = "261 (as trained) or 262"
        problems.append(f"char_cnn.n_characters is {n_characters!r}, expected {expected}")
    return problems


def read_manylangs_fields(options: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The fields of an ElmoConfig from the configuration of an ELMoForManyLangs model.

    Its token layer and LSTMs always have their projections, and it always has skip connections.
    A clip of 0 is none.
    """
    problems: list[str] = []
    for part, known in (("encoder", "elmo"), ("token_embedder", "cnn")):
        name = _get(options, f"{part}.name", known)
        if not isinstance(name, str) or name.lower() != known:
            problems.append(
                f"{part}.name is {name!r}, which is another network than ELMo's; only {known!r} "
                "can be read"
            )
    fields = _read(options, MANYLANGS_KEYS, problems)
    if fields["char_embedding_dim"] == 0:
        fields["filters"] = ()
    for field in ("cell_clip", "proj_clip"):
        fields[field] = fields[field] or None
    if problems:
        raise ElmoError(
            f"{source} does not describe an ELMoForManyLangs model: {'; '.join(problems)}."
        )
    lexicon = {"token_layer": "lexicon", "forced_projections": True, "use_skip_connections": True}
    return {**fields, **lexicon}


def _read(
    options: Mapping[str, Any], keys: Mapping[str, tuple[str, Any]], problems: list[str]
) -> dict[str, Any]:
    """The fields by their keys; adds to ``problems`` what is missing or malformed."""
    fields = {field: _get(options, path, default) for field, (path, default) in keys.items()}
    problems += [f"{keys[field][0]} is missing" for field in fields if fields[field] is _REQUIRED]
    if "filters" in fields and fields["filters"] is not _REQUIRED:
        try:
            fields["filters"] = _as_pairs(fields["filters"])
        except (TypeError, ValueError):
            filters, key = fields["filters"], keys["filters"][0]
            problems.append(f"{key} is {filters!r}, expected [width, number] pairs")
    return fields


def _as_pairs(filters: Any) -> tuple[tuple[Any, Any], ...]:
    return tuple((width, number) for width, number in filters)


def from_fields(fields: Mapping[str, Any], alphabet: Alphabet | None) -> dict[str, Any]:
    """The JSON-ready options.json that ``read_fields`` reads back.

    Raises ElmoError for a model that the published format cannot describe.
    """
    if fields["token_layer"] == "lexicon":
        raise ElmoError(
            "options.json and HDF5 cannot hold a model with a lexicon of its own (one of "
            "ELMoForManyLangs): they have 261 fixed characters. Save it in the native format."
        )
    if fields["forced_projections"]:
        raise ElmoError(
            "options.json and HDF5 cannot hold this model: it projects vectors to the size that "
            "they already have, and the published tools leave such projections out. Save it in "
            "the native format."
        )
    options: dict[str, Any] = {"lstm": {}}
    if fields["token_layer"] == "table":
        options["n_tokens_vocab"] = None if alphabet is None else len(alphabet.words)
    else:
        options["char_cnn"] = {"n_characters": N_CHARACTERS + 1}
    for field in _LSTM_KEYS if fields["token_layer"] == "table" else KEYS:
        *parents, key = KEYS[field][0].split(".")
        section = options
        for parent in parents:
            section = section.setdefault(parent, {})
        section[key] = fields[field]
    return options


def override_fields(
    fields: Mapping[str, Any], options: Mapping[str, Any], source: str
) -> dict[str, Any]:
    """The fields, with those that ``options`` names replaced.

    ``options`` are nested as in options.json, whole or in part; keys that set no field of an
    ElmoConfig have no effect.

    Raises:
        ElmoError: for a misspelled key within ``lstm`` or ``char_cnn``, or one of theirs outside;
            the message lists the keys.
    """
    if not isinstance(options, Mapping):
        raise ElmoError(
            "Expected options as a dictionary nested like options.json, got "
            f"{type(options).__name__}."
        )
    known = {path for path, _ in KEYS.values()} | {"char_cnn.n_characters"}
    unknown = [path for path in _paths(options) if path not in known]
    misplaced = {path.rpartition(".")[2] for path in known}  # without its lstm or char_cnn
    if wrong := [
        path for path in unknown if path.split(".")[0] in ("lstm", "char_cnn") or path in misplaced
    ]:
        raise ElmoError(
            f"Unknown option {', '.join(wrong)} for {source}: expected any of "
            f"{', '.join(sorted(known))}."
        )
    new = dict(fields)
    for field, (path, _) in KEYS.items():
        value = _get(options, path, _REQUIRED)
        if value is _REQUIRED:
            continue
        try:
            new[field] = _as_pairs(value) if field == "filters" else value
        except (TypeError, ValueError):
            expected = "expected [width, number] pairs"
            raise ElmoError(f"options: {path} is {value!r}, {expected}.") from None
    return new


def _paths(options: Mapping[str, Any], prefix: str = "") -> list[str]:
    """The keys of what is not a mapping, joined with dots."""
    paths = []
    for key, value in options.items():
        path = f"{prefix}{key}"
        paths += _paths(value, f"{path}.") if isinstance(value, Mapping) else [path]
    return paths


def _get(options: Mapping[str, Any], path: str, default: Any) -> Any:
    value: Any = options
    for key in path.split("."):
        if not isinstance(value, Mapping) or key not in value:
            return default
        value = value[key]
    return value
