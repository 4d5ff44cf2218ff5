"""Checks of the arrays that the functions take, with errors that say what was expected.

Inside a caller's ``jax.jit`` values are not known, and only shapes are checked.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import ElmoError, counted, shortened
from ..forking import check_process
from .arrays import as_array, is_float
from .bilm import zero_state
from .config import ElmoConfig
from .options import N_CHARACTERS
from .parameters import Params, check_params
from .precision import check_precision
from .spelling import alphabet_of


def check_batch(
    params: Params, char_ids: Any, lengths: Any, config: ElmoConfig, precision: str
) -> tuple[jax.Array, jax.Array]:
    """``char_ids`` and ``lengths`` as int32, after all checks of a function's arguments."""
    check_process()
    check_precision(precision)
    check_params(config, params)
    char_ids = _as_integers(char_ids, "char_ids", "[B, T, C]", 3)
    lengths = _as_integers(lengths, "lengths", "[B]", 1)
    n_sentences, n_tokens, n_ids = char_ids.shape
    # Characters of padding may be left out, up to the width of the widest filter.
    shortest, longest = config.word_columns + config.max_filter_width, config.spelling_width
    if not shortest <= n_ids <= longest:
        at_least = f", and at least {shortest}, the width of the widest filter"
        raise ElmoError(
            f"char_ids has {counted(n_ids, 'character')} per word (its last axis), "
            f"expected {longest}{at_least * (shortest < longest)}."
        )
    if lengths.shape[0] != n_sentences:
        raise ElmoError(
            f"lengths has {lengths.shape[0]} entries for {n_sentences} sentences in char_ids."
        )
    _check_ids(char_ids, config)
    _check_range(lengths, "lengths", n_tokens, "the number of tokens in char_ids")
    return jnp.asarray(char_ids, jnp.int32), jnp.asarray(lengths, jnp.int32)


def _as_integers(array: Any, name: str, axes: str, rank: int) -> Any:
    array = as_array(array, name)
    if array.ndim != rank:
        raise ElmoError(
            f"{name} has shape {array.shape}, expected {rank} axes {axes}. "
            "elmo_jax.encode_batch makes both arrays from lists of words."
        )
    if not jnp.issubdtype(array.dtype, jnp.integer):
        raise ElmoError(f"{name} has dtype {array.dtype}, expected integers.")
    return array


def _check_ids(char_ids: Any, config: ElmoConfig) -> None:
    if config.token_layer == "bytes":
        _check_range(char_ids, "char_ids", N_CHARACTERS, "the last character id")
        return
    alphabet, first = alphabet_of(config), config.word_columns
    words, characters = char_ids[..., :first], char_ids[..., first:]
    _check_range(words, "char_ids", len(alphabet.words), "the last word")
    name = "char_ids[..., 1:]" if first else "char_ids"
    _check_range(characters, name, len(alphabet.characters), "the last character")


def _check_range(array: Any, name: str, maximum: int, meaning: str) -> None:
    if isinstance(array, jax.core.Tracer) or not array.size:
        return  # inside the caller's jit there are no values yet
    values = np.asarray(array)
    for is_wrong, bound in (
        (values < 0, "least 0"),
        (values > maximum, f"most {maximum}, {meaning}"),
    ):
        if is_wrong.any():
            index = tuple(int(i) for i in np.argwhere(is_wrong)[0])
            raise ElmoError(
                f"{name}[{', '.join(map(str, index))}] is {values[index]}, expected at {bound}."
            )


def check_state(state: Any, config: ElmoConfig) -> None:
    """Raise ElmoError unless ``state`` is that of a batch through a model of ``config``."""
    leaves = jax.tree.leaves(state)
    are_floats = all(map(is_float, leaves))
    shapes = [leaf.shape for leaf in leaves] if are_floats else []
    n_rows = next((shape[0] for shape in shapes if shape), 0)
    expected = jax.eval_shape(functools.partial(zero_state, config))
    # Structures tell a BiLMState from a plain tuple.
    structures: list[Any] = [jax.tree.structure(tree) for tree in (state, expected)]
    is_state = structures[0] == structures[1]
    if not is_state or shapes != [(n_rows, *leaf.shape) for leaf in jax.tree.leaves(expected)]:
        raise ElmoError(
            "Expected a BiLMState from initial_state(config, batch_size) or an earlier call, "
            "with one number of rows everywhere; got "
            + (f"{type(state).__name__} of shapes {shapes}." if are_floats else shortened(state))
        )
