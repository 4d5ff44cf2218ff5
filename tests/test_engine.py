"""The machinery behind Elmo: plans, layouts, the word table and the order of results."""

import dataclasses
import itertools

import jax
import numpy as np
import pytest
import random_models
from hypothesis import given
from hypothesis import strategies as st

import elmo_jax
from elmo_jax.engine import engine, plan, run, timeline, word_rows, word_table
from elmo_jax.functional import layer_outputs
from elmo_jax.model import spelling
from elmo_jax.model.bilm import BiLM, init_params
from elmo_jax.model.characters import encode_words

# Float32 sums in another order: a word's filters in a batch of another size.
SAME_WORD_TOLERANCE = 1e-6

LENGTHS = st.lists(
    st.one_of(st.integers(0, 40), st.sampled_from([64, 65, 256, 257, 700])), max_size=120
)


@pytest.fixture(scope="module")
def tiny():
    config = elmo_jax.ElmoConfig.preset("tiny")
    return config, init_params(config, seed=0)


def read_in_full(timeline):
    """Take all chunks: what each sentence gave in each direction, in the order it was read."""
    forward, backward, finished = {}, {}, []
    while timeline.first_unfinished is not None:
        chunk = timeline.take()
        shape = (plan.CPU.chunk_steps, len(timeline.ends_N))
        assert chunk.forward_TN.shape == chunk.backward_TN.shape == shape
        n_fresh = 0
        for number, lane, step, n_before, count, _ in zip(*chunk.parts, strict=True):
            here = slice(step, step + count)
            assert n_before == len(forward.setdefault(number, []))
            forward[number] += list(chunk.forward_TN[here, lane])
            backward.setdefault(number, []).extend(chunk.backward_TN[here, lane])
            assert chunk.fresh_TN[step, lane] == (n_before == 0)
            n_fresh += n_before == 0
        assert chunk.fresh_TN.sum() == n_fresh
        assert (chunk.forward_TN > 0).sum() == chunk.parts.counts.sum()
        finished += list(chunk.parts.numbers[chunk.parts.finished])
    assert sorted(finished) == sorted(forward)
    return forward, backward


@given(st.lists(LENGTHS, min_size=1, max_size=3), st.sampled_from(plan.CPU.lane_shapes))
def test_a_timeline_reads_every_sentence_once_in_both_orders(windows, n_lanes):
    current = timeline.Timeline(plan.CPU.chunk_steps)
    current.resize(n_lanes)
    n_placed, n_rows, expected = 0, 1, {}
    for window in windows:
        lengths = np.array([length for length in window if length], np.int64)
        rows = n_rows + np.arange(lengths.sum(), dtype=np.int32)
        numbers = n_placed + np.arange(len(lengths))
        parts = np.split(rows, np.cumsum(lengths)[:-1]) if len(lengths) else []
        expected |= {number: list(part) for number, part in zip(numbers, parts, strict=True)}
        if len(lengths):
            current.place(numbers, lengths, rows)
        n_placed, n_rows = n_placed + len(lengths), n_rows + len(rows)
    assert current.first_unfinished == (0 if expected else None)
    forward, backward = read_in_full(current)
    assert forward == expected
    assert backward == {number: rows[::-1] for number, rows in expected.items()}


def test_lanes_that_move_into_another_shape_read_on_where_they_were():
    current = timeline.Timeline(plan.CPU.chunk_steps)
    current.resize(16)
    lengths = np.array([40, 30, *[3] * 14])
    current.place(np.arange(16), lengths, 1 + np.arange(lengths.sum(), dtype=np.int32))
    current.take()
    former = current.resize(4)
    assert len(former) == len(current.ends_N) == 4
    assert sorted(current.ends_N) == [0, 0, 30 - plan.CPU.chunk_steps, 40 - plan.CPU.chunk_steps]
    former = current.resize(16)
    np.testing.assert_array_equal(former, [0, 1, 2, 3, *[4] * 12])  # 4: lanes that were not there
    assert set(current.rows) == {
        0,
        *range(1 + plan.CPU.chunk_steps, 41),
        *range(41 + plan.CPU.chunk_steps, 71),
    } | {
        *range(1, 41 - plan.CPU.chunk_steps),
        *range(41, 71 - plan.CPU.chunk_steps),
    }  # the backward stack has read the ends
    chunk = current.take()
    assert sorted(chunk.parts.tokens_before) == [plan.CPU.chunk_steps, plan.CPU.chunk_steps]


def test_lanes_move_into_a_smaller_shape_only_where_it_saves_much():
    ends = np.zeros(128, np.int64)
    ends[:3] = 40
    assert plan.CPU.smaller_shape(ends) == 4
    ends[:3] = 8
    assert plan.CPU.smaller_shape(ends) == 128
    assert plan.CPU.smaller_shape(np.full(64, 100)) == 64


def test_each_platform_has_its_plan():
    plans = [plan.plan_for(platform) for platform in ("cpu", "gpu", "cuda", "tpu")]
    assert plans == [plan.CPU, plan.GPU, plan.GPU, plan.TPU]
    layouts = [plan.TPU.layout(n_lanes) for n_lanes in plan.TPU.lane_shapes]
    # On a TPU any number of steps may run, and few lanes come last.
    assert [layout.lanes_first for layout in layouts] == [False, True, True, True]
    assert not any(layout.static_steps or layout.fused_products for layout in layouts)
    assert plan.GPU.layout(8) == plan.Layout(True, True, True)


def test_a_word_table_ends_with_a_tile_of_rows():
    odd = dataclasses.replace(plan.TPU, word_bytes=1000 * 67584 + 1)
    assert odd.rows_of_words(67584) == (896, 896)
    assert odd.with_fewer_words(896).rows_of_words(67584) == (384, 384)
    assert odd.rows_of_words(67584 * 20) == (50, 50), "a small one is as large as it can be"


def test_a_sentence_runs_alone_and_a_thousand_in_the_largest_shape():
    assert plan.CPU.choose_lanes(np.array([20])) == 1
    assert plan.CPU.choose_lanes(np.full(1000, 20)) == plan.CPU.max_lanes


def test_real_sentences_waste_little(tiny, real_sentences, monkeypatch):
    positions = []
    read_lanes = run.read_lanes

    def spy(*arguments):
        positions.append(arguments[6].shape[1] * int(arguments[7]))
        return read_lanes(*arguments)

    monkeypatch.setattr(run, "read_lanes", spy)
    sentences = real_sentences[:4000]
    elmo_jax.Elmo.from_params(*tiny).embed(sentences, "top")
    assert sum(map(len, sentences)) / sum(positions) > 0.97


def test_windows_are_bounded_in_tokens_and_in_empty_sentences_and_keep_the_order():
    sentences = [["w"] * 1000] * 40 + [["w"] * 20_000] + [["w"]] * 10 + [[]] * 40_000
    windows, are_last = zip(*run.ReadAhead(sentences, plan.CPU.window_tokens), strict=True)
    assert list(itertools.chain(*windows)) == sentences
    assert are_last == (*[False] * (len(windows) - 1), True)
    for window, last in zip(windows, are_last, strict=True):
        size = sum(max(1, len(sentence)) for sentence in window)
        assert size <= plan.CPU.window_tokens * (1 + last) or len(window) == 1
    assert list(run.ReadAhead([], 9)) == []


def test_a_long_sentence_does_not_let_results_pile_up(tiny):
    """While it is read, nothing far behind it is: the others wait."""
    sentences_read = []

    def source():
        yield ["long"] * 3000
        for _ in range(4000):
            sentences_read.append(1)
            yield ["short", "one"] * 8

    stream = elmo_jax.Elmo.from_params(*tiny).stream(source(), "top")
    assert next(stream).shape[0] == 3000
    assert len(sentences_read) * 16 < 5 * plan.CPU.window_tokens


def table_vectors(table, words):
    rows = table.rows(words)  # first: it fills the table
    return np.asarray(table.words.vectors)[rows]


def encoded(config, params, words):
    ids = encode_words(words, config.max_characters_per_token)
    return np.asarray(BiLM(config).apply({"params": params}, ids, method="encode_words"))


def test_the_word_table_holds_token_vectors(tiny):
    config, params = tiny
    words = ["a", "bank", "", "naïve", "x" * 60, "<S>", "a", "internationalization" * 2]
    table = word_table.WordTable(config, params, "float32", plan.CPU)
    np.testing.assert_allclose(
        table_vectors(table, words), encoded(config, params, words), atol=SAME_WORD_TOLERANCE
    )
    assert not np.asarray(table.words.vectors)[word_rows.PADDING_ROW].any()


def test_the_word_table_holds_the_gates_of_the_first_layers(tiny):
    config, params = tiny
    table = word_table.WordTable(config, params, "float32", plan.CPU)
    vectors = table_vectors(table, ["a", "bank"])
    for number, name in enumerate(("forward", "backward")):
        layer = params[name]["layers_0"]
        expected = vectors @ np.asarray(layer["input_kernel"]).T + np.asarray(layer["bias"])
        gates = np.asarray(table.words.gates)[number, table.rows(["a", "bank"])]
        np.testing.assert_allclose(gates, expected, atol=SAME_WORD_TOLERANCE)
    without = word_table.WordTable(config, params, "float32", plan.CPU, with_gates=False)
    assert without.words.gates.shape[2] == 0


def test_each_distinct_word_is_spelled_once(tiny, monkeypatch):
    spelled = []

    def spy(words, width):
        spelled.extend(words)
        return encode_words(words, width)

    monkeypatch.setattr(spelling, "encode_words", spy)
    table = word_table.WordTable(*tiny, "float32", plan.CPU)
    table.rows(["the", "bank", "the"])
    table.rows(["bank", "river", "the"])
    assert spelled == ["the", "bank", "river"]


@pytest.fixture
def little_table(tiny):
    """A table of eight rows, one of which no word has."""
    sizes = dataclasses.replace(plan.CPU, word_rows=(8, 8))
    table = word_table.WordTable(*tiny, "float32", sizes)
    return lambda words, *needed: (table.rows(words, *needed), np.asarray(table.words.vectors))


def test_a_full_word_table_lets_the_longest_unused_go(little_table, tiny):
    for words in (["a", "b", "c", "d"], ["e", "f", "g", "a"], ["a", "h"], ["b", "a"]):
        rows, vectors = little_table(words)
        np.testing.assert_allclose(vectors[rows], encoded(*tiny, words), atol=SAME_WORD_TOLERANCE)
        assert len(vectors) == 8


def test_reserved_words_stay_and_a_table_of_them_grows(little_table, tiny):
    me, you = word_rows.Reservation(), word_rows.Reservation()
    mine, _ = little_table(["a", "b", "c"], me)
    yours, _ = little_table(["d", "e"], you)
    words = list("fghijk")
    rows, vectors = little_table(words)
    assert len(vectors) == 12  # all words and the padding, no more
    assert not {*mine, *yours} & {*rows}
    new, _ = little_table(["l"], me, mine[:1])  # gives up two of three
    rows, vectors = little_table(list("mnopqrst"), me, np.array([*mine[:1], *new], np.int32))
    assert not {mine[0], *new, *yours} & {*rows}
    held = np.array([mine[0], *yours, *rows])
    np.testing.assert_allclose(
        vectors[held], encoded(*tiny, list("ademnopqrst")), atol=SAME_WORD_TOLERANCE
    )


def test_an_interrupt_while_words_are_computed_leaves_none_without_its_vector(tiny, monkeypatch):
    elmo = elmo_jax.Elmo.from_params(*tiny)
    texts = [[f"{letter}{n}" for n in range(150)] for letter in "ab"]
    wanted = [elmo.embed([text])[0] for text in texts]
    elmo = elmo_jax.Elmo.from_params(*tiny)
    write, n_calls = word_table._write_words, itertools.count()

    def interrupted(*arguments):
        if next(n_calls) == 2:
            raise KeyboardInterrupt
        return write(*arguments)

    monkeypatch.setattr(word_table, "_write_words", interrupted)
    with pytest.raises(KeyboardInterrupt):
        elmo.embed(texts)
    for text, expected in zip(texts, wanted, strict=True):
        np.testing.assert_allclose(elmo.embed([text])[0], expected, atol=SAME_WORD_TOLERANCE)


def test_two_streams_of_one_model_do_not_disturb_each_other(tiny, monkeypatch):
    config, params = tiny
    monkeypatch.setattr(plan, "CPU", dataclasses.replace(plan.CPU, word_rows=(512, 512)))
    rng = np.random.default_rng(0)
    texts = [
        [[f"{name}{n}" for n in rng.integers(4000, size=12)] for _ in range(2000)]
        for name in ("x", "y")
    ]
    shared = elmo_jax.Elmo.from_params(config, params)
    interleaved = zip(*(shared.stream(text, "top") for text in texts), strict=True)
    alone = zip(
        *(elmo_jax.Elmo.from_params(config, params).stream(text, "top") for text in texts),
        strict=True,
    )
    for one, other in zip(itertools.chain(*interleaved), itertools.chain(*alone), strict=True):
        np.testing.assert_allclose(one, other, atol=SAME_WORD_TOLERANCE)


def test_layers_that_nobody_asked_for_do_not_run(tiny, monkeypatch):
    config, params = tiny
    elmo = elmo_jax.Elmo.from_params(config, params)
    runs = []
    read_lanes = run.read_lanes

    def spy(params, words, start, *rest):
        runs.append((len(start.forward), len(start.backward)))
        return read_lanes(params, words, start, *rest)

    monkeypatch.setattr(run, "read_lanes", spy)
    for layers, n_lstm_layers in ((0, 0), (1, 1), ("top", 2), (-2, 1)):
        runs.clear()
        elmo.embed([["a", "b"]], layers)
        assert set(runs) == {(n_lstm_layers, n_lstm_layers)}


# The variants that the engine's own step knows; words are spelled as on the plain path.
@pytest.mark.parametrize(
    "variant", ["no skips", "four layers", "tight clips", "no clips", "no LSTM projection"]
)
@pytest.mark.parametrize("device", ["CPU", "GPU"])
def test_every_variant_gives_the_vectors_of_the_plain_path(variant, device):
    config, params, _ = random_models.random_elmo(0, **random_models.VARIANTS[variant])
    sentences = [["The", "bank", "."], [], ["naïve"] * 70, ["x" * 30, "<S>"]]
    packed = embed(config, params, sentences, plan_of=device)
    char_ids, lengths = elmo_jax.encode_batch(sentences, config)
    plain = np.asarray(layer_outputs(params, char_ids, lengths, config=config))
    for vectors, layers, length in zip(packed, plain, lengths, strict=True):
        np.testing.assert_allclose(vectors, layers[:, :length], atol=SAME_WORD_TOLERANCE * 4)


def test_a_layer_alone_is_the_same_on_an_accelerator(tiny):
    config, params = tiny
    sentences = [["a", "b"], ["bank"] * 9]
    expected = embed(config, params, sentences)
    for layer in range(3):
        vectors = embed(config, params, sentences, plan_of="GPU", layers=layer)
        for one, layers in zip(vectors, expected, strict=True):
            np.testing.assert_allclose(one, layers[layer], atol=SAME_WORD_TOLERANCE * 4)


@pytest.mark.slow
@pytest.mark.parametrize("device", ["CPU", "GPU"])
def test_bfloat16_is_as_near_as_on_the_plain_path(tiny, real_sentences, device):
    sentences = real_sentences[:100]
    exact, rounded, packed = (
        np.concatenate(vectors, axis=1)
        for vectors in (
            embed(*tiny, sentences),
            plain_embed(*tiny, sentences, "bfloat16"),
            embed(*tiny, sentences, "bfloat16", device),
        )
    )
    assert 1e-4 < error(packed, exact) < 1.2 * error(rounded, exact)


def error(vectors, expected):
    """The greatest relative error of a layer."""
    axes = (1, 2)
    return np.max(
        np.linalg.norm(vectors - expected, axis=axes) / np.linalg.norm(expected, axis=axes)
    )


def embed(config, params, sentences, precision="float32", plan_of="CPU", layers="all"):
    """Layers by the engine, by the plan of a device; that of accelerators made smaller."""
    sizes = plan.CPU
    if plan_of == "GPU":
        small = {"lane_shapes": (4, 16), "word_rows": (512, 512)}
        sizes = dataclasses.replace(plan.GPU, **small)
    request = elmo_jax.Elmo.from_params(config, params)._request(layers, None, None, 1.0, "float32")
    return list(engine.Engine(config, params, precision, plan=sizes).run(sentences, request))


def plain_embed(config, params, sentences, precision):
    char_ids, lengths = elmo_jax.encode_batch(sentences, config)
    layers = layer_outputs(params, char_ids, lengths, config=config, precision=precision)
    return [np.asarray(x[:, :length]) for x, length in zip(layers, lengths, strict=True)]


def test_the_engine_compiles_its_steps_where_the_user_has_switched_that_off(tiny, monkeypatch):
    elmo, sentences = elmo_jax.Elmo.from_params(*tiny), [["a", "bank"], ["b"]]
    expected, is_disabled, read_lanes = elmo.embed(sentences), [], run.read_lanes

    def spy(*arguments):
        is_disabled.append(jax.config.jax_disable_jit)
        return read_lanes(*arguments)

    monkeypatch.setattr(run, "read_lanes", spy)
    with jax.disable_jit():
        results = elmo.embed(sentences)
        assert jax.config.jax_disable_jit
    assert set(is_disabled) == {False}
    for result, other in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result, other)
