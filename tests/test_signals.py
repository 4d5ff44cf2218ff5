"""Real signals at random moments of a call leave all streams of the same Elmo right."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tally import Tally, attempts

HERE = Path(__file__).parent

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no timer that sends a signal")


def attack(kind, *arguments):
    """Run the program in a process of its own, which an interrupt cannot take pytest along with."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parent), str(HERE)])}
    command = [sys.executable, "-W", "error", HERE / "interrupted_calls.py", *arguments]
    done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    with Tally(kind) as tally:
        for _ in range(counts["rounds"] - len(counts["wrong"])):
            tally.right()
        for problem in counts["wrong"]:
            tally.wrong(problem)
    return counts["hits"]


def test_some_signals_leave_all_streams_right():
    assert attack("a signal in a call, another stream open", 25, 0) > 10


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 5))
def test_hundreds_of_signals_leave_all_streams_right(seed):
    assert attack("a signal in a call, another stream open", attempts(300), seed) > attempts(200)


@pytest.mark.slow
def test_signals_while_functions_are_compiled_leave_all_streams_right():
    assert (
        attack("a signal in a call that compiles, another stream open", attempts(15), 9, "COLD") > 0
    )
