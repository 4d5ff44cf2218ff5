"""A program that kills itself before every file operation of a job, and resumes each time.

For each n from 0 on, a child process (a fork) does the job with the fake Elmo and kills itself with
SIGKILL at its n-th step: before it opens, links, renames, makes or removes a file, or yields a
result. Then another child does the same job, and the output is compared with that of an
uninterrupted run. Nothing but the output may be left. Prints the number of steps.

Jobs: ``embed``; ``overwrite``, where an old file has the output's name; ``restart``, where parts of
another job are in the way; ``merge`` of two shards; ``collect``, which merges shards from other
folders.

    python killed_job.py JOB SUFFIX FOLDER [EVERY]
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

from elmo_jax.corpus import embed_corpus, merge_parts

EVENTS = {"open", "os.link", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "result"}
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


def embed(out, **options):
    pooling = "mean" if out.suffix == ".npy" else None
    options = {"part_tokens": 12, **options}
    embed_corpus(Audited(out), RECORDS, out, pooling=pooling, **options)


def prepare(job, out):
    """What stands there before the job."""
    if job == "overwrite":
        out.write_bytes(b"old")
    elif job == "restart":
        embed(out, shard=(1, 2), part_tokens=9)
    elif job in ("merge", "collect"):
        for i in (1, 2):
            folder = out.parent / f"{i}" if job == "collect" else out.parent
            folder.mkdir(exist_ok=True)
            embed(folder / out.name, shard=(i, 2))


def work(job, out):
    if job == "merge":
        merge_parts(out)
    elif job == "collect":
        merge_parts([out.parent / "1" / out.name, out.parent / "2" / out.name], out)
    else:
        embed(out, overwrite=job == "overwrite", restart=job == "restart")


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


def main(job, suffix, folder, every=1):
    whole = Path(folder) / f"whole{suffix}"
    assert in_child(lambda: embed(whole)) == 0
    for step in itertools.count(0, int(every)):
        place = Path(folder) / str(step)
        place.mkdir()
        out = place / f"out{suffix}"
        assert in_child(lambda: prepare(job, out)) == 0  # noqa: B023
        kept = {path.name for path in place.iterdir()} if job == "collect" else set()
        status = in_child(lambda: (kill_at(step, place), work(job, out)))  # noqa: B023
        if status == 0:
            print(step)
            return
        assert status == -signal.SIGKILL, status
        if out.exists():  # then it is whole
            old = b"old" if job == "overwrite" else None
            assert out.read_bytes() in (whole.read_bytes(), old), step
        assert in_child(lambda: work(job, out)) == 0, step  # noqa: B023
        assert out.read_bytes() == whole.read_bytes(), step
        assert {path.name for path in place.iterdir()} == {out.name} | kept, step
        shutil.rmtree(place)


if __name__ == "__main__":
    main(*sys.argv[1:])
