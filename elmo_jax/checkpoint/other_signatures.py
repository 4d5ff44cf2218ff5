"""Arguments that code for other libraries passes to a model: an error says what to write here."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from ..errors import ElmoError, did_you_mean

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_MIXES = (
    "elmo.embed(sentences) gives all layers, and elmo_jax.ScalarMix(n_mixes=2) two trained sums of "
    "them"
)
_DEVICES = "pass devices=jax.devices()[:1], or leave it out to use all devices"
_SOURCE = 'the model comes first, without a name: Elmo("small")'
_CACHE = "the environment variable ELMO_JAX_CACHE names the folder of downloads"

_HERE = {
    "num_output_representations": _MIXES,
    "requires_grad": "elmo_jax.BiLM(config) is a module to train, with the params of load(...)",
    "do_layer_norm": "elmo_jax.ScalarMix(do_layer_norm=True) does this",
    "dropout": "elmo_jax.ScalarMix(dropout=0.5) does this",
    "vocab_to_cache": "leave it out, since each word is spelled once and remembered",
    "keep_sentence_boundaries": "elmo_jax.layer_outputs(..., boundaries=True) does this",
    "scalar_mix_parameters": 'elmo.embed(sentences, layers="mix", mix_weights=[...]) does this',
    "cuda_device": _DEVICES,
    "device": _DEVICES,
    "model": _SOURCE,
    "model_name": _SOURCE,
    "model_name_or_path": _SOURCE,
    "cache_dir": _CACHE,
    "cache_folder": _CACHE,
    "batch_size": "leave it out, since sentences are packed and not padded",
    "layers": "elmo.encode(texts, layers=...) and elmo.embed(sentences, layers=...) take it",
    "tokenizer": "elmo.embed(texts, tokenizer=...) takes it, and encode splits text by itself",
}


def refuse_others(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """The function, with an ElmoError for arguments that belong to another library's ELMo.

    An unknown argument is a TypeError, as in Python, which names what the user has called.
    """
    parameters = inspect.signature(function).parameters.values()
    names = [parameter.name for parameter in parameters]
    n_positional = sum(p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters)

    @functools.wraps(function)
    def checked(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        if len(args) > n_positional:
            raise ElmoError(
                f"Expected a model, or options.json and its weights, got {args[n_positional]!r} "
                f"after them. If it is AllenNLP's num_output_representations: {_MIXES}. Other "
                "arguments are passed by name."
            )
        if others := [name for name in kwargs if name in _HERE]:
            advice = "; and ".join(f"{name}=. Here, {_HERE[name]}" for name in others)
            raise ElmoError(f"There is no argument {advice}.")
        for name in kwargs.keys() - names:
            is_method = function.__name__ == "__init__"
            called = type(args[0]).__name__ if is_method else function.__name__
            meant = did_you_mean(name, names)
            raise TypeError(f"{called}() got an unexpected keyword argument {name!r}.{meant}")
        return function(*args, **kwargs)

    return checked
