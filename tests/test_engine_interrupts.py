"""An interrupt in one stream, at any line, leaves all others with the right vectors."""

import dataclasses
import gc
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import elmo_jax
from elmo_jax.engine import engine, plan, run, word_rows, word_table
from elmo_jax.lanes import distinct_words
from elmo_jax.model import spelling
from elmo_jax.model.bilm import init_params

# Float32 sums in another order: words in batches of another size.
TOLERANCE = 1e-6

FOLDERS = tuple(str(Path(module.__file__).parent) for module in (engine, distinct_words))

# Few rows and small windows, so that words make room for others while a stream is suspended.
SIZES = dataclasses.replace(
    plan.CPU, lane_shapes=(4,), window_tokens=6, word_rows=(8, 16), word_batches=(16, 16)
)
MINE = [["a", "bank"], [], ["river"], ["b", "c", "d", "a"]]
OTHERS = [[f"{letter}{i}", "bank", "."] for i in range(4) for letter in "xy"]


@pytest.fixture(scope="module")
def elmo():
    config = elmo_jax.ElmoConfig.preset("tiny")
    params = init_params(config, seed=0)
    elmo = elmo_jax.Elmo.from_params(config, params)
    elmo._engine = engine.Engine(config, params, "float32", plan=SIZES)
    return elmo


@pytest.fixture(scope="module")
def expected(elmo):
    return {"mine": elmo.embed(MINE), "others": elmo.embed(OTHERS)}


def equal(results, expected):
    for one, other in zip(results, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=TOLERANCE)


class Interrupt:
    """Traces a call, and raises KeyboardInterrupt when so many of our lines have run."""

    def __init__(self, at=-1):
        self.at, self.lines = at, []

    def __call__(self, frame, event, argument):
        if not frame.f_code.co_filename.startswith(FOLDERS):
            return None
        if event == "line":
            self.lines.append((frame.f_code.co_filename, frame.f_lineno))
            if len(self.lines) - 1 == self.at:
                raise KeyboardInterrupt
        return self

    def __enter__(self):
        self._before = sys.gettrace()
        sys.settrace(self)
        return self

    def __exit__(self, *_):
        sys.settrace(self._before)


def lines_of_a_call(elmo):
    """Every line that a call runs, in order, with repetitions."""
    elmo.forget_words()
    stream = elmo.stream(OTHERS)
    next(stream)
    with Interrupt() as trace:
        elmo.embed(MINE)
    return trace.lines


def interrupt_at(elmo, expected, number):
    """Interrupt a call while another stream is suspended, then continue both."""
    elmo.forget_words()
    stream = elmo.stream(OTHERS)
    results = [next(stream)]
    with pytest.raises(KeyboardInterrupt), Interrupt(number):
        elmo.embed(MINE)
    equal([*results, *stream], expected["others"])
    equal(elmo.embed(MINE), expected["mine"])


def test_an_interrupt_at_any_line_leaves_the_other_streams_right(elmo, expected):
    lines = lines_of_a_call(elmo)
    firsts = {line: number for number, line in reversed(list(enumerate(lines)))}
    assert len(firsts) > 200
    for number in sorted(firsts.values()):
        interrupt_at(elmo, expected, number)


@pytest.mark.slow
def test_an_interrupt_at_any_step_leaves_the_other_streams_right(elmo, expected):
    for number in range(len(lines_of_a_call(elmo))):
        interrupt_at(elmo, expected, number)


def raises(error):
    def raising(*_):
        raise error

    return raising


PLACES = {
    "a word's number": (distinct_words.WordNumbers, "__missing__"),
    "new words": (distinct_words.WordNumbers, "take_new_words"),
    "room for words": (word_rows.WordRows, "_make_room"),
    "spelling": (spelling, "encode_words"),
    "token vectors": (word_table, "_write_words"),
    "the step": (run, "read_lanes"),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_signal_handler_that_embeds_gets_an_error_and_the_call_continues(
    elmo, expected, monkeypatch, place
):
    elmo.forget_words()
    where, name = PLACES[place]
    function, handled = getattr(where, name), []

    def interrupted(*arguments, **choices):
        with pytest.raises(elmo_jax.ElmoError, match="signal handler"):
            elmo.embed(OTHERS)
        handled.append(place)
        return function(*arguments, **choices)

    with monkeypatch.context() as patch:
        patch.setattr(where, name, interrupted)
        equal(elmo.embed(MINE), expected["mine"])
    assert handled
    equal(elmo.embed(OTHERS), expected["others"])


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError()], ids=repr)
@pytest.mark.parametrize("place", PLACES)
def test_a_failure_leaves_a_stream_of_another_thread_right(
    elmo, expected, monkeypatch, place, error
):
    elmo.forget_words()
    begun, failed, results = threading.Event(), threading.Event(), []

    def work():
        stream = elmo.stream(OTHERS)
        results.append(next(stream))
        begun.set()
        failed.wait()
        results.extend(stream)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert begun.wait(60)
    with monkeypatch.context() as patch, pytest.raises(type(error)):
        patch.setattr(*PLACES[place], raises(error))
        elmo.embed(MINE)
    failed.set()
    thread.join(60)
    equal(results, expected["others"])
    equal(elmo.embed(MINE), expected["mine"])


def test_a_call_that_took_its_arrays_with_it_leaves_the_other_streams_right(
    elmo, expected, monkeypatch
):
    elmo.forget_words()
    stream = elmo.stream(OTHERS)
    results = [next(stream)]
    write_words = word_table._write_words

    def interrupted(*arguments):
        write_words(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(word_table, "_write_words", interrupted)
        elmo.embed(MINE)
    equal([*results, *stream], expected["others"])


def test_an_interrupt_elsewhere_keeps_the_words(elmo, monkeypatch):
    elmo.embed(MINE)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(run, "read_lanes", raises(KeyboardInterrupt()))
        elmo.embed(MINE)
    monkeypatch.setattr(word_table, "_write_words", raises(AssertionError("spelled again")))
    elmo.embed(MINE)


def test_a_stream_whose_end_was_interrupted_reserves_no_words(elmo, monkeypatch):
    elmo.forget_words()
    stream = elmo.stream(OTHERS)
    next(stream)
    (table,) = elmo._engine._tables.values()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(run.StreamRun, "close", raises(KeyboardInterrupt()))
        stream.close()
    del stream
    gc.collect()  # the traceback of the interrupt
    assert not table._rows.reservations
