"""Tables of token vectors: of three tools, written here, and what a model makes of them."""

import gzip
import json

import h5py
import numpy as np
import oracle
import pytest
from checkpoint_files import assert_same_arrays, edit_datasets, message_of, read_datasets
from commands import failing
from comparing import assert_close

from elmo_jax import Elmo, load, save
from elmo_jax.checkpoint import as_word_model, read_token_table, write_token_table
from elmo_jax.checkpoint.token_table import SAMPLED_ROWS, check_token_table
from elmo_jax.cli import main

WORDS = ["<S>", "</S>", "<UNK>", "", "the", "Fluß", "水", "the"]
SENTENCES = [["the", "Fluß"], ["水"]]
UNKNOWN = [["the", "<UNK>"], ["the", "river"]]

TABLE_TOLERANCE = 1e-6
"""Between token vectors of TensorFlow or PyTorch and of this library."""

GOLDEN_TOLERANCE = 2e-6
"""Between their biLMs, for numbers up to 3."""


@pytest.fixture
def model(make_model):
    """(folder, vectors of WORDS by the oracle, float32 [V, P])."""
    folder, expected = make_model()
    return folder, np.array([expected.vector(word) for word in WORDS], np.float32)


@pytest.fixture
def vocabulary(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    return path


def write_hdf5(path, vectors, name="embedding"):
    with h5py.File(path, "w") as file:
        file[name] = vectors
    return path


def text_of(words, vectors, header=False):
    lines = [f"{len(vectors)} {len(vectors[0])}"] if header else []
    lines += [
        " ".join([word, *map(str, vector.tolist())])
        for word, vector in zip(words, vectors, strict=True)
    ]
    return "\n".join(lines) + "\n"


def only_lstms(folder):
    """Take the characters out of a model."""
    path = folder / "weights.hdf5"
    names = [name for name in read_datasets(path) if not name.startswith("RNN")]
    edit_datasets(path, dict.fromkeys(names))
    return folder


def run(*arguments):
    assert main([*map(str, arguments), "--json"]) == 0


# Reading


def test_a_table_in_hdf5_has_a_row_for_each_line_of_its_vocabulary(tmp_path, vocabulary):
    vectors = np.arange(16, dtype=np.float32).reshape(8, 2)
    path = write_hdf5(tmp_path / "table.any", vectors)
    for words in (vocabulary, WORDS):
        table = read_token_table(path, words)
        assert table.words == tuple(WORDS)
        assert table.vectors.dtype == np.float32 and np.array_equal(table.vectors, vectors)
    vocabulary.rename(tmp_path / "vocab.txt")
    assert read_token_table(path).words == tuple(WORDS)


@pytest.mark.parametrize("header", [False, True])
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("ends", ["\n", "\r\n", " \n"])
def test_a_table_in_text_names_its_words(tmp_path, header, compressed, ends):
    vectors = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    content = text_of(WORDS[:7], vectors, header).replace("\n", ends).encode()
    path = tmp_path / "table.any"
    path.write_bytes(gzip.compress(content) if compressed else content)
    table = read_token_table(path)
    assert table.words == tuple(WORDS[:7])
    assert table.vectors.dtype == np.float32 and np.array_equal(table.vectors, vectors)


def test_only_spaces_and_newlines_divide_a_text(tmp_path):
    path = tmp_path / "table.txt"
    path.write_text("\ufeff1\u00a0000 1 2\n\u2028 3 4\n\n7 5 6\n", encoding="utf-8")
    table = read_token_table(path)
    assert table.words == ("1\u00a0000", "\u2028", "7")
    assert table.vectors.tolist() == [[1, 2], [3, 4], [5, 6]]


def test_a_word_that_a_text_has_twice_has_one_vector(tmp_path):
    path = tmp_path / "table.txt"
    path.write_text("3 2\na 1 2\nb 3 4\na 1 2\n")
    assert read_token_table(path).words == ("a", "b")
    path.write_text("a 1 2\nb 3 4\na 1 3\n")
    assert "line 3: 'a' has other numbers than before" in message_of(read_token_table, path)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"a 1 2\nb 1\nc 1 2 3\n", "line 2: 1 number, expected 2; line 3: 3 numbers, expected 2."),
        (b"a 1 2\nb 1 x\n", "line 2: could not convert string to float: 'x'"),
        (b"a 1 2\nb 1 nan\nc inf 1\n", "line 2: a number that is not finite; line 3: a number"),
        (b"a 1 1e39\n", "line 1: a number that is not finite"),
        (b"a 1 2\n\xe9 1 2\n", "line 2: the byte 0xe9 is not UTF-8"),
        (b"3 2\na 1 2\nb 1 2\n", "line 1 says 3 words, found 2"),
        (b"2 3\na 1 2\nb 1 2\n", "line 2: 2 numbers, expected 3; line 3: 2 numbers, expected 3"),
        (b"a\nb\n", "line 1: 0 numbers, expected at least one"),
        (b"", "it has no words"),
        (b"a 1 2\n" + b"b 1\n" * 9, "line 4: 1 number, expected 2; and 6 more"),
    ],
)
def test_the_lines_of_a_text_that_are_wrong_are_named(tmp_path, content, problem):
    path = tmp_path / "table.txt"
    for packed in (content, gzip.compress(content)):
        path.write_bytes(packed)
        message = message_of(read_token_table, path)
        assert message.startswith(f"Cannot read the token table {path}: ")
        assert problem in message


@pytest.mark.parametrize(
    ("vectors", "name", "problem"),
    [
        (np.zeros((7, 2), "f"), "embedding", "words.txt has 8 words, but the token table"),
        (np.zeros((8, 2), "i"), "embedding", "embedding is int32 of shape (8, 2), expected"),
        (np.zeros(8, "f"), "embedding", "embedding is float32 of shape (8,), expected"),
        (np.zeros((8, 2), "f"), "other", "it has no dataset 'embedding'; found 'other'."),
        (np.full((8, 2), np.nan, "f"), "embedding", "not finite: row 1 ('<S>'); row 2 ('</S>'); "),
    ],
)
def test_what_is_wrong_in_hdf5_is_named(tmp_path, vocabulary, vectors, name, problem):
    path = write_hdf5(tmp_path / "table.hdf5", vectors, name)
    message = message_of(read_token_table, path, vocabulary)
    assert str(path) in message and problem in message


def test_a_table_in_hdf5_needs_its_vocabulary(tmp_path):
    path = write_hdf5(tmp_path / "table.hdf5", np.zeros((8, 2), "f"))
    assert message_of(read_token_table, path) == (
        f"Which words does the token table {path} have? An HDF5 file has only their vectors. Name "
        "the vocabulary that it was made with, one word per line, with vocabulary_file=; or "
        "put it beside the table as vocab.txt."
    )


def test_other_files_are_no_tables(tmp_path):
    path = write_hdf5(tmp_path / "table", np.zeros((8, 2), "f"))
    whole = path.read_bytes()
    contents = {
        "the file is truncated": whole[:-10],
        "a zip archive": b"PK\x03\x04" + bytes(40),
        "Cannot read the token table": gzip.compress(b"a 1 2\n" * 9999)[:-20],
        "is UTF-16": "a 1 2\n".encode("utf-16"),
    }
    for problem, content in contents.items():
        path.write_bytes(content)
        assert problem in message_of(read_token_table, path, WORDS)
    assert "no such file" in message_of(read_token_table, tmp_path / "none")


# Writing


def test_a_table_that_is_written_is_read_again(tmp_path):
    vectors = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    path = tmp_path / "table.hdf5"
    write_token_table(path, (8, 3), iter([vectors[:5], vectors[5:]]))
    assert_same_arrays(read_datasets(path), {"embedding": vectors})
    assert read_token_table(path, WORDS).words == tuple(WORDS)
    before = path.read_bytes()
    assert "exists already" in message_of(write_token_table, path, (8, 3), [vectors])
    wrong = message_of(write_token_table, path, (8, 3), [vectors[:5]], overwrite=True)
    assert wrong == "Expected 8 vectors to write, got 5."
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_the_command_writes_the_token_vectors_of_a_vocabulary(model, vocabulary, tmp_path, capsys):
    folder, vectors = model
    out = tmp_path / "table.hdf5"
    run("token-table", vocabulary, "-o", out, "--model", folder)
    size = out.stat().st_size
    summary = {"output": str(out), "words": 8, "dimensions": 6, "bytes": size}
    assert json.loads(capsys.readouterr().out) == summary
    written = read_datasets(out)
    assert written.keys() == {"embedding"} and written["embedding"].dtype == np.float32
    assert_close(written["embedding"], vectors)
    check_token_table(*load(folder), read_token_table(out, vocabulary))
    error = failing(capsys, "token-table", vocabulary, "-o", out, "--model", folder)
    assert "exists already" in error


def test_the_command_loses_no_input_and_wants_a_model_of_characters(
    model, vocabulary, tmp_path, capsys
):
    command = ["token-table", vocabulary, "--overwrite", "--model", model[0], "-o"]
    for path in (vocabulary, model[0] / "weights.hdf5"):
        before = path.read_bytes()
        assert "it is the input" in failing(capsys, *command, path)
        assert path.read_bytes() == before
    table = write_hdf5(tmp_path / "table.hdf5", model[1])
    words = tmp_path / "words"
    files = ["--token-table", table, "--vocabulary", vocabulary]
    run("convert", model[0], *files, "--words-only", "-o", words)
    command = ["token-table", vocabulary, "--model", words, "-o", tmp_path / "new.hdf5"]
    assert "does not spell words in bytes" in failing(capsys, *command)


# A model with its characters


def test_a_model_keeps_spelling_words_that_a_table_lacks(model, vocabulary, tmp_path):
    folder, vectors = model
    table = write_hdf5(tmp_path / "table.hdf5", vectors)
    elmo = Elmo(folder, token_table=table, vocabulary_file=vocabulary)
    assert elmo.config == load(folder)[0]
    text = tmp_path / "table.txt"
    text.write_text(text_of(WORDS, vectors, header=True), encoding="utf-8")
    assert load(folder, token_table=text)[0] == elmo.config
    (_, unk), (_, river) = (layers[0] for layers in elmo.embed(UNKNOWN))
    assert not np.allclose(unk, river, atol=0.1)


@pytest.mark.parametrize("place", ["hdf5", "text"])
def test_a_table_of_another_model_is_refused(model, vocabulary, tmp_path, place):
    folder, vectors = model
    vectors[5:7, 2] += [0.25, -0.5]
    path = tmp_path / "table"
    if place == "hdf5":
        write_hdf5(path, vectors)
    else:
        path.write_text(text_of(WORDS, vectors), encoding="utf-8")
    message = message_of(load, folder, token_table=path, vocabulary_file=vocabulary)
    n_words = 8 if place == "hdf5" else 7  # a text has each word once
    assert message == (
        f"The token table {path} belongs to another model, or its rows to other words: the vector "
        "of 'Fluß' (row 6) differs by 0.25 from the one that this model makes, and 2 of "
        f"{n_words} words that were compared differ. Name the table and the vocabulary of this "
        "model. It also works without a table."
    )


def test_rows_in_another_order_are_refused(model, tmp_path):
    table = write_hdf5(tmp_path / "table.hdf5", model[1])
    words = tmp_path / "others.txt"
    words.write_text("\n".join([*WORDS[:4], *WORDS[:3:-1]]) + "\n", encoding="utf-8")
    message = message_of(load, model[0], token_table=table, vocabulary_file=words)
    assert "the vector of '水' (row 6) differs by" in message


def test_of_a_large_table_a_sample_from_its_start_to_its_end_is_compared(make_model, tmp_path):
    folder, expected = make_model()
    config, params = load(folder)
    words = [f"w{number}" for number in range(10 * SAMPLED_ROWS)]
    path = tmp_path / "table.txt"
    for wrong, found in ((0, True), (1, False), (len(words) - 1, True)):
        vectors = np.array([expected.vector(word) for word in words], np.float32)
        vectors[wrong] += 1
        path.write_text(text_of(words, vectors))
        table = read_token_table(path)
        if found:
            assert f"'w{wrong}'" in message_of(check_token_table, config, params, table)
        else:
            check_token_table(config, params, table)


def test_vectors_of_another_size_are_refused(model, vocabulary, tmp_path):
    table = write_hdf5(tmp_path / "table.hdf5", model[1][:, :4])
    for folder in (model[0], only_lstms(model[0])):
        message = message_of(load, folder, token_table=table, vocabulary_file=vocabulary)
        assert "has vectors of 4 numbers; this model has token vectors of 6." in message


# A model of words


def word_oracle(folder, vectors, words=WORDS):
    """The oracle of the LSTMs in a folder with a table."""
    options = json.loads((folder / "options.json").read_text())
    weights = oracle.read_weights(folder / "weights.hdf5") | {"embedding": vectors}
    return oracle.TableOracle(options, weights, words)


def test_lstms_alone_become_a_model_of_words(model, vocabulary, tmp_path):
    folder, vectors = model
    only_lstms(folder)
    vectors[5] += 1  # nothing is left to compare with
    table = write_hdf5(tmp_path / "table.hdf5", vectors)
    elmo = Elmo(folder, token_table=table, vocabulary_file=vocabulary)
    assert elmo.config.token_layer == "table" and elmo.config.alphabet.words == tuple(WORDS)
    expected = word_oracle(folder, vectors)
    for layers, sentence in zip(elmo.embed(SENTENCES + UNKNOWN), SENTENCES + UNKNOWN, strict=True):
        assert_close(layers, expected.layers(sentence))
    two = {"options_file": folder / "options.json", "weight_file": folder / "weights.hdf5"}
    assert load(**two, token_table=table, vocabulary_file=vocabulary)[0] == elmo.config


def test_a_model_of_words_has_a_table_of_its_own(model, vocabulary, tmp_path):
    folder, vectors = model
    table = write_hdf5(tmp_path / "table.hdf5", vectors)
    files = ["--token-table", table, "--vocabulary", vocabulary, "--words-only"]
    run("convert", folder, *files, "-o", tmp_path / "out", "--format", "hdf5")
    (tmp_path / "out" / "vocab.txt").unlink()
    # In bilm-tf such a model is opened with embedding_weight_file=weight_file.
    for path in (table, tmp_path / "out" / "weights.hdf5"):
        same = load(tmp_path / "out", token_table=path, vocabulary_file=vocabulary)
        assert np.array_equal(same[1]["word_encoder"]["embedding"], vectors)
    write_hdf5(table, vectors[::-1])
    message = message_of(load, tmp_path / "out", token_table=table, vocabulary_file=vocabulary)
    assert "belongs to another model" in message


def test_lstms_alone_are_no_model_without_a_table(model):
    assert message_of(load, only_lstms(model[0])) == (
        "The weight file of this model has its LSTMs, but nothing that makes token vectors. "
        "Expected a table of token vectors, with token_table=."
    )


def test_half_a_token_layer_is_a_damaged_file(model, tmp_path):
    edit_datasets(model[0] / "weights.hdf5", {"char_embed": None})
    assert "char_embed: missing, expected shape (261, 4)" in message_of(load, model[0])


def test_the_unknown_word_of_allennlp_is_known(make_model, tmp_path):
    folder, expected = make_model()
    words = ["@@UNKNOWN@@", "<S>", "</S>", "the", "Fluß"]
    vectors = np.array([expected.vector(word) for word in words], np.float32)
    path = tmp_path / "elmo_embeddings.txt.gz"
    path.write_bytes(gzip.compress(text_of(words, vectors).encode()))
    config, params = load(folder, token_table=path)
    new_config, new_params = as_word_model(config, params, read_token_table(path))
    assert new_config.alphabet.words == ("<UNK>", *words[1:])
    assert np.array_equal(new_params["word_encoder"]["embedding"], vectors)
    assert load(only_lstms(folder), token_table=path)[0] == new_config


def test_a_model_of_words_needs_the_markers(model, tmp_path):
    path = tmp_path / "table.txt"
    path.write_text(text_of(WORDS[1:2] + WORDS[4:7], model[1][[1, 4, 5, 6]]), encoding="utf-8")
    load(model[0], token_table=path)  # it is only compared
    message = message_of(load, only_lstms(model[0]), token_table=path)
    assert message.startswith(f"The token table {path} has no row for <S>, <UNK>.")


@pytest.mark.parametrize("format", ["native", "hdf5"])
def test_a_model_is_converted_to_one_of_words(model, vocabulary, tmp_path, format):
    folder, vectors = model
    table, out = write_hdf5(tmp_path / "table.hdf5", vectors), tmp_path / "out"
    files = ["--token-table", table, "--vocabulary", vocabulary]
    run("convert", folder, *files, "--words-only", "-o", out, "--format", format)
    expected, elmo = word_oracle(folder, vectors), Elmo(out)
    for layers, sentence in zip(elmo.embed(UNKNOWN), UNKNOWN, strict=True):
        assert_close(layers, expected.layers(sentence))


def test_a_model_is_not_converted_without_its_own_table(model, vocabulary, tmp_path, capsys):
    command = ["convert", model[0], "--words-only", "-o", tmp_path / "out"]
    assert "`elmo-jax token-table` makes" in failing(capsys, *command)
    table = write_hdf5(tmp_path / "table.hdf5", model[1] + 1)
    error = failing(capsys, *command, "--token-table", table, "--vocabulary", vocabulary)
    assert "belongs to another model" in error
    assert not (tmp_path / "out").exists()


def test_the_softmax_of_another_vocabulary_is_left_out(model, vocabulary, tmp_path):
    config, params = load(model[0])
    softmax = {"kernel": np.zeros((4, 6), np.float32), "bias": np.zeros(4, np.float32)}
    source, out = tmp_path / "with softmax", tmp_path / "out"
    save(source, config, params | {"softmax": softmax}, vocabulary=[*WORDS[:3], "a"])
    table = write_hdf5(tmp_path / "table.hdf5", model[1])
    command = ["convert", source, "--token-table", table, "--vocabulary", vocabulary, "-o"]
    run(*command, tmp_path / "checked")
    assert (tmp_path / "checked" / "vocab.txt").read_text().splitlines() == [*WORDS[:3], "a"]
    run(*command, out, "--words-only", "--format", "hdf5")
    assert load(out)[1].keys() == {"word_encoder", "forward", "backward"}
    assert (out / "vocab.txt").read_bytes() == vocabulary.read_bytes()


# The vectors of bilm-tf


@pytest.fixture
def cached(foreign):
    """(folder, sentences, golden vectors) of a model with tables that other tools made."""
    folder = foreign / "token-cache" / "two-layers"
    sentences = json.loads((folder / "sentences.json").read_text(encoding="utf-8"))
    with np.load(folder / "golden.npz") as golden:
        return folder, sentences, dict(golden)


def assert_golden(elmo, sentences, golden, kind):
    for number, layers in enumerate(elmo.embed(sentences)):
        difference = np.abs(layers - golden[f"{kind}_s{number}"]).max()
        assert difference <= GOLDEN_TOLERANCE, number


def test_the_table_of_bilm_tf_is_written(cached, tmp_path):
    folder, _, _ = cached
    run("token-table", folder / "vocab.txt", "-o", tmp_path / "table.hdf5", "--model", folder)
    expected = read_datasets(folder / "token_embeddings.hdf5")["embedding"]
    written = read_datasets(tmp_path / "table.hdf5")["embedding"]
    np.testing.assert_allclose(written, expected, rtol=0, atol=TABLE_TOLERANCE)


@pytest.mark.filterwarnings("ignore::elmo_jax.errors.WordsCutWarning")
@pytest.mark.parametrize("name", ["token_embeddings.hdf5", "token_embeddings.txt"])
def test_tables_of_other_tools_leave_the_vectors_as_they_are(cached, name):
    folder, sentences, golden = cached
    elmo = Elmo(folder, token_table=folder / name, vocabulary_file=folder / "vocab.txt")
    assert_golden(elmo, sentences, golden, "characters")


@pytest.mark.parametrize(
    ("name", "format"), [("token_embeddings.hdf5", "native"), ("token_embeddings.txt", "hdf5")]
)
def test_models_of_words_give_what_bilm_tf_gives_with_the_table(cached, tmp_path, name, format):
    folder, sentences, golden = cached
    files = ["--token-table", folder / name, "--vocabulary", folder / "vocab.txt"]
    run("convert", folder, *files, "--words-only", "-o", tmp_path / "out", "--format", format)
    assert_golden(Elmo(tmp_path / "out"), sentences, golden, "table")
