"""The calls that people know from sentence-transformers, AllenNLP and Hugging Face's libraries."""

import doctest
import functools
import inspect
import io

import jax
import numpy as np
import pytest
from checkpoint_files import message_of

import elmo_jax
from elmo_jax import ElmoConfig, EmbeddedTokens
from elmo_jax.model.bilm import init_params

TEXTS = ["The bank isn't open.", "", ["New York", "is"]]
WORDS = [["The", "bank", "is", "n't", "open", "."], [], ["New York", "is"]]

# The same sentence, in other company.
TOLERANCE = 1e-5

pytestmark = pytest.mark.filterwarnings("ignore::elmo_jax.WhitespaceWarning")


@pytest.fixture(scope="module")
def elmo():
    config = ElmoConfig.preset("tiny")
    return elmo_jax.Elmo.from_params(config, init_params(config, seed=0))


def close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=TOLERANCE, atol=TOLERANCE)


# What the documentation shows


def docstrings_with_examples():
    tests = doctest.DocTestFinder(recurse=False).find
    members = {"Elmo": elmo_jax.Elmo, "EmbeddedTokens": EmbeddedTokens}
    members |= {name: getattr(elmo_jax.Elmo, name) for name in dir(elmo_jax.Elmo) if name[0] != "_"}
    for name, member in members.items():
        for test in tests(member, name, globs={"elmo_jax": elmo_jax}):
            if test.examples:
                yield pytest.param(test, id=name)


@pytest.mark.parametrize("example", list(docstrings_with_examples()))
def test_an_example_gives_what_it_shows(example, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report = io.StringIO()
    result = doctest.DocTestRunner(verbose=False).run(example, out=report.write)
    assert result.failed == 0, report.getvalue()


def test_every_method_that_embeds_has_an_example():
    names = {parameter.id for parameter in docstrings_with_examples()}
    assert {"Elmo", "encode", "embed", "embed_padded", "embed_sentences", "stream"} <= names


# encode


def test_encode_gives_one_vector_per_text_split_as_the_models_training_text_was(elmo):
    vectors = elmo.encode(TEXTS)
    assert vectors.shape == (3, elmo.dim) and vectors.dtype == np.float32
    close(vectors, elmo.embed_sentences(WORDS))
    assert not vectors[1].any()


def test_one_string_gives_one_vector(elmo):
    vector = elmo.encode(TEXTS[0])
    assert isinstance(vector, np.ndarray) and vector.shape == (elmo.dim,)
    close(vector, elmo.embed_sentences(WORDS[:1])[0])
    assert elmo.encode("").tolist() == [0] * elmo.dim


def test_encode_takes_any_iterable_of_texts(elmo):
    texts = [text for text in TEXTS if isinstance(text, str)]
    for several in (iter(texts), tuple(texts), np.array(texts), {"a": texts[0], "b": ""}.values()):
        assert elmo.encode(several).shape == (2, elmo.dim)
    assert elmo.encode([]).shape == (0, elmo.dim)


def test_the_tokenizer_of_encode_can_be_chosen(elmo):
    close(elmo.encode(["a,b"], tokenizer=lambda text: text.split(",")), elmo.encode([["a", "b"]]))
    close(elmo.encode(["isn't it"], tokenizer=None), elmo.encode([["isn't", "it"]]))
    letters = elmo_jax.Elmo.from_params(elmo.config, elmo.params, tokenizer="characters")
    close(letters.encode("MKV"), elmo.encode([["M", "K", "V"]])[0])


def test_token_embeddings_are_one_array_per_text_or_one_for_a_string(elmo):
    results = elmo.encode(TEXTS, output_value="token_embeddings", layers=1)
    assert [vectors.shape for vectors in results] == [(len(s), elmo.dim) for s in WORDS]
    close(results[0], elmo.embed(WORDS, layers=1)[0])
    one = elmo.encode(TEXTS[0], output_value="token_embeddings", layers=1)
    close(one, results[0])
    assert elmo.encode(TEXTS[0], output_value="token_embeddings", layers="all").shape == (
        3,
        6,
        elmo.dim,
    )


def test_encode_shows_the_words_that_its_tokenizer_made(elmo):
    choices = {"output_value": "token_embeddings", "return_tokens": True}
    results = elmo.encode(TEXTS, **choices)
    assert [result.tokens for result in results] == WORDS
    one = elmo.encode(TEXTS[0], **choices)
    assert isinstance(one, EmbeddedTokens) and one.tokens == WORDS[0]
    close(one.vectors, results[0].vectors)


@pytest.mark.parametrize("layers", ["average", "all", 0])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("output_value", ["sentence_embedding", "token_embeddings"])
def test_normalized_vectors_have_length_1_or_are_zeros(elmo, layers, dtype, output_value):
    choices = {"output_value": output_value, "layers": layers}
    scaled = elmo.encode(TEXTS, **choices, normalize_embeddings=True, dtype=dtype)
    for vectors, plain in zip(scaled, elmo.encode(TEXTS, **choices), strict=True):
        assert vectors.dtype == dtype and vectors.shape == plain.shape
        wide = vectors.astype(np.float64)
        lengths = np.linalg.norm(wide, axis=-1, keepdims=True)
        plain_lengths = np.linalg.norm(plain, axis=-1, keepdims=True)
        np.testing.assert_allclose(lengths, plain_lengths > 0, atol=1e-3)
        np.testing.assert_allclose(wide * plain_lengths, plain, rtol=2e-3, atol=2e-3)


def test_vectors_too_long_for_float16_can_be_scaled_to_it(elmo):
    large = {**elmo.params, "scalar_mixes": {"0": {"weights": np.zeros(3), "gamma": 1e7}}}
    large = jax.tree.map(np.float32, large)
    louder = elmo_jax.Elmo.from_params(elmo.config, large)
    choices = {"layers": "mix", "dtype": "float16"}
    assert "beyond 65,504" in message_of(louder.encode, ["a"], **choices)
    assert np.isfinite(louder.encode(["a"], **choices, normalize_embeddings=True)).all()


def test_a_batch_size_changes_no_bit(elmo):
    elmo.forget_words()
    first = elmo.encode(TEXTS)
    elmo.forget_words()
    np.testing.assert_array_equal(elmo.encode(TEXTS, batch_size=1), first)


@pytest.mark.parametrize("text", [TEXTS, TEXTS[0]])
def test_encode_gives_jax_arrays_to_those_who_want_no_numpy(elmo, text):
    vectors = elmo.encode(text, convert_to_numpy=False)
    assert isinstance(vectors, jax.Array)
    close(vectors, elmo.encode(text))
    choices = {"output_value": "token_embeddings", "convert_to_numpy": False}
    tokens = elmo.encode(text, **choices)
    assert all(isinstance(x, jax.Array) for x in (tokens if text is TEXTS else [tokens]))


def test_tensors_of_torch_are_refused_with_the_line_that_makes_them(elmo):
    message = message_of(elmo.encode, TEXTS, convert_to_tensor=True)
    assert "torch.from_dlpack(elmo.encode(..., convert_to_numpy=False))" in message


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"output_value": None}, "'sentence_embedding' or 'token_embeddings'"),
        ({"return_tokens": True}, 'belongs to output_value="token_embeddings"'),
        ({"batch_size": 0}, "batch_size is 0, expected a whole number of at least 1"),
        ({"normalize_embeddings": "no"}, "normalize_embeddings is 'no', expected True or False"),
        ({"show_progress_bar": 1}, "show_progress_bar is 1, expected True, False or None"),
        ({"pooling": "cls"}, "Unknown pooling='cls'"),
        ({"output_value": "token_embeddings", "pooling": "cls"}, "Unknown pooling='cls'"),
        ({"tokenizer": "bert"}, "Unknown tokenizer 'bert'"),
        ({"dtype": "int8", "normalize_embeddings": True}, "nknown dtype"),
    ],
)
def test_wrong_arguments_of_encode_are_told(elmo, arguments, message):
    assert message in message_of(elmo.encode, TEXTS, **arguments)


# Strings where words are expected


def test_embed_splits_strings_if_it_is_told_how(elmo):
    for result, expected in zip(
        elmo.embed(TEXTS, tokenizer="auto"), elmo.embed(WORDS), strict=True
    ):
        close(result, expected)


@pytest.mark.parametrize("method", ["embed", "embed_padded"])
def test_strings_without_a_tokenizer_are_an_error_that_names_one(elmo, method):
    message = message_of(getattr(elmo, method), [["a"], "The bank."])
    assert message.startswith("Expected sentence 1 as a list of words, got the str 'The bank.'.")
    assert "tokenizer='auto'" in message and "sentence.split()" in message


# What an Elmo says of itself


def test_an_elmo_says_what_it_is():
    elmo = elmo_jax.Elmo()
    assert (elmo.dim, elmo.n_output_layers, elmo.tokenizer) == (256, 3, "treebank")
    assert elmo.get_sentence_embedding_dimension() == 256
    assert repr(elmo) == (
        "<Elmo 'mini': 3 layers of 256 dimensions, float32, tokenizer 'treebank'>"
    )


def test_the_repr_names_the_files(make_model):
    folder, _ = make_model(0, dim=10, projection_dim=6)
    files = folder / "options.json", folder / "weights.hdf5"
    shown = repr(elmo_jax.Elmo(*files, precision="bfloat16"))
    assert f"'{files[0]}' and '{files[1]}': 3 layers of 12 dimensions, bfloat16" in shown


def test_the_repr_of_parameters_and_of_a_subclass(elmo):
    letters = Mine.from_params(elmo.config, elmo.params, tokenizer="characters")
    assert repr(letters).startswith(f"<Mine from parameters: 3 layers of {elmo.dim} dimensions, ")
    assert repr(letters).endswith("float32, tokenizer 'characters'>")


class Mine(elmo_jax.Elmo):
    """Somebody's own."""


@pytest.mark.parametrize("tokenizer", [str.split, None, "auto", "bert", "../words", 3])
def test_a_model_in_memory_takes_tokenizers_that_have_names(elmo, tokenizer):
    message = message_of(elmo_jax.Elmo.from_params, elmo.config, elmo.params, tokenizer=tokenizer)
    assert f"Cannot record the tokenizer {tokenizer!r}"[:40] in message
    assert "expected one of 'whitespace', " in message


# Opening, as AllenNLP does


def test_options_and_weights_open_by_position(make_model):
    folder, _ = make_model(0)
    files = folder / "options.json", folder / "weights.hdf5"
    expected = elmo_jax.Elmo(folder)
    for elmo in (
        elmo_jax.Elmo(*files),
        elmo_jax.Elmo(*map(str, files)),
        elmo_jax.Elmo.from_pretrained(*files),
    ):
        np.testing.assert_array_equal(elmo.embed([["a"]])[0], expected.embed([["a"]])[0])
    assert elmo_jax.load(*files)[0] == expected.config


def test_options_of_any_name_open_by_position(make_model, tmp_path):
    folder, _ = make_model(0)
    options = (folder / "options.json").rename(tmp_path / "the options")
    assert elmo_jax.load(options, folder / "weights.hdf5")[0].n_layers == 2


def test_a_missing_options_file_is_called_one():
    assert "Cannot read the options file o.json" in message_of(elmo_jax.Elmo, "o.json", "w.hdf5")


@pytest.mark.parametrize(
    "open_model", [elmo_jax.Elmo, elmo_jax.load, elmo_jax.Elmo.from_pretrained]
)
def test_a_third_argument_by_position_is_told_what_to_write(open_model):
    message = message_of(open_model, "options.json", "weights.hdf5", 2)
    assert "got 2 after them" in message and "ScalarMix(n_mixes=2)" in message


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("num_output_representations", "ScalarMix(n_mixes=2)"),
        ("requires_grad", "BiLM(config)"),
        ("do_layer_norm", "ScalarMix(do_layer_norm=True)"),
        ("dropout", "ScalarMix(dropout=0.5)"),
        ("vocab_to_cache", "leave it out"),
        ("keep_sentence_boundaries", "boundaries=True"),
        ("scalar_mix_parameters", "mix_weights="),
        ("cuda_device", "devices="),
        ("device", "devices="),
        ("model_name", 'Elmo("small")'),
        ("cache_folder", "ELMO_JAX_CACHE"),
        ("layers", "elmo.encode(texts, layers=...)"),
        ("tokenizer", "encode splits text by itself"),
    ],
)
def test_an_argument_of_allennlp_is_told_what_to_write(name, advice):
    for open_model in (elmo_jax.Elmo, elmo_jax.load):
        message = message_of(open_model, "o.json", "w.hdf5", **{name: 1})
        assert message.startswith(f"There is no argument {name}=. Here, ") and advice in message


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("embed_sentence", "elmo.embed([words])[0]"),
        ("get_elmo_vectors", 'layers="average"'),
        ("similarity", "normalize_embeddings=True"),
        ("to", "devices="),
        ("most_similar", "word_vectors.average(elmo, sentences)"),
    ],
)
def test_a_method_of_another_library_is_told_what_to_write(elmo, name, advice):
    with pytest.raises(AttributeError, match=f"has no attribute '{name}'. Here: ") as error:
        getattr(elmo, name)
    assert advice in str(error.value) and not hasattr(elmo, name)


def test_sentences_in_the_place_of_the_model_are_told_where_they_go():
    for open_model in (elmo_jax.Elmo, elmo_jax.load):
        message = message_of(open_model, ["The bank."])
        assert "got ['The bank.']" in message and "elmo.encode(texts)" in message


def test_bytes_are_told_the_call_that_was_made(elmo):
    assert message_of(elmo.encode, b"a").endswith("write elmo.encode(text.decode()).")


def test_an_unknown_argument_is_pythons_error_and_names_what_was_called():
    problem = r"got an unexpected keyword argument 'optoins'\. Did you mean 'options'\?$"
    for called, name in ((elmo_jax.Elmo, "Elmo"), (Mine, "Mine"), (elmo_jax.load, "load")):
        with pytest.raises(TypeError, match=rf"^{name}\(\) {problem}"):
            called(optoins={})


def test_the_signature_of_an_elmo_is_the_one_to_read():
    names = list(inspect.signature(elmo_jax.Elmo).parameters)
    assert names[:3] == ["source", "weight_file", "options_file"]
    assert "devices" in names and "kwargs" not in names
    load_names = list(inspect.signature(elmo_jax.load).parameters)
    assert names[: len(load_names)] == load_names


def test_from_pretrained_takes_what_the_class_takes(make_model):
    folder, _ = make_model(0)
    open_folder = functools.partial(Mine.from_pretrained, folder, precision="bfloat16")
    assert type(open_folder()) is Mine and open_folder().precision == "bfloat16"
    assert elmo_jax.Elmo.from_pretrained().config == elmo_jax.Elmo().config
