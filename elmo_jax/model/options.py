"""The published ``options.json`` (bilm-tf, AllenNLP): its keys and the fields they set.

The configuration of ELMoForManyLangs is another file with the same purpose, and is read here, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ElmoError, did_you_mean, first_few, shortened
from .alphabet import Alphabet
from .option_keys import key_problems, shortened_path

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

_OTHER_KEYS = (
    "char_cnn.n_characters",
    "bidirectional",
    "share_embedding_softmax",
    "n_tokens_vocab",
)
_OF_TRAINING = (
    *("dropout", "learning_rate", "all_clip_norm_val", "n_epochs", "n_train_tokens"),
    *("batch_size", "unroll_steps", "n_negative_samples_batch", "sample_softmax"),
)
"""Keys of bilm-tf that set no field of a config: some have to fit, others are for training only."""

_MANYLANGS_NAMES = ("encoder.name", "token_embedder.name")
_MANYLANGS_TRAINING = ("classifier", "dropout")


def read_fields(options: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The fields of an ElmoConfig from a parsed options.json; an error names all bad keys."""
    if not isinstance(options, Mapping):
        raise ElmoError(f"{source}: expected a JSON object, got {type(options).__name__}.")
    if {"encoder", "token_embedder"} & options.keys():
        return read_manylangs_fields(options, source)
    reads_characters = "char_cnn" in options or "n_tokens_vocab" not in options
    known = (*(path for path, _ in KEYS.values()), *_OTHER_KEYS)
    problems = key_problems(options, known, _OF_TRAINING, source)
    problems += _bilm_problems(options, reads_characters)
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
            problems.append(f"{key} is {shortened(value)} (a {kind}), expected true or false")
    if options.get("bidirectional") is False:
        problems.append("bidirectional is false, but ELMo needs both directions")
    if options.get("share_embedding_softmax") is True and reads_characters:
        problems.append(
            "share_embedding_softmax is true, but words that are spelled out have no embeddings "
            "that a softmax could share (bilm-tf refuses it, too)"
        )
    # Models are trained with 261 ids; for inference the file is edited to 262, with padding.
    n_characters = _get(options, "char_cnn.n_characters", N_CHARACTERS)
    if type(n_characters) is not int or n_characters not in (N_CHARACTERS, N_CHARACTERS + 1):
        expected = "261 (as trained) or 262"
        problems.append(f"char_cnn.n_characters is {shortened(n_characters)}, expected {expected}")
    return problems


def read_manylangs_fields(options: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The fields of an ElmoConfig from the configuration of an ELMoForManyLangs model.

    Its token layer and LSTMs always have their projections, and it always has skip connections.
    A clip of 0 is none.
    """
    known_keys = (*(path for path, _ in MANYLANGS_KEYS.values()), *_MANYLANGS_NAMES)
    problems = key_problems(options, known_keys, _MANYLANGS_TRAINING, source)
    for part, known in (("encoder", "elmo"), ("token_embedder", "cnn")):
        name = _get(options, f"{part}.name", known)
        if not isinstance(name, str) or name.lower() != known:
            problems.append(
                f"{part}.name is {shortened(name)}, which is another network than ELMo's; only "
                f"{known!r} can be read"
            )
    fields = _read(options, MANYLANGS_KEYS, problems)
    if _is_zero(fields["char_embedding_dim"]):
        fields["filters"] = ()
    for field in ("cell_clip", "proj_clip"):
        if _is_zero(fields[field]):
            fields[field] = None
    if problems:
        raise ElmoError(
            f"{source} does not describe an ELMoForManyLangs model: {'; '.join(problems)}."
        )
    lexicon = {"token_layer": "lexicon", "forced_projections": True, "use_skip_connections": True}
    return {**fields, **lexicon}


def _is_zero(value: Any) -> bool:
    return type(value) in (int, float) and value == 0


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
            problems.append(f"{key} is {shortened(filters)}, expected [width, number] pairs")
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


def check_options(options: Mapping[str, Any], source: str) -> None:
    """Raise ElmoError unless ``options`` of the user are nested as in options.json.

    They may be a part of one. Keys that set no field of an ElmoConfig have no effect.

    Warns:
        UnusedOptionsWarning: naming keys that are in no options.json.

    Raises:
        ElmoError: for an unknown key within ``lstm`` or ``char_cnn``, one of theirs outside, or
            one that looks misspelled; the message lists the keys.
    """
    if not isinstance(options, Mapping):
        raise ElmoError(
            "Expected options as a dictionary nested like options.json, got "
            f"{type(options).__name__}."
        )
    known = {path for path, _ in KEYS.values()} | {"char_cnn.n_characters"}
    wrong = [path for path in _paths(options) if path not in known and _is_of_section(path)]
    if wrong:
        raise ElmoError(
            f"Unknown option {first_few(list(map(shortened_path, wrong)), 8)} for {source}: "
            f"expected any of {', '.join(sorted(known))}.{did_you_mean(wrong[0], known)}"
        )
    paths = {*known, *_OTHER_KEYS, "prefix"}
    if problems := key_problems(options, paths, _OF_TRAINING, "options"):
        raise ElmoError(f"Unknown option for {source}: {first_few(problems)}")


def _is_of_section(path: str) -> bool:
    """Whether a path lies in a section of options.json, or has the name of a key there."""
    names = {path.rpartition(".")[2] for path, _ in KEYS.values()} | {"n_characters"}
    return path.split(".")[0] in ("lstm", "char_cnn") or path in names


def override_fields(fields: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """The fields, with those that ``options`` names replaced.

    Raises:
        ElmoError: for filters that are no pairs.
    """
    new = dict(fields)
    for field, (path, _) in KEYS.items():
        value = _get(options, path, _REQUIRED)
        if value is _REQUIRED:
            continue
        try:
            new[field] = _as_pairs(value) if field == "filters" else value
        except (TypeError, ValueError):
            expected = "expected [width, number] pairs"
            raise ElmoError(f"options: {path} is {shortened(value)}, {expected}.") from None
    return new


def _paths(options: Mapping[str, Any]) -> list[str]:
    """The keys of what is not a mapping, joined with dots, three levels deep as in options.json."""
    paths, level = [], [(str(key), value) for key, value in options.items()]
    for _ in range(3):
        paths += [path for path, value in level if not isinstance(value, Mapping)]
        level = [
            (f"{path}.{key}", part)
            for path, value in level
            if isinstance(value, Mapping)
            for key, part in value.items()
        ]
    return paths + [path for path, _ in level]


def _get(options: Mapping[str, Any], path: str, default: Any) -> Any:
    value: Any = options
    for key in path.split("."):
        if not isinstance(value, Mapping) or key not in value:
            return default
        value = value[key]
    return value
