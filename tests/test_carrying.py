"""A state that is carried through a corpus gives the vectors that the original tools wrote."""

import json

import h5py
import numpy as np
import oracle
import pytest
from comparing import assert_close

import elmo_jax
from elmo_jax import ElmoError
from elmo_jax.cli import main
from elmo_jax.corpus import embed_corpus, merge_parts
from elmo_jax.functional import layer_outputs_with_state
from elmo_jax.text.readers import Record, Records

# The original computed and stored its vectors in float32. Its own test allows 1e-6; one unit in
# the last place of the largest values, which lie between 1 and 2, is 1.2e-7 more.
BILM_TF_TOLERANCE = 1.2e-6

LINES = ["The bank of the river .", "", "Hi", "naïve 日本語", "Hi", "a / b", "The bank ."]
LINES += ["w " * 17, "Hi"]


@pytest.fixture
def model(make_model):
    """A folder and its oracle."""
    return make_model(3)


@pytest.fixture
def records(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("".join(f"{line}\n" for line in LINES), "utf-8")
    return Records.of(path)


def by_the_oracle(model, n_rows):
    """Layers [L, T, D] of every line, read in batches of ``n_rows``."""
    sentences, state, results = [line.split() for line in LINES], None, []
    for first in range(0, len(sentences), n_rows):
        layers, state = model.layers_with_state(sentences[first : first + n_rows], state)
        results += layers
    return results


def datasets(path):
    with h5py.File(path) as file:
        return [file[str(index)][()] for index in range(len(file) - 1)]


# The original's vectors


def test_the_command_writes_the_vectors_of_the_original_code(bilm_tf, tmp_path, capsys):
    """Three lists of sentences were read side by side, each in a row of its own."""
    lists = oracle.read_json(bilm_tf / "lm_embeddings_sentences.json")
    lines = [line for batch in zip(*lists, strict=True) for line in batch]
    text, out = tmp_path / "text.txt", tmp_path / "out.h5"
    text.write_text("\n".join(lines), "utf-8")
    command = ["embed", text, "-o", out, "--layers", "top", "--carry-state", len(lists)]
    command += ["--options-file", bilm_tf / "options.json"]
    command += ["--weight-file", bilm_tf / "lm_weights.hdf5", "--quiet"]
    assert main(list(map(str, command))) == 0
    vectors = datasets(out)
    for number, actual in enumerate(vectors):
        step, row = divmod(number, len(lists))
        with h5py.File(bilm_tf / f"lm_embeddings_{row}.hdf5") as file:
            expected = np.concatenate(list(file[str(step)][()]), axis=-1)
        np.testing.assert_allclose(actual, expected, rtol=0, atol=BILM_TF_TOLERANCE)
    assert len(vectors) == 30


@pytest.mark.filterwarnings("ignore::elmo_jax.WordsCutWarning")
def test_a_second_call_of_the_original_code_continues_the_first(foreign, tmp_path):
    folder = foreign / "bilm-checkpoint" / "two-layers"
    sentences = json.loads((folder / "sentences.json").read_text("utf-8"))
    elmo = elmo_jax.Elmo(
        options_file=folder / "checkpoint_dir" / "options.json", weight_file=folder / "dumped.hdf5"
    )
    records = [Record(words, " ".join(words)) for words in sentences * 2]
    embed_corpus(elmo, records, tmp_path / "out.h5", carry_state=len(sentences))
    vectors = datasets(tmp_path / "out.h5")
    with np.load(folder / "golden.npz") as golden:
        for number in range(len(sentences)):
            assert_close(vectors[number], golden[f"s{number}"])
        assert_close(vectors[len(sentences) + 1], golden["carried_second"])


@pytest.mark.parametrize("name", ["words-and-chars", "chars-only"])
def test_elmoformanylangs_carries_its_state_and_names_sentences_by_their_words(
    foreign, tmp_path, name
):
    folder = foreign / "emfml"
    sentences = json.loads((folder / f"{name}.sentences.json").read_text("utf-8"))[:2]
    text, out = tmp_path / "text.txt", tmp_path / "out.h5"
    text.write_text("".join("\t".join(words) + "\n" for words in sentences), "utf-8")
    command = ["embed", text, "-o", out, "--model", folder / name, "--quiet"]
    command += ["--carry-state", 1, "--tokenizer", "tabs"]
    assert main([*map(str, command), "--use-sentence-keys", "words", "--escape-keys"]) == 0
    with h5py.File(out) as file, np.load(folder / f"{name}.golden.npz") as golden:
        assert len(file) == 2
        for words, expected in zip(sentences, ("carried_first", "carried_second"), strict=True):
            key = "\t".join(words).replace(".", "$period$").replace("/", "$backslash$")
            assert_close(file[key], golden[expected])


# The oracle's


@pytest.mark.parametrize("n_rows", [1, 3, 100])
def test_row_i_of_a_batch_continues_row_i_of_the_batch_before(model, records, tmp_path, n_rows):
    elmo = elmo_jax.Elmo(model[0])
    summary = embed_corpus(elmo, records, tmp_path / "out.h5", carry_state=n_rows, part_tokens=3)
    assert (summary["parts"], summary["sentences"]) == (1, len(LINES))
    vectors = datasets(tmp_path / "out.h5")
    for actual, expected in zip(vectors, by_the_oracle(model[1], n_rows), strict=True):
        assert actual.dtype == np.float32
        assert_close(actual, expected)
    stateless = elmo.embed([line.split() for line in LINES])
    moved = [np.abs(a - b).max(initial=0) > 1e-3 for a, b in zip(vectors, stateless, strict=True)]
    assert moved == [number >= n_rows and line != "" for number, line in enumerate(LINES)]


@pytest.mark.parametrize(
    ("options", "reduce"),
    [
        ({"layers": "top"}, lambda layers: layers[-1]),
        ({"layers": 1, "dtype": "float16"}, lambda layers: layers[1]),
        ({"layers": "average", "pooling": "mean"}, lambda x: oracle.pool(x.mean(axis=0), "mean")),
        ({"pooling": "max"}, lambda layers: np.stack([oracle.pool(x, "max") for x in layers])),
        (
            {"layers": "mix", "mix_weights": [0.5, -1.0, 2.0], "mix_gamma": 1.7},
            lambda x: oracle.scalar_mix([0.5, -1.0, 2.0], 1.7, x[None])[0],
        ),
    ],
)
def test_layers_and_pooling_are_those_of_a_stateless_run(model, records, tmp_path, options, reduce):
    out = tmp_path / "out.h5"
    embed_corpus(elmo_jax.Elmo(model[0]), records, out, carry_state=3, **options)
    dtype = np.dtype(options.get("dtype", "float32"))
    tolerance = {} if dtype == np.float32 else {"tolerance": np.finfo(dtype).eps}
    for actual, layers in zip(datasets(out), by_the_oracle(model[1], 3), strict=True):
        assert actual.dtype == dtype
        assert_close(actual, reduce(layers), **tolerance)


def test_other_formats_and_sentence_keys_hold_the_same_vectors(model, records, tmp_path):
    elmo = elmo_jax.Elmo(model[0])
    kept = [record for record in records if record.text][:3]
    embed_corpus(elmo, kept, tmp_path / "a.npz", "top", carry_state=1)
    embed_corpus(elmo, kept, tmp_path / "a.h5", "top", carry_state=1, sentence_keys="text")
    with np.load(tmp_path / "a.npz") as arrays, h5py.File(tmp_path / "a.h5") as file:
        named = np.concatenate([file[record.text][()] for record in kept])
        np.testing.assert_array_equal(arrays["vectors"], named)


# Interruptions


def test_an_interrupted_run_starts_again_and_gives_the_same_bytes(model, records, tmp_path):
    class Interrupted(list):
        passes = 0

        def __iter__(self):
            self.passes += 1
            for number, record in enumerate(list.__iter__(self)):
                if self.passes == 2 and number == 7:
                    raise KeyboardInterrupt
                yield record

    elmo = elmo_jax.Elmo(model[0])
    embed_corpus(elmo, records, tmp_path / "whole.h5", carry_state=3)
    with pytest.raises(KeyboardInterrupt):
        embed_corpus(elmo, Interrupted(records), tmp_path / "out.h5", carry_state=3)
    assert not (tmp_path / "out.h5").exists()
    elmo.embed([["other", "words"]])
    notes = []
    embed_corpus(elmo, records, tmp_path / "out.h5", carry_state=3, note=notes.append)
    assert (tmp_path / "out.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()
    assert any("if interrupted, it starts again" in note for note in notes)


def test_parts_of_a_stateless_run_are_not_taken(model, records, tmp_path):
    elmo = elmo_jax.Elmo(model[0])
    embed_corpus(elmo, records, tmp_path / "out.h5", shard=(1, 1))
    with pytest.raises(ElmoError, match=r"parts of another job .*carry_state None instead of 3"):
        embed_corpus(elmo, records, tmp_path / "out.h5", carry_state=3)
    merge_parts(tmp_path / "out.h5")


def test_what_cannot_be_carried_is_refused_before_the_work(model, records, tmp_path, capsys):
    elmo, out = elmo_jax.Elmo(model[0]), tmp_path / "out.h5"
    for options, problem in [
        ({"shard": (1, 2)}, "cannot be carried in shards: .* carry_state= or shard="),
        ({"carry_state": 0}, "carry_state is 0, expected a whole number of at least 1"),
        ({"carry_state": True}, "carry_state is True"),
        ({"dtype": "int8"}, "Unknown dtype 'int8'"),
        ({"layers": 9}, "Unknown layers=9"),
    ]:
        with pytest.raises(ElmoError, match=problem):
            embed_corpus(elmo, records, out, **{"carry_state": 1, **options})
    command = ["embed", *map(str, records.files), "-o", str(out), "--model", str(model[0])]
    assert main([*command, "--carry-state", "1", "--part-tokens", "9"]) == 1
    assert "is one part: leave out --part-tokens" in capsys.readouterr().err
    assert not out.exists() and not (tmp_path / "out.h5.parts").exists()


def test_vectors_beyond_float16_are_refused(model, records, tmp_path, monkeypatch):
    def scaled(*arguments, **options):
        layers_BLTD, state = layer_outputs_with_state(*arguments, **options)
        return layers_BLTD * 1e6, state

    monkeypatch.setattr("elmo_jax.corpus.carrying.layer_outputs_with_state", scaled)
    elmo, out = elmo_jax.Elmo(model[0]), tmp_path / "out.h5"
    with pytest.raises(ElmoError, match=r"sentence \d+ have numbers beyond 65,504"):
        embed_corpus(elmo, records, out, carry_state=3, dtype="float16")
    assert not list(tmp_path.glob("out*"))
    embed_corpus(elmo, records, out, carry_state=3)
