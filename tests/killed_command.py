"""A program that kills `elmo-jax embed` at random times, as often as it is told.

Each command is a process of its own, a fork of this one, which has only imported the library. It is
killed (SIGKILL) from outside, some time after it has printed its first note, and started again.
Whenever the output exists, it has the bytes of an uninterrupted run. Prints how many kills left
finished parts, and how often the output was completed.

    python killed_command.py KILLS SEED ARGUMENT ... OUT
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

from elmo_jax.cli import main


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


def ended(child, reading):
    """The exit status of a process, negative for a signal."""
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.close(reading)  # not earlier: it may print more
    return status


def whole(arguments, out):
    """Seconds of an uninterrupted run, from its first note on."""
    child, began = started(arguments, out), time.monotonic()
    assert ended(*child) == 0
    return time.monotonic() - began


def kill_often(n_kills, seed, arguments, out):
    """Kill and restart the command ``n_kills`` times; see the top of this file."""
    first = out.with_name("first.h5")
    whole(arguments, first)  # which also fills the compilation cache
    seconds, chance = whole(arguments, out), random.Random(seed)
    assert out.read_bytes() == first.read_bytes()
    out.unlink()
    n_killed = n_with_parts = n_through = 0
    while n_killed < n_kills:
        child = started(arguments, out)
        time.sleep(chance.uniform(0, seconds))
        os.kill(child[0], signal.SIGKILL)
        status = ended(*child)
        n_killed += status == -signal.SIGKILL
        assert status in (0, -signal.SIGKILL), status
        n_with_parts += any(out.with_name(f"{out.name}.parts").glob("part-*"))
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
