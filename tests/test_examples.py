"""What is in examples/: sample text, and taggers that keep what is frozen and learn the rest."""

from pathlib import Path

import jax
import numpy as np
import optax
import pytest
from conftest import shared_folder
from flax import nnx
from random_models import ABSENT, random_elmo

from elmo_jax.text.readers import Records
from examples import linen_tagger, nnx_tagger, tagged

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
