"""`ElmoConfig`: presets, options.json both ways, and what it refuses."""

import copy
import dataclasses
import json

import numpy as np
import pytest
from checkpoint_files import message_of
from hypothesis import given
from strategies import configs

from elmo_jax import ElmoConfig
from elmo_jax.model.parameters import datasets

TINY = ElmoConfig.preset("tiny")


def options_of(config=TINY):
    return copy.deepcopy(config.to_options())


# Presets


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("small", 13_593_296),
        ("medium", 28_027_728),
        ("original", 93_600_848),
        ("original_5p5b", 93_600_848),
    ],
)
def test_a_preset_has_as_many_parameters_as_the_published_model(name, published):
    required = [d for d in datasets(ElmoConfig.preset(name)) if not d.optional]
    assert sum(int(np.prod(d.shape)) for d in required) == published


def test_an_unknown_preset_is_reported_the_known_ones():
    assert message_of(ElmoConfig.preset, "large") == (
        "Unknown preset 'large': expected one of tiny, small, medium, original, original_5p5b."
    )


def test_the_sizes_that_follow_from_others():
    config = ElmoConfig(filters=((1, 4), (5, 8), (2, 4)), projection_dim=16, cell_dim=20)
    assert (config.n_filters, config.max_filter_width) == (16, 5)
    assert (config.output_dim, config.n_output_layers) == (32, 3)
    assert (config.has_token_projection, config.has_lstm_projection) == (False, True)
    config = dataclasses.replace(config, projection_dim=20)
    assert (config.has_token_projection, config.has_lstm_projection) == (True, False)


# A value


def test_a_config_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        TINY.n_layers = 3


@given(configs())
def test_equal_configs_have_equal_hashes(config):
    twin = ElmoConfig(**dataclasses.asdict(config))
    assert twin is not config
    assert twin == config and hash(twin) == hash(config)
    assert dataclasses.replace(config, n_layers=config.n_layers + 1) != config


def test_filters_given_as_lists_are_the_same_filters():
    from_lists = ElmoConfig(filters=[[1, 2], (3, 4)], projection_dim=6, cell_dim=6)
    from_tuples = ElmoConfig(filters=((1, 2), (3, 4)), projection_dim=6, cell_dim=6)
    assert from_lists == from_tuples and hash(from_lists) == hash(from_tuples)


# options.json


@given(configs())
def test_a_config_survives_options_json(config):
    options = json.loads(json.dumps(config.to_options(), allow_nan=False))
    assert options["char_cnn"]["n_characters"] == 262
    assert ElmoConfig.from_options(options) == config


def test_the_options_of_the_original_are_read(bilm_tf):
    options = json.loads((bilm_tf / "options.json").read_text(encoding="utf-8"))
    config = ElmoConfig.from_options(options)
    assert config == ElmoConfig(
        filters=((1, 4), (2, 8), (3, 16), (4, 32), (5, 64)),
        projection_dim=16,
        cell_dim=64,
        char_embedding_dim=4,
        n_highway=2,
        use_skip_connections=False,
    )
    assert config.to_options() == options


@pytest.mark.parametrize("n_characters", [261, 262])
def test_both_counts_of_characters_are_accepted(n_characters):
    options = options_of()
    options["char_cnn"]["n_characters"] = n_characters
    assert ElmoConfig.from_options(options) == TINY
    del options["char_cnn"]["n_characters"]
    assert ElmoConfig.from_options(options) == TINY


@pytest.mark.parametrize("n_characters", [260, 263, "262", None])
def test_another_count_of_characters_is_refused(n_characters):
    options = options_of()
    options["char_cnn"]["n_characters"] = n_characters
    assert message_of(ElmoConfig.from_options, options, "my/options.json") == (
        "my/options.json does not describe a character-based ELMo: char_cnn.n_characters is "
        f"{n_characters!r}, expected 261 (as trained) or 262. "
        "Expected the options.json that came with the weights."
    )


def test_what_only_training_needs_is_ignored():
    options = options_of() | {
        "bidirectional": True,
        "dropout": 0.1,
        "all_clip_norm_val": 10.0,
        "n_epochs": 10,
        "n_tokens_vocab": 793471,
        "unroll_steps": 20,
        "n_negative_samples_batch": 8192,
        "share_embedding_softmax": False,
        "sample_softmax": True,
        "learning_rate": 0.2,
        "note": "from me to you",
        "_anything": {},
    }
    assert ElmoConfig.from_options(options) == TINY


def test_one_direction_is_refused():
    assert message_of(ElmoConfig.from_options, options_of() | {"bidirectional": False}) == (
        "options does not describe a character-based ELMo: bidirectional is false, but ELMo needs "
        "both directions. Expected the options.json that came with the weights."
    )


DEFAULTS = [
    ("lstm", "cell_clip", None),
    ("lstm", "proj_clip", None),
    ("lstm", "n_layers", 1),
    ("lstm", "use_skip_connections", False),
    ("char_cnn", "n_highway", 0),
]


@pytest.mark.parametrize(("section", "key", "meaning"), DEFAULTS)
def test_an_absent_key_means_what_the_original_takes_it_to_mean(section, key, meaning):
    options = options_of(dataclasses.replace(TINY, n_highway=2, n_layers=3))
    assert getattr(ElmoConfig.from_options(options), key) != meaning
    del options[section][key]
    assert getattr(ElmoConfig.from_options(options), key) == meaning


@pytest.mark.parametrize(
    ("section", "key", "meaning"), [row for row in DEFAULTS if row[1] != "n_layers"]
)
def test_null_is_as_good_as_an_absent_key(section, key, meaning):
    options = options_of()
    options[section][key] = None
    assert getattr(ElmoConfig.from_options(options), key) == meaning


def test_all_missing_keys_are_named_at_once():
    message = message_of(ElmoConfig.from_options, {"char_cnn": {"filters": [[1, 2]]}}, "o.json")
    assert message == (
        "o.json does not describe a character-based ELMo: char_cnn.embedding.dim is missing; "
        "char_cnn.activation is missing; char_cnn.max_characters_per_token is missing; "
        "lstm.projection_dim is missing; lstm.dim is missing. "
        "Expected the options.json that came with the weights."
    )


def test_missing_and_wrong_keys_are_named_together():
    options = options_of() | {"bidirectional": False}
    del options["lstm"]["dim"]
    options["char_cnn"] |= {"n_characters": 50, "filters": 7}
    message = message_of(ElmoConfig.from_options, options)
    for part in (
        "bidirectional is false",
        "char_cnn.n_characters is 50",
        "lstm.dim is missing",
        "char_cnn.filters is 7, expected [width, number] pairs",
    ):
        assert part in message


@pytest.mark.parametrize("filters", [[1, 2], [[1, 2, 3]], "12", {"a": 1}])
def test_filters_that_are_not_pairs_are_refused(filters):
    options = options_of()
    options["char_cnn"]["filters"] = filters
    assert f"char_cnn.filters is {filters!r}, expected [width, number] pairs" in message_of(
        ElmoConfig.from_options, options
    )


@pytest.mark.parametrize(("options", "kind"), [([], "list"), ("{}", "str"), (None, "NoneType")])
def test_options_that_are_not_object_are_refused(options, kind):
    assert message_of(ElmoConfig.from_options, options, "o.json") == (
        f"o.json: expected a JSON object, got {kind}."
    )


def test_a_value_that_cannot_be_is_reported_with_its_file():
    options = options_of()
    options["lstm"]["n_layers"] = 0
    assert message_of(ElmoConfig.from_options, options, "o.json") == (
        "o.json: This ELMo configuration cannot be built: "
        "n_layers is 0, expected a positive integer"
    )


# Values that cannot be

COUNTS = ("projection_dim", "cell_dim", "char_embedding_dim", "n_layers")
NO_COUNTS = (0, -1, True, 2.0, "2", None)
CLIP = "expected a positive number, or None for no clipping"

WRONG = [
    *((name, value, "expected a positive integer") for name in COUNTS for value in NO_COUNTS),
    *(
        ("n_highway", value, "expected 0 or a positive integer")
        for value in (-1, False, 0.0, "", None)
    ),
    *(
        (
            "max_characters_per_token",
            value,
            "expected at least 3: two word markers and a character",
        )
        for value in (2, True, 50.0, "50", None)
    ),
    *((clip, v, CLIP) for clip in ("cell_clip", "proj_clip") for v in (0, -3.0, True, "3")),
    *(("cell_clip", value, CLIP) for value in (float("inf"), float("nan"))),
    *(("use_skip_connections", v, "expected true or false") for v in (1, "false", None)),
    *(("activation", v, "expected one of relu, tanh") for v in ("gelu", None, ["relu"])),
    *(("filters", v, "expected at least one (width, number) pair") for v in ((), None, 7)),
]


@pytest.mark.parametrize(("name", "value", "expected"), WRONG)
def test_a_value_that_cannot_be_is_refused(name, value, expected):
    fields = dataclasses.asdict(TINY) | {"filters": ((1, 56),)} | {name: value}
    assert message_of(ElmoConfig, **fields) == (
        f"This ELMo configuration cannot be built: {name} is {value!r}, {expected}"
    )


@pytest.mark.parametrize("pair", [(1,), (1, 2, 3), (0, 4), (1, -4), (True, 4), ("1", 4), 5, "14"])
def test_a_filter_that_is_not_a_pair_of_counts_is_refused(pair):
    fields = dataclasses.asdict(TINY) | {"filters": ((1, 32), pair)}
    assert message_of(ElmoConfig, **fields) == (
        f"This ELMo configuration cannot be built: filters holds {pair!r}, "
        "expected (width, number), both positive integers"
    )


def test_a_filter_wider_than_a_word_is_refused():
    fields = dataclasses.asdict(TINY) | {"filters": ((5, 4), (6, 4), (7, 4))}
    fields["max_characters_per_token"] = 5
    message = message_of(ElmoConfig, **fields)
    assert message == (
        "This ELMo configuration cannot be built: a filter is 6 characters wide, but words have "
        "only 5 (max_characters_per_token); a filter is 7 characters wide, but words have only 5 "
        "(max_characters_per_token)"
    )


def test_a_cell_smaller_than_its_projection_is_refused():
    fields = dataclasses.asdict(TINY) | {"cell_dim": 31}
    assert message_of(ElmoConfig, **fields) == (
        "This ELMo configuration cannot be built: cell_dim 31 is smaller than projection_dim 32"
    )


def test_all_values_that_cannot_be_are_named_at_once():
    fields = dataclasses.asdict(TINY) | {"n_layers": 0, "cell_clip": -1, "activation": "gelu"}
    message = message_of(ElmoConfig, **fields)
    assert [part.split(" is ")[0] for part in message.split(": ", 1)[1].split("; ")] == [
        "activation",
        "n_layers",
        "cell_clip",
    ]
