"""A program that starts several processes on one output at the same moment, again and again.

Each process is a fork with the fake Elmo: it embeds, with one of two models, all parts or a shard,
perhaps with --restart or --overwrite, or merges. A further process looks all the time at what has
the output's name. Prints a line of JSON: how many processes ended with a result, how many with an
ElmoError, and what went wrong: other ends, and outputs that no job alone would make.

    python crowd.py ROUNDS SEED FOLDER
"""

import itertools
import json
import os
import random
import shutil
import sys
import time
import traceback
from pathlib import Path

import jax
import numpy as np
from fake_elmo import FakeElmo, sentences

from elmo_jax import ElmoError
from elmo_jax.corpus import embed_corpus, merge_parts

RECORDS = list(sentences(8))
RESULT, REFUSED, UNCLEAR, WRONG = 0, 10, 11, 20
CLEAR = (
    "exists already",
    "is at work in",
    "is making this shard",
    "holds parts of another job",
    "missing: ",
    "There are no parts at",
)
jax.default_backend = lambda: "cpu"  # its threads would not survive a fork


class Slow(FakeElmo):
    """Two models; it sleeps between sentences, so that processes meet everywhere."""

    def __init__(self, model, chance):
        super().__init__()
        self.params = {"weights": np.arange(3.0) + model}
        self.model, self.chance = model, chance

    def stream(self, *args, **kwargs):
        for vectors in super().stream(*args, **kwargs):
            time.sleep(self.chance.choice((0, 0, 0.001)))
            yield vectors + self.model


def embed(out, model=0, chance=random, **options):
    embed_corpus(Slow(model, chance), RECORDS, out, part_tokens=12, **options)


def work(out, chance):
    """One of the jobs, by chance."""
    if chance.random() < 0.2:
        merge_parts(out, overwrite=chance.random() < 0.5)
        return
    options = {name: chance.random() < 0.3 for name in ("overwrite", "restart")}
    shard = chance.choice((None, None, (1, 2), (2, 2)))
    embed(out, chance.choice((0, 0, 1)), chance, shard=shard, **options)


def forked(action):
    """A process that does something and ends with one of the codes above."""
    child = os.fork()
    if child:
        return child
    code = WRONG
    try:
        action()
        code = RESULT
    except ElmoError as error:
        code = REFUSED if any(problem in str(error) for problem in CLEAR) else UNCLEAR
        print(error, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def code_of(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def watch(out, expected, is_over):
    """Fail if anything but an expected content ever has the output's name."""
    while not is_over.exists():
        try:
            content = out.read_bytes()
        except FileNotFoundError:
            continue
        assert content in expected, f"{len(content)} bytes that no job alone makes"
        time.sleep(0.0005)


def one_round(chance, folder, expected):
    """Codes of the processes, and what went wrong."""
    out, is_over, start = folder / "out.npz", folder / "over", folder / "start"
    if chance.random() < 0.3:
        out.write_bytes(expected[0])  # of an earlier run
    watcher = forked(lambda: watch(out, expected, is_over))

    def wait_and_work(seed):
        while not start.exists():
            time.sleep(0.0002)
        work(out, random.Random(seed))

    seeds = [chance.random() for _ in range(chance.randrange(3, 7))]
    children = [forked(lambda seed=seed: wait_and_work(seed)) for seed in seeds]
    start.touch()
    codes = [code_of(child) for child in children]
    is_over.touch()
    problems = [f"seed {s} ended with {c}" for s, c in zip(seeds, codes, strict=True) if c > 10]
    if code_of(watcher) != RESULT or (out.exists() and out.read_bytes() not in expected):
        problems.append(f"the output is none of a job, seeds {seeds}")
    # Whatever they have left, a run that starts again is not in its way.
    if code_of(forked(lambda: embed(out, overwrite=True, restart=True))) != RESULT:
        problems.append(f"what was left is in the way, seeds {seeds}")
    elif out.read_bytes() != expected[0]:
        problems.append(f"the last output is wrong, seeds {seeds}")
    left = {path.name for path in folder.iterdir()} - {"out.npz", "over", "start"}
    if left:
        problems.append(f"{sorted(left)} are left, seeds {seeds}")
    return codes, problems


def main(rounds, seed, folder):
    chance, folder = random.Random(int(seed)), Path(folder)
    expected = []
    for model in (0, 1):
        assert code_of(forked(lambda: embed(folder / f"{model}.npz", model))) == RESULT  # noqa: B023
        expected.append((folder / f"{model}.npz").read_bytes())
    codes, problems = [], []
    for number in itertools.islice(itertools.count(), int(rounds)):
        place = folder / f"round{number}"
        place.mkdir()
        more_codes, more_problems = one_round(chance, place, expected)
        codes += more_codes
        problems += more_problems
        shutil.rmtree(place)
    counts = {"right": codes.count(RESULT), "refused": codes.count(REFUSED), "wrong": problems}
    print(json.dumps(counts))


if __name__ == "__main__":
    main(*sys.argv[1:])
