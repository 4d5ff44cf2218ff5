"""Sentences in lanes: none lost, none overlapping, and the lanes end together."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from elmo_jax.lanes.packing import level, places

LENGTHS = st.lists(st.integers(0, 30), max_size=80)
ENDS = st.lists(st.integers(0, 40), min_size=1, max_size=12)


@given(LENGTHS, ENDS)
def test_every_token_has_a_place_of_its_own_after_what_was_there(lengths, ends):
    lengths, ends = np.array(lengths, np.int64), np.array(ends, np.int64)
    packing = level(lengths, ends)
    taken = np.zeros((len(ends), ends.max() + lengths.sum()), int)
    for length, lane, start in zip(lengths, packing.lanes_S, packing.starts_S, strict=True):
        assert start >= ends[lane]
        taken[lane, start : start + length] += 1
    assert taken.max(initial=0) <= 1
    assert taken.sum() == lengths.sum()
    lasts = [np.flatnonzero(lane).max(initial=-1) + 1 for lane in taken]
    np.testing.assert_array_equal(packing.ends_N, np.maximum(ends, lasts))


@given(LENGTHS, st.integers(1, 12))
def test_it_is_longest_first_into_the_lane_that_ends_first(lengths, n_lanes):
    """The rule by its definition, one sentence at a time."""
    expected = [0] * n_lanes
    for length in sorted(lengths, reverse=True):
        expected[expected.index(min(expected))] += length
    packing = level(np.array(lengths, np.int64), np.zeros(n_lanes, np.int64))
    assert sorted(packing.ends_N) == sorted(expected)


def test_empty_sentences_take_no_room():
    packing = level(np.zeros(5, np.int64), np.array([3, 1]))
    np.testing.assert_array_equal(packing.ends_N, [3, 1])


def test_sixteen_thousand_real_tokens_end_within_five_per_cent_of_the_mean(real_sentences):
    lengths = np.array([len(s) for s in real_sentences if 0 < len(s) <= 64])
    lengths = lengths[np.cumsum(lengths) <= 16384]
    ends = level(lengths, np.zeros(128, np.int64)).ends_N
    assert ends.max() <= 1.05 * ends.mean()


def test_tokens_go_step_by_step_from_where_their_sentence_begins():
    first, lengths = np.array([5, 40, 9]), np.array([3, 0, 2])
    assert places(first, lengths, 10).tolist() == [5, 15, 25, 9, 19]
    assert places(first, lengths, -2).tolist() == [5, 3, 1, 9, 7]
