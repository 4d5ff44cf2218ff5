"""ElmoTransformer: an estimator like those of scikit-learn, over texts."""

import functools
import pickle
import re

import numpy as np
import pytest

import elmo_jax
from elmo_jax import ElmoError

pytest.importorskip("sklearn", reason="scikit-learn is not installed (extra sklearn)")

from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_checks

from elmo_jax import sklearn as elmo_sklearn
from elmo_jax.sklearn import ElmoTransformer

TEXTS = ["The bank of the river", ["Hi"], ""]
FILMS = ["a good film", "a dull film", "good and fine", "dull and bad"] * 4
LABELS = [1, 0, 1, 0] * 4


class FakeElmo:
    """Counts how often it is opened, and tells good words from dull ones in some layers."""

    opened = 0

    def __init__(self, source=None, *, precision="float32"):
        type(self).opened += 1

    def embed_sentences(self, texts, layers, pooling, *, tokenizer=None, dtype="float32"):
        texts = [text.split() if isinstance(text, str) else list(text) for text in texts]
        good = [len(words) * (("good" in words) - 0.5) * (layers == 1) for words in texts]
        sizes = [float(sum(sum(map(ord, word)) for word in words) % 97) for words in texts]
        return np.array([good, sizes], dtype).T.reshape(len(texts), 2)


@pytest.fixture(autouse=True)
def nothing_is_open():
    elmo_sklearn._opened.cache_clear()
    yield
    elmo_sklearn._opened.cache_clear()


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setattr(elmo_sklearn, "Elmo", FakeElmo)
    monkeypatch.setattr(FakeElmo, "opened", 0)
    return FakeElmo


def test_features_are_those_of_embed_sentences(make_model):
    folder, _ = make_model(3)
    elmo = elmo_jax.Elmo(folder)
    features = ElmoTransformer(folder, layers=0).fit_transform(TEXTS)
    np.testing.assert_array_equal(features, elmo.embed_sentences(TEXTS, 0))
    beside = ElmoTransformer(str(folder), layers="all", pooling="max", dtype="float16")
    assert beside.transform(TEXTS).shape == (3, 3 * elmo.config.output_dim)
    assert beside.transform(TEXTS).dtype == np.float16
    assert beside.transform([]).shape == (0, 3 * elmo.config.output_dim)
    assert len(beside.get_feature_names_out()) == 3 * elmo.config.output_dim


def test_the_sources_model_is_opened_once_for_a_search_over_layers_and_pooling(fake):
    search = GridSearchCV(
        make_pipeline(ElmoTransformer(), LogisticRegression()),
        {
            "elmotransformer__layers": [0, 1],
            "elmotransformer__pooling": ["mean", "max"],
        },
        cv=2,
    )
    search.fit(FILMS, LABELS)
    assert search.best_params_["elmotransformer__layers"] == 1
    assert search.score(FILMS, LABELS) == 1.0
    assert fake.opened == 1


def test_a_model_is_opened_anew_when_its_files_have_changed(fake, make_model):
    folder, _ = make_model(3)
    transformer = ElmoTransformer(folder)
    transformer.fit(TEXTS).transform(TEXTS)
    assert fake.opened == 1
    (folder / "options.json").write_text("{}")
    transformer.transform(TEXTS)
    assert fake.opened == 2


def test_a_pickle_holds_the_parameters_and_opens_the_model_where_it_lands(fake):
    transformer = ElmoTransformer(layers=1, tokenizer=str.split).fit(TEXTS)
    pickled = pickle.dumps(transformer)
    assert len(pickled) < 1000
    elmo_sklearn._opened.cache_clear()  # as in another process
    landed = pickle.loads(pickled)
    np.testing.assert_array_equal(landed.transform(TEXTS), transformer.transform(TEXTS))
    assert fake.opened == 2 and landed.get_params() == transformer.get_params()


def test_a_clone_has_the_parameters_and_set_params_changes_them(fake):
    transformer = ElmoTransformer("mini", layers=2, pooling="max", dtype="float16")
    assert clone(transformer).get_params() == transformer.get_params()
    assert clone(transformer).set_params(layers=0).layers == 0


def test_set_output_makes_a_named_table(fake):
    pytest.importorskip("pandas", reason="pandas is not installed")
    table = ElmoTransformer().set_output(transform="pandas").fit_transform(TEXTS)
    assert list(table.columns) == ["elmotransformer0", "elmotransformer1"]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("The bank", "one str 'The bank'"),
        ([["The"], [1]], "position 0 of sentence 1, got int 1"),
        (np.array("The bank"), "list of sentences, got ndarray"),
        (np.array([["The bank"]]), "got an array of shape (1, 1). Pass one column"),
        ({"text": ["The bank"]}, "a dict with the columns or keys 'text'"),
        ({"The bank"}, "the set {'The bank'}, which has no order"),
    ],
)
def test_bad_texts_are_refused(make_model, texts, message):
    with pytest.raises(ElmoError, match=re.escape(message)):
        ElmoTransformer(make_model(3)[0]).fit_transform(texts)


def test_a_table_is_refused_where_a_column_is_expected(fake):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    table = pandas.DataFrame({"text": ["The bank", "Hi"]})
    with pytest.raises(ElmoError, match="a table with the columns text"):
        ElmoTransformer().fit_transform(table)
    assert ElmoTransformer().fit_transform(table["text"]).shape == (2, 2)


@pytest.mark.parametrize("option", [{"layers": 9}, {"pooling": "sum"}, {"dtype": "int8"}])
def test_fit_checks_the_parameters(make_model, option):
    with pytest.raises(ElmoError, match=next(iter(option))):
        ElmoTransformer(make_model(3)[0], **option).fit(TEXTS)


# scikit-learn's own checks

new_checks = pytest.mark.skipif(
    not hasattr(estimator_checks, "estimator_checks_generator"),
    reason="written for the checks of scikit-learn 1.6 and later",
)


class OverNumbers(ElmoTransformer):
    """Takes numbers as words: the checks have tables of numbers only, and none for texts."""

    def fit(self, X, y=None):
        return super().fit(self._as_words(X, reset=True))

    def transform(self, X):
        return super().transform(self._as_words(X, reset=False))

    def _as_words(self, X, reset):
        from sklearn.utils.validation import validate_data

        return [list(map(str, row)) for row in validate_data(self, X, reset=reset)]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string, tags.input_tags.two_d_array = False, True
        return tags


@new_checks
@pytest.mark.filterwarnings("ignore")  # it says that it skips what wants numbers
def test_check_estimator_accepts_it_as_one_of_texts():
    results = estimator_checks.check_estimator(ElmoTransformer(), on_skip=None)
    assert "passed" in {result["status"] for result in results}


@new_checks
@pytest.mark.filterwarnings("ignore")  # of the checks themselves
def test_check_estimator_passes_if_its_numbers_are_words(fake):
    results = estimator_checks.check_estimator(OverNumbers(), on_fail=None, on_skip=None)
    passed = {result["check_name"] for result in results if result["status"] == "passed"}
    others = {r["check_name"]: r["status"] for r in results} | dict.fromkeys(passed, "passed")
    # check_array_api_input runs where SCIPY_ARRAY_API is set only, and is about numbers.
    assert {n for n, status in others.items() if status != "passed"} <= {"check_array_api_input"}
    assert {"check_estimators_pickle", "check_transformer_general", "check_set_params"} <= passed


# Real text


def test_a_pipeline_tells_reviews_apart(make_model):
    from conftest import shared_folder

    path = shared_folder() / "data" / "tasks" / "sentiment_mr" / "train.tsv"
    if not path.exists():
        pytest.skip(f"no reviews at {path}; ELMO_JAX_SHARED names the folder with data/tasks")
    rows = [line.split("\t") for line in path.read_text("utf-8").split("\n")[:200]]
    labels, texts = [label for label, _ in rows], [text for _, text in rows]
    embed = functools.partial(ElmoTransformer, make_model(3)[0], layers=0)
    classifier = make_pipeline(embed(), LogisticRegression(C=100, max_iter=2000))
    assert classifier.fit(texts, labels).score(texts, labels) > 0.55
