"""Every function that takes values from users refuses wrong ones with an ElmoError."""

import functools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tally import Tally

import elmo_jax
from elmo_jax import ElmoError, alignment, explore
from elmo_jax.model.arrays import is_float
from elmo_jax.model.bilm import init_params

CONFIG = elmo_jax.ElmoConfig.preset("tiny")

NO_VALUES = {
    "None": None,
    "True": True,
    "2.5": 2.5,
    "-1": -1,
    "10**30": 10**30,
    "nan": float("nan"),
    "inf": float("inf"),
    "1j": 1j,
    "'x'": "x",
    "''": "",
    "a lone surrogate": "\udc80",
    "bytes": b"x",
    "[]": [],
    "{}": {},
    "a set": {"x"},
    "[None]": [None],
    "[1, 2]": [1, 2],
    "['x', 'y', 'z']": ["x", "y", "z"],
    "ragged": [[1.0], [2.0, 3.0]],
    "nested dict": {"a": {"b": np.ones(3)}},
    "[nan, 0, 0]": [float("nan"), 0.0, 0.0],
    "[1e39, 0, 0]": [1e39, 0.0, 0.0],
    "complex array": np.ones(3, complex),
    "object array": np.array([None, "x", 1.0], object),
    "string array": np.array(["a", "b", "c"]),
    "bool array": np.ones(3, bool),
    "dates": np.array(["2020-01-01"] * 3, "datetime64[D]"),
    "0-d array": np.array(1.5),
    "4-d array": np.ones((1, 1, 1, 1)),
    "int array of JAX": jnp.ones((2, 2), jnp.int32),
    "keys of JAX": jax.random.key(0),
    "an object": object(),
    "a function": len,
    "a class": dict,
}
"""Values that are right for few arguments, if for any."""


@functools.cache
def params():
    return init_params(CONFIG, seed=0)


@functools.cache
def elmo():
    return elmo_jax.Elmo.from_params(CONFIG, params())


@functools.cache
def batch():
    return elmo_jax.encode_batch([["a", "bank"], ["b"]], CONFIG, pad_to=4)


@functools.cache
def anchors():
    chance = np.random.default_rng(0)
    vectors = chance.normal(size=(5, 4)).astype(np.float32)
    return alignment.Anchors(tuple("abcde"), vectors, 1.5, 1)


SENTENCES = [["a", "bank"], [], ["b"]]
MIX = {"mix_weights": [0.0, 0.1, 0.2], "mix_gamma": 1.0}
FLAGS = {"progress": False, "as_jax": False}


def save_pretrained(tmp_path, path, overwrite):
    if isinstance(path, str):
        path = f"{tmp_path}/{path}"
    return elmo().save_pretrained(path, overwrite=overwrite)


def stream(**choices):
    return list(elmo().stream(**choices))


def with_state(**choices):
    return elmo_jax.layer_outputs_with_state(params(), *batch(), **choices)


def export(tmp_path, **choices):
    # Without its last step, which takes seconds: the checks are before it.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("elmo_jax.export._serialize", lambda *_: b"")
        return elmo_jax.export_function(tmp_path / "x.npz", overwrite=True, **choices)


def transformer(**choices):
    from elmo_jax.sklearn import ElmoTransformer

    text = choices.pop("X")
    return ElmoTransformer(**choices).fit(text).transform(text)


def mix_module(**choices):
    arguments = {name: choices.pop(name) for name in ("layers_BLTD", "mask_BT")}
    module = elmo_jax.ScalarMix(**choices)
    return module.init({"params": jax.random.key(0)}, *arguments.values())


def calls(tmp_path):
    """Each function with right arguments, of which one at a time becomes a wrong one."""
    char_ids, lengths = batch()
    arrays = {"params": params(), "char_ids": char_ids, "lengths": lengths, "config": CONFIG}
    layers = np.ones((2, 3, 4, 8), np.float32)
    occurrences = explore.find_occurrences("bank", SENTENCES)
    vectors = np.ones((1, 3, 8), np.float32)
    heatmap = {"rows": ["a"], "columns": ["b"], "values": np.ones((1, 1), np.float32)}
    fit = {"source": anchors(), "target": anchors(), "pairs": [("a", "b")] * 9}
    some = {"words": ("a", "b"), "vectors": np.ones((2, 4), np.float32), "mean_norm": 1.0}
    return {
        elmo_jax.Elmo.from_params: {
            "config": CONFIG, "params": params(), "precision": "float32", "devices": None,
            "tokenizer": "words",
        },
        stream: {"sentences": SENTENCES, "layers": "mix", "pooling": "mean", **MIX,
                 "dtype": "float32", "cut_words": None},
        elmo().embed: {"sentences": SENTENCES, "layers": "mix", "tokenizer": "auto", **MIX,
                       "dtype": "float32", **FLAGS, "return_tokens": True},
        elmo().embed_padded: {"sentences": SENTENCES, "layers": "mix", "tokenizer": "auto", **MIX,
                              "dtype": "float32", **FLAGS},
        elmo().embed_sentences: {"texts": ["a bank"], "layers": "mix", "pooling": "max", **MIX,
                                 "dtype": "float16", **FLAGS},
        elmo().encode: {"sentences": SENTENCES, "output_value": "token_embeddings",
                        "layers": "top", "pooling": "max", "tokenizer": "auto",
                        "normalize_embeddings": True, "dtype": "float16", "batch_size": 32,
                        "show_progress_bar": None, "convert_to_numpy": True,
                        "convert_to_tensor": False, "return_tokens": True},
        functools.partial(save_pretrained, tmp_path): {"path": "tiny", "overwrite": True},
        elmo().get_word_embeddings: {"items": ["a", "bank"]},
        elmo_jax.layer_outputs: {**arrays, "precision": "float32"},
        with_state: {"state": elmo_jax.initial_state(CONFIG, 2), "config": CONFIG,
                     "precision": "float32"},
        elmo_jax.pooled_sentences: {**arrays, "layers": "mix", "pooling": "mean", **MIX,
                                    "precision": "float32"},
        elmo_jax.initial_state: {"config": CONFIG, "batch_size": 2},
        elmo_jax.encode_batch: {"sentences": SENTENCES, "config": CONFIG, "pad_to": 4,
                                "batch_size": 3, "cut_words": None},
        elmo_jax.scalar_mix: {"weights": np.zeros(3), "gamma": 1.0, "layers": layers,
                              "mask": np.ones((2, 4), bool)},
        mix_module: {"layers_BLTD": layers, "mask_BT": None, "n_mixes": None, "dropout": 0.0,
                     "fixed_weights": [0.0, 0.1, 0.2]},
        functools.partial(export, tmp_path): {
            "config": CONFIG, "params": params(), "layers": "mix", "pooling": "mean", **MIX,
            "precision": "float32", "platforms": ["cpu"],
        },
        functools.partial(explore.find_occurrences): {
            "word": "bank", "sentences": SENTENCES, "most": 3,
        },
        explore.occurrence_in: {"sentence": ["a", "bank"], "word": "bank"},
        functools.partial(explore.embed_occurrences, elmo()): {
            "occurrences": occurrences, "cut_words": None,
        },
        functools.partial(explore.neighbors, elmo()): {
            "queries": occurrences, "sentences": SENTENCES, "n": 3, "word": "bank",
        },
        explore.project: {"vectors": vectors[:, 0]},
        explore.project_layers: {"vectors": vectors},
        functools.partial(explore.write_page, tmp_path / "x.html", overwrite=True): {
            "word": "bank", "occurrences": occurrences, "vectors": vectors,
        },
        functools.partial(explore.sentence_similarity, elmo()): {
            "sentences": SENTENCES, "layers": "top", "pooling": "mean",
        },
        functools.partial(explore.word_similarity, elmo()): {
            "first": ["a"], "second": ["b"], "layers": "top",
        },
        lambda **fields: explore.write_heatmap(
            tmp_path / "y.html", explore.Heatmap(**fields), overwrite=True
        ): heatmap,
        alignment.count_words: {"sentences": SENTENCES},
        alignment.frequent_words: {"counts": {"a": 3}, "most": 5, "min_count": 1, "among": None},
        functools.partial(alignment.compute_anchors, elmo()): {
            "sentences": SENTENCES, "words": ["a"], "layers": [1], "cut_words": None,
        },
        alignment.Anchors: {**some, "layer": 1},
        alignment.fit_alignment: fit,
        alignment.scaling_alignment: {"anchors": anchors()},
        alignment.score_alignment: {"matrix": np.eye(4), **fit},
        functools.partial(alignment.write_anchors, tmp_path / "anchors", overwrite=True): {
            "anchors": {1: anchors()},
        },
    }  # fmt: skip


def attack(tally, function, right):
    for name in right:
        for kind, value in NO_VALUES.items():
            try:
                result = function(**{**right, name: value})
            except ElmoError:
                tally.refused()
            except Exception as error:
                shown = getattr(function, "func", function).__qualname__
                tally.wrong(f"{shown}({name}={kind}): {type(error).__name__}: {error!s:.150}")
            else:
                numbers = list(filter(is_float, jax.tree.leaves(result)))
                if all(np.isfinite(np.asarray(x, np.float32)).all() for x in numbers):
                    tally.right()
                else:
                    tally.wrong(f"{function}({name}={kind}) gave numbers that are not finite")


def test_wrong_arguments_are_refused(tmp_path):
    with Tally("a wrong argument of a function") as tally, warnings.catch_warnings():
        warnings.simplefilter("ignore", elmo_jax.ElmoWarning)
        for function, right in calls(tmp_path).items():
            function(**right)
            attack(tally, function, right)
