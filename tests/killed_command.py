"""A program that kills `elmo-jax embed` at random points until it was killed often enough.

Each time the command is a process of its own, a fork of this one, which has imported the library
and nothing more. It is killed (SIGKILL) from outside, some time after it said what it is about to
do, and started again. Whenever the output is there, its bytes are those of an unbroken run. Prints
how many kills found finished parts, and how often the output was reached.

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
    """The command as a process, from the moment on that it has said what it will do."""
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
    """The exit status, negative for a signal."""
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.close(reading)  # not before it has ended: it may have more to say
    return status


def whole(arguments, out):
    """Seconds of an unbroken run, from its first note on."""
    child, began = started(arguments, out), time.monotonic()
    assert ended(*child) == 0
    return time.monotonic() - began


def kill_often(n_kills, seed, arguments, out):
    """See above."""
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
