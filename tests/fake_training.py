"""Training runs that are real except for the arithmetic of their steps, so that each is cheap.

The numbers of the model depend on every window and on every step before: a run that was resumed in
another place, or read another text, has other ones.
"""

import contextlib
import sys

import jax
import numpy as np
import training_run
from checkpoint_files import files_of

from elmo_jax import save
from elmo_jax.training import TrainingSettings, Vocabulary, loop, train
from elmo_jax.training.language_model import init_language_model
from elmo_jax.training.train_step import StepMetrics, TrainState

WORDS = Vocabulary(["<S>", "</S>", "<UNK>", "a", "b", "c", "d"])
SETTINGS = {
    "recipe": "original",
    "batch_size": 2,
    "unroll_steps": 4,
    "n_steps": 6,
    "n_negative_samples": 0,
    "checkpoint_every": 2,
    "keep_checkpoints": 2,
    "log_every": 3,
    "shuffle_buffer": 5,
}


def text_lines(n=13):
    return [" ".join("abcd"[(i * j) % 4] for j in range(1, 4 + i % 3)) for i in range(n)]


def make_inputs(folder):
    """A text of 13 lines, and a model to start from."""
    (folder / "text.txt").write_text("\n".join(text_lines()) + "\n")
    config = training_run.CONFIG
    save(folder / "start", config, init_language_model(config, len(WORDS)), vocabulary=WORDS)


@contextlib.contextmanager
def cheap_steps(before_step=lambda step: None):
    """Replace the steps; ``before_step`` is called with the number of each, from 0."""

    def make_train_step(*_, **__):
        def step(state, window, candidates, key, numbers):
            before_step(int(state.step))
            weights = np.arange(window.targets.size).reshape(window.targets.shape)
            seen = np.float32((window.targets * weights).sum())
            params = jax.tree.map(lambda x: np.asarray(x) * np.float32(0.9) + seen / 999, state[1])
            state = TrainState(np.int32(state.step + 1), params, state.optimizer, state.rows)
            return state, StepMetrics(seen, np.float32(1))

        return step

    replacements = {
        "make_train_step": make_train_step,
        "all_finite": lambda params: True,
        "place_window": lambda window, devices: window,
    }
    originals = {name: getattr(loop, name) for name in replacements}
    matplotlib = sys.modules.get("matplotlib")
    for name, value in replacements.items():
        setattr(loop, name, value)
    sys.modules["matplotlib"] = None  # a picture takes a second
    try:
        yield
    finally:
        for name, value in originals.items():
            setattr(loop, name, value)
        del sys.modules["matplotlib"]
        if matplotlib is not None:
            sys.modules["matplotlib"] = matplotlib


def train_cheaply(folder, output="run", before_step=lambda step: None, **changes):
    """Train in ``folder / output`` on what ``make_inputs`` made; the summary."""
    names = {"formats", "strict", "valid_files", "progress"}
    choices = {name: changes.pop(name) for name in names & changes.keys()}
    text, start = changes.pop("text", folder / "text.txt"), folder / "start"
    settings = TrainingSettings(**{**SETTINGS, **changes})
    with cheap_steps(before_step):
        return train(folder / output, text, start_from=start, settings=settings, **choices)


def model_of(output):
    """The files of the model, each with its content."""
    return files_of(output / "model")
