"""What is in examples/: sample text, a server, and taggers.

The taggers keep what is frozen, and learn more when fine-tuned.
"""

import contextlib
import json
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import jax
import numpy as np
import optax
import pytest
from conftest import shared_folder
from flax import nnx
from random_models import ABSENT, random_elmo, random_model, write_model

import elmo_jax
from elmo_jax.text.readers import Records
from examples import linen_tagger, nnx_tagger, serve, tagged

DATA = Path(tagged.__file__).parent / "data"
N_SENTENCES, BATCH_SIZE, N_EPOCHS = 16, 8, 10


@pytest.mark.parametrize(
    ("name", "n_sentences", "columns"),
    [
        ("corpus.txt", 42, {}),
        ("reviews.jsonl", 16, {"column": "text", "key_column": "key"}),
        ("reviews.jsonl", 16, {"column": "text", "key_column": "label"}),
        ("periods.tsv", 16, {"column": "text", "key_column": "period"}),
        ("sentences.conllu", 2, {}),
    ],
)
@pytest.mark.filterwarnings("ignore::elmo_jax.DuplicateKeysWarning")
def test_the_sample_files_are_read_as_their_readme_says(name, n_sentences, columns):
    records = list(Records.of(DATA / name, **columns))
    assert len(records) == n_sentences and all(record.words for record in records)
    assert columns == {} or all(record.key for record in records)
    assert f"`{name}`" in (DATA / "README.md").read_text("utf-8")


@pytest.mark.parametrize("word", ["bank", "play", "spring", "bass"])
def test_the_sample_corpus_has_words_with_several_senses(word):
    sentences = [record.words for record in Records.of(DATA / "corpus.txt")]
    assert sum(word in words for words in sentences) >= 8


# The server

PAGE = DATA.parents[1] / "docs" / "guide" / "serve.md"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server") / "model"
    write_model(folder, *random_model(3, n_layers=1, n_highway=ABSENT))
    return folder


@pytest.fixture(scope="module")
def served(model):
    """The address of a server of this model."""
    with running(serve.with_model(model), {"serves": "a model"}) as address:
        yield address


@contextlib.contextmanager
def running(embed, about):
    with serve.make_server(embed, about) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield "http://{}:{}".format(*server.server_address)
        finally:
            server.shutdown()
            thread.join()


def ask(address, body=None, **headers):
    """The status and the JSON of an answer."""
    try:
        with urlopen(Request(address, body, headers), timeout=60) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        with error:
            return error.code, json.load(error)


@pytest.fixture(autouse=True)
def no_log(monkeypatch):
    monkeypatch.setattr(serve.Handler, "log_message", lambda *_: None)


def test_the_server_gives_the_models_vectors(served, model):
    elmo, texts = elmo_jax.Elmo(model), ["She sat by the bank.", "It's open.", ""]
    status, answer = ask(served, json.dumps({"texts": texts}).encode())
    expected = elmo.embed_sentences(texts, tokenizer="auto")
    assert status == 200
    np.testing.assert_allclose(answer["vectors"], expected, rtol=1e-5, atol=1e-6)
    sentences = [["It", "'s", "open", "."], []]
    _, answer = ask(served, json.dumps({"sentences": sentences}).encode())
    np.testing.assert_allclose(answer["vectors"], expected[1:], rtol=1e-5, atol=1e-6)
    assert ask(served, b'{"texts": []}') == (200, {"vectors": []})
    assert ask(served) == (200, {"serves": "a model"})


def test_requests_of_several_threads_are_answered(served):
    bodies = [json.dumps({"texts": [f"bank {n}"] * n}).encode() for n in range(1, 9)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda body: ask(served, body), bodies))
    assert [len(answer["vectors"]) for _, answer in answers] == [*range(1, 9)]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "The request is not JSON: Expecting value"),
        (b'{"texts"', "Expecting ':' delimiter"),
        (b"\xff", "codec can't decode"),
        (b"[" * 100_000, "maximum recursion depth"),
        (b"[]", 'Expected {"texts"'),
        (b"{}", 'Expected {"texts"'),
        (b'{"text": ["a"]}', 'Expected {"texts"'),
        (b'{"texts": ["a"], "sentences": []}', 'Expected {"texts"'),
        (b'{"texts": "a"}', 'Expected {"texts"'),
        (b'{"texts": ["a", 1]}', "item 1 of 'texts' as a string"),
        (b'{"sentences": ["a"]}', "item 0 of 'sentences' as a list of words"),
        (b'{"sentences": [["a", ""]]}', "none of them empty"),
    ],
)
def test_what_is_wrong_with_a_request_comes_back_as_json(served, body, error):
    status, answer = ask(served, body)
    assert status == 400 and error in answer["error"]


def test_a_request_that_is_too_large_or_for_another_path_is_refused(served):
    status, answer = ask(served, b"", **{"Content-Length": "1000001"})
    assert status == 400 and "at most 1,000,000 bytes" in answer["error"]
    assert ask(f"{served}/x")[0] == ask(f"{served}/x", b"{}")[0] == 404


def test_the_pages_requests_are_answered(served):
    bodies = re.findall(r"-d '(.*)'$", PAGE.read_text("utf-8"), re.M)
    sizes = [ask(served, body.replace("'\\''", "'").encode()) for body in bodies]
    assert [(status, len(answer["vectors"])) for status, answer in sizes] == [(200, 2), (200, 1)]


def test_an_exported_function_is_served_as_a_program(model, tmp_path):
    pytest.importorskip("flatbuffers", reason="flatbuffers is not installed (extra export)")
    path = tmp_path / "elmo.npz"
    elmo_jax.export_function(path, *elmo_jax.load(model), layers=0, platforms=["cpu"])
    command = [sys.executable, serve.__file__, "--exported", str(path), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        try:
            address = server.stdout.readline().decode().split()[-1]
            sentences = [["The", "bank"], ["Hi"]]
            _, answer = ask(address, json.dumps({"sentences": sentences}).encode())
            _, of_texts = ask(address, b'{"texts": ["The bank", "Hi"]}')
        finally:
            server.kill()
    expected = elmo_jax.Elmo(model).embed_sentences(sentences, layers=0)
    np.testing.assert_allclose(answer["vectors"], expected, rtol=1e-5, atol=1e-6)
    assert answer == of_texts


# Taggers


@pytest.fixture(scope="module")
def elmo():
    return random_elmo(3, n_layers=1, filters=((2, 8),), n_highway=ABSENT)


@pytest.fixture(scope="module")
def tagging(elmo):
    path = shared_folder() / "data" / "tasks" / "pos_ewt" / "dev.tsv"
    if not path.exists():
        pytest.skip(f"no tagged text at {path}; ELMO_JAX_SHARED names the folder with data/tasks")
    short = [(words, tags) for words, tags in tagged.read(path, 300) if len(words) <= 8]
    return tagged.batches(short[:N_SENTENCES], elmo.config, BATCH_SIZE, pad_to=8)


def same(tree, other):
    equal = jax.tree.map(lambda a, b: np.array_equal(a, b), tree, other)
    return jax.tree.leaves(equal)


def test_tagged_text_is_padded_to_few_shapes_and_none_of_it_is_left_out(elmo):
    lengths = [*range(1, 61), 3]
    sentences = [([f"w{n}"] * n, ["even" if n % 2 == 0 else "odd"] * n) for n in lengths]
    names, data = tagged.batches(sentences, elmo.config, BATCH_SIZE, pad_to=[10, 60])
    assert names == ["even", "odd"] and len(data) == 8
    assert {char_ids.shape[:2] for char_ids, *_ in data} == {(8, 10), (8, 60)}
    rows = [row for batch in data for row in zip(*batch[1:], strict=True)]
    assert [length for length, *_ in rows] == [*lengths, 0, 0, 0]
    for length, tags, real in rows:
        assert tags[:length].tolist() == [length % 2] * length
        assert real.tolist() == [1.0] * length + [0.0] * (len(real) - length)


@pytest.mark.slow
@pytest.mark.usefixtures("promotion_for_optax")
def test_a_linen_tagger_learns_beside_a_frozen_bilm_and_more_with_it(elmo, tagging):
    names, data = tagging
    tagger = linen_tagger.Tagger(elmo.config, len(names))
    params = linen_tagger.init(tagger, elmo.params, data[0])
    frozen, frozen_losses = linen_tagger.fit(
        tagger, params, data, ("mix", "tags"), optax.adamw(1e-2), N_EPOCHS
    )
    assert all(same(frozen["bilm"], elmo.params))
    assert not any(same(frozen["mix"], params["mix"]))
    tuned, tuned_losses = linen_tagger.fit(
        tagger, frozen, data, ("bilm", "mix", "tags"), optax.adam(1e-2), N_EPOCHS
    )
    assert not any(same(tuned["bilm"]["forward"], elmo.params["forward"]))
    assert frozen_losses[-1] < frozen_losses[0] and tuned_losses[-1] < frozen_losses[-1]


@pytest.mark.slow
@pytest.mark.usefixtures("promotion_for_optax")
def test_an_nnx_tagger_does_the_same_through_the_bridge(elmo, tagging):
    names, data = tagging
    tagger = nnx_tagger.init(elmo.config, elmo.params, len(names), data[0][:2])

    def bilm():
        return nnx.to_pure_dict(nnx.state(tagger.bilm, nnx.Param))

    assert all(same(bilm(), elmo.params))
    trained_parts = nnx_tagger.ALL_BUT_BILM
    frozen_losses = nnx_tagger.fit(tagger, data, trained_parts, optax.adamw(1e-2), N_EPOCHS)
    assert all(same(bilm(), elmo.params))
    tuned_losses = nnx_tagger.fit(tagger, data, nnx_tagger.ALL, optax.adam(1e-2), N_EPOCHS)
    assert not any(same(bilm()["forward"], elmo.params["forward"]))
    assert frozen_losses[-1] < frozen_losses[0] and tuned_losses[-1] < frozen_losses[-1]
