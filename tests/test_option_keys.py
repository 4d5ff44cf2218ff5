"""A key that is misspelled would silently give other vectors."""

import json

import pytest
from checkpoint_files import edit_json, message_of
from random_models import random_lexicon_model, random_model
from tally import Tally

from elmo_jax import ElmoConfig, ElmoError, UnusedOptionsWarning, load
from elmo_jax.model.options import KEYS, MANYLANGS_KEYS


def nested(path, value=1):
    *sections, key = path.split(".")
    options = {key: value}
    for section in reversed(sections):
        options = {section: options}
    return options


def misspelled(key):
    """What fingers make of a key."""
    middle = len(key) // 2
    yield f"{key}{key[-1]}"
    yield f"{key}z"
    yield key[:middle] + key[middle + 1 :]
    yield key[:middle] + key[middle + 1] + key[middle] + key[middle + 2 :]
    yield key.upper()
    yield key.replace("_", "-")
    yield f" {key}"


@pytest.mark.parametrize("path", sorted(path for path, _ in KEYS.values()))
def test_a_misspelled_key_is_an_error_that_names_the_meant_one(path):
    *sections, key = path.split(".")
    with Tally("misspelt keys of options.json") as tally:
        for wrong in {*misspelled(key)} - {key}:
            options, _ = random_model(0)
            section = options
            for name in sections:
                section = section[name]
            section[wrong] = section.pop(key)
            message = message_of(ElmoConfig.from_options, options, "o.json")
            assert f"is no key; did you mean {path}?" in message and message.startswith("o.json ")
            tally.refused()


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("lstmm", "lstm"),
        ("charcnn", "char_cnn"),
        ("Char_CNN", "char_cnn"),
        ("bidirektional", "bidirectional"),
        ("n_token_vocab", "n_tokens_vocab"),
        ("n_layers", "lstm.n_layers"),
        ("use_skip_connections", "lstm.use_skip_connections"),
        ("max_characters_per_token", "char_cnn.max_characters_per_token"),
        ("char_cnn.proj_clip", "lstm.proj_clip"),
        ("lstm.n_highway", "char_cnn.n_highway"),
        ("char_cnn.embeding", "char_cnn.embedding"),
    ],
)
def test_sections_and_keys_in_a_wrong_section_are_named_too(key, meant):
    options, _ = random_model(0)
    *section, name = key.split(".")
    (options[section[0]] if section else options)[name] = {}
    message = message_of(ElmoConfig.from_options, options)
    assert f"{key} is no key; did you mean {meant}?" in message


def test_the_examples_of_misspelled_optional_keys_do_not_open(make_model):
    folder = make_model()[0]
    for section, wrong in [
        ("lstm", "use_skip_connectionss"),
        ("char_cnn", "n_highwayz"),
        ("char_cnn", "max_charactres_per_token"),
    ]:
        edit_json(folder / "options.json", lambda o, s=section, w=wrong: o[s].update({w: 2}))
        assert wrong in message_of(load, folder)


def test_a_key_like_no_other_has_no_effect_and_a_warning(make_model):
    folder = make_model()[0]
    expected = load(folder)[0]
    edit_json(folder / "options.json", lambda o: o.update({"corpus": {"lstm": 1}, "x": 1}))
    edit_json(folder / "options.json", lambda o: o["lstm"].update({"peepholes": False}))
    with pytest.warns(UnusedOptionsWarning, match=r"lstm.peepholes; corpus; x has no effect"):
        assert load(folder)[0] == expected


def test_options_of_all_published_kinds_have_no_unknown_keys(foreign):
    n_read = 0
    for path in sorted([*foreign.rglob("options.json"), *foreign.rglob("cnn_*.json")]):
        ElmoConfig.from_options(json.loads(path.read_text("utf-8")), str(path))
        n_read += 1
    assert n_read >= 9


@pytest.mark.parametrize("path", sorted(path for path, _ in MANYLANGS_KEYS.values()))
def test_a_misspelled_key_of_elmoformanylangs_is_an_error(path):
    options, *_ = random_lexicon_model(0)
    section, key = path.split(".")
    options[section][f"{key}s"] = options[section].pop(key)
    assert f"{path}s is no key; did you mean {path}?" in message_of(
        ElmoConfig.from_options, options
    )


# Options of the user


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"lstm": {"cell_clipp": 1}}, "Unknown option lstm.cell_clipp"),
        ({"lstmm": {"cell_clip": 1}}, "lstmm is no key; did you mean lstm?"),
        ({"cell_clip": 1}, "Unknown option cell_clip"),
        ({"Lstm": {"cell_clip": 1}}, "Lstm is no key; did you mean lstm?"),
        ({"lstm.cell_clip": 1}, "lstm.cell_clip is one key with a dot in it"),
        ({"lstm": 5}, "Unknown option lstm"),
        ({"lstm": {"dim": {"x": 1}}}, "Unknown option lstm.dim.x"),
        ({7: 1}, None),
        ({"n_epochs": 3, "note": "mine"}, ""),
        ({"prefix": "elmo_de"}, ""),
    ],
)
def test_options_of_the_user_are_checked_the_same_way(make_model, options, problem):
    folder = make_model()[0]
    if problem is None:
        with pytest.warns(UnusedOptionsWarning, match="7 has no effect"):
            load(folder, options=options)
    elif problem:
        assert problem in message_of(load, folder, options=options)
    else:
        load(folder, options=options)


def test_options_may_be_nested_without_end(make_model):
    folder = make_model()[0]
    deep = {}
    for _ in range(100_000):
        deep = {"lstm": deep}
    with pytest.raises(ElmoError):
        load(folder, options=deep)
    while deep:  # so that freeing it does not end in a crash
        deep = deep.pop("lstm", None)


# Sizes that no model has

HUGE = (10**9, 2**63, 10**30, 10**5000)


@pytest.mark.parametrize("value", HUGE, ids=lambda value: f"{value.bit_length()} bits")
@pytest.mark.parametrize(
    "path", [p for p, _ in KEYS.values() if not p.endswith(("activation", "clip", "connections"))]
)
def test_numbers_that_no_model_has_are_refused_at_once(path, value):
    options, _ = random_model(0)
    section = options
    for name in path.split(".")[:-1]:
        section = section[name]
    key = path.rpartition(".")[2]
    section[key] = [[1, value]] if key == "filters" else value
    message = message_of(ElmoConfig.from_options, options)
    assert "expected at most " in message and len(message) < 500


def test_a_clip_that_is_no_float_is_refused():
    for clip in (10**400, 10**300, 1e300):
        options, _ = random_model(0, cell_clip=clip)
        assert "expected a positive number" in message_of(ElmoConfig.from_options, options)
    options, _ = random_model(0, cell_clip=2**63)
    clip = ElmoConfig.from_options(options).cell_clip
    assert (type(clip), clip) == (float, 2.0**63)


def test_a_model_of_too_many_parameters_is_refused():
    fields = {"filters": ((1, 10**6),), "projection_dim": 512, "cell_dim": 4096, "n_highway": 2}
    assert "it would have 4,000,587,497,472 parameters" in message_of(ElmoConfig, **fields)


def test_very_many_filters_are_refused():
    options, _ = random_model(0)
    options["char_cnn"]["filters"] = [[1, 1]] * 100_000
    message = message_of(ElmoConfig.from_options, options)
    assert "the number of (width, number) pairs in filters is 100000" in message
    assert len(message) < 1000
