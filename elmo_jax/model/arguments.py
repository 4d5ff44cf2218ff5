"""Checks of the arrays that the functions take, with errors that say what was expected.

Values are checked where they are concrete; inside a ``jax.jit`` of the caller's only shapes are.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import ElmoError, counted
from ..forking import check_process
from .bilm import zero_state
from .config import ElmoConfig
from .options import N_CHARACTERS
from .parameters import Params, check_params
from .precision import check_precision


def check_batch(
    params: Params, char_ids: Any, lengths: Any, config: ElmoConfig, precision: str
) -> tuple[jax.Array, jax.Array]:
    """The arrays that all functions take, as int32.

    Raises:
        ElmoError: for parameters that do not fit ``config``, or an array of a wrong rank, dtype,
            shape or, where its values are known, content.
    """
    check_process()
    check_precision(precision)
    check_params(config, params)
    char_ids = _as_integers(char_ids, "char_ids", "[B, T, C]", 3)
    lengths = _as_integers(lengths, "lengths", "[B]", 1)
    narrowest, widest = config.max_filter_width, config.max_characters_per_token
    n_sentences, n_tokens, n_characters = char_ids.shape
    if not narrowest <= n_characters <= widest:
        raise ElmoError(
            f"char_ids has {counted(n_characters, 'character')} a word (its last axis), "
            f"expected {widest}, "
            f"and at least {narrowest}, the width of the widest filter."
        )
    if lengths.shape[0] != n_sentences:
        raise ElmoError(
            f"lengths has {lengths.shape[0]} entries for {n_sentences} sentences in char_ids."
        )
    _check_range(char_ids, "char_ids", N_CHARACTERS, "the last character id")
    _check_range(lengths, "lengths", n_tokens, "the number of tokens in char_ids")
    return jnp.asarray(char_ids, jnp.int32), jnp.asarray(lengths, jnp.int32)


def _as_integers(array: Any, name: str, axes: str, rank: int) -> Any:
    if not isinstance(array, jax.Array):  # which is also what a traced value is
        array = np.asarray(array)
    if array.ndim != rank:
        raise ElmoError(
            f"{name} has shape {array.shape}, expected {rank} axes {axes}. "
            "elmo_jax.encode_batch makes both arrays from lists of words."
        )
    if not jnp.issubdtype(array.dtype, jnp.integer):
        raise ElmoError(f"{name} has dtype {array.dtype}, expected integers.")
    return array


def _check_range(array: Any, name: str, most: int, meaning: str) -> None:
    if isinstance(array, jax.core.Tracer) or not array.size:
        return
    values = np.asarray(array)
    for wrong, bound in ((values < 0, "least 0"), (values > most, f"most {most}, {meaning}")):
        if wrong.any():
            place = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise ElmoError(
                f"{name}[{', '.join(map(str, place))}] is {values[place]}, expected at {bound}."
            )


def check_state(state: Any, config: ElmoConfig) -> int:
    """How many rows a batch's state has.

    Raises:
        ElmoError: if it is no state of ``config``.
    """
    shapes = list(map(np.shape, jax.tree.leaves(state)))
    rows = next((shape[0] for shape in shapes if shape), 0)
    expected = jax.eval_shape(functools.partial(zero_state, config))
    structures: list[Any] = [jax.tree.structure(tree) for tree in (state, expected)]
    same = structures[0] == structures[1]  # of tuples with names, where plain ones are equal too
    if not same or shapes != [(rows, *one.shape) for one in jax.tree.leaves(expected)]:
        raise ElmoError(
            "Expected a BiLMState from initial_state(config, batch_size) or an earlier call, "
            f"with one number of rows everywhere; got {type(state).__name__} of shapes {shapes}."
        )
    return rows
