"""Processes that read rows of their own have, together, the windows of a single process."""

import itertools

import numpy as np
import pytest
from fake_processes import in_each

from elmo_jax import ElmoConfig, ElmoError
from elmo_jax.processes import ALONE, Processes
from elmo_jax.training import Vocabulary, perplexity
from elmo_jax.training.feed import WindowFeed
from elmo_jax.training.language_model import init_language_model
from elmo_jax.training.lexicon import Lexicon
from elmo_jax.training.perplexity import EvaluationSettings
from elmo_jax.training.settings import TrainingSettings
from elmo_jax.training.streams import StreamPosition, TrainingStreams
from elmo_jax.training.text_files import Corpus
from elmo_jax.training.windows import Sizes, Window

CONFIG = ElmoConfig(
    filters=((1, 4), (2, 8), (3, 8)),
    projection_dim=8,
    cell_dim=16,
    char_embedding_dim=4,
    n_layers=1,
    max_characters_per_token=20,
)
N_ROWS, N_AHEAD = 6, 3
SETTINGS = TrainingSettings(batch_size=N_ROWS, unroll_steps=5, n_steps=1, shuffle_buffer=40)
WORDS = [f"w{number}" + "x" * (number % 17) for number in range(90)]  # short ones and long ones
VOCABULARY = Vocabulary(["<S>", "</S>", "<UNK>", *WORDS[:60]])


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    rng = np.random.default_rng(3)
    lines = [" ".join(rng.choice(WORDS, rng.integers(1, 12))) for _ in range(150)]
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("\n".join(lines) + "\n")
    return Corpus.of(path)


def streams_of(corpus, processes, position=None):
    own = processes.own(N_ROWS)
    return TrainingStreams(corpus, Lexicon(VOCABULARY, CONFIG), SETTINGS, position, own)


def feed_of(corpus, processes, position=None):
    streams = streams_of(corpus, processes, position)
    return WindowFeed(streams, processes, processes.count, N_AHEAD)


def told(feed, processes):
    """What travels with a step in a real run."""
    sizes = processes.gather(feed.newest_sizes)
    feed.agree(Sizes(*np.max(sizes, axis=0).tolist()))


def windows_of(corpus, processes, n, position=None):
    feed, windows = feed_of(corpus, processes, position), []
    for _ in range(n):
        windows.append(feed.take())
        if not processes.is_alone:
            told(feed, processes)
    return windows, StreamPosition.joined(feed.mark, processes)


def meaning(window):
    """What a window reads and predicts, whatever the order of its words: the spelling of each."""
    width = window.long_UC.shape[1]
    short_UC = np.pad(window.short_UC, ((0, 0), (0, width - window.short_UC.shape[1])))
    spelled = np.concatenate([short_UC, window.long_UC])[window.slots]
    return spelled, window.targets, window.fresh, window.real


def end_to_end(parts):
    """The window that the parts of several processes are: tables on axis 0, rows on axis 1."""
    axes = Window(0, 0, 1, 1, 1, 1)
    columns = zip(*parts, strict=True)
    return Window(
        *(np.concatenate(arrays, axis) for arrays, axis in zip(columns, axes, strict=True))
    )


@pytest.mark.parametrize("count", [2, 3])
def test_the_parts_of_all_processes_are_the_window_of_one(corpus, count):
    whole, position = windows_of(corpus, ALONE, 40)
    parts = in_each(count, lambda processes: windows_of(corpus, processes, 40))
    for number, window in enumerate(whole):
        own = [windows[number] for windows, _ in parts]
        assert len({tuple(array.shape for array in part) for part in own}) == 1
        for mine, joined in zip(meaning(window), meaning(end_to_end(own)), strict=True):
            np.testing.assert_array_equal(mine, joined)
    assert {str(end.to_json()) for _, end in parts} == {str(position.to_json())}


def test_windows_that_were_prepared_ahead_do_not_move_the_position(corpus):
    _, position = windows_of(corpus, ALONE, 7)
    whole, _ = windows_of(corpus, ALONE, 12)
    # Two processes stopped after seven windows, and three go on.
    ((_, stopped), _) = in_each(2, lambda processes: windows_of(corpus, processes, 7))
    assert stopped.to_json() == position.to_json()
    parts = in_each(3, lambda processes: windows_of(corpus, processes, 5, stopped))
    for number, window in enumerate(whole[7:]):
        joined = end_to_end([windows[number] for windows, _ in parts])
        for mine, theirs in zip(meaning(window), meaning(joined), strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_a_process_looks_up_only_the_words_of_its_own_rows(corpus):
    own, whole = (streams_of(corpus, processes) for processes in (Processes(6, 2), ALONE))
    for streams in (own, whole):
        streams.take()
    assert len(own.lexicon) < 0.6 * len(whole.lexicon)


def test_a_process_that_cannot_read_on_still_gives_the_windows_that_it_has(corpus):
    def work(processes):
        feed = feed_of(corpus, processes)
        if processes.index == 1:
            feed._streams = None  # whatever reads it next fails
        n_taken = 0
        while not any(processes.gather(feed.failure is not None)):
            feed.take()
            told(feed, processes)
            n_taken += 1
        for _ in range(N_AHEAD - 1):  # of steps that were on the way when the others heard of it
            feed.take()
            n_taken += 1
        processes.raise_failure(feed.failure)

    one, other = in_each(2, work)
    assert isinstance(one, ElmoError) and "Process 1 of the 2 has stopped: AttributeE" in str(one)
    assert isinstance(other, AttributeError)


@pytest.mark.parametrize("count", [2, 4, 9])
def test_the_perplexity_does_not_depend_on_the_number_of_processes(corpus, count):
    params = init_language_model(CONFIG, len(VOCABULARY), 0)
    settings = EvaluationSettings(batch_size=8, unroll_steps=16)
    arguments = (CONFIG, params, VOCABULARY, corpus, settings)
    alone, cut = perplexity.measure(*arguments, ALONE)
    results = in_each(count, lambda processes: perplexity.measure(*arguments, processes))
    assert [result for result, _ in results] == [results[0][0]] * count
    shared, shared_cut = results[0]
    # The same float32 losses, in sums over fewer rows.
    np.testing.assert_allclose(shared[:3], alone[:3], rtol=1e-6)
    assert shared[3:] == alone[3:]
    assert (shared_cut.n_words, shared_cut.n_cut) == (cut.n_words, cut.n_cut)
    assert cut.n_cut > 0


def test_rows_of_a_short_text_may_all_belong_to_one_process(tmp_path):
    (tmp_path / "short.txt").write_text("w1 w2\n")
    corpus = Corpus.of(tmp_path / "short.txt")
    params = init_language_model(CONFIG, len(VOCABULARY), 0)
    arguments = (CONFIG, params, VOCABULARY, corpus, EvaluationSettings(batch_size=8))
    (one, _), (other, _) = in_each(2, lambda processes: perplexity.measure(*arguments, processes))
    assert one == other and one.tokens == 3


def test_the_rows_of_a_position_are_joined_in_the_order_of_the_processes(corpus):
    def work(processes):
        streams = streams_of(corpus, processes)
        streams.take()
        return StreamPosition.joined(streams.mark, processes)

    (whole,) = in_each(1, lambda _: work(ALONE))
    assert [len(rows) for rows in whole.pending] == [N_ROWS] * 2
    for position in itertools.chain(in_each(2, work), in_each(3, work)):
        assert position.to_json() == whole.to_json()
