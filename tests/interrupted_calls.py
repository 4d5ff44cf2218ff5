"""A program that an interrupt hits at random moments, while several streams share an Elmo.

In each round a stream A is begun; then a call B is interrupted by a real signal, at a random moment
of its time; then A is read to its end, and B called again. A is suspended meanwhile, or it belongs
to another thread and goes on. With COLD, everything is compiled again in each call B, so that most
interrupts hit JAX. Prints a line of JSON: how many interrupts hit, and what was wrong.

    python interrupted_calls.py ROUNDS SEED [COLD]
"""

import contextlib
import dataclasses
import json
import random
import signal
import sys
import threading
import time
import warnings

import jax
import numpy as np

import elmo_jax
from elmo_jax.engine import engine, plan, run
from elmo_jax.errors import DeviceMemoryWarning
from elmo_jax.model.bilm import init_params

# Float32 sums in another order: words in batches of another size, other numbers of lanes.
TOLERANCE = 1e-6

# Few rows and small windows, so that words make room for others, and the table grows.
SIZES = dataclasses.replace(
    plan.CPU, lane_shapes=(2, 4), window_tokens=24, word_rows=(8, 32), word_batches=(16, 16)
)


def sentences(letters, n):
    return [[f"{letters[i % len(letters)]}{i % 23}", "bank", "."][: i % 4] for i in range(n)]


OTHERS, MINE = sentences("xyz", 48), sentences("abcd", 60)
CALLS = {
    "embed": lambda elmo, text: elmo.embed(text),
    "embed(layers=0)": lambda elmo, text: elmo.embed(text, 0),
    "list of a stream": lambda elmo, text: list(elmo.stream(text)),
    "embed_sentences": lambda elmo, text: list(elmo.embed_sentences(text)),
    "mix": lambda elmo, text: elmo.embed(text, "mix", mix_weights=[0.1, 0.2, -0.3]),
    "embed with little memory": lambda elmo, text: elmo.embed(text),
}
STREAMS = {
    "stream": lambda elmo, text: elmo.stream(text),
    "pooled stream": lambda elmo, text: elmo.stream(text, "average", pooling="mean"),
    "stream(layers=0)": lambda elmo, text: elmo.stream(text, 0),
}


class SmallDevice:
    """Has no memory for some calls of the step, where it is asked to."""

    def __init__(self):
        self.is_short, self._n_calls, self._read_lanes = False, 0, run.read_lanes

    def __call__(self, *arguments):
        if self.is_short and threading.current_thread() is threading.main_thread():
            self._n_calls += 1
            if self._n_calls == 2:
                raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory (forced)")
        return self._read_lanes(*arguments)

    @contextlib.contextmanager
    def short_of_memory(self, is_short):
        self.is_short, self._n_calls = is_short, 0
        try:
            yield
        finally:
            self.is_short = False


def make_elmo():
    config = elmo_jax.ElmoConfig.preset("tiny")
    params = init_params(config, seed=0)
    elmo = elmo_jax.Elmo.from_params(config, params)
    elmo._engine = engine.Engine(config, params, "float32", plan=SIZES)
    return elmo


def is_right(results, expected):
    return len(results) == len(expected) and all(
        one.shape == other.shape and np.allclose(one, other, rtol=0, atol=TOLERANCE)
        for one, other in zip(results, expected, strict=True)
    )


def outcome(call, seconds):
    """What a call raises that an interrupt hits after so many seconds; None if it ends before."""
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        call()
        signal.setitimer(signal.ITIMER_REAL, 0)
    except (Exception, KeyboardInterrupt) as error:
        signal.setitimer(signal.ITIMER_REAL, 0)
        return error
    return None


class Round:
    """One interrupt, and what became of the stream and the call."""

    def __init__(self, elmo, device, expected, chance, is_cold):
        self.elmo, self.device, self.expected = elmo, device, expected
        self.stream_name, self.call_name = chance.choice([*STREAMS]), chance.choice([*CALLS])
        self.share = chance.random()
        self.n_first, self.in_thread = chance.randrange(1, 40), chance.random() < 0.3
        self.forgets, self.is_cold = chance.random() < 0.7, is_cold

    def call(self):
        if self.is_cold:
            jax.clear_caches()
        with self.device.short_of_memory("memory" in self.call_name):
            return CALLS[self.call_name](self.elmo, MINE)

    def run(self, seconds):
        """Returns whether the interrupt hit, and what was wrong."""
        if self.forgets:
            self.elmo.forget_words()
        results, begun = [], threading.Event()
        stream = STREAMS[self.stream_name](self.elmo, OTHERS)

        def work():
            for result in stream:
                results.append(result)
                begun.set()

        if self.in_thread:
            thread = threading.Thread(target=work, daemon=True)
            thread.start()
            begun.wait(60)
        else:
            results += [next(stream) for _ in range(self.n_first)]
        raised = outcome(self.call, seconds * self.share)
        problems = []
        # NumPy reports an interrupt in a callback of JAX's as a SystemError caused by it.
        cause = raised.__cause__ if isinstance(raised, SystemError) else raised
        if not isinstance(cause, KeyboardInterrupt | None):
            problems.append(f"the call raised {type(raised).__name__}: {raised!s:.150}")
        try:
            if self.in_thread:
                thread.join(120)
            else:
                results += stream
        except Exception as error:
            problems.append(f"the stream raised {type(error).__name__}: {error!s:.150}")
        if not is_right(results, self.expected[self.stream_name]):
            problems.append(f"{len(results)} results of the stream, not all right")
        for again in range(2):
            began = time.perf_counter()
            try:
                if not is_right(self.call(), self.expected[self.call_name]):
                    problems.append(f"call {again} gave wrong vectors")
            except Exception as error:
                problems.append(f"call {again} raised {type(error).__name__}: {error!s:.150}")
            self.seconds = time.perf_counter() - began
        return raised is not None, problems


def main(n_rounds, seed, is_cold=""):
    signal.signal(signal.SIGALRM, signal.default_int_handler)  # as for SIGINT
    warnings.simplefilter("ignore", DeviceMemoryWarning)
    threading.excepthook = lambda _: None  # a thread that fails has too few results
    elmo, device, chance = make_elmo(), SmallDevice(), random.Random(int(seed))
    run.read_lanes = device
    expected = {name: list(stream(elmo, OTHERS)) for name, stream in STREAMS.items()}
    expected |= {name: call(elmo, MINE) for name, call in CALLS.items()}
    seconds, n_hits, wrong = {}, 0, []
    for number in range(int(n_rounds)):
        one = Round(elmo, device, expected, chance, bool(is_cold))
        if one.call_name not in seconds:
            one.call()
            began = time.perf_counter()
            one.call()
            seconds[one.call_name] = time.perf_counter() - began
        was_hit, problems = one.run(1.2 * seconds[one.call_name])
        seconds[one.call_name] = one.seconds  # measured again: other work comes and goes
        n_hits += was_hit
        if problems:
            kind = f"{one.stream_name}{' in a thread' * one.in_thread}, {one.call_name}"
            wrong.append(f"round {number} ({kind}): {'; '.join(problems)}")
    print(json.dumps({"hits": n_hits, "rounds": int(n_rounds), "wrong": wrong, "seconds": seconds}))


if __name__ == "__main__":
    main(*sys.argv[1:])
