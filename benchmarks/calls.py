"""Calls of the library's compiled functions, recorded and not made."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import gc
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np

from elmo_jax import Elmo, ElmoConfig, functional
from elmo_jax.engine import engine
from elmo_jax.engine.plan import plan_for
from elmo_jax.engine.word_table import Words
from elmo_jax.lanes.devices import Devices
from elmo_jax.model.layers import select_layers
from elmo_jax.training import TrainingSettings, train
from elmo_jax.training.placement import state_shardings, window_shardings

from .measure import Spread, timed
from .texts import Sentence, spell, write_made_up_text

WORDS, STEP, TRAIN_STEP = "_write_words", "read_lanes", "train_step"
LAYERS, POOLED = "_layer_outputs", "_pooled"
"""The functions, by their names in the library."""

GRADIENT = "gradient of _layer_outputs"
DIVIDED_STEP = "train_step, divided"

BATCH = 128, 32
"""Sentences, and words of each, of the functions over arrays."""

_N_SAMPLES = 5
_N_WORDS = 2048  # enough for their rows to miss the nearest cache, as in real text


@dataclasses.dataclass
class Call:
    """A call of a compiled function that has not been made."""

    function: Any
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    # Where the arrays lie when all devices compute it together: a tree for each argument.
    divided: tuple[Any, ...] | None = None

    def lower(self, device: jax.Device | None = None) -> Any:
        """Lower the function for the device at hand, or for one that need not be there."""
        placed = self.divided or (device and jax.sharding.SingleDeviceSharding(device))
        arguments = jax.tree.map(
            lambda sharding, argument: jax.tree.map(
                functools.partial(_shape, sharding=sharding), argument
            ),
            placed,
            self.arguments,
            is_leaf=lambda leaf: leaf is None,
        )
        return self.function.lower(*arguments, **self.keywords)

    def seconds(self) -> Spread:
        """On the device at hand."""
        samples = []
        for _ in range(_N_SAMPLES + 1):
            fresh = jax.tree.map(_copy, self.arguments)  # the function may donate them
            jax.block_until_ready(fresh)  # type: ignore[no-untyped-call]
            samples.append(timed(functools.partial(self.function, *fresh, **self.keywords)))
        return Spread.of(samples[1:])


def _shape(leaf: Any, sharding: Any) -> Any:
    shape: Any = jax.ShapeDtypeStruct
    is_array = hasattr(leaf, "shape") and hasattr(leaf, "dtype")  # others are static
    return shape(leaf.shape, leaf.dtype, sharding=sharding) if is_array else leaf


def _copy(leaf: Any) -> Any:
    return jnp.array(leaf) if isinstance(leaf, jax.Array) else leaf


# Recording what the library calls


@contextlib.contextmanager
def replaced(name: str, replace: Callable[[Any], Any], *unwanted: str) -> Iterator[None]:
    """Put ``replace(function)`` in the place of the library's compiled function ``name``.

    ``unwanted`` are options of ``jax.jit`` to leave out of a function that is made meanwhile.
    """
    jit = jax.jit

    def replacing_jit(function: Any, **options: Any) -> Any:
        if function.__name__ != name:
            return jit(function, **options)
        wanted = {key: value for key, value in options.items() if key not in unwanted}
        return replace(jit(function, **wanted))

    modules = [module for key, module in sys.modules.items() if key.startswith("elmo_jax.")]
    with contextlib.ExitStack() as patches:
        patches.enter_context(mock.patch.object(jax, "jit", replacing_jit))
        for module in modules:
            if function := vars(module).get(name):
                patches.enter_context(mock.patch.object(module, name, replace(function)))
        yield


@contextlib.contextmanager
def first_call(name: str) -> Iterator[list[Call]]:
    """Leave the context when the library is about to call ``name``; the list then has the call."""
    calls: list[Call] = []

    def record(function: Any, *arguments: Any, **keywords: Any) -> Any:
        calls.append(Call(function, arguments, keywords))
        raise _Stop

    # Sharding names devices that are here, and the call may be compiled for others.
    patched = replaced(name, lambda function: functools.partial(record, function), "out_shardings")
    with contextlib.suppress(_Stop), patched:
        yield calls


class _Stop(BaseException):
    """The call has been recorded."""


@contextlib.contextmanager
def planned(platform: str | None = None, **sizes: Any) -> Iterator[None]:
    """An Elmo that is opened within has the engine's plan of a platform, with other sizes."""
    plan = plan_for(platform or jax.default_backend())
    changed = dataclasses.replace(plan, **sizes)
    with mock.patch.object(engine, "plan_for", lambda _: changed):
        yield


def embedding_call(
    name: str, config: ElmoConfig, params: Any, precision: str, text: list[Sentence]
) -> Call:
    """The call of the engine that comes first when a text is embedded."""
    with first_call(name) as calls:
        Elmo.from_params(config, params, precision=precision).embed(text)
    gc.collect()  # the device memory of the Elmo, which is left in a cycle
    return calls[0]


def step_call(
    config: ElmoConfig,
    params: Any,
    n_lanes: int,
    n_tokens: int,
    precision: str,
    platform: str | None = None,
    **sizes: Any,
) -> Call:
    """The engine's step over all layers of ``n_tokens`` tokens of each of ``n_lanes`` lanes."""
    words = [spell(number * 7919 % _N_WORDS) for number in range(n_lanes * n_tokens)]
    text = [words[i : i + n_tokens] for i in range(0, len(words), n_tokens)]
    shape = {"lane_shapes": (n_lanes,), "chunk_steps": n_tokens, "window_tokens": len(words)}
    with planned(platform, **shape, **sizes):
        return embedding_call(STEP, config, params, precision, text)


@contextlib.contextmanager
def words_unwritten() -> Iterator[None]:
    """Leave the word table empty: for calls that are only compiled, maybe for a faster device."""
    with replaced(WORDS, lambda _: lambda params, words, *others: words):
        yield


def with_full_table(call: Call, platform: str) -> Call:
    """The same call with a word table as large as the platform's plan lets it grow."""

    def grown(argument: Any) -> Any:
        if not isinstance(argument, Words):
            return argument
        row_bytes = sum(x.nbytes // x.shape[-2] for x in argument)
        _, n_rows = plan_for(platform).rows_of_words(row_bytes)
        shape: Any = jax.ShapeDtypeStruct
        arrays = (shape((*x.shape[:-2], n_rows, x.shape[-1]), x.dtype) for x in argument)
        return Words(*arrays)

    return dataclasses.replace(call, arguments=tuple(map(grown, call.arguments)))


def training_call(config: ElmoConfig, precision: str, n_rows: int, *, quick: bool) -> Call:
    """A step of training with a softmax over 100,000 words."""
    n_words, n_samples = (200, 50) if quick else (100_000, 8192)
    options: Any = {"n_steps": 2, "n_negative_samples": n_samples, "precision": precision}
    settings = TrainingSettings(batch_size=n_rows, **options)
    words = ["<S>", "</S>", "<UNK>", *map(spell, range(n_words))]
    with tempfile.TemporaryDirectory() as folder:
        text = write_made_up_text(Path(folder) / "text.txt", 3 * settings.tokens_per_step, n_words)
        with first_call(TRAIN_STEP) as calls:
            train(Path(folder) / "run", text, config=config, vocabulary=words, settings=settings)
    return calls[0]


def divided_over(call: Call, devices: list[jax.Device]) -> Call:
    """A step of training that devices share, as ``train`` shares it."""
    together = Devices(devices)
    everywhere = together.everywhere
    state = state_shardings(call.arguments[0], together, divide_softmax=True)
    function = jax.jit(
        call.function.__wrapped__, donate_argnums=0, out_shardings=(state, everywhere)
    )
    others = [everywhere] * (len(call.arguments) - 2)
    divided = (state, window_shardings(together), *others)
    return Call(function, call.arguments, call.keywords, divided)


# Functions over arrays


def batch_call(name: str, config: ElmoConfig, params: Any, precision: str) -> Call:
    """A function of ``elmo_jax.functional``, or the gradient of the sum of its squares."""
    n_sentences, n_tokens = BATCH
    char_ids = np.zeros((n_sentences, n_tokens, config.spelling_width), np.int32)
    arrays = params, char_ids, np.zeros(n_sentences, np.int32)
    if name == POOLED:
        selection, weights = select_layers("average", config, None, 1.0, params)
        pooled: Any = functional._pooled
        arguments = *arrays, weights, config, selection, "mean", precision
        return Call(pooled.__wrapped__, arguments, {})
    outputs: Any = functional._layer_outputs
    if name == LAYERS:
        return Call(outputs.__wrapped__, (*arrays, config, precision), {})

    def loss(params: Any, char_ids: jax.Array, lengths: jax.Array) -> jax.Array:
        return jnp.sum(jnp.square(outputs(params, char_ids, lengths, config, precision)))

    return Call(jax.jit(jax.grad(loss)), arrays, {})
