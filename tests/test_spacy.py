"""The component for spaCy: each token has the vector that Elmo gives its word."""

import importlib.metadata
import multiprocessing
import os
import pickle
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import elmo_jax
from elmo_jax import ElmoError

pytest.importorskip("spacy", reason="spaCy is not installed (extra spacy)")

import spacy
from spacy.tokens import Doc, DocBin

from elmo_jax.spacy import ElmoComponent, make_component, set_hooks

ROOT = Path(__file__).resolve().parents[1]
TEXTS = ["I don't know  the bank.", "", " \n ", "Hi there. The bank is open. Hi"]

# spaCy says so whenever a doc with hooks is serialized.
pytestmark = pytest.mark.filterwarnings("ignore:.*W109")
TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}
"""float32: a call with other sentences fills other lanes, which may change the last bits."""


@pytest.fixture
def folder(make_model):
    return make_model(3)[0]


@pytest.fixture
def make_nlp(folder):
    def make(*before, **config):
        nlp = spacy.blank("en")
        for name in before:
            nlp.add_pipe(name)
        nlp.add_pipe("elmo_jax", config={"model": str(folder), **config})
        return nlp

    return make


def words_of(tokens):
    return [token.text for token in tokens if not token.is_space]


# Vectors


@pytest.mark.parametrize("layers", ["average", "top", 0])
def test_a_tensor_has_the_vectors_of_the_same_words(make_nlp, folder, layers):
    doc = make_nlp(layers=layers)("I don't know.")
    assert [token.text for token in doc] == ["I", "do", "n't", "know", "."]
    (expected,) = elmo_jax.Elmo(folder).embed([words_of(doc)], layers)
    np.testing.assert_array_equal(doc.tensor, expected)
    np.testing.assert_array_equal(doc._.elmo, expected)
    assert doc.tensor.dtype == np.float32


def test_all_layers_are_kept_and_the_tensor_is_their_mean(make_nlp, folder):
    doc = make_nlp(layers="all")("The bank is open.")
    (layers_LTD,) = elmo_jax.Elmo(folder).embed([words_of(doc)])
    np.testing.assert_array_equal(doc._.elmo, layers_LTD)
    np.testing.assert_array_equal(doc[1]._.elmo, layers_LTD[:, 1])
    np.testing.assert_array_equal(doc[1:3]._.elmo, layers_LTD[:, 1:3])
    np.testing.assert_array_equal(doc.tensor, layers_LTD.mean(0))


def test_sentences_are_embedded_one_by_one_if_there_are_any(make_nlp, folder):
    text, elmo = TEXTS[-1], elmo_jax.Elmo(folder)
    doc = make_nlp("sentencizer")(text)
    sentences = [words_of(sentence) for sentence in doc.sents]
    assert len(sentences) == 3
    np.testing.assert_array_equal(doc.tensor, np.concatenate(elmo.embed(sentences, "average")))
    whole = make_nlp()(text)
    elmo.forget_words()
    np.testing.assert_array_equal(whole.tensor, elmo.embed([words_of(doc)], "average")[0])
    assert abs(whole.tensor - doc.tensor).max() > 1e-3


def test_whitespace_has_zeros_and_is_not_shown_to_the_model(make_nlp, folder):
    doc = make_nlp()(" The bank  of\n\nthe river")
    spaces = [token.is_space for token in doc]
    assert sum(spaces) == 3
    np.testing.assert_array_equal(doc.tensor[spaces], 0)
    (expected,) = elmo_jax.Elmo(folder).embed([words_of(doc)], "average")
    np.testing.assert_array_equal(doc.tensor[np.logical_not(spaces)], expected)
    np.testing.assert_allclose(doc.vector, expected.mean(0), **TOLERANCE)
    assert [token.has_vector for token in doc] == np.logical_not(spaces).tolist()


@pytest.mark.parametrize("layers", ["average", "all"])
@pytest.mark.parametrize(("text", "n_tokens"), [("", 0), (" ", 1), ("\n \n\t", 1)])
def test_docs_without_words_have_zeros(make_nlp, text, n_tokens, layers):
    nlp = make_nlp(layers=layers)
    doc = nlp(text)
    dim = nlp.get_pipe("elmo_jax").elmo.config.output_dim
    assert doc.tensor.shape == (n_tokens, dim) and not doc.tensor.any()
    assert doc.vector.shape == (dim,) and not doc.vector.any()
    assert (doc.has_vector, doc.vector_norm, doc.similarity(doc)) == (False, 0, 0)


def test_a_token_with_spaces_inside_is_one_word(make_nlp, folder):
    nlp = make_nlp()
    doc = nlp.get_pipe("elmo_jax")(Doc(nlp.vocab, words=["in", "New York", "."]))
    quiet = elmo_jax.text.tokenizers.CheckedWords(["in", "New York", "."])
    np.testing.assert_array_equal(doc.tensor, elmo_jax.Elmo(folder).embed([quiet], "average")[0])


def test_a_long_doc_is_one_sequence(make_nlp, folder):
    doc = make_nlp()("the bank of the river " * 400)
    (expected,) = elmo_jax.Elmo(folder).embed([words_of(doc)], "average")
    assert len(doc) == 2000
    np.testing.assert_array_equal(doc.tensor, expected)


def test_pipe_gives_what_calls_give(make_nlp):
    nlp = make_nlp("sentencizer")
    docs = list(nlp.pipe(TEXTS * 3, batch_size=5))
    assert [doc.text for doc in docs] == TEXTS * 3
    for doc in docs:
        np.testing.assert_allclose(doc.tensor, nlp(doc.text).tensor, **TOLERANCE)


def test_a_batch_that_fails_goes_to_the_error_handler(make_nlp, monkeypatch):
    nlp, lost = make_nlp(), []
    component, embed = nlp.get_pipe("elmo_jax"), ElmoComponent._embed

    def fail_once(self, docs):
        if docs[0].text == "b":
            raise RuntimeError("no luck")
        embed(self, docs)

    monkeypatch.setattr(ElmoComponent, "_embed", fail_once)
    with pytest.raises(RuntimeError, match="no luck"):
        list(nlp.pipe("abc", batch_size=1))
    nlp.set_error_handler(lambda name, proc, docs, error: lost.append((name, proc, str(docs[0]))))
    assert [doc.text for doc in nlp.pipe("abc", batch_size=1)] == ["a", "c"]
    assert lost == [("elmo_jax", component, "b")]


# Tokens, spans and docs


def test_vectors_norms_and_similarities_are_those_of_numpy(make_nlp):
    nlp = make_nlp()
    doc, other = nlp("The bank is open."), nlp("The bank of the river.")
    means = [each.tensor.astype(float).mean(0) for each in (doc, other)]
    np.testing.assert_array_equal(doc[1].vector, doc.tensor[1])
    np.testing.assert_allclose(doc[1:3].vector, doc.tensor[1:3].mean(0), **TOLERANCE)
    np.testing.assert_allclose(doc.vector, means[0], **TOLERANCE)
    for part in (doc, doc[1:3], doc[1]):
        np.testing.assert_allclose(part.vector_norm, np.linalg.norm(part.vector), rtol=1e-6)
        assert part.has_vector

    def cosine(a, b):
        return a @ b / np.sqrt((a @ a) * (b @ b))

    bank, bank_of = doc.tensor[1].astype(float), other.tensor[1].astype(float)
    span = other.tensor[3:5].astype(float).mean(0)
    for value, a, b in [
        (doc.similarity(other), *means),
        (doc[1].similarity(other[1]), bank, bank_of),
        (other[3:5].similarity(doc[1]), span, bank),
        (doc[1].similarity(other), bank, means[1]),
    ]:
        assert type(value) is float
        np.testing.assert_allclose(value, cosine(a, b), rtol=1e-6)
    assert doc[1].similarity(other[1]) < 1 - 1e-5, "the same word in another sentence"


def test_vectors_of_the_pipelines_vocabulary_are_not_taken_for_the_models(make_nlp):
    nlp = make_nlp()
    nlp.vocab.set_vector("bank", np.ones(5, np.float32))
    doc = nlp("The bank")
    np.testing.assert_array_equal(doc[1].vector, doc.tensor[1])
    with pytest.raises(ElmoError, match="a vector of 12 numbers with the 5 of"):
        doc[1].similarity(nlp.vocab["bank"])


def test_a_span_as_a_doc_has_its_rows(make_nlp):
    doc = make_nlp()("The bank is open.")
    np.testing.assert_array_equal(doc[1:3].as_doc()[0].vector, doc.tensor[1])


def test_after_a_merge_the_last_row_stands_for_the_tokens_and_layers_are_refused(make_nlp):
    doc = make_nlp(layers="all")("The bank is open.")
    bank = doc.tensor[1]
    with doc.retokenize() as retokenizer:
        retokenizer.merge(doc[0:2])
    np.testing.assert_array_equal(doc[0].vector, bank)  # as spaCy has it
    with pytest.raises(ElmoError, match=r"has 4 tokens, and its vectors have the shape \(3, 5"):
        _ = doc._.elmo


def test_rows_that_do_not_fit_the_tokens_any_more_are_refused(make_nlp):
    doc = make_nlp()("The bank is open.")
    with doc.retokenize() as retokenizer:
        retokenizer.split(doc[3], ["op", "en"], heads=[(doc[3], 1), doc[2]])
    for part in (doc, doc[1:2], doc[1]):
        with pytest.raises(ElmoError, match="has 6 tokens, and its vectors"):
            _ = part.vector


# Saved pipelines and docs


def test_a_saved_pipeline_has_its_model_inside_and_gives_the_same_bits(make_nlp, folder, tmp_path):
    nlp = make_nlp("sentencizer", layers="all")
    nlp.to_disk(tmp_path / "pipeline")
    as_bytes = nlp.to_bytes()
    expected = [doc._.elmo for doc in nlp.pipe(TEXTS)]
    folder.rename(tmp_path / "elsewhere")
    loaded = spacy.load(tmp_path / "pipeline")
    (tmp_path / "pipeline").rename(tmp_path / "moved")
    from_bytes = type(nlp).from_config(nlp.config).from_bytes(as_bytes)
    for other in (loaded, from_bytes, pickle.loads(pickle.dumps(loaded))):
        assert other.get_pipe("elmo_jax").layers == "all"
        for doc, vectors in zip(other.pipe(TEXTS), expected, strict=True):
            np.testing.assert_array_equal(doc._.elmo, vectors)


def test_what_is_saved_is_a_model_with_its_origin_and_without_softmax(tmp_path):
    config = elmo_jax.ElmoConfig.preset("tiny")
    params = elmo_jax.model.bilm.init_params(config, seed=0)
    vocabulary = ["<S>", "</S>", "<UNK>", "bank"]
    params["softmax"] = {
        "kernel": np.zeros((4, config.projection_dim), np.float32),
        "bias": np.zeros(4, np.float32),
    }
    source = tmp_path / "model"
    elmo_jax.save(source, config, params, vocabulary=vocabulary, metadata={"origin": "here"})
    component = ElmoComponent(model=str(source))
    component.to_disk(tmp_path / "saved")
    component.to_disk(tmp_path / "saved")  # again
    assert sorted(path.name for path in (tmp_path / "saved").iterdir()) == [
        "config.json",
        "model.safetensors",
    ]
    assert elmo_jax.checkpoint.read_metadata(tmp_path / "saved") == {"origin": "here"}
    assert "softmax" not in elmo_jax.load(tmp_path / "saved")[1]


def test_a_damaged_pipeline_is_refused(make_nlp, tmp_path):
    make_nlp().to_disk(tmp_path)
    weights = tmp_path / "elmo_jax" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ElmoError, match=r"model\.safetensors"):
        spacy.load(tmp_path)


def test_docs_keep_their_vectors_and_pickles_their_hooks_too(make_nlp):
    nlp = make_nlp(layers="all")
    doc = nlp("The bank is open.")
    pickled = pickle.loads(pickle.dumps(doc))
    np.testing.assert_array_equal(pickled[0].vector, doc[0].vector)
    assert pickled.similarity(doc) == doc.similarity(doc)
    restored = Doc(nlp.vocab).from_bytes(doc.to_bytes())
    np.testing.assert_array_equal(restored.tensor, doc.tensor)
    np.testing.assert_array_equal(restored._.elmo, doc._.elmo)
    assert not restored.user_hooks
    assert set_hooks(restored)[1].similarity(doc[0]) == doc[1].similarity(doc[0])
    (binned,) = DocBin(docs=[doc]).get_docs(nlp.vocab)
    with pytest.raises(ElmoError, match=r"has 5 tokens, and its vectors have the shape \(0,\)"):
        set_hooks(binned)


# What is wrong


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"layers": "best"}, "Unknown layers='best': expected one of 'all', 'average'"),
        ({"layers": None}, "Unknown layers=None"),
        ({"precision": "float64"}, "float64"),
    ],
)
def test_a_wrong_setting_is_refused_at_once(config, message):
    with pytest.raises(ElmoError, match=re.escape(message)):
        spacy.blank("en").add_pipe("elmo_jax", config=config)


def test_a_missing_model_or_layer_is_refused_when_the_first_doc_comes(make_nlp):
    # Not before: a saved pipeline names the model of the machine that it comes from.
    with pytest.raises(ElmoError, match="nowhere"):
        make_nlp(model="/nowhere/model")("Hi")
    with pytest.raises(ElmoError, match="Unknown layers=7"):
        make_nlp(layers=7)("Hi")


def test_a_cut_word_is_warned_of_at_the_users_line(make_nlp):
    nlp = make_nlp()
    with pytest.warns(elmo_jax.WordsCutWarning) as warned:
        nlp("a" * 60)
    assert warned[0].filename == __file__


# Finding the component


def test_the_entry_point_names_the_factory():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    ((name, value),) = project["entry-points"]["spacy_factories"].items()
    entry = importlib.metadata.EntryPoint(name, value, "spacy_factories")
    assert name == "elmo_jax" and entry.load() is make_component


def test_a_pipeline_without_the_component_does_not_load_jax():
    code = (
        "import sys, spacy, elmo_jax.spacy; spacy.blank('en')('Hi')\n"
        "print(*(m for m in ('jax', 'flax', 'optax') if m in sys.modules))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert run.stdout == "\n"


def test_without_spacy_the_error_names_the_extra():
    code = "import sys; sys.modules['spacy'] = None; import elmo_jax.spacy"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert 'needs it: pip install "elmo-jax[spacy]"' in run.stderr.splitlines()[-1]


# Several processes

PROCESSES = """
import multiprocessing, sys
import numpy as np, spacy
import elmo_jax.spacy

if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    nlp = spacy.load(sys.argv[2])
    docs = list(nlp.pipe({texts}, n_process=2, batch_size=2))
    assert [doc.text for doc in docs] == {texts}
    np.savez(sys.argv[3], *[doc.tensor for doc in docs])
"""


@pytest.mark.slow
@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_two_processes_give_the_vectors_of_one(make_nlp, tmp_path, method):
    nlp = make_nlp("sentencizer")
    nlp.to_disk(tmp_path / "pipeline")
    script, out = tmp_path / "script.py", tmp_path / "out.npz"
    script.write_text(PROCESSES.format(texts=TEXTS * 2))
    subprocess.run(
        [sys.executable, str(script), method, str(tmp_path / "pipeline"), str(out)],
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    with np.load(out) as file:
        tensors = [file[name] for name in file.files]
    for doc, tensor in zip(nlp.pipe(TEXTS * 2), tensors, strict=True):
        np.testing.assert_allclose(tensor, doc.tensor, **TOLERANCE)


@pytest.mark.slow
@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="there is no fork on Windows"
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # JAX warns of every fork
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # so do newer Pythons
def test_processes_that_are_forked_after_jax_was_in_use_say_what_to_do(make_nlp, monkeypatch):
    context = multiprocessing.get_context("fork")
    monkeypatch.setattr(spacy.language.mp, "Process", context.Process)
    nlp = make_nlp()
    nlp("Hi")
    with pytest.raises(ValueError, match=r'For nlp\.pipe.*set_start_method\("spawn"\)'):
        list(nlp.pipe(TEXTS, n_process=2, batch_size=2))
