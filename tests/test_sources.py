"""`elmo_jax.load`: what names a model, and what does not."""

import shutil
from pathlib import Path

import pytest
from checkpoint_files import assert_same_params, files_of, message_of
from random_models import VARIANTS

from elmo_jax import ElmoConfig, load, pretrained, save
from elmo_jax.checkpoint import model_folder, sources


@pytest.fixture
def folder(make_model):
    return make_model()[0]


@pytest.fixture
def fetched(make_model, monkeypatch):
    """Every published name leads to a model in a cache; gives the names that were asked for."""
    cached, asked = make_model(name="cached", n_layers=1)[0], []

    def fetch(name):
        asked.append(name)
        return cached

    monkeypatch.setattr(pretrained, "fetch", fetch)
    return asked


@pytest.mark.parametrize("choices", VARIANTS.values(), ids=VARIANTS.keys())
def test_a_config_and_float32_params_come_from_a_folder(make_model, choices):
    folder, model = make_model(**choices)
    config, params = load(folder)
    assert config == ElmoConfig.from_options(model.options)
    expected = model.weights["char_embed"]
    table = params["char_encoder"]["char_embedding"]
    assert table.dtype == expected.dtype and table.tobytes() == expected.tobytes()


def test_all_ways_lead_to_the_same_model(folder, tmp_path):
    config, params = load(folder)
    save(tmp_path / "native", config, params)
    archive = shutil.make_archive(str(tmp_path / "model"), "zip", folder)
    files = folder / "options.json", folder / "weights.hdf5"
    ways = [
        load(str(folder)),
        load(tmp_path / "native"),
        load(archive),
        load(Path(archive)),
        load(options_file=files[0], weight_file=files[1]),
        load(options_file=str(files[0]), weight_file=str(files[1])),
    ]
    for other_config, other_params in ways:
        assert other_config == config
        assert_same_params(other_params, params)


def test_two_files_may_lie_apart_and_have_any_names(folder, tmp_path):
    options = (folder / "options.json").rename(tmp_path / "elmo_2x10_6_options.json")
    weights = (folder / "weights.hdf5").rename(folder / "elmo_2x10_6_weights")
    config, _ = load(options_file=options, weight_file=weights)
    assert config.cell_dim == 10


def test_a_model_is_found_where_a_killed_process_left_it(folder, tmp_path):
    config, params = load(folder)
    folder.rename(folder.with_name(f".{folder.name}.old-elmo-jax"))
    before = files_of(tmp_path)
    assert load(folder)[0] == config
    assert files_of(tmp_path) == before
    save(folder, config, params, "hdf5", overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_loading_changes_nothing_on_disk(folder, tmp_path):
    before = files_of(tmp_path)
    load(folder)
    assert files_of(tmp_path) == before


# Names


def test_a_published_name_is_fetched(fetched):
    config, _ = load("original_5p5b")
    assert fetched == ["original_5p5b"]
    assert config.n_layers == 1


def test_a_path_that_exists_comes_before_a_name(folder, fetched, tmp_path, monkeypatch):
    folder.rename(tmp_path / "small")
    monkeypatch.chdir(tmp_path)
    assert load("small")[0].n_layers == 2
    assert fetched == []


def test_a_path_object_is_never_a_name(fetched, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message_of(load, Path("small")).startswith("There is no model 'small': ")
    assert fetched == []


@pytest.mark.parametrize("name", ["nlpl:225", "manylangs:german", "seqvec"])
def test_names_of_other_repositories_are_fetched_too(name, fetched):
    load(name)
    assert fetched == [name]


@pytest.mark.parametrize("source", ["bert", "no/such/folder"])
def test_the_error_says_where_an_unknown_name_was_looked_for(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message_of(load, source) == (
        f"There is no model {source!r}: no file or folder of that name here ({tmp_path}), nor a "
        f"pretrained model. The names are {', '.join(pretrained.names())}, nlpl:ID and "
        "manylangs:LANGUAGE."
    )


def test_the_error_brings_the_name_that_was_meant():
    assert message_of(load, "Medium").endswith("Did you mean 'medium'?")


def test_a_name_gives_the_folder_it_was_downloaded_to(fetched, tmp_path):
    assert model_folder("small") == tmp_path / "cached"


# Addresses, which AllenNLP takes

SERVERS = (
    "https://allennlp.s3.amazonaws.com",
    "https://s3-us-west-2.amazonaws.com/allennlp",
    "https://s3.amazonaws.com/allennlp",
)


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("name", ["small", "original", "original_5p5b", "portuguese_brwac"])
def test_the_addresses_of_a_published_models_files_stand_for_its_name(fetched, server, name):
    files = pretrained.MODELS[name].files.values()
    options, weights = (file.url.replace(SERVERS[0], server) for file in files)
    for ways in ((options, weights), (None, weights, options)):
        source, weight_file, *rest = ways
        config, _ = load(source, weight_file, options_file=rest[0] if rest else None)
        assert config.n_layers == 1
    assert fetched == [name, name]


@pytest.mark.parametrize("pair", [("original", "small"), ("small", None)])
def test_other_addresses_are_refused_with_the_names(fetched, pair):
    options, weights = (
        list(pretrained.MODELS[name].files.values())[i].url if name else "https://x.org/w.hdf5"
        for i, name in enumerate(pair)
    )
    message = message_of(load, options, weights)
    assert f"{options} and {weights}: expected the paths" in message
    assert "The names are mini, small" in message and fetched == []


def test_one_address_is_not_enough(fetched):
    url = pretrained.MODELS["small"].files["weights.hdf5"].url
    assert "expected the paths of two files" in message_of(load, "options.json", url)
    assert fetched == []


# Arguments


def test_without_an_argument_it_is_the_bundled_model_whatever_lies_here(
    folder, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    folder.rename(tmp_path / "mini")
    assert model_folder(None) == pretrained.fetch("mini")
    assert model_folder("mini") == Path("mini"), "a path that exists comes before a name"


@pytest.mark.parametrize(
    "arguments",
    [
        {"options_file": "o"},
        {"weight_file": "w"},
        {"source": "s", "options_file": "o"},
        {"source": "s", "weight_file": "w"},
        {"source": "s", "options_file": "o", "weight_file": "w"},
    ],
)
def test_arguments_that_do_not_go_together_are_refused(arguments):
    listed = " and ".join(f"{name}={value!r}" for name, value in arguments.items())
    assert message_of(load, **arguments) == (
        f"Expected either one model, or both options_file= and weight_file=; got {listed}."
    )


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("options.json", "Cannot read the options file {}: No such file or directory."),
        ("weights.hdf5", "Weight file {} does not exist."),
    ],
)
def test_a_file_that_does_not_exist_is_named(folder, missing, message):
    (folder / missing).unlink()
    options, weights = folder / "options.json", folder / "weights.hdf5"
    assert message_of(load, options_file=options, weight_file=weights) == message.format(
        folder / missing
    )


def test_a_model_that_is_replaced_just_after_it_was_looked_for_is_found(folder, monkeypatch):
    looks = iter([folder.with_name("gone"), folder])
    monkeypatch.setattr(sources, "standing_folder", lambda path: next(looks))
    assert model_folder(folder) == folder
