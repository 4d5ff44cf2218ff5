"""A program that kills itself before every file operation of a job, and resumes each time.

For each n from 0 on, a child process (a fork) embeds with the fake Elmo and kills itself with
SIGKILL at its n-th step: before it opens, renames, makes or removes a file, or yields a result.
Then another child resumes, and the output is compared with that of an uninterrupted run. Prints the
number of steps.

    python killed_job.py SUFFIX FOLDER [EVERY]
"""

import itertools
import os
import shutil
import signal
import sys
from pathlib import Path

import jax
import pyarrow.parquet  # noqa: F401 - once here, not in every child
from fake_elmo import FakeElmo, sentences

from elmo_jax.corpus import embed_corpus
from elmo_jax.corpus.parts import PartsFolder

EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "result"}
RECORDS = list(sentences(12))
jax.default_backend = lambda: "cpu"  # its threads would not survive a fork


class Audited(FakeElmo):
    """Raises an audit event for every result."""

    def __init__(self, out):
        super().__init__()
        self.out = out

    def stream(self, *args, **kwargs):
        for vectors in super().stream(*args, **kwargs):
            sys.audit("result", str(self.out))
            yield vectors


def embed(out):
    pooling = "mean" if out.suffix == ".npy" else None
    embed_corpus(Audited(out), RECORDS, out, pooling=pooling, part_tokens=12)


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


def main(suffix, folder, every=1):
    whole = Path(folder) / f"whole{suffix}"
    assert in_child(lambda: embed(whole)) == 0
    for step in itertools.count(0, int(every)):
        place = Path(folder) / str(step)
        place.mkdir()
        out = place / f"out{suffix}"
        status = in_child(lambda: (kill_at(step, place), embed(out)))  # noqa: B023
        if status == 0:
            print(step)
            return
        assert status == -signal.SIGKILL, status
        if out.exists():  # then it is whole
            assert out.read_bytes() == whole.read_bytes(), step
        if not out.exists() or PartsFolder.beside(out).has_finished(out):
            assert in_child(lambda: embed(out)) == 0, step  # noqa: B023
        assert out.read_bytes() == whole.read_bytes(), step
        left = {path.name for path in place.iterdir()} - {out.name}
        # A process killed between its last two steps leaves an empty folder or a lock.
        assert not any(path.name != "lock" for name in left for path in (place / name).iterdir())
        shutil.rmtree(place)


if __name__ == "__main__":
    main(*sys.argv[1:])
