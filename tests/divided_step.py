"""A program that compiles a training step for four devices, and prints how they share its softmax.

python divided_step.py SAMPLES

SAMPLES is 0 for the full softmax. Prints JSON: how many columns of the softmax, and of what the
optimizer keeps of it, one device holds; and the shapes of what devices exchange that have a row,
or a column, for each word.
"""

import json
import re
import sys

import jax
import numpy as np
import training_run

from elmo_jax.model.bilm import init_params
from elmo_jax.training.language_model import Reading
from elmo_jax.training.losses import candidates_of_step
from elmo_jax.training.placement import (
    devices_for_rows,
    divides_softmax,
    place_state,
    place_window,
    put,
)
from elmo_jax.training.settings import TrainingSettings
from elmo_jax.training.train_step import make_optimizer, make_train_step, new_state
from elmo_jax.training.windows import Window

N_ROWS, N_STEPS, N_WORDS = 8, 5, 12_345


def state_and_step(n_samples):
    """A placed state, and the compiled step that starts from it."""
    config, devices = training_run.CONFIG, devices_for_rows(N_ROWS)
    kernel, bias = np.zeros((N_WORDS, config.projection_dim), np.float32), np.zeros(N_WORDS)
    softmax = {"kernel": kernel, "bias": bias.astype(np.float32)}
    optimizer = make_optimizer(TrainingSettings(batch_size=N_ROWS), 100)
    state = new_state(config, {**init_params(config, 0), "softmax": softmax}, optimizer, N_ROWS)
    is_divided = divides_softmax(N_WORDS, n_samples, N_ROWS * N_STEPS // devices.count)
    state = place_state(state, devices, divide_softmax=is_divided)
    words = np.zeros((64, config.spelling_width), np.int32)
    rows = np.zeros((2, N_ROWS, N_STEPS), np.int32)
    window = Window(words, words, rows, rows, rows.astype(bool), rows.astype(bool))
    candidates = candidates_of_step(0, 0, n_samples, N_WORDS) if n_samples else None
    step = make_train_step(
        config,
        Reading(0.0, True, "float32"),
        optimizer,
        jax.tree.map(lambda array: array.sharding, state),
    )
    others = [put(x, devices.everywhere) for x in (candidates, jax.random.key(0))]
    return state, step.lower(state, place_window(window, devices), *others).compile()


def shapes_exchanged(program):
    """The shapes that devices send each other in a compiled program, such as "[64,8]"."""
    names = "all-reduce|all-gather|all-to-all|reduce-scatter|collective-permute"
    for line in program.splitlines():
        if exchange := re.search(rf"^(.*) ({names})(-start)?\(", line):
            yield from re.findall(r"\[[0-9,]*\]", exchange[1])


def main(n_samples):
    state, step = state_and_step(n_samples)
    large = [x for x in jax.tree.leaves(state) if x.ndim == 2 and x.shape[0] == N_WORDS]
    shapes = sorted(set(shapes_exchanged(step.as_text())))
    assert "[20,20]" in shapes, "the gradient of a highway layer"
    columns = [x.addressable_shards[0].data.shape[1] for x in large]
    of_words = [shape for shape in shapes if re.search(rf"\b{N_WORDS},|,{N_WORDS}\b", shape)]
    print(json.dumps({"columns": columns, "exchanged": of_words}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
