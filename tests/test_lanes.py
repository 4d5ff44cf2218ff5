"""Sentences in lanes: none lost, none overlapping, and the lanes end together."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from elmo_jax import ElmoConfig
from elmo_jax.lanes.buffer import LaneBuffer, flat_positions
from elmo_jax.lanes.distinct_words import WordNumbers, first_places, split_by_width
from elmo_jax.lanes.packing import pack_in_order, pack_longest_first
from elmo_jax.model.spelling import spell

LENGTHS = st.lists(st.integers(0, 30), max_size=80)
FULL = st.lists(st.integers(1, 30), max_size=80)
ENDS = st.lists(st.integers(0, 40), min_size=1, max_size=12)


@given(LENGTHS, ENDS)
def test_every_token_has_a_position_of_its_own_after_what_was_there(lengths, ends):
    lengths, ends = np.array(lengths, np.int64), np.array(ends, np.int64)
    packing = pack_longest_first(lengths, ends)
    used = np.zeros((len(ends), ends.max() + lengths.sum()), int)
    for length, lane, start in zip(lengths, packing.lanes_S, packing.starts_S, strict=True):
        assert start >= ends[lane]
        used[lane, start : start + length] += 1
    assert used.max(initial=0) <= 1
    assert used.sum() == lengths.sum()
    lasts = [np.flatnonzero(lane).max(initial=-1) + 1 for lane in used]
    np.testing.assert_array_equal(packing.ends_N, np.maximum(ends, lasts))


@given(LENGTHS, ENDS)
def test_the_longest_sentence_goes_first_into_the_lane_that_ends_first(lengths, ends):
    """The rule by its definition, one sentence at a time."""
    expected = list(ends)
    for length in sorted(lengths, reverse=True):
        expected[expected.index(min(expected))] += length
    packing = pack_longest_first(np.array(lengths, np.int64), np.array(ends))
    assert packing.ends_N.tolist() == expected


@given(FULL, ENDS, st.integers(0, 60))
def test_in_order_each_sentence_goes_into_the_lane_that_ends_first(lengths, ends, until):
    """Until all lanes are long enough: then no further sentence is read."""
    expected, places, unread = list(ends), [], list(lengths)
    while unread and min(expected) < until:
        start = min(expected)
        places.append((expected.index(start), start))
        expected[expected.index(start)] += unread.pop(0)
    left = iter(lengths)
    packing = pack_in_order(left, np.array(ends), until)
    assert list(zip(packing.lanes_S, packing.starts_S, strict=True)) == places
    assert packing.ends_N.tolist() == expected
    assert list(left) == unread


def test_empty_sentences_take_no_room():
    packing = pack_longest_first(np.zeros(5, np.int64), np.array([3, 1]))
    np.testing.assert_array_equal(packing.ends_N, [3, 1])


def test_sixteen_thousand_real_tokens_end_within_five_per_cent_of_the_mean(real_sentences):
    lengths = np.array([len(s) for s in real_sentences if 0 < len(s) <= 64])
    lengths = lengths[np.cumsum(lengths) <= 16384]
    ends = pack_longest_first(lengths, np.zeros(128, np.int64)).ends_N
    assert ends.max() <= 1.05 * ends.mean()


def test_tokens_go_step_by_step_from_where_their_sentence_begins():
    first, lengths = np.array([5, 40, 9]), np.array([3, 0, 2])
    assert flat_positions(first, lengths, 10).tolist() == [5, 15, 25, 9, 19]
    assert flat_positions(first, lengths, -2).tolist() == [5, 3, 1, 9, 7]


def test_a_buffer_gives_what_was_written_and_the_filler_elsewhere():
    buffer = LaneBuffer(2, filler=-1)
    lanes, starts, lengths = np.array([1, 0]), np.array([1, 0]), np.array([3, 1])
    buffer.write(lanes, starts, lengths, np.array([10, 11, 12, 20]))
    assert buffer.take(2).T.tolist() == [[20, -1], [-1, 10]]
    buffer.write(np.array([0]), np.array([0]), np.array([3]), np.array([7, 8, 9]), backward=True)
    buffer.resize(np.array([1, 0, 2]))  # the lanes change places, and a third one comes
    assert buffer.take(4).T.tolist() == [[11, 12, -1, -1], [9, 8, 7, -1], [-1] * 4]


def test_a_word_gets_its_number_at_the_first_look():
    numbers = WordNumbers(next_number=5)
    assert numbers.look_up(["a", "b", "a"]).tolist() == [5, 6, 5]
    assert numbers.look_up(["c", "b"]).tolist() == [7, 6]
    assert numbers.take_new_words() == ["a", "b", "c"]
    assert numbers.look_up(["a"]).tolist() == [5] and numbers.take_new_words() == []


@given(st.lists(st.integers(0, 6), max_size=30))
def test_the_first_places_of_numbers_are_those_where_a_dict_would_meet_them(numbers):
    places = first_places(np.array(numbers, np.int32), 7).tolist()
    assert [numbers[place] for place in places] == list(dict.fromkeys(numbers))
    assert places == [numbers.index(numbers[place]) for place in places]


@given(st.lists(st.text(max_size=60), max_size=9), st.integers(1, 60))
def test_a_word_of_either_width_is_whole_and_has_a_window_of_padding_behind_it(words, n_bytes):
    config = ElmoConfig.preset("tiny")
    spelling = spell(words, config)
    (short, short_width), (long, full_width) = split_by_width(spelling.lengths_U, n_bytes, config)
    assert sorted([*short, *long]) == list(range(len(words)))
    assert full_width == config.max_characters_per_token >= short_width
    for word in short:
        assert spelling.lengths_U[word] + config.max_filter_width <= short_width
        assert len(words[word].encode("utf-8", "ignore")) <= n_bytes
    room = short_width - config.max_filter_width
    assert (spelling.lengths_U[long] > room).all()
    assert list(itertools.compress(words, spelling.is_cut_U)) == [
        word for word in words if len(word.encode("utf-8", "surrogatepass")) > full_width - 2
    ]
