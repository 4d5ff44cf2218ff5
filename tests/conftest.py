"""Strict numerics for every test, and the fixtures that several files share."""

import json
import os
import signal
from pathlib import Path

import jax
import oracle
import pytest
from hypothesis import settings
from random_models import random_lexicon_model, random_model, write_lexicon_model, write_model

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")

# The same examples in every run; compiling is slow, so no example has a deadline.
settings.register_profile("deterministic", derandomize=True, deadline=None)
settings.load_profile("deterministic")


def pytest_configure(config):
    """Keep what is compiled for the next run, and for processes that tests start.

    Nearly all of a run's time is compilation, with the compiler's optimizations on, as users have
    them. The cache knows a function by its compiled form, so a change of the code is compiled anew.
    """
    choices = {
        "jax_compilation_cache_dir": str(config.cache.mkdir("compiled")),
        "jax_persistent_cache_min_compile_time_secs": 0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    for name, value in choices.items():
        jax.config.update(name, value)
        os.environ[name.upper()] = str(value)


@pytest.fixture
def promotion_for_optax():
    """For training with Adam outside the library: optax raises a float to the power of an int32."""
    with jax.numpy_dtype_promotion("standard"):
        yield


def shared_folder():
    """The data that does not belong to the project: ELMO_JAX_SHARED, or ../shared."""
    default = Path(__file__).resolve().parents[2] / "shared"
    return Path(os.environ.get("ELMO_JAX_SHARED", default))


def _shared(*names):
    path = shared_folder().joinpath(*names)
    if not path.exists():
        pytest.skip(f"no shared data at {path}; ELMO_JAX_SHARED names the folder that holds it")
    return path


@pytest.fixture(scope="session")
def bilm_tf():
    """Folder with a model and vectors made by the original TensorFlow code."""
    return _shared("fixtures", "bilm-tf")


@pytest.fixture(scope="session")
def foreign():
    """Folder with models of other formats, and vectors made by the code of those formats."""
    return _shared("fixtures", "foreign")


@pytest.fixture(scope="session")
def heldout():
    """5,000 tokenized English sentences from documents that mini was not trained on."""
    return _shared("data", "heldout", "valid.txt")


@pytest.fixture(scope="session")
def real_sentences():
    """20,000 tokenized English sentences, natural lengths, as lists of words."""
    path = _shared("data", "bench", "masc_20k.txt")
    return [line.split() for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def manylangs_writer(monkeypatch):
    """Write the benchmarks' models of ELMoForManyLangs without its code."""

    def run(command):
        folder = Path(command[-2])
        name = json.loads((folder / "config.json").read_text("utf-8"))["config_path"]
        options = json.loads((folder / name).read_text("utf-8"))
        sizes = {**options["encoder"], **options["token_embedder"]}
        del sizes["name"]
        write_lexicon_model(folder, *random_lexicon_model(0, **sizes), configuration=name)

    monkeypatch.setattr("benchmarks.manylangs.interpreter", lambda peer: "python")
    monkeypatch.setattr("benchmarks.manylangs.run_command", run)


@pytest.fixture
def make_model(tmp_path):
    """Write a random model of the published format; gives its folder and its oracle."""

    def make(seed=0, name="model", **choices):
        options, weights = random_model(seed, **choices)
        folder = tmp_path / name
        write_model(folder, options, weights)
        return folder, oracle.Oracle(options, weights)

    return make


@pytest.fixture
def heeds_signals():
    """SIGHUP and SIGINT as in a terminal."""
    # Under nohup, or in the background of a script, one of them is ignored here, and a command
    # leaves it so.
    usual = {"SIGHUP": signal.SIG_DFL, "SIGINT": signal.default_int_handler}
    before = {
        name: signal.signal(getattr(signal, name), handler)
        for name, handler in usual.items()
        if hasattr(signal, name)
    }
    yield
    for name, handler in before.items():
        signal.signal(getattr(signal, name), handler)
