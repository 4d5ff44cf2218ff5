"""A program that disturbs `save(overwrite=True)` at every file operation, and looks at what stands.

For each n from 0 on, a child process (a fork) replaces a model, and at its n-th step something
happens: the process is killed before it opens, renames, links, makes or removes a file ("kill"),
the disk refuses that ("refuse"), or takes no file of more than n blocks ("full"). The model must
then open as the old one or the new one, another save must leave nothing but the new one, and the
user's own file must be there throughout. Prints a line of JSON for each n.

    python killed_save.py kill|refuse|full FOLDER [EVERY] [FORMAT]
"""

import errno
import itertools
import json
import os
import resource
import shutil
import signal
import sys
from pathlib import Path

import numpy as np

from elmo_jax import ElmoConfig, ElmoError, load, save
from elmo_jax.checkpoint import safetensors_weights
from elmo_jax.model.parameters import datasets, flatten, unflatten

EVENTS = {
    *("open", "write", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.chmod"),
    *("os.scandir", "os.listdir"),
}
CONFIG = ElmoConfig(filters=((1, 3),), projection_dim=4, cell_dim=5, n_layers=1)
FAILED, SAVED = 3, 4  # exit statuses, if something happened
FIRED = []
BLOCK = 64

save_file = safetensors_weights.save_file


def random_params(seed):
    rng, flat = np.random.default_rng(seed), {}
    for dataset in datasets(CONFIG):
        if not dataset.optional:
            flat |= dataset.to_params(rng.normal(size=dataset.shape).astype(np.float32))
    return unflatten(flat)


def bits(params):
    return {path: array.tobytes() for path, array in flatten(params).items()}


OLD, NEW = random_params(0), random_params(1)


def replace(out, format):
    # The library of safetensors opens its file unseen.
    def audited(arrays, path):
        sys.audit("write", str(path))
        save_file(arrays, path)

    safetensors_weights.save_file = audited
    try:
        save(out, CONFIG, NEW, format, metadata={"is": "new"}, overwrite=True)
    except ElmoError:
        os._exit(FAILED)


def disturb(kind, step):
    """Have the file operation number ``step`` fail, in this process."""
    if kind == "full":
        resource.setrlimit(resource.RLIMIT_FSIZE, (step * BLOCK, step * BLOCK))
        return
    steps = itertools.count()

    def hook(event, arguments):
        if event in EVENTS and next(steps) == step:
            FIRED.append(arguments)
            if kind == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise OSError(errno.ENOSPC, "No space left on device")

    sys.addaudithook(hook)


def in_child(work):
    """Do work in a fork; returns its exit status, negative for a signal."""
    child = os.fork()
    if not child:
        try:
            work()
        except BaseException as error:
            print(f"{error!r}", file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(SAVED if FIRED else 0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def problem_after(place, out, kind, status, format):
    """What is wrong with what stands, if anything."""
    if status not in {0, -signal.SIGKILL if kind == "kill" else FAILED, SAVED}:
        return f"status {status}"
    standing = bits(load(out)[1])
    if standing != bits(NEW) and (status in (0, SAVED) or standing != bits(OLD)):
        return "neither the old nor the new model"
    if in_child(lambda: replace(out, format)) or bits(load(out)[1]) != bits(NEW):
        return "the next save does not replace it"
    if (out / "notes.txt").read_text("utf-8") != "mine":
        return "the user's file is gone"
    if left := [path.name for path in place.iterdir() if path != out]:
        return f"left behind: {left}"
    return None


def main(kind, folder, every=1, format="native"):
    for step in itertools.count(0, int(every)):
        place = Path(folder) / str(step)
        out = place / "out"
        save(out, CONFIG, OLD, format, metadata={"is": "old"})
        (out / "notes.txt").write_text("mine", "utf-8")
        status = in_child(lambda: (disturb(kind, step), replace(out, format)))  # noqa: B023
        try:
            problem = problem_after(place, out, kind, status, format)
        except Exception as error:
            problem = repr(error)
        print(json.dumps({"step": step, "status": status, "problem": problem}))
        shutil.rmtree(place)
        if status == 0:
            return  # nothing happened: the save has no such step


if __name__ == "__main__":
    main(*sys.argv[1:])
