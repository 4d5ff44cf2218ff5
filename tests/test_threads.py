"""Many threads with calls of every kind on one Elmo: each result is the right one."""

import dataclasses
import random
import threading

import numpy as np
import pytest
from tally import Tally, attempts

import elmo_jax
from elmo_jax.engine import engine, plan
from elmo_jax.model.bilm import init_params

N_THREADS = 16

# Float32 sums in another order: words in batches of another size.
TOLERANCE = 1e-6

# Few rows and small windows, so that the streams of all threads need more words than there is room
# for, and take turns often.
SIZES = dataclasses.replace(
    plan.CPU, lane_shapes=(4,), window_tokens=24, word_rows=(8, 32), word_batches=(16, 16)
)


def text(letter):
    """Sentences of words that partly belong to this text alone."""
    return [[f"{letter}{i % 5}", "bank", f"{i % 7}", "."][: i % 5] for i in range(20)]


TEXTS = [text(letter) for letter in "abcdef"]


def halves(elmo, sentences):
    """A stream that is suspended while another one of the same thread runs."""
    stream = elmo.stream(sentences)
    results = [next(stream) for _ in range(len(sentences) // 2)]
    list(elmo.stream(sentences[::-1], 0))
    return results + list(stream)


def forgotten(elmo, sentences):
    elmo.forget_words()
    return elmo.embed(sentences)


CALLS = {
    "embed": lambda elmo, sentences: elmo.embed(sentences),
    "embed(layers=0)": lambda elmo, sentences: elmo.embed(sentences, 0),
    "embed(layers=1)": lambda elmo, sentences: elmo.embed(sentences, 1),
    "average": lambda elmo, sentences: elmo.embed(sentences, "average"),
    "embed_sentences": lambda elmo, sentences: list(elmo.embed_sentences(sentences)),
    "a suspended stream": halves,
    "forget_words": forgotten,
}


@pytest.fixture(scope="module")
def elmo():
    config = elmo_jax.ElmoConfig.preset("tiny")
    params = init_params(config, seed=0)
    elmo = elmo_jax.Elmo.from_params(config, params)
    elmo._engine = engine.Engine(config, params, "float32", plan=SIZES)
    return elmo


@pytest.fixture(scope="module")
def expected(elmo):
    return {(n, t): CALLS[n](elmo, sentences) for n in CALLS for t, sentences in enumerate(TEXTS)}


def is_right(results, expected):
    return len(results) == len(expected) and all(
        one.shape == other.shape and np.allclose(one, other, rtol=0, atol=TOLERANCE)
        for one, other in zip(results, expected, strict=True)
    )


def attack(elmo, expected, n_calls, seed):
    """``n_calls`` in each of the threads; the problems of all."""
    problems, n_done = [], []
    start = threading.Barrier(N_THREADS)

    def work(number):
        chance = random.Random(seed * N_THREADS + number)
        start.wait()
        for _ in range(n_calls):
            name, t = choice = chance.choice([*CALLS]), chance.randrange(len(TEXTS))
            try:
                if not is_right(CALLS[name](elmo, TEXTS[t]), expected[choice]):
                    problems.append(f"thread {number}: {choice} gave wrong vectors")
            except Exception as error:
                problems.append(f"thread {number}: {choice} raised {error!r:.200}")
            n_done.append(choice)

    threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(N_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(n_done) == N_THREADS * n_calls
    return problems


def tally_of(elmo, expected, n_calls, seed):
    with Tally(f"calls of {N_THREADS} threads on one Elmo") as tally:
        problems = attack(elmo, expected, n_calls, seed)
        for problem in problems:
            tally.wrong(problem)
        for _ in range(N_THREADS * n_calls - len(problems)):
            tally.right()


def test_calls_of_many_threads_are_right(elmo, expected):
    tally_of(elmo, expected, n_calls=4, seed=0)


@pytest.mark.slow
def test_thousands_of_calls_of_many_threads_are_right(elmo, expected):
    tally_of(elmo, expected, n_calls=attempts(180), seed=1)
