"""Sentences in lanes: none lost, none overlapping, little room wasted."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from elmo_jax.packing import pack


def occupancy(lengths, packing, capacity):
    """How many sentences lie on each position of each lane."""
    lanes = np.zeros((packing.n_lanes, capacity), int)
    for length, lane, start in zip(lengths, packing.lanes_S, packing.starts_S, strict=True):
        if length:
            assert start + length <= capacity
            lanes[lane, start : start + length] += 1
    return lanes


@given(
    st.lists(st.integers(0, 30), max_size=80),
    st.integers(30, 64),
)
def test_every_token_has_a_place_of_its_own(lengths, capacity):
    lengths = np.array(lengths, np.int64)
    lanes = occupancy(lengths, pack(lengths, capacity), capacity)
    assert lanes.sum() == lengths.sum()
    assert lanes.max(initial=0) <= 1


@given(st.lists(st.integers(1, 30), min_size=1, max_size=80), st.integers(30, 64))
def test_no_lane_is_opened_while_a_sentence_of_another_would_fit_into_it(lengths, capacity):
    """Best fit leaves at most one lane less than half full."""
    lengths = np.array(lengths, np.int64)
    used = occupancy(lengths, pack(lengths, capacity), capacity).sum(axis=1)
    assert (used > 0).all()
    assert (2 * used <= capacity).sum() <= 1


def best_fit_decreasing(lengths, capacity):
    """The rule by its definition, one sentence at a time: how many lanes it takes."""
    rooms = []
    for length in sorted(lengths, reverse=True):
        fitting = [room for room in rooms if room >= length]
        if fitting:
            rooms.remove(min(fitting))
            rooms.append(min(fitting) - length)
        else:
            rooms.append(capacity - length)
    return len(rooms)


@given(st.lists(st.integers(1, 30), max_size=80), st.integers(30, 64))
def test_it_is_best_fit_decreasing(lengths, capacity):
    lengths = np.array(lengths, np.int64)
    assert pack(lengths, capacity).n_lanes == best_fit_decreasing(lengths, capacity)


def test_empty_sentences_take_no_lane():
    assert pack(np.zeros(5, np.int64), 8).n_lanes == 0
    assert pack(np.zeros(0, np.int64), 8).n_lanes == 0


def test_a_thousand_real_sentences_fill_lanes_of_64_to_99_per_cent(real_sentences):
    lengths = np.array([len(s) for s in real_sentences[:2000] if len(s) <= 64][:1000])
    packing = pack(lengths, 64)
    assert lengths.sum() / (64 * packing.n_lanes) > 0.99
