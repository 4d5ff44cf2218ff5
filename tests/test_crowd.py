"""Several processes on one output at once: each gets its result or a clear error."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from tally import Tally, attempts

HERE = Path(__file__).parent

pytestmark = pytest.mark.skipif(os.name == "nt", reason="fork is POSIX's")


def crowd(rounds, seed, folder):
    paths = os.pathsep.join([str(HERE.parent), str(HERE)])
    # In memory, if possible: where a disk is slow, processes hardly meet.
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else folder) as place:
        command = [sys.executable, "-W", "ignore", HERE / "crowd.py", rounds, seed, place]
        done = subprocess.run(
            list(map(str, command)),
            env={**os.environ, "PYTHONPATH": paths},
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout.splitlines()[-1])
    with Tally("several processes on one output at once") as tally:
        for _ in range(counts["right"]):
            tally.right()
        for _ in range(counts["refused"]):
            tally.refused()
        for problem in counts["wrong"]:
            tally.wrong(f"{problem}\n{done.stderr[-2000:]}")
    assert counts["right"] >= rounds / 2


def test_processes_on_one_output_never_make_a_wrong_one(tmp_path):
    crowd(6, 0, tmp_path)


@pytest.mark.slow
def test_many_crowds_of_processes_on_one_output_never_make_a_wrong_one(tmp_path):
    crowd(attempts(60), 1, tmp_path)
