"""A program that kills `elmo-jax embed` at random points of its work, as often as it is told.

Each command is a process of its own, a fork of this one, which has only imported the library. It is
killed (SIGKILL) from outside, at random between two parts that it finishes, and started again. The
parts say how far it is, not a clock: the machine may be as slow or as fast as it likes. Whenever
the output exists, it has the bytes of an uninterrupted run. Prints how many kills left finished
parts, and how often the output was completed.

    python killed_command.py KILLS SEED ARGUMENT ... OUT
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

from elmo_jax.cli import main

PART_SECONDS = 0.02
"""About as long as a part takes. What a kill leaves is checked, wherever it falls."""


def started(arguments, out):
    """The command as a process that has just printed its first note."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.dup2(writing, 2)
        os._exit(main(["embed", *arguments, "-o", str(out)]))
    os.close(writing)
    notes = b""
    while b"will take about" not in notes and (more := os.read(reading, 1000)):
        notes += more
    return child, reading


def n_parts(out):
    """Parts that are finished beside an output."""
    try:
        names = [path.name for path in out.with_name(f"{out.name}.parts").iterdir()]
    except FileNotFoundError:  # not begun, or completed
        return 0
    return sum(name.startswith("part-") and name.endswith(".zip") for name in names)


def has_ended(child):
    """Whether a process has ended; its status can still be asked for."""
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def wait_for_parts(child, out, count):
    """Return when so many parts are finished, or no more will be."""
    while n_parts(out) < count and not has_ended(child):
        time.sleep(0.0005)


def ended(child, reading):
    """The exit status of a process, negative for a signal."""
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.close(reading)  # not earlier: it may print more
    return status


def whole(arguments, out):
    """An uninterrupted run."""
    assert ended(*started(arguments, out)) == 0


def kill_often(n_kills, seed, arguments, out):
    """Kill and restart the command ``n_kills`` times; see the top of this file."""
    first, chance = out.with_name("first.h5"), random.Random(seed)
    whole(arguments, first)  # which also fills the compilation cache
    whole(arguments, out)
    assert out.read_bytes() == first.read_bytes()
    out.unlink()
    n_killed = n_with_parts = n_through = 0
    while n_killed < n_kills:
        found = n_parts(out)
        child, reading = started(arguments, out)
        wait_for_parts(child, out, found + chance.randint(0, 3))
        time.sleep(chance.uniform(0, PART_SECONDS))
        os.kill(child, signal.SIGKILL)
        status = ended(child, reading)
        n_killed += status == -signal.SIGKILL
        assert status in (0, -signal.SIGKILL), status
        n_with_parts += n_parts(out) > 0
        if out.exists():
            n_through += 1
            assert out.read_bytes() == first.read_bytes()
            out.unlink()
    whole(arguments, out)
    assert out.read_bytes() == first.read_bytes()
    print(n_with_parts, n_through)


if __name__ == "__main__":
    sys.argv[0], kills, seed, *arguments, out = sys.argv
    kill_often(int(kills), int(seed), arguments, Path(out))
