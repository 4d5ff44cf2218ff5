"""A process that was forked after JAX was in use is told so at once; others work."""

import multiprocessing
import os
import pickle
import threading
import warnings

import numpy as np
import pytest

import elmo_jax
from elmo_jax import training
from elmo_jax.model.bilm import init_params
from elmo_jax.sklearn import ElmoTransformer

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on Windows")


@pytest.fixture(scope="module")
def elmo():
    config = elmo_jax.ElmoConfig.preset("tiny")
    elmo = elmo_jax.Elmo.from_params(config, init_params(config, seed=0))
    elmo.embed([["a"]])
    return elmo


def report(sender, function):
    try:
        sender.send(function())
    except Exception as error:
        sender.send(error)


def in_a_fork(function):
    """What a function gives or raises in a child."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    context = multiprocessing.get_context("fork")
    child = context.Process(target=report, args=(sender, function), daemon=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # JAX, and newer Pythons, warn of every such fork
        child.start()
    try:
        assert receiver.poll(60), "the child hangs"
        return receiver.recv()
    finally:
        child.kill()
        child.join()


def batch(elmo):
    return elmo_jax.encode_batch([["a"]], elmo.config)


CALLS = {
    "Elmo": lambda elmo: elmo_jax.Elmo(),
    "from_params": lambda elmo: elmo_jax.Elmo.from_params(elmo.config, elmo.params),
    "unpickling": lambda elmo: pickle.loads(pickle.dumps(elmo)).config,
    "embed": lambda elmo: elmo.embed([["a"]]),
    "stream": lambda elmo: elmo.stream([["a"]]),
    "embed_sentences": lambda elmo: elmo.embed_sentences(["a"]),
    "get_word_embeddings": lambda elmo: elmo.get_word_embeddings(["a"]),
    "forget_words": lambda elmo: elmo.forget_words(),
    "layer_outputs": lambda elmo: elmo_jax.layer_outputs(
        elmo.params, *batch(elmo), config=elmo.config
    ),
    "layer_outputs_with_state": lambda elmo: elmo_jax.layer_outputs_with_state(
        elmo.params, *batch(elmo), None, config=elmo.config
    ),
    "pooled_sentences": lambda elmo: elmo_jax.pooled_sentences(
        elmo.params, *batch(elmo), config=elmo.config
    ),
    "scalar_mix": lambda elmo: elmo_jax.scalar_mix(
        np.zeros(3), 1.0, np.zeros((1, 3, 2, 4), np.float32)
    ),
    "initial_state": lambda elmo: elmo_jax.initial_state(elmo.config, 1),
    "export_function": lambda elmo: elmo_jax.export_function("x.npz", elmo.config, elmo.params),
    "score": lambda elmo: training.score(elmo.config, elmo.params, None, [["a"]]),
    "train": lambda elmo: training.train("run", "no file", config=elmo.config),
    "transform": lambda elmo: ElmoTransformer().transform(["a"]),
}


@pytest.mark.parametrize("name", CALLS)
def test_after_a_fork_a_call_says_so_and_what_to_do(elmo, name):
    error = in_a_fork(lambda: CALLS[name](elmo))
    assert isinstance(error, elmo_jax.ElmoError)
    assert f"forked from one in which JAX was in use ({os.getpid()})" in str(error)
    assert '"spawn"' in str(error)


def test_a_stream_that_was_begun_before_the_fork_says_so(elmo):
    stream = elmo.stream([["a"]] * 3)
    next(stream)
    assert isinstance(in_a_fork(lambda: next(stream)), elmo_jax.ElmoError)
    assert len(list(stream)) == 2  # here it goes on


def test_a_lock_that_a_thread_held_at_the_fork_is_not_waited_for(elmo):
    stream = elmo.stream([["a"]] * 3)
    next(stream)
    taken, done = threading.Event(), threading.Event()

    def hold():
        with elmo._engine._lock:
            taken.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait()
    try:
        assert isinstance(in_a_fork(lambda: elmo.embed([["a"]])), elmo_jax.ElmoError)
        assert in_a_fork(stream.close) is None
    finally:
        done.set()
        thread.join()


def test_what_needs_no_jax_works_after_a_fork(elmo):
    char_ids, lengths = in_a_fork(lambda: batch(elmo))
    assert (char_ids.shape, lengths.tolist()) == ((1, 1, 50), [1])


def open_in_a_fork():
    return in_a_fork(lambda: elmo_jax.Elmo().embed([["bank"]]))


def use_jax_and_open_in_a_fork():
    import jax.numpy as jnp

    jnp.zeros(1)
    return in_a_fork(elmo_jax.Elmo)


def spawned(function):
    receiver, sender = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.get_context("spawn").Process(target=report, args=(sender, function))
    child.start()
    try:
        assert receiver.poll(300), "the child hangs"
        return receiver.recv()
    finally:
        child.kill()
        child.join()


@pytest.mark.slow
def test_a_model_that_is_opened_in_the_forked_workers_alone_works():
    (vectors,) = spawned(open_in_a_fork)
    np.testing.assert_array_equal(vectors, elmo_jax.Elmo().embed([["bank"]])[0])


@pytest.mark.slow
def test_jax_that_was_used_without_this_library_is_noticed_too():
    assert isinstance(spawned(use_jax_and_open_in_a_fork), elmo_jax.ElmoError)
