"""An interrupt in one stream, at any line, leaves all others with the right vectors."""

import dataclasses
import gc
import itertools
import sys
import threading
import warnings
from pathlib import Path

import jax
import numpy as np
import pytest
from tally import Tally, attempts

import elmo_jax
from elmo_jax.engine import engine, plan, run, word_rows, word_table
from elmo_jax.errors import DeviceMemoryWarning
from elmo_jax.lanes import distinct_words
from elmo_jax.model import spelling
from elmo_jax.model.bilm import init_params
from elmo_jax.model.layers import LayerSelection

# Float32 sums in another order: words in batches of another size, other numbers of lanes.
TOLERANCE = 1e-6

FOLDERS = tuple(str(Path(module.__file__).parent) for module in (engine, distinct_words))

# Few rows and small windows, so that words make room for others while a stream is suspended.
SIZES = dataclasses.replace(
    plan.CPU, lane_shapes=(2, 4), window_tokens=6, word_rows=(8, 16), word_batches=(16, 16)
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


def short_of_memory(elmo):
    """A call whose first step finds no memory, so that it goes on with fewer lanes."""
    calls, read_lanes, here = itertools.count(), run.read_lanes, threading.current_thread()

    def sometimes(*arguments):
        if threading.current_thread() is here and next(calls) == 0:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory (forced)")
        return read_lanes(*arguments)

    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeviceMemoryWarning)
        patch.setattr(run, "read_lanes", sometimes)
        return elmo.embed(MINE)


CALLS = {
    "embed": lambda elmo: elmo.embed(MINE),
    "stream": lambda elmo: list(elmo.stream(MINE)),
    "pooled": lambda elmo: list(elmo.embed_sentences(MINE)),
    "mix": lambda elmo: elmo.embed(MINE, "mix", mix_weights=[0.1, -0.2, 0.3], mix_gamma=2.0),
    "short of memory": short_of_memory,
}


@pytest.fixture(scope="module")
def expected(elmo):
    others = elmo.embed(OTHERS)
    return {"mine": elmo.embed(MINE), "others": others} | {
        name: call(elmo) for name, call in CALLS.items()
    }


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


def lines_of_a_call(elmo, name):
    """Every line that a call runs, in order, with repetitions."""
    elmo.forget_words()
    stream = elmo.stream(OTHERS)
    next(stream)
    with Interrupt() as trace:
        CALLS[name](elmo)
    return trace.lines


def interrupt_a_call(elmo, expected, name, number):
    """Returns whether the interrupt hit the call, which must be right when it is made again."""
    is_hit = False
    try:
        with Interrupt(number):
            equal(CALLS[name](elmo), expected[name])
    except KeyboardInterrupt:
        is_hit = True
    equal(CALLS[name](elmo), expected[name])
    return is_hit


def with_a_suspended_stream(elmo, expected, name, number):
    """Interrupt a call while another stream is suspended, then continue both."""
    elmo.forget_words()
    stream = elmo.stream(OTHERS)
    results = [next(stream)]
    assert interrupt_a_call(elmo, expected, name, number)
    equal([*results, *stream], expected["others"])


def with_a_stream_of_another_thread(elmo, expected, name, number):
    """Interrupt a call while a stream of another thread is running."""
    elmo.forget_words()
    begun, results = threading.Event(), []

    def work():
        for result in elmo.stream(OTHERS):
            results.append(result)
            begun.set()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert begun.wait(60)
    # The call may be over before: how many lines it runs depends on what the stream has done.
    interrupt_a_call(elmo, expected, name, number)
    thread.join(60)
    equal(results, expected["others"])


def test_an_interrupt_at_any_line_leaves_the_other_streams_right(elmo, expected):
    seen = set()
    with Tally("an interrupt at a line of a call, another stream suspended") as tally:
        for name in CALLS:  # of the calls after the first, only what that one does not do
            firsts = {}
            for number, line in enumerate(lines_of_a_call(elmo, name)):
                if line not in seen:
                    firsts.setdefault(line, number)
            seen |= firsts.keys()
            for number in sorted(firsts.values()):
                with_a_suspended_stream(elmo, expected, name, number)
                tally.right()
    assert len(seen) > 300


def test_jax_compares_no_configurations_by_python_code(elmo, monkeypatch):
    other = elmo_jax.Elmo.from_params(
        elmo_jax.ElmoConfig(**vars(elmo.config)), init_params(elmo.config, seed=1)
    )
    other._engine = engine.Engine(other.config, other.params, "float32", plan=SIZES)
    for name in CALLS:
        CALLS[name](elmo)
    assert other.config == elmo.config and other.config is not elmo.config
    assert LayerSelection.__eq__ is tuple.__eq__
    monkeypatch.setattr(elmo_jax.ElmoConfig, "__eq__", raises(KeyboardInterrupt("in __eq__")))
    for name in CALLS:
        CALLS[name](other)


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("way", [with_a_suspended_stream, with_a_stream_of_another_thread])
def test_an_interrupt_at_any_step_leaves_the_other_streams_right(elmo, expected, name, way):
    n_lines = len(lines_of_a_call(elmo, name))
    with Tally(f"an interrupt at any step of a call, {way.__name__.replace('_', ' ')}") as tally:
        for number in range(0, n_lines, n_lines // attempts(n_lines)):
            try:
                way(elmo, expected, name, number)
                tally.right()
            except Exception as error:
                tally.wrong(f"step {number} of {name}: {error!s:.200}")


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


def test_a_stream_that_an_interrupt_came_out_of_does_not_seem_to_end(elmo, monkeypatch):
    stream = elmo.stream(OTHERS * 9)
    next(stream)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(run, "read_lanes", raises(KeyboardInterrupt()))
        list(stream)
    for _ in range(2):
        with pytest.raises(elmo_jax.ElmoError, match="ended early"):
            next(stream)
    stream.close()


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
