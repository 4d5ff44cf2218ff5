"""The task table: its readers, scores and choices, and a whole run on made-up data."""

import json
import lzma
import types
from pathlib import Path

import numpy as np
import pytest
from random_models import random_elmo
from sklearn.linear_model import LogisticRegression

from benchmarks.tasks import bootstrap, classification, command, data, probes, wsd
from benchmarks.tasks.__main__ import run_command
from benchmarks.tasks.entities import span_counts, spans
from benchmarks.tasks.results import Row, TaskResult
from benchmarks.tasks.variants import random_lstm, variants
from benchmarks.tasks.vectors import sentence_vectors, token_vectors
from elmo_jax import Elmo, ElmoError

pytestmark = pytest.mark.usefixtures("compiled_quickly")

# Readers


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    """A folder of all five tasks, a few dozen sentences each."""
    folder, rng = tmp_path_factory.mktemp("data") / "tasks", np.random.default_rng(0)
    nouns, verbs = "bank river dog house Anna Rome".split(), "sees likes fears".split()

    def sentence():
        return [rng.choice(nouns), rng.choice(verbs), "the", rng.choice(nouns), "."]

    def tags(word):
        return (
            ("NOUN", "NN") if word in nouns else ("VERB", "VBZ") if word in verbs else ("X", word)
        )

    def sense(word):
        return (word, "NOUN", f"{word}.{rng.integers(2)}") if word in nouns else ("_", "_", "_")

    entities = {"Anna": "B-person", "Rome": "B-location"}
    for split, n in {"train": 40, "dev": 12, "test": 15}.items():
        tables = {
            "pos_ewt": [[[w, *tags(w)] for w in sentence()] for _ in range(n)],
            "ner_wnut17": [[[w, entities.get(w, "O")] for w in sentence()] for _ in range(n)],
            "wsd_noad": [[[w, *sense(w)] for w in sentence()] for _ in range(n)],
            "sentiment_mr": [[[str(rng.integers(2)), " ".join(sentence())] for _ in range(n)]],
            "sts_b": [
                [[f"{5 * rng.random():.3f}", " ".join(sentence()), " ".join(sentence()), "made up"]]
                for _ in range(n)
            ],
        }
        for task, blocks in tables.items():
            text = "\n".join("".join("\t".join(row) + "\n" for row in block) for block in blocks)
            (folder / task).mkdir(parents=True, exist_ok=True)
            if task == "wsd_noad":
                (folder / task / f"{split}.tsv.xz").write_bytes(lzma.compress(text.encode()))
            else:
                (folder / task / f"{split}.tsv").write_text(text, encoding="utf-8")
    return folder


def write(folder, task, text):
    (folder / task).mkdir()
    (folder / task / "dev.tsv").write_text(text, encoding="utf-8", newline="")
    return folder


def test_token_files_are_sentences_between_blank_lines(tmp_path):
    text = 'A\tDET\tDT\n"\tPUNCT\t``\n\n\nb\rc\tNOUN\tNN\r\n'
    write(tmp_path, "pos_ewt", text)
    assert data.read_pos(tmp_path, "dev") == [
        data.Tagged(["A", '"'], ["DT", "``"]),
        data.Tagged(["b\rc"], ["NN"]),
    ]
    write(tmp_path, "ner_wnut17", "New\tB-location\nYork\tI-location\n")
    assert data.read_ner(tmp_path, "dev") == [
        data.Tagged(["New", "York"], ["B-location", "I-location"])
    ]


def test_only_sentences_with_senses_are_read(tmp_path):
    write(tmp_path, "wsd_noad", "The\t_\t_\t_\nbanks\tbank\tNOUN\tb.1\n\nHi\t_\t_\t_\n")
    (sentence,) = data.read_wsd(tmp_path, "dev")
    assert sentence.words == ["The", "banks"]
    assert sentence.instances == [data.Instance(1, ("bank", "NOUN"), "b.1")]


def test_sentence_files_have_a_sentence_in_a_column(tmp_path):
    write(tmp_path, "sentiment_mr", '1\ta "fine" film\n0\tbad\n')
    assert data.read_sentiment(tmp_path, "dev") == [
        data.Labelled(["a", '"fine"', "film"], "1"),
        data.Labelled(["bad"], "0"),
    ]
    write(tmp_path, "sts_b", "2.500\tA b .\tC d\tnews\n")
    assert data.read_sts(tmp_path, "dev") == [data.Pair(2.5, ["A", "b", "."], ["C", "d"])]


@pytest.mark.parametrize(
    ("task", "text", "message"),
    [
        ("pos_ewt", "A\tDET\tDT\nb\tNOUN\n", r"line 2: expected 3 columns .* got 2: 'b\\tNOUN'"),
        ("pos_ewt", "\n\n", r"dev\.tsv is empty, expected lines of 3 columns"),
        ("sts_b", "high\ta\tb\tc\n", r"line 1: expected a number, got 'high'"),
    ],
)
def test_a_bad_file_is_an_error_that_says_where(tmp_path, task, text, message):
    write(tmp_path, task, text)
    with pytest.raises(ElmoError, match=message):
        {"pos_ewt": data.read_pos, "sts_b": data.read_sts}[task](tmp_path, "dev")


def test_missing_data_are_errors_that_say_what_to_do(tmp_path, monkeypatch):
    with pytest.raises(ElmoError, match=r"no .*dev\.tsv nor dev\.tsv\.xz.*--tasks"):
        data.read_ner(tmp_path, "dev")
    with pytest.raises(ElmoError, match=r"no folder of tasks at .*nowhere.*--data"):
        data.data_folder(str(tmp_path / "nowhere"))
    monkeypatch.setenv("ELMO_JAX_SHARED", str(tmp_path))
    with pytest.raises(ElmoError, match=r"tasks\. Name one with --data"):
        data.data_folder(None)
    (tmp_path / "data" / "tasks").mkdir(parents=True)
    assert data.data_folder(None) == tmp_path / "data" / "tasks"


def test_a_part_of_a_split_is_random_in_order_and_the_same_each_time(tasks):
    whole = data.read_splits(data.read_pos, tasks, None)
    assert {split: len(read) for split, read in whole.items()} == dict(train=40, dev=12, test=15)
    part = data.read_splits(data.read_pos, tasks, (10, 100, 5))
    assert {split: len(read) for split, read in part.items()} == dict(train=10, dev=12, test=5)
    assert part == data.read_splits(data.read_pos, tasks, (10, 100, 5))
    places = [whole["train"].index(sentence) for sentence in part["train"]]
    assert part["train"] != whole["train"][:10] and len(places) == 10


# Entities


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("O O", []),
        ("B-a I-a O B-a", [(0, 2, "a"), (3, 4, "a")]),
        ("B-a B-a", [(0, 1, "a"), (1, 2, "a")]),  # B ends what is open
        ("B-a I-b", [(0, 1, "a"), (1, 2, "b")]),  # another type starts an entity
        ("O I-a I-a", [(1, 3, "a")]),  # I after O starts one
        ("I-x-y I-x-y", [(0, 2, "x-y")]),
    ],
)
def test_entities_are_read_as_by_conlleval(tags, expected):
    assert list(spans(tags.split())) == expected


def test_an_entity_is_right_with_its_bounds_and_its_type():
    gold = "B-a I-a O B-b O B-b".split()
    found = "B-a O O B-b O B-a".split()
    assert span_counts(gold, found).tolist() == [1, 3, 3]
    score = bootstrap.f1(np.array([span_counts(gold, found), span_counts(gold, gold)]))
    assert score.value == pytest.approx(100 * 2 * 4 / (6 + 6))
    assert bootstrap.f1(np.zeros((2, 3))).value == 0


# Scores and intervals


def test_correlations_are_those_of_numpy_and_ties_share_ranks():
    assert bootstrap.ranks(np.array([3.0, 1.0, 3.0, 2.0])).tolist() == [3.5, 1, 3.5, 2]
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 30))
    assert bootstrap.pearson(a, b) == pytest.approx(100 * np.corrcoef(a, b)[0, 1])
    assert bootstrap.spearman(np.exp(a), a).value == pytest.approx(100)
    assert bootstrap.pearson(a, np.ones(30)) == 0


def test_the_interval_of_a_share_is_that_of_the_normal_approximation():
    rng = np.random.default_rng(0)
    right = rng.random(2000) < 0.7
    score = bootstrap.share(right, np.ones(2000))
    low, high = bootstrap.interval(score.draws())
    half = 196 * np.sqrt(right.mean() * (1 - right.mean()) / 2000)
    assert (low, high) == pytest.approx((score.value - half, score.value + half), abs=0.3)
    assert np.array_equal(score.draws(), score.draws())


def test_differences_are_paired():
    rng = np.random.default_rng(0)
    one = rng.random(500) < 0.5
    other = one.copy()
    other[:20] = False  # never better, so its difference never changes sign
    draws = [bootstrap.share(x, np.ones(500)).draws() for x in (one, other)]
    low, high = bootstrap.interval(draws[0] - draws[1])
    assert 0 < low < high < 5


def test_the_layer_is_chosen_on_dev_among_bilm_layers():
    score = bootstrap.share(np.ones(3), np.ones(3))
    rows = [
        Row("model", reading, dev, score)
        for reading, dev in {"layer 0": 9.0, "layer 1": 2.0, "layer 2": 3.0, "mix": 8.0}.items()
    ]
    result = TaskResult("pos", "accuracy", {}, rows)
    assert result.best_layer("model").reading == "layer 2"
    assert result.token_layer.dev == 9


# Probes


@pytest.fixture(scope="module")
def layers():
    """Vectors with a useless layer 0 and, in layer 1, classes that lie apart by 2 sigma."""
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=900)
    vectors = rng.normal(size=(900, 2, 6))
    vectors[:, 1, :3] += 2 * np.eye(3)[labels]
    vectors[:, 1] = vectors[:, 1] @ (np.eye(6) + 0.9) * 7 + 100  # correlated, off, and large
    return vectors.astype(np.float32), labels


RECIPE = probes.Recipe(penalties=(1e-4, 10.0), epochs=20, batch_size=64, learning_rate=2e-2)


@pytest.mark.usefixtures("promotion_for_optax")
def test_a_probe_is_as_good_as_logistic_regression(layers):
    vectors, labels = layers
    trained = probes.train(vectors[:600, 1:], labels[:600], 3, RECIPE)
    accuracy = (trained.predict(vectors[600:, 1:]) == labels[600:]).mean(axis=1)
    scaled = (vectors[:, 1] - vectors[:, 1].mean(0)) / vectors[:, 1].std(0)
    reference = LogisticRegression(max_iter=5000, C=100).fit(scaled[:600], labels[:600])
    assert accuracy[0] == pytest.approx(reference.score(scaled[600:], labels[600:]), abs=0.02)
    norms = np.square(trained.params["linear"]["kernel"]).sum(axis=(1, 2))
    assert norms[1] < norms[0] / 100  # the strong penalty holds
    assert trained.shares() is None


@pytest.mark.usefixtures("promotion_for_optax")
def test_a_mix_learns_which_layer_helps(layers):
    vectors, labels = layers
    trained = probes.train(vectors, labels, 3, RECIPE)
    assert trained.shares()[0, 1] > 0.6
    again = probes.train(vectors, labels, 3, RECIPE)
    assert np.array_equal(trained.predict(vectors), again.predict(vectors))


@pytest.mark.usefixtures("promotion_for_optax")
def test_the_layers_of_a_probe_matter(layers):
    vectors, labels = layers
    useless = probes.train(vectors[:600, :1], labels[:600], 3, RECIPE)
    assert (useless.predict(vectors[600:, :1]) == labels[600:]).mean() < 0.5


# Vectors


@pytest.fixture(scope="module")
def elmo():
    model = random_elmo(0)
    return Elmo.from_params(model.config, model.params)


def test_vectors_are_those_of_the_model(elmo):
    sentences = [["The", "bank"], ["Hi"], ["of", "the", "river"]]
    expected = elmo.embed(sentences)
    tokens = token_vectors(elmo, sentences)
    assert tokens.shape == (6, 3, 12) and tokens.dtype == np.float16
    np.testing.assert_allclose(
        tokens, np.concatenate([v.swapaxes(0, 1) for v in expected]), atol=2e-3
    )
    pooled = np.stack([v.mean(axis=1) for v in expected])
    np.testing.assert_allclose(sentence_vectors(elmo, sentences), pooled, atol=1e-5)


def test_the_random_variant_shares_the_token_layer_only(elmo):
    both = variants(elmo)
    first, second = (v.embed([["The", "bank"]])[0] for v in both.values())
    np.testing.assert_array_equal(first[0], second[0])
    assert np.abs(first[1:] - second[1:]).max() > 0.01
    drawn = random_lstm(elmo.config, elmo.params)
    kernel = drawn["forward"]["layers_0"]["input_kernel"]
    assert np.array_equal(
        kernel, random_lstm(elmo.config, elmo.params)["forward"]["layers_0"]["input_kernel"]
    )


# Word senses


class Spelt:
    """A stand-in for an Elmo: two layers, the second of which tells the neighbour on the left."""

    config = types.SimpleNamespace(n_output_layers=2, output_dim=2)

    def stream(self, sentences, layers):
        assert layers == "all"
        directions = {"river": [1.0, 0.0], "money": [0.0, 1.0]}
        for words in sentences:
            left = [[0.7, 0.7], *(directions.get(word, [0.5, 0.5]) for word in words[:-1])]
            yield np.array([np.ones((len(words), 2)), left], np.float32)


def occurrence(left, sense):
    return data.Disambiguated([left, "bank"], [data.Instance(1, ("bank", "NOUN"), sense)])


def test_a_word_gets_the_sense_of_its_nearest_neighbour():
    train = [occurrence("river", "shore"), *[occurrence("money", "office")] * 2]
    train.append(data.Disambiguated(["dog"], [data.Instance(0, ("dog", "NOUN"), "animal")]))
    inventory = wsd.Inventory.of(train)
    assert inventory.senses == ["office", "shore", "animal"]  # the most frequent sense first
    vectors = wsd.sense_vectors(Spelt(), train, inventory)
    assert vectors.shape == (3, 3, 2)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=-1), 1, rtol=1e-6)
    np.testing.assert_allclose(vectors[1, 1], [1, 0])

    unseen = data.Disambiguated(["cat"], [data.Instance(0, ("cat", "NOUN"), "animal")])
    test = [occurrence("river", "shore"), occurrence("money", "office"), unseen]
    chosen = wsd.choose_senses(Spelt(), test, inventory, vectors)
    # Layer 0 knows the spelling only: a tie, which the most frequent sense wins.
    assert chosen[:, 0].tolist() == [0, 0, -1]
    assert chosen[:, 1].tolist() == [1, 0, -1]
    scores = wsd._scores(inventory, test, chosen[:, 1])
    assert {name: score.value for name, score in scores.items()} == {
        "all": pytest.approx(200 / 3),
        "seen": 100,
        "ambiguous": 100,
    }


def test_rounding_does_not_choose_between_senses():
    """Sums of one vector, taken a different number of times, differ in their last bits."""
    train = [occurrence("river", sense) for sense in ["a"] * 11 + ["b"] * 7 + ["c"] * 3]
    inventory = wsd.Inventory.of(train)
    vectors = wsd.sense_vectors(Spelt(), train, inventory)
    vectors[1:] += 1e-7
    chosen = wsd.choose_senses(Spelt(), train[:1], inventory, vectors)
    assert chosen.tolist() == [[0, 0, 0]]


def test_the_baseline_of_the_shared_data_is_the_known_one():
    try:
        folder = data.data_folder(None)
    except ElmoError as error:
        pytest.skip(str(error))
    train, test = (data.read_wsd(folder, split) for split in ("train", "test"))
    inventory = wsd.Inventory.of(train)
    scores = wsd._scores(inventory, test, wsd._first_senses(inventory, test))
    assert scores["seen"].value == pytest.approx(75.5, abs=0.05)
    assert scores["ambiguous"].value == pytest.approx(70.9, abs=0.05)


# The whole table


@pytest.mark.slow
@pytest.mark.usefixtures("promotion_for_optax")
def test_the_whole_table(tasks, make_model, tmp_path, capsys):
    model, _ = make_model()
    output = tmp_path / "results.json"
    arguments = [str(model), "--data", str(tasks), "--output", str(output)]
    assert run_command("tasks", "", command, arguments) == 0
    text = capsys.readouterr().out
    summary = json.loads(output.read_text(encoding="utf-8"))
    assert list(summary["tasks"]) == list(command.TASKS)
    readings = {
        "mix": ["pos", "ner", "sentiment"],
        "average": ["sts", "wsd"],
        "most frequent sense": ["wsd"],
    }
    for name, task in summary["tasks"].items():
        rows = [(row["variant"], row["reading"]) for row in task["rows"]]
        extra = [reading for reading, names in readings.items() if name in names]
        for reading in ["layer 0", "layer 1", "layer 2", *extra]:
            variant = "baseline" if reading == "most frequent sense" else "model"
            assert (variant, reading) in rows
        assert ("random LSTM", "layer 1") in rows and ("random LSTM", "layer 0") not in rows
        assert all(row["low"] <= row["test"] <= row["high"] for row in task["rows"])
        assert f"## {name}: {task['metric']}" in text
    pos = summary["tasks"]["pos"]
    assert max(row["test"] for row in pos["rows"]) > 90  # spelling tells these tags
    assert pos["published"][0]["gap"] == pytest.approx(
        next(r["test"] for r in pos["rows"] if r["reading"] == pos["chosen_on_dev"]["model"])
        - 97.3,
        abs=0.011,
    )
    assert "not the same data" in text and "biLM layers against their own token layer: pos:" in text
    assert "biLM layers against random LSTMs: pos:" in text
    card = summary["card"]
    assert card["dim"] == 12 and card["layers"] == 3 and card["machine"]["cores"] >= 1


def test_an_existing_output_is_refused_before_the_work(tasks, make_model, tmp_path, capsys):
    model, _ = make_model()
    output = tmp_path / "results.json"
    output.write_text("mine")
    arguments = [str(model), "--data", str(tasks), "--output", str(output)]
    assert run_command("tasks", "", command, arguments) == 1
    assert "exists already" in capsys.readouterr().err
    assert output.read_text() == "mine"
    arguments += ["--overwrite", "--quick", "--tasks", "sts", "--json"]
    assert run_command("tasks", "", command, arguments) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads(Path(output).read_text(encoding="utf-8"))
    assert list(printed["tasks"]) == ["sts"] and printed["quick"]


@pytest.mark.usefixtures("promotion_for_optax")
def test_cross_validation_tests_every_row_by_a_probe_that_has_not_seen_it():
    # One row a class has a mark of its own: only a probe that saw that row could know it.
    n_rows = 200
    rng = np.random.default_rng(0)
    labels_N = rng.integers(2, size=n_rows)
    alone_ND = np.eye(n_rows, dtype=np.float32)
    rows = {
        row.reading: row
        for row in classification._cross_validated_rows(
            "model",
            np.stack([alone_ND, np.tile(labels_N[:, None], n_rows)], axis=1).astype(np.float32),
            labels_N,
            2,
            probes.SENTENCES,
        )
    }
    assert all(row.test.n_units == n_rows for row in rows.values())
    assert rows["layer 0"].test.value < 65  # a leak would give 100
    assert rows["layer 1"].test.value == 100
