"""A program that runs `elmo-jax embed` again and again with damaged compiled functions.

Each command is a process of its own, a fork of this one, which has imported the library and JAX. It
finds the entries of an undisturbed command, some of them damaged. Prints one line of JSON for each:
what was done, the exit code, what stderr got, whether the output has the right bytes, and whether
all entries are whole afterwards.

    python damaged_compiled.py DAMAGES SEED ARGUMENT ... OUT
"""

import json
import os
import random
import shutil
import sys
import tempfile
from pathlib import Path

from damage import damaged

from elmo_jax import pretrained
from elmo_jax.cli import compiled, main

compiled.keep_compiled()

import jax  # noqa: E402, F401  not before keep_compiled(); the forks have it

import elmo_jax.embedder  # noqa: E402, F401

FOLDER = pretrained.user_cache_dir() / "compiled"


def run(arguments, out):
    """The exit code of a command, and what it wrote to stderr."""
    out.unlink(missing_ok=True)
    with tempfile.TemporaryFile() as errors:
        child = os.fork()
        if not child:
            os.dup2(errors.fileno(), 2)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os._exit(main(["embed", *arguments, "-o", str(out), "--quiet"]))
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        errors.seek(0)
        return status, errors.read().decode(errors="replace")


def fill(entries):
    """Have these entries in the folder, and no others; None is a folder, a Path a link."""
    shutil.rmtree(FOLDER)
    FOLDER.mkdir(mode=0o700)
    for name, content in entries.items():
        if content is None:
            (FOLDER / name).mkdir()
        elif isinstance(content, Path):
            (FOLDER / name).symlink_to(content)
        else:
            (FOLDER / name).write_bytes(content)
            (FOLDER / name).chmod(0o600)


def is_whole(name):
    path = FOLDER / name
    if path.is_symlink() or not path.is_file():
        return False
    content = path.read_bytes()[32:]
    return path.read_bytes() == compiled._digest(name, content) + content


def attacks(entries, n, seed):
    """Damaged folders, each with what was done to it."""
    chance = random.Random(seed)
    names = sorted(entries, key=lambda name: -len(entries[name]))
    large, other = names[0], names[1]
    yield "two entries change places", {large: entries[other], other: entries[large]}
    yield "an entry of another name", {large: entries[other]}
    yield "no digest", {large: entries[large][32:]}
    yield "the digest alone", {large: entries[large][:32]}
    yield "an empty entry", {large: b""}
    yield "a link to another entry", {large: FOLDER / other}
    yield "a link to nothing", {large: FOLDER / "nothing"}
    yield "a folder", {large: None}
    for _ in range(n):
        # A large entry holds more machine code, and is hit more often.
        (name,) = chance.choices(names, [len(entries[name]) for name in names])
        ((what, content),) = damaged(entries[name], 1, chance.random())
        yield f"{what} of entry {names.index(name)}", {name: content}


def damage_often(n, seed, arguments, out):
    assert run(arguments, out) == (0, "")
    entries = {path.name: path.read_bytes() for path in FOLDER.iterdir()}
    right = out.read_bytes()
    assert len(entries) >= 3 and all(map(is_whole, entries))
    for what, changed in attacks(entries, n, seed):
        fill(entries | changed)
        status, errors = run(arguments, out)
        is_right = out.exists() and out.read_bytes() == right
        # What another kind of file leaves in the way is deleted or stays; it is never used.
        whole = [name for name in entries if is_whole(name) or changed.get(name, b"") is None]
        result = [what, status, errors, is_right, len(whole) == len(entries)]
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    sys.argv[0], n, seed, *arguments, out = sys.argv
    damage_often(int(n), int(seed), arguments, Path(out))
