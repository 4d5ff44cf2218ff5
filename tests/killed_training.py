"""A program that kills itself before every file operation of a training run, and resumes each time.

For each n from 0 on, a child process (a fork) trains and kills itself with SIGKILL at its n-th
step: before it opens, renames, makes or removes a file of the run. Then another child resumes, and
the model is compared with that of an unbroken run, byte by byte. The steps are real except for
their arithmetic: numbers that depend on all text so far. Prints the number of file operations.

    python killed_training.py FOLDER [EVERY]
"""

import itertools
import os
import shutil
import signal
import sys
from pathlib import Path

import jax
import numpy as np
import training_run
from checkpoint_files import files_of

from elmo_jax import save
from elmo_jax.training import TrainingSettings, Vocabulary, loop, train
from elmo_jax.training.language_model import init_language_model
from elmo_jax.training.train_step import StepMetrics, TrainState

EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link"}
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


def fake_train_step(*_):
    """Steps whose numbers depend on every window and on every step before."""

    def step(state, window, candidates, key):
        seen = np.float32((window.targets * np.arange(window.targets.size).reshape(2, 2, 4)).sum())
        params = jax.tree.map(lambda x: np.asarray(x) * np.float32(0.9) + seen / 999, state.params)
        metrics = StepMetrics(np.float32(seen), np.float32(1))
        state = TrainState(np.int32(state.step + 1), params, state.optimizer, state.rows)
        return state, metrics

    return step


def make_inputs(folder):
    """A text, and a model to start from."""
    lines = [" ".join("abcd"[(i * j) % 4] for j in range(1, 4 + i % 3)) for i in range(13)]
    (folder / "text.txt").write_text("\n".join(lines))
    config = training_run.CONFIG
    save(folder / "start", config, init_language_model(config, len(WORDS)), vocabulary=WORDS)


def train_in(output):
    loop.make_train_step, loop.all_finite = fake_train_step, lambda params: True
    loop.place_window = lambda window, devices: window
    settings = TrainingSettings(**SETTINGS)
    train(output, output.parent / "text.txt", start_from=output.parent / "start", settings=settings)


def kill_at(step, folder):
    """SIGKILL before the event number ``step`` that concerns this folder."""
    steps = itertools.count()

    def hook(event, arguments):
        if event in EVENTS and str(folder) in str(arguments[0]) and next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def in_child(work):
    """Do work in a fork; returns its exit status, negative for a signal."""
    child = os.fork()
    if not child:
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def model_of(output):
    return files_of(output / "model")


def main(folder, every=1):
    folder = Path(folder)
    assert in_child(lambda: make_inputs(folder)) == 0
    assert in_child(lambda: train_in(folder / "whole")) == 0
    whole = model_of(folder / "whole")
    assert len(whole) == 3
    for step in itertools.count(0, int(every)):
        output = folder / f"run-{step}"
        status = in_child(lambda: (kill_at(step, output), train_in(output)))  # noqa: B023
        if status == 0:
            print(step)
            return
        assert status == -signal.SIGKILL, status
        assert in_child(lambda: train_in(output)) == 0, step  # noqa: B023
        assert model_of(output) == whole, step
        assert not [path for path in output.rglob("*") if ".tmp" in path.name], step
        expected = {"run.json", "vocab.txt", "metrics.jsonl", "checkpoints", "model"}
        names = {path.name for path in output.iterdir()} - {"loss.png"}
        assert names == {*expected, "summary.json"}, (step, names)
        shutil.rmtree(output)


if __name__ == "__main__":
    sys.modules["matplotlib"] = None  # takes a second of every child
    main(*sys.argv[1:])
