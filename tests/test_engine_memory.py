"""Devices without memory, iterables that fail, and streams that nobody reads to the end."""

import dataclasses
import threading
import warnings

import jax
import numpy as np
import pytest

import elmo_jax
from elmo_jax.engine import engine, outputs, plan, run, word_table
from elmo_jax.errors import DeviceMemoryWarning
from elmo_jax.model.bilm import init_params

# Float32 sums in another order: other numbers of lanes.
TOLERANCE = 5e-6

SENTENCES = [[f"w{i % 7}", "bank", "."][: i % 4] * (1 + i % 5) for i in range(90)]


@pytest.fixture(scope="module")
def tiny():
    config = elmo_jax.ElmoConfig.preset("tiny")
    return config, init_params(config, seed=0)


def small_elmo(tiny, **choices):
    """Few lanes and small windows, so that there are many calls."""
    sizes = {"lane_shapes": (1, 4, 16), "window_tokens": 64, "lanes_first_from": 1} | choices
    elmo = elmo_jax.Elmo.from_params(*tiny)
    elmo._engine = engine.Engine(
        *tiny, choices.pop("precision", "float32"), plan=dataclasses.replace(plan.CPU, **sizes)
    )
    return elmo


@pytest.fixture(scope="module")
def expected(tiny):
    return small_elmo(tiny).embed(SENTENCES)


def fails_at(function, calls):
    """The function, but for some calls, which find no memory."""
    counter = iter(range(10**6))

    def sometimes(*args, **kwargs):
        if next(counter) in calls:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory (forced)")
        return function(*args, **kwargs)

    return sometimes


def equal(results, expected):
    assert len(results) == len(expected)
    for one, other in zip(results, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=TOLERANCE)


PLACES = {
    "dispatch": (run, "read_lanes"),
    "reduction": (outputs, "token_halves"),
    "copy": (outputs.PendingTokens, "put_into"),
}


@pytest.mark.parametrize("way", ["stream", "embed"])
@pytest.mark.parametrize("place", PLACES)
def test_without_memory_the_lanes_are_halved_and_nothing_is_lost(
    tiny, expected, monkeypatch, place, way
):
    elmo = small_elmo(tiny)
    owner, name = PLACES[place]
    monkeypatch.setattr(owner, name, fails_at(getattr(owner, name), {1, 3}))
    with pytest.warns(DeviceMemoryWarning) as warned:
        results = list(getattr(elmo, way)(SENTENCES))
    equal(results, expected)
    assert ["a batch of 16 lanes" in str(warning.message) for warning in warned] == [True]
    assert warned[0].filename == __file__
    equal(elmo.embed(SENTENCES[:40]), expected[:40])  # no warning more


class Device:
    """Has memory for so many lanes in a call, and knows how many the calls had."""

    def __init__(self, monkeypatch, room):
        self.room, self.lanes = room, []
        read_lanes = run.read_lanes

        def spy(*arguments):
            self.lanes.append(arguments[6].shape[1])
            if self.lanes[-1] > self.room:
                raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory (forced)")
            return read_lanes(*arguments)

        monkeypatch.setattr(run, "read_lanes", spy)

    def most_lanes(self, elmo, sentences=SENTENCES):
        """Of a call that finds enough memory."""
        self.lanes.clear()
        elmo.embed(sentences)
        return max(self.lanes)


def test_once_without_memory_later_calls_have_all_lanes_again(tiny, monkeypatch):
    elmo, device = small_elmo(tiny), Device(monkeypatch, room=4)
    with pytest.warns(DeviceMemoryWarning):
        elmo.embed(SENTENCES)
    device.room = 16
    assert device.most_lanes(elmo) == 16


def test_a_small_call_without_memory_does_not_hold_large_ones_back(tiny, monkeypatch):
    elmo, device = small_elmo(tiny), Device(monkeypatch, room=1)
    for _ in range(9):
        with pytest.warns(DeviceMemoryWarning, match="lanes"):
            elmo.embed(SENTENCES[1:5])
    device.room = 16
    assert device.most_lanes(elmo) == 16


def test_large_calls_that_never_find_memory_try_it_less_and_less_often(tiny, expected, monkeypatch):
    elmo, _ = small_elmo(tiny), Device(monkeypatch, room=4)
    warned = []
    for number in range(12):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            equal(elmo.embed(SENTENCES), expected)
        if caught:
            warned.append(number)
    assert warned == [0, 1, 3, 7]


def without_memory(*_):
    raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory (forced)")


def plan_of_the_next_run(elmo):
    return elmo._engine._fallback.plan_for_a_run()


@pytest.mark.parametrize("owner, name", [(run, "read_lanes"), (word_table, "_write_words")])
@pytest.mark.parametrize("n_failures", [2, 5])
def test_calls_that_fail_leave_the_full_plan_to_the_next(
    tiny, expected, monkeypatch, owner, name, n_failures
):
    elmo = small_elmo(tiny)
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, without_memory)
        for _ in range(n_failures):
            with pytest.warns(DeviceMemoryWarning) as warned, pytest.raises(elmo_jax.ElmoError):
                elmo.embed(SENTENCES)
            assert len(warned) == 1
    assert plan_of_the_next_run(elmo) is elmo._engine.plan
    equal(elmo.embed(SENTENCES), expected)


def test_a_small_call_without_room_for_its_words_does_not_hold_large_ones_back(tiny, monkeypatch):
    elmo = small_elmo(tiny)
    for _ in range(2):
        with monkeypatch.context() as patch, pytest.warns(DeviceMemoryWarning) as warned:
            patch.setattr(word_table, "_write_words", fails_at(word_table._write_words, {0, 1, 2}))
            elmo.forget_words()
            elmo.embed([["a", "b"]])
        assert len(warned) == 1
    assert plan_of_the_next_run(elmo) is elmo._engine.plan


def test_a_call_that_fails_with_the_smaller_plan_makes_the_next_try_the_full_one(tiny, monkeypatch):
    elmo, device = small_elmo(tiny), Device(monkeypatch, room=4)
    with pytest.warns(DeviceMemoryWarning):
        for _ in range(4):  # three more calls would start with the smaller plan
            elmo.embed(SENTENCES)
    device.room = 0
    with pytest.warns(DeviceMemoryWarning), pytest.raises(elmo_jax.ElmoError):
        elmo.embed(SENTENCES)
    device.room = 16
    assert device.most_lanes(elmo) == 16


def test_a_call_that_succeeds_with_the_full_plan_ends_the_wait(tiny, monkeypatch):
    elmo, device = small_elmo(tiny), Device(monkeypatch, room=4)

    def embed_without_memory():
        device.room = 4
        with pytest.warns(DeviceMemoryWarning):
            elmo.embed(SENTENCES)
        device.room = 16

    for _ in range(2):
        embed_without_memory()
    assert device.most_lanes(elmo) == 4
    assert device.most_lanes(elmo) == 16
    embed_without_memory()
    assert device.most_lanes(elmo) == 16


def test_pooled_results_survive_too(tiny, expected, monkeypatch):
    elmo = small_elmo(tiny)
    name = "pool_lanes"
    monkeypatch.setattr(outputs, name, fails_at(getattr(outputs, name), {1}))
    with pytest.warns(DeviceMemoryWarning):
        results = list(elmo.stream(SENTENCES, "top", pooling="max"))
    equal(results, [v[2].max(0) if v.size else np.zeros(v.shape[2]) for v in expected])


def test_the_least_number_of_lanes_ends_in_an_error_and_the_next_call_works(
    tiny, expected, monkeypatch
):
    elmo = small_elmo(tiny)
    with monkeypatch.context() as patch, pytest.warns(DeviceMemoryWarning) as warned:
        patch.setattr(run, "read_lanes", fails_at(run.read_lanes, range(10**6)))
        with pytest.raises(elmo_jax.ElmoError, match="smallest batch, 1 lane"):
            elmo.embed(SENTENCES)
    assert len(warned) == 1
    equal(elmo.embed(SENTENCES[:9]), expected[:9])


def test_other_errors_of_a_device_are_not_taken_for_it(tiny, monkeypatch):
    def broken(*_):
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")

    monkeypatch.setattr(run, "read_lanes", broken)
    with pytest.raises(jax.errors.JaxRuntimeError, match="something else"):
        small_elmo(tiny).embed(SENTENCES)


def test_an_iterable_that_fails_does_so_after_all_results_before_it(tiny, expected):
    def source():
        yield from SENTENCES[:50]
        raise OSError("the disk is gone")

    stream, results = small_elmo(tiny).stream(source()), []
    with pytest.raises(OSError, match="gone"):
        for vectors in stream:
            results.append(vectors)
    equal(results, expected[:50])


def test_a_stream_that_is_closed_early_lets_go_of_its_words(tiny):
    elmo = small_elmo(tiny)
    stream = elmo.stream(SENTENCES)
    next(stream)
    (table,) = elmo._engine._tables.values()
    assert [r for r in table._rows.reservations if r.rows.size]
    stream.close()
    assert not [r for r in table._rows.reservations if r.rows.size]


def test_streams_in_threads_do_not_disturb_each_other(tiny, expected):
    elmo, results = small_elmo(tiny), [None] * 2

    def work(i):
        results[i] = list(elmo.stream(SENTENCES))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for mine in results:
        equal(mine, expected)


def test_the_plan_of_accelerators_gives_the_same_vectors(tiny, expected):
    scaled = dataclasses.replace(plan.GPU, lane_shapes=(4, 16), window_tokens=128)
    other = engine.Engine(*tiny, "float32", plan=scaled)
    request = small_elmo(tiny)._request("all", None, None, 1.0, "float32")
    equal(list(other.run(SENTENCES, request)), expected)


def test_kernels_that_are_rounded_once_give_the_same_bits(tiny, monkeypatch):
    request = small_elmo(tiny)._request("all", None, None, 1.0, "float32")
    sizes = dataclasses.replace(plan.CPU, lane_shapes=(16,))
    once = list(engine.Engine(*tiny, "bfloat16", plan=sizes).run(SENTENCES, request))
    monkeypatch.setattr(engine, "round_kernels", lambda params, precision: params)
    each_time = list(engine.Engine(*tiny, "bfloat16", plan=sizes).run(SENTENCES, request))
    for one, other in zip(once, each_time, strict=True):
        np.testing.assert_array_equal(one, other)


BOUND = 16 * 1024
"""Bytes of a word table: seven rows of the tiny model, one of which is for padding."""

TEXT = [[f"w{number}" for number in range(start, start + 1 + start % 6)] for start in range(60)]
"""Sentences of up to six words, and 65 distinct words together."""


def table_sizes(monkeypatch):
    """The bytes of the word table in every step that follows."""
    sizes, read_lanes = [], run.read_lanes

    def spy(*arguments):
        sizes.append(sum(array.nbytes for array in arguments[1]))
        return read_lanes(*arguments)

    monkeypatch.setattr(run, "read_lanes", spy)
    return sizes


@pytest.mark.parametrize("way", ["stream", "embed"])
def test_words_take_no_more_bytes_than_they_may(tiny, monkeypatch, way):
    expected = small_elmo(tiny).embed(TEXT)
    elmo, sizes = small_elmo(tiny, word_bytes=BOUND), table_sizes(monkeypatch)
    equal(list(getattr(elmo, way)(TEXT)), expected)
    assert 0 < max(sizes) <= BOUND


def test_a_sentence_whose_words_take_more_runs_and_leaves_no_large_table(tiny, monkeypatch):
    long = [f"w{number}" for number in range(30)]
    sentences = [*TEXT[:9], long, *TEXT[9:20]]
    expected = small_elmo(tiny).embed(sentences)
    elmo, sizes = small_elmo(tiny, word_bytes=BOUND), table_sizes(monkeypatch)
    equal(elmo.embed(sentences), expected)
    assert BOUND < max(sizes) <= 31 * (BOUND // 7)  # its rows, and no more
    sizes.clear()
    equal(elmo.embed(TEXT[:9]), expected[:9])
    assert max(sizes) <= BOUND


def test_streams_under_way_together_do_not_wait_for_each_others_words(tiny):
    elmo = small_elmo(tiny, word_bytes=BOUND)
    first, second = elmo.stream(TEXT), elmo.stream(TEXT[::-1])
    together = [(next(first), next(second)) for _ in TEXT]
    equal([one for one, _ in together], small_elmo(tiny).embed(TEXT))
    equal([other for _, other in together], small_elmo(tiny).embed(TEXT[::-1]))


def has_room_for(monkeypatch, n_rows):
    """A device that has no room for a word table of more rows."""
    grow = word_table.WordTable._grow

    def limited(table):
        if len(table._rows) > n_rows:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory (forced)")
        grow(table)

    monkeypatch.setattr(word_table.WordTable, "_grow", limited)


def test_without_memory_for_the_word_table_it_is_halved_and_the_lanes_stay(tiny, monkeypatch):
    expected = small_elmo(tiny).embed(TEXT)
    elmo, device = small_elmo(tiny, word_rows=(64, 64)), Device(monkeypatch, room=16)
    has_room_for(monkeypatch, 20)
    with pytest.warns(DeviceMemoryWarning) as warned:
        equal(elmo.embed(TEXT), expected)
    assert ["a word table of 64 rows" in str(warning.message) for warning in warned] == [True]
    assert max(device.lanes) > 1


def test_without_memory_for_the_words_of_one_sentence_the_error_names_the_word_table(
    tiny, monkeypatch
):
    elmo = small_elmo(tiny)
    with monkeypatch.context() as patch, pytest.warns(DeviceMemoryWarning, match="word table"):
        has_room_for(patch, 4)
        with pytest.raises(elmo_jax.ElmoError, match=r"word table: 7 rows of 2,176 bytes"):
            elmo.embed([["a", "b", "c", "d", "e", "f"]])
    assert elmo.embed([["a", "b"]])[0].shape == (3, 2, 64)


def test_without_memory_to_spell_words_fewer_are_spelled_at_once(tiny, monkeypatch):
    write_words = word_table._write_words

    def limited(params, words, ids_UC, *rest):
        if len(ids_UC) > 8:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory (forced)")
        return write_words(params, words, ids_UC, *rest)

    expected = small_elmo(tiny).embed(TEXT[:9])
    monkeypatch.setattr(word_table, "_write_words", limited)
    with pytest.warns(DeviceMemoryWarning, match="word table"):
        equal(small_elmo(tiny, word_batches=(16, 16)).embed(TEXT[:9]), expected)
