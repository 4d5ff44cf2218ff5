"""What the speed benchmarks rest on: work by hand, fair samples, interleaving, ratios, equality."""

import dataclasses
import itertools

import jax
import numpy as np
import pytest

from benchmarks import manylangs, models, precision, systems, texts
from benchmarks.host import estimate
from benchmarks.measure import SUMS, Spread, Tolerance, assert_equal, interleave, ratios
from benchmarks.scaling import within
from benchmarks.tables import markdown, number, spread
from benchmarks.work import input_work, needed_work, step_work, weight_bytes, word_work
from elmo_jax import Alphabet, Elmo, ElmoConfig, ElmoError
from elmo_jax.model.bilm import init_params

# Work

TINY = ElmoConfig(
    filters=((1, 2), (3, 4)),
    char_embedding_dim=5,
    n_highway=1,
    max_characters_per_token=8,
    projection_dim=3,
    cell_dim=7,
)
LEXICON = dataclasses.replace(
    TINY,
    token_layer="lexicon",
    word_dim=2,
    forced_projections=True,
    alphabet=Alphabet(
        ["<oov>", "<bos>", "<eos>"], ["a", "<bos>", "<eos>", "<oov>", "<pad>", "<bow>", "<eow>"]
    ),
)


def test_the_work_of_a_text_is_what_a_hand_counts():
    # "ab": 4 ids of 8. Width 1: 4 positions and one of padding; width 3: the same, of 6.
    highway, projection = 2 * 2 * 6 * 6, 2 * 6 * 3
    assert word_work(TINY, 4) == 2 * 5 * (1 * 2 * 5 + 3 * 4 * 5) + highway + projection
    # "abcdef" fills all 8 ids: no window of padding alone, 8 and 6 positions.
    assert word_work(TINY, 8) == 2 * 5 * (1 * 2 * 8 + 3 * 4 * 6) + highway + projection
    gates, project = 2 * 3 * 28, 2 * 7 * 3
    assert input_work(TINY) == 2 * gates
    assert step_work(TINY, 1) == 2 * (gates + project)
    assert step_work(TINY, 2) == 2 * (2 * (gates + project) + gates)
    sizes = {"char_embedding_dim": 5, "projection_dim": 6, "cell_dim": 6}
    lean = ElmoConfig(filters=((1, 6),), n_highway=0, **sizes)
    assert word_work(lean, 4) == 2 * 5 * 6 * 5, "neither highway nor projection"
    assert step_work(lean, 1) == 2 * (2 * 6 * 24), "no LSTM projection"
    work = needed_work(TINY, [["ab", "c"], [], ["ab", "ab"]])
    assert (work.n_tokens, work.n_words) == (4, 2)
    assert work.words == word_work(TINY, 4) + word_work(TINY, 3), "distinct words once"
    assert work.input_products == 2 * input_work(TINY)
    assert work.steps == 4 * step_work(TINY, 2)
    assert work.total == work.words + work.input_products + work.steps


def test_a_word_of_a_lexicon_is_projected_together_with_its_own_vector():
    assert word_work(LEXICON, 4) == word_work(TINY, 4) + 2 * 2 * 3
    # "äz" has two characters and three bytes.
    work = needed_work(LEXICON, [["äz", "äz"]])
    assert work.words == word_work(LEXICON, 4)
    assert work.steps == 2 * step_work(TINY, 2)


@pytest.mark.parametrize("config", [TINY, LEXICON], ids=["bytes", "lexicon"])
def test_a_sentence_of_one_token_reads_every_kernel_once(config):
    shapes = jax.eval_shape(lambda: init_params(config, 0))
    leaves = jax.tree_util.tree_leaves_with_path(shapes)
    kernels = {jax.tree_util.keystr(path): 4 * leaf.size for path, leaf in leaves}
    once = sum(n for path, n in kernels.items() if "kernel" in path)
    assert weight_bytes(config, 1) == once
    states = ("recurrent_kernel", "projection_kernel")
    again = sum(n for p, n in kernels.items() if "layers_" in p and any(s in p for s in states))
    assert weight_bytes(config, 3) == once + 2 * again


def test_the_original_model_needs_a_tenth_of_a_gflop_a_token_more_without_a_word_table():
    original = ElmoConfig.preset("original")
    assert step_work(original, 2) / 1e9 == pytest.approx(0.12, abs=0.005)
    # And its 50 characters, highways, projection and first input product for every token.
    spelled = step_work(original, 2) + input_work(original) + word_work(original, 50)
    assert spelled / 1e9 == pytest.approx(0.21, abs=0.01)


# Text


@pytest.fixture
def whole():
    lengths = 1 + np.random.default_rng(0).geometric(1 / 18, 500)
    return [[f"w{i}"] * length for i, length in enumerate(lengths)]


def test_an_even_sample_keeps_the_lengths_and_the_order(whole):
    def quantiles(sentences):
        return np.percentile([len(words) for words in sentences], [10, 25, 50, 75, 90])

    for n_tokens in (1000, 5000):
        sample = texts.even_sample(whole, n_tokens)
        assert n_tokens <= texts.count_tokens(sample) <= n_tokens + 100
        assert np.abs(quantiles(sample) - quantiles(whole)).max() <= 4
        positions = [whole.index(words) for words in sample]
        assert positions == sorted(set(positions))
    assert texts.even_sample(whole, 10**9) == whole


@pytest.mark.parametrize("order", ["given", "sorted"])
def test_a_part_in_batches_is_padded_as_the_whole_would_be(order, whole):
    def batches(sentences):
        lengths = [len(words) for words in sentences]
        lengths = sorted(lengths) if order == "sorted" else lengths
        return [tuple(lengths[i : i + 16]) for i in range(0, len(lengths), 16)]

    part = texts.even_batches(whole, 2000, 16, order)
    assert 2000 <= texts.count_tokens(part) < texts.count_tokens(whole)
    assert set(batches(part)) <= set(batches(whole))


def test_text_is_recut_read_without_blank_lines_and_written_a_sentence_a_line(
    tmp_path, monkeypatch
):
    assert texts.recut([["a", "b"], ["c"]], 2, 5) == [["a", "b"], ["c", "a"], ["b", "c"]]
    file = tmp_path / "text.txt"
    file.write_text("A b .\n\n  \nHi\n", "utf-8")
    sentences = texts.read_sentences(file)
    assert sentences == [["A", "b", "."], ["Hi"]]
    assert texts.write_sentences(file, sentences).read_text("utf-8") == "A b .\nHi\n"
    monkeypatch.setenv("ELMO_JAX_SHARED", str(tmp_path))
    with pytest.raises(ElmoError, match=r"no text .*masc_20k.txt.*--corpus.*ELMO_JAX_SHARED"):
        texts.corpus_file(None)
    file.write_text("\n", "utf-8")
    with pytest.raises(ElmoError, match=r"text\.txt has no words"):
        texts.read_sentences(texts.corpus_file(str(file)))


def test_a_made_up_text_is_always_the_same_and_its_words_all_differ(tmp_path):
    files = [texts.write_made_up_text(tmp_path / name, 500, 900) for name in "ab"]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert 500 <= texts.count_tokens(texts.read_sentences(files[0])) < 600
    words = [texts.spell(rank) for rank in range(20_000)]
    assert len(set(words)) == 20_000 and len(words[0]) < len(words[-1]) < 10


# Timing


def test_systems_run_in_turn_and_ratios_are_taken_within_each_round():
    order, clock = [], itertools.count()
    calls = {name: lambda name=name: order.append(name) or next(clock) for name in "ab"}
    assert interleave(calls, rounds=3, pause=0) == {"a": [0, 2, 4], "b": [1, 3, 5]}
    assert order == ["a", "b"] * 3
    # The machine was ten times slower in the second round, for both.
    assert ratios([4.0, 40.0, 4.0], [2.0, 20.0, 2.0]) == Spread(2.0, 2.0, 2.0, 3)


def test_a_spread_is_the_median_and_two_percentiles():
    assert Spread.of(range(11)) == Spread(median=5, p10=1, p90=9, n=11)
    assert Spread.of([1.23456]).json() == {"median": 1.235, "p10": 1.235, "p90": 1.235, "n": 1}


def test_points_end_before_the_next_would_pass_the_budget():
    for budget, sizes in {60: [1, 2, 4], 0: [1]}.items():
        assert [p["n"] for p in within(budget, (1, 2, 4), lambda n: {"n": n})] == sizes


# Equality


def vectors(offset=0.0):
    return [np.full((3, 2, 4), offset, np.float32), np.full((3, 1, 4), offset, np.float32)]


def test_vectors_that_differ_by_more_than_the_tolerance_stop_the_benchmark():
    assert assert_equal("peer", vectors(5e-5), vectors(), SUMS) == pytest.approx(5e-5)
    for wrong in (1e-3, np.nan):
        with pytest.raises(ElmoError, match=r"peer does not compute the same.*Nothing was timed"):
            assert_equal("peer", vectors(wrong), vectors(), SUMS)
    with pytest.raises(ElmoError, match=r"\(1 of 2 sentences\)\. Nothing was timed"):
        assert_equal("peer", vectors()[:1], vectors(), SUMS)
    actual, most = vectors(), Tolerance("most", 1e-4, 0.9)
    actual[0][0, 0, :2] = 1  # 2 of 36
    assert assert_equal("peer", actual, vectors(), most) == 1
    actual[0][0] = 1  # 8 of 36
    with pytest.raises(ElmoError, match=r"77\.78% of its numbers"):
        assert_equal("peer", actual, vectors(), most)


def test_errors_of_layers_and_of_neighbors_are_what_a_hand_computes():
    exact = [np.array([[[3.0, 4.0]], [[1.0, 0.0]]]), np.array([[[0.0, 5.0]], [[0.0, 1.0]]])]
    actual = [exact[0] + np.array([[[0.0, 0.5]], [[0.0, 0.0]]]), exact[1]]
    rows = precision.compare_layers(actual, exact)
    assert rows[0]["relative_error"] == pytest.approx(0.5 / 50**0.5, rel=1e-3)
    assert rows[0]["largest_difference"] == 0.5
    assert rows[1] == {key: 0 for key in rows[1]}
    points = np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
    same = precision.compare_sentences(points, points)
    assert same == {"same_neighbour": 1, "rank_correlation": 1}
    moved = np.array([[1.0, 0.0], [1.0, 0.1], [1.0, 0.19], [0.1, 1.0]])
    # The second is now nearest to the third, the third to the second; the others are as before.
    assert precision.compare_sentences(moved, points)["same_neighbour"] == 0.5


# Models


def test_random_weights_give_numbers_of_a_trained_models_size_and_no_clip_bites(real_sentences):
    config = ElmoConfig.preset("tiny")
    unclipped = dataclasses.replace(config, cell_clip=None, proj_clip=None)
    params = models.random_params(config)
    layers, others = (
        np.concatenate(Elmo.from_params(c, params).embed(real_sentences[:20]), axis=1)
        for c in (config, unclipped)
    )
    assert layers.std(axis=(1, 2)).min() > 0.2 and layers.std(axis=(1, 2)).max() < 1
    np.testing.assert_allclose(layers, others, atol=1e-5)


def test_a_model_is_made_once_in_both_formats(tmp_path, monkeypatch, make_model):
    monkeypatch.setenv("ELMO_JAX_CACHE", str(tmp_path))
    made = models.open_model("tiny")
    stamp = made.published["weights"].stat().st_mtime_ns
    again = models.open_model("tiny")
    assert again == made and again.published["weights"].stat().st_mtime_ns == stamp
    hdf5 = made.published["weights"].parent
    assert Elmo(made.native).config == Elmo(hdf5).config == ElmoConfig.preset("tiny")
    folder, _ = make_model(n_layers=1)
    assert models.open_model(str(folder)).config.n_layers == 1
    with pytest.raises(ElmoError, match=r"no model 'gone': expected one of the shapes tiny, small"):
        models.open_model("gone")


def test_a_model_in_the_shape_of_elmoformanylangs_is_written_by_its_own_code(
    tmp_path, monkeypatch, manylangs_writer
):
    monkeypatch.setenv("ELMO_JAX_CACHE", str(tmp_path))
    made = models.open_model("manylangs-tiny")
    assert (made.config.token_layer, made.config.word_dim) == ("lexicon", 100)
    assert made.config.filters == ElmoConfig.preset("tiny").filters
    (folder,) = made.published.values()
    assert Elmo(folder).config == Elmo(made.native).config == made.config
    monkeypatch.setattr(manylangs, "run_command", None)
    assert models.open_model("manylangs-tiny") == made, "it is made once"
    assert models.open_model(str(folder)).published == {"folder": folder}


def test_a_peer_is_asked_to_open_only_what_it_reads(tmp_path, monkeypatch, manylangs_writer):
    monkeypatch.setenv("ELMO_JAX_CACHE", str(tmp_path))
    tiny, own = models.open_model("tiny"), models.open_model("manylangs-tiny")
    assert set(systems.source("allennlp", tiny)) == {"options", "weights"}
    for name in ("elmo-jax", manylangs.PEER):
        assert systems.source(name, own) == own.published
    with pytest.raises(ElmoError, match=r"allennlp cannot open .*--peers elmoformanylangs"):
        systems.source("allennlp", own)
    with pytest.raises(ElmoError, match="elmoformanylangs cannot open the model tiny"):
        systems.source(manylangs.PEER, tiny)


def test_the_shape_of_elmoformanylangs_is_the_published_one():
    config = ElmoConfig.from_options(manylangs.configuration(ElmoConfig.preset("original")))
    assert config.filters == ((1, 32), (2, 32), (3, 64), (4, 128), (5, 256), (6, 512), (7, 1024))
    assert (config.word_dim, config.char_embedding_dim, config.n_highway) == (100, 50, 2)
    assert (config.projection_dim, config.cell_dim, config.n_layers) == (512, 4096, 2)
    assert config.cell_clip == config.proj_clip == 3
    assert config.max_characters_per_token == 50


# Tables


def test_numbers_are_short():
    numbers = 1234.5, 12.345, 0.012345, 0, None
    assert [*map(number, numbers)] == ["1,234", "12.3", "0.0123", "0", "–"]
    assert spread(Spread(1, 0.5, 2, 3).json()) == "1 (0.5 – 2)"
    assert spread(Spread(1, 1, 1, 1).json(), 1000) == "1,000"
    rows = [{"a_head": "x", "b": 1000}, {"a_head": "y", "c": Spread(1, 0, 2, 3).json()}]
    lines = ["| a head | b | c |", "|---|---:|---:|", "| x | 1,000 | – |", "| y | – | 1 (0 – 2) |"]
    assert markdown(rows).splitlines() == lines


# What a host could prepare


def test_more_processes_divide_only_what_each_does_not_repeat():
    # 100 tokens in 10 s; every process repeats 2 s of that.
    rates = [estimate(100, [10.0], [2.0], n).median for n in (1, 2, 4, None)]
    assert rates == pytest.approx([10, 100 / 6, 25, 50])
