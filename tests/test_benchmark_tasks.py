"""The task table: its readers, scores and choices, and a whole run on made-up data."""

import functools
import json
import lzma
import sys
import types

import numpy as np
import pytest
from random_models import random_elmo
from sklearn.linear_model import LogisticRegression

from benchmarks.peers import Peer
from benchmarks.peers.process import worker_command
from benchmarks.peers.workers.word_pieces import word_means
from benchmarks.question import RESULTS
from benchmarks.tasks import classification, command, cosines, data, minilm, probes, scores
from elmo_jax import Elmo, ElmoError
from elmo_jax.cli import run_command

# The files


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    """A folder of all five tasks, a few dozen sentences each."""
    folder, rng = tmp_path_factory.mktemp("data") / "tasks", np.random.default_rng(0)
    nouns, verbs = "bank river dog house Anna Rome".split(), "sees likes fears".split()
    tags = {**dict.fromkeys(nouns, ("NOUN", "NN")), **dict.fromkeys(verbs, ("VERB", "VBZ"))}
    entities = {"Anna": "B-person", "Rome": "B-location"}

    def sentence():
        return [rng.choice(nouns), rng.choice(verbs), "the", rng.choice(nouns), "."]

    def sense(word):
        return (word, "NOUN", f"{word}.{rng.integers(2)}") if word in nouns else ("_", "_", "_")

    for split, n in {"train": 40, "dev": 12, "test": 15}.items():
        tables = {
            "pos_ewt": [[[w, *tags.get(w, ("X", w))] for w in sentence()] for _ in range(n)],
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


def write(folder, text):
    (folder / "sts_b").mkdir(exist_ok=True)
    (folder / "sts_b" / "dev.tsv").write_text(text, encoding="utf-8", newline="")
    return folder / "sts_b"


def test_sentences_lie_between_blank_lines_or_one_on_a_line(tmp_path):
    task = write(tmp_path, 'A\tDET\tDT\n"\tPUNCT\t``\n\n\nb\rc\tNOUN\tNN\r\n')
    blocks = [[["A", "DET", "DT"], ['"', "PUNCT", "``"]], [["b\rc", "NOUN", "NN"]]]
    assert data.read_blocks(task, 3, "dev") == blocks
    assert data.read_rows(task, 3, "dev") == [*blocks[0], *blocks[1]]
    write(tmp_path, "2.500\tA b .\tC d\tnews\n")
    assert data.read_sts(tmp_path, "dev") == [data.Pair(2.5, ["A", "b", "."], ["C", "d"])]


def test_bad_or_missing_data_are_errors_that_say_where(tmp_path, monkeypatch):
    for text, message in {
        "1\ta\tb\tc\nb\tNOUN\n": r"line 2: expected 4 columns .* got 2: 'b\\tNOUN",
        "\n\n": r"dev\.tsv is empty, expected lines of 4 columns",
        "1\ta\tb\tc\nhigh\ta\tb\tc\n": r"sts_b, dev, pair 2: expected a number, got 'high'",
    }.items():
        write(tmp_path, text)
        with pytest.raises(ElmoError, match=message):
            data.read_sts(tmp_path, "dev")
    with pytest.raises(ElmoError, match=r"no .*test\.tsv nor test\.tsv\.xz.*--tasks"):
        data.read_sts(tmp_path, "test")
    with pytest.raises(ElmoError, match=r"no folder of tasks at .*nowhere.*--data"):
        data.data_folder(str(tmp_path / "nowhere"))
    monkeypatch.setenv("ELMO_JAX_SHARED", str(tmp_path))
    with pytest.raises(ElmoError, match=r"tasks\. Name one with --data"):
        data.data_folder(None)
    (tmp_path / "data" / "tasks").mkdir(parents=True)
    assert data.data_folder(None) == tmp_path / "data" / "tasks"


def test_a_part_of_a_split_is_random_in_order_and_the_same_each_time(tasks):
    read = functools.partial(data.read_blocks, tasks / "pos_ewt", 3)
    whole = data.read_splits(read, None)
    assert {split: len(whole[split]) for split in whole} == dict(train=40, dev=12, test=15)
    part = data.read_splits(read, (10, 100, 5))
    assert {split: len(part[split]) for split in part} == dict(train=10, dev=12, test=5)
    assert part == data.read_splits(read, (10, 100, 5))
    assert part["train"] != whole["train"][:10]
    assert all(sentence in whole["train"] for sentence in part["train"])


# Scores and intervals


def test_an_entity_is_right_with_its_bounds_and_its_type_as_by_conlleval():
    gold = "B-a I-a O B-b O B-b".split()
    predicted = "B-a O O B-b O B-a".split()
    assert classification.count_entities(gold, predicted) == (1, 3, 3)
    counts = np.array([classification.count_entities(gold, tags) for tags in (predicted, gold)])
    assert scores.f1(*counts.T) == pytest.approx(100 * 2 * 4 / (6 + 6))
    assert scores.f1(*np.zeros((3, 2))) == 0
    # B ends what is open; another type starts an entity, and so does I after O.
    for tags, n_entities in {"B-a B-a": 2, "B-a I-b": 2, "O I-a I-a": 1, "I-x-y I-x-y": 1}.items():
        assert classification.count_entities(tags.split(), ["O"] * 3) == (0, 0, n_entities)


def share(right_S, name="layer 1", dev=0.0):
    columns = (right_S, np.ones(len(right_S)))
    return scores.Row("model", name, dev, scores.accuracy, columns)


def test_the_interval_of_a_share_is_that_of_the_normal_approximation():
    row = share(np.random.default_rng(0).random(2000) < 0.7)
    half = 1.96 * np.sqrt(row.test * (100 - row.test) / 2000)
    expected = {"low": row.test - half, "high": row.test + half}
    assert scores.interval(row.draws) == pytest.approx(expected, abs=0.3)


def test_differences_are_paired():
    one = np.random.default_rng(0).random(500) < 0.5
    other = one.copy()
    other[:20] = False  # never better, so its difference never changes sign
    low, high = scores.interval(share(one).draws - share(other).draws).values()
    assert 0 < low < high < 5


def test_the_layer_is_chosen_on_dev_among_bilm_layers():
    dev = {"layer 0": 9.0, "layer 1": 2.0, "layer 2": 3.0, "mix": 8.0}
    rows = [share(np.ones(3), name, score) for name, score in dev.items()]
    assert scores.TaskResult("accuracy", {}, rows).best_layer("model").name == "layer 2"


# Probes


@pytest.fixture(scope="module")
def layers():
    """Vectors with a useless layer 0 and, in layer 1, classes that lie apart by 2 sigma."""
    rng = np.random.default_rng(0)
    labels = rng.integers(3, size=900)
    vectors = rng.normal(size=(900, 2, 6))
    vectors[:, 1, :3] += 2 * np.eye(3)[labels]
    vectors[:, 1] = vectors[:, 1] @ (np.eye(6) + 0.9) * 7 + 100  # correlated, off, and large
    return vectors.astype(np.float32), np.array(["a", "b", "c"])[labels]


def probed(train, labels, test, penalty):
    steps = probes.features().fit(train, labels)
    probe = probes.probe().set_params(C=probes.inverse_penalty(penalty, len(labels)))
    probe.fit(steps.transform(train), labels)
    return probe, steps[0].shares_L, probe.predict(steps.transform(test))


def test_a_probe_is_as_good_as_logistic_regression(layers):
    vectors, labels = layers
    train, test = vectors[:600, 1:], vectors[600:, 1:]
    weak, shares, predicted = probed(train, labels[:600], test, 1e-4)
    reference = LogisticRegression(max_iter=5000, C=100).fit(train[:, 0], labels[:600])
    expected = reference.score(test[:, 0], labels[600:])
    assert (predicted == labels[600:]).mean() == pytest.approx(expected, abs=0.02)
    assert shares.tolist() == [1]
    strong, *_ = probed(train, labels[:600], test, 10.0)
    assert np.square(strong.coef_).sum() < np.square(weak.coef_).sum() / 100


def test_a_mix_learns_which_layer_helps(layers):
    vectors, labels = layers
    _, shares, predicted = probed(vectors, labels, vectors, 1e-4)
    assert shares[1] > 0.6 and shares.sum() == pytest.approx(1)
    assert np.array_equal(predicted, probed(vectors, labels, vectors, 1e-4)[2])
    *_, useless = probed(vectors[:600, :1], labels[:600], vectors[600:, :1], 1e-4)
    assert (useless == labels[600:]).mean() < 0.5


def test_cross_validation_tests_every_row_by_a_probe_that_has_not_seen_it():
    # One row a class has a mark of its own: only a probe that saw that row could know it.
    n_rows = 200
    labels = np.random.default_rng(0).integers(2, size=n_rows)
    layers = [np.eye(n_rows), np.tile(labels[:, None], n_rows)]
    vectors = np.stack(layers, axis=1).astype(np.float32)
    rows = {row.name: row for row in classification.cross_validated_rows("model", vectors, labels)}
    assert all(len(row.columns[0]) == n_rows for row in rows.values())
    assert rows["layer 0"].test < 65  # a leak would give 100
    assert rows["layer 1"].test == 100


# Vectors


def test_vectors_are_those_of_the_model_and_random_lstms_share_the_token_layer_only():
    model = random_elmo(0)
    elmo = Elmo.from_params(model.config, model.params)
    sentences = [["The", "bank"], ["Hi"], ["of", "the", "river"]]
    tokens = classification.token_vectors(elmo, sentences)
    assert tokens.shape == (6, 3, 12) and tokens.dtype == np.float16
    expected = np.concatenate(elmo.embed(sentences), axis=1).swapaxes(0, 1)
    np.testing.assert_allclose(tokens, expected, atol=2e-3)
    first, second = (command.random_lstm(elmo).embed(sentences)[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first[0], elmo.embed(sentences)[0][0])
    assert np.abs(first[1:] - elmo.embed(sentences)[0][1:]).max() > 0.01


# Word senses


class Spelled:
    """A stand-in for an Elmo. Its second layer shows the word on the left."""

    config = types.SimpleNamespace(n_output_layers=2, output_dim=2)

    def stream(self, sentences, layers):
        assert layers == "all"
        directions = {"river": [1.0, 0.0], "money": [0.0, 1.0]}
        for words in sentences:
            left = [[0.7, 0.7], *(directions.get(word, [0.5, 0.5]) for word in words[:-1])]
            yield np.array([np.ones((len(words), 2)), left], np.float32)


def occurrence(left, sense, word="bank"):
    return [[left, "_", "_", "_"], [word, word, "NOUN", sense]]


def test_a_word_gets_the_sense_of_its_nearest_neighbor():
    train = [occurrence("river", "shore"), *[occurrence("money", "office")] * 2]
    train.append(occurrence("the", "animal", "dog"))
    assert cosines.instances(train[0]) == [cosines.Instance(1, ("bank", "NOUN"), "shore")]
    inventory = cosines.Inventory.from_sentences(train)
    senses = [sense for _, sense in inventory.senses]
    assert senses == ["office", "shore", "animal"]  # the most frequent sense first
    vectors = cosines.sense_vectors(Spelled(), train, inventory)
    assert vectors.shape == (3, 3, 2)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=-1), 1, rtol=1e-6)
    np.testing.assert_allclose(vectors[1, 1], [1, 0])

    unseen = occurrence("the", "animal", "cat")
    test = [occurrence("river", "shore"), occurrence("money", "office"), unseen]
    nearest = cosines.nearest_senses(Spelled(), test, inventory, vectors)
    # Layer 0 knows the spelling only: a tie, which the most frequent sense wins.
    assert nearest[:, 0].tolist() == [0, 0, -1]
    assert nearest[:, 1].tolist() == [1, 0, -1]
    counts = cosines.count_right(inventory, test, nearest[:, 1])
    expected = {"all": pytest.approx(200 / 3), "seen": 100, "ambiguous": 100}
    assert {kind: scores.accuracy(*columns) for kind, columns in counts.items()} == expected


def test_rounding_does_not_choose_between_senses():
    """Sums of one vector, taken a different number of times, differ in their last bits."""
    train = [occurrence("river", sense) for sense in ["a"] * 11 + ["b"] * 7 + ["c"] * 3]
    inventory = cosines.Inventory.from_sentences(train)
    vectors = cosines.sense_vectors(Spelled(), train, inventory)
    vectors[1:] += 1e-7
    assert cosines.nearest_senses(Spelled(), train[:1], inventory, vectors).tolist() == [[0, 0, 0]]


def test_the_baseline_of_the_shared_data_is_as_published():
    try:
        task = data.data_folder(None) / "wsd_noad"
    except ElmoError as error:
        pytest.skip(str(error))
    train, test = (data.read_blocks(task, 4, split) for split in ("train", "test"))
    inventory = cosines.Inventory.from_sentences(train)
    counts = cosines.count_right(inventory, test, cosines.first_senses(inventory, test))
    assert scores.accuracy(*counts["seen"]) == pytest.approx(75.5, abs=0.05)
    assert scores.accuracy(*counts["ambiguous"]) == pytest.approx(70.9, abs=0.05)


# The whole table


@pytest.mark.slow
def test_the_whole_table(tasks, make_model, tmp_path, capsys):
    output = tmp_path / "results.json"
    arguments = [str(make_model()[0]), "--data", str(tasks), "--output", str(output)]
    assert run_command("tasks", "", command, arguments) == 0
    text, summary = capsys.readouterr().out, json.loads(output.read_text(encoding="utf-8"))
    assert list(summary["tasks"]) == list(command.TASKS)
    for name, task in summary["tasks"].items():
        rows = [(row["variant"], row["name"]) for row in task["rows"]]
        assert {("model", f"layer {layer}") for layer in range(3)} <= set(rows)
        assert ("model", "average" if name in ("sts", "wsd") else "mix") in rows
        assert ("baseline", "most frequent sense") in rows or name != "wsd"
        assert ("random LSTM", "layer 1") in rows and ("random LSTM", "layer 0") not in rows
        assert all(row["low"] <= row["test"] <= row["high"] for row in task["rows"])
        assert f"## {name}: {task['metric']}" in text
    assert max(row["test"] for row in summary["tasks"]["pos"]["rows"]) > 90  # spelling tells them
    for whose in ("their own token layer", "random LSTMs"):
        assert f"biLM layers against {whose}: pos:" in text
    card = summary["card"]
    assert card["dim"] == 12 and card["layers"] == 3 and card["machine"]["cores"] >= 1


def test_similarity_is_shown_for_the_weighted_mean_if_the_words_are_known(tasks, make_model):
    elmo = Elmo(make_model()[0])
    words = ["<S>", "</S>", "<UNK>", "a", "b", "c"]
    known = Elmo.from_params(elmo.config, elmo.params, vocabulary=words)
    names = {}
    for model in (elmo, known):
        rows = cosines.sts(tasks, {scores.MODEL: model}, None).rows
        names[model] = [row.name for row in rows]
    plain = ["layer 0", "layer 1", "layer 2", "average"]
    assert names[elmo] == plain
    assert names[known] == [*plain, *(f"{name}, sif" for name in plain)]


def test_an_existing_output_is_refused_before_the_work(tasks, make_model, tmp_path, capsys):
    output = tmp_path / "results.json"
    output.write_text("mine")
    arguments = [str(make_model()[0]), "--data", str(tasks), "--output", str(output)]
    assert run_command("tasks", "", command, arguments) == 1
    assert "exists already" in capsys.readouterr().err
    assert output.read_text() == "mine"
    arguments += ["--overwrite", "--quick", "--tasks", "sts", "--json"]
    assert run_command("tasks", "", command, arguments) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads(output.read_text(encoding="utf-8"))
    assert list(printed["tasks"]) == ["sts"] and printed["quick"]


# MiniLM


SPELLING_PEER = """
import zlib

import numpy

PACKAGES = ("numpy",)
BATCH_SIZE = None


class Model:
    def embed(self, batch, output):
        for words in batch:
            spelling = draw(zlib.crc32(word.encode()) for word in words)
            place = draw(range(len(words)))
            layers = numpy.stack([spelling if layer == 4 else place for layer in range(7)])
            yield layers if output == "layers" else spelling.mean(axis=0)


def draw(seeds):
    return numpy.array([numpy.random.default_rng(seed).normal(size=384) for seed in seeds])
"""
"""A stand-in for MiniLM: layer 4 knows a word's spelling, the others know its place alone."""


@pytest.fixture(scope="module")
def spelling_peer(tmp_path_factory):
    """Starts the stand-in, as ``open_peer`` starts a peer."""
    file = tmp_path_factory.mktemp("peer") / "spelling.py"
    file.write_text(SPELLING_PEER, encoding="utf-8")
    return lambda name: Peer(name, worker_command(sys.executable, file))


def test_minilm_answers_as_an_elmo_of_seven_layers_does(spelling_peer, monkeypatch):
    monkeypatch.setattr(minilm, "_PART", 2)  # so that there are two
    sentences = [["The", "bank"], ["of"], ["the", "bank"]]
    with spelling_peer("minilm") as peer:
        model = minilm.MiniLM(peer)
        words = list(model.stream(sentences, "all", dtype="float16"))
        means = model.embed_sentences(sentences, "all", "mean")
        odd = next(model.stream([["10\xa0000", "b\rc", "", "bank"]], "all"))
    assert [array.shape for array in words] == [(7, 2, 384), (7, 1, 384), (7, 2, 384)]
    assert words[0].dtype == np.float16 and set(model.versions) == {"numpy", "python"}
    np.testing.assert_array_equal(words[0][4, 1], words[2][4, 1])
    assert np.abs(words[0][4, 0] - words[2][4, 0]).max() > 1
    assert means.shape == (3, 1, 384)
    np.testing.assert_allclose(means[2, 0], words[2][4].mean(axis=0), atol=2e-3)
    assert odd.shape == (7, 4, 384)
    np.testing.assert_allclose(odd[4, 3], words[0][4, 1], atol=2e-3)


def test_a_word_is_the_mean_of_its_pieces_wherever_they_are():
    vectors = np.arange(14, dtype=np.float32).reshape(1, 7, 2)
    layers = np.concatenate([vectors, 100 + vectors])
    windows = [None, 0, 1, None, 1, 2, None]  # the second word has pieces in both
    means = word_means(layers, windows, 3)
    assert means.dtype == np.float32
    np.testing.assert_array_equal(means[0], [[2, 3], [6, 7], [10, 11]])
    np.testing.assert_array_equal(means[1], 100 + means[0])
    with pytest.raises(ValueError, match=r"words \[1 3\] have no piece"):
        word_means(vectors[:, :4], [None, 0, 2, None], 4)


def test_minilm_has_rows_of_all_its_layers_and_changes_no_other(
    tasks, make_model, spelling_peer, monkeypatch, capsys
):
    monkeypatch.setattr(command, "open_peer", spelling_peer)
    arguments = [str(make_model()[0]), "--data", str(tasks), "--tasks", "ner", "sts", "wsd"]
    summaries = []
    for more in (["--json"], ["--peers", "minilm", "--json"]):
        assert run_command("tasks", "", command, [*arguments, *more]) == 0
        summaries.append(json.loads(capsys.readouterr().out))
    without, summary = summaries
    assert "versions" not in without and set(summary["versions"]) == {"minilm"}
    layers = [f"layer {layer}" for layer in range(7)]
    expected_rows = {
        "ner": [*layers, "mix"],
        "sts": ["sentence vector"],
        "wsd": [*layers, "average"],
    }
    for name, task in summary["tasks"].items():
        own = {row["name"]: row for row in task["rows"] if row["variant"] == "MiniLM"}
        assert list(own) == expected_rows[name]
        assert [*without["tasks"][name]["rows"], *own.values()] == task["rows"]
        assert all(row["low"] <= row["test"] <= row["high"] for row in own.values())
        *others, difference = task["differences"]
        whose = "MiniLM sentence vector" if name == "sts" else "best MiniLM layer"
        assert difference["what"] == f"best biLM layer − {whose}"
        best = task["chosen_on_dev"]
        tests = {(row["variant"], row["name"]): row["test"] for row in task["rows"]}
        expected = tests["model", best["model"]] - own[best["MiniLM"]]["test"]
        assert difference["value"] == pytest.approx(expected, abs=0.011)
        assert others == without["tasks"][name]["differences"]
    assert summary["tasks"]["ner"]["chosen_on_dev"]["MiniLM"] == "layer 4"
    text = command.text(summary)
    assert "| MiniLM, sentence vector |" in text and "biLM layers against MiniLM: ner:" in text
    assert "MiniLM" not in command.text(without)


def test_saved_results_can_be_shown_again():
    summary = json.loads((RESULTS / "tasks-mini.json").read_text(encoding="utf-8"))
    assert "biLM layers against random LSTMs: pos:" in command.text(summary)
