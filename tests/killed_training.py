"""A program that kills itself before every file operation of a training run, and resumes each time.

For each n from 0 on, a child process (a fork) trains and kills itself with SIGKILL at its n-th
step: before it opens, renames, makes or removes a file of the run. Then another child resumes, and
the model is compared with that of an unbroken run, byte by byte. Prints the number of file
operations.

    python killed_training.py FOLDER [EVERY]
"""

import itertools
import os
import shutil
import signal
import sys
from pathlib import Path

from fake_training import make_inputs, model_of, train_cheaply

EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link"}


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


def main(folder, every=1):
    folder = Path(folder)
    assert in_child(lambda: make_inputs(folder)) == 0
    assert in_child(lambda: train_cheaply(folder, "whole")) == 0
    whole = model_of(folder / "whole")
    assert len(whole) == 3
    for step in itertools.count(0, int(every)):
        output = folder / f"run-{step}"
        status = in_child(lambda: (kill_at(step, output), train_cheaply(folder, output)))  # noqa: B023
        if status == 0:
            print(step)
            return
        assert status == -signal.SIGKILL, status
        assert in_child(lambda: train_cheaply(folder, output)) == 0, step  # noqa: B023
        assert model_of(output) == whole, step
        assert not [path for path in output.rglob("*") if ".tmp" in path.name], step
        expected = {"run.json", "vocab.txt", "metrics.jsonl", "checkpoints", "model"}
        names = {path.name for path in output.iterdir()} - {"loss.png"}
        assert names == {*expected, "summary.json"}, (step, names)
        shutil.rmtree(output)


if __name__ == "__main__":
    main(*sys.argv[1:])
