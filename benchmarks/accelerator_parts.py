"""The parts of ``accelerator`` that are about a whole text: each gives its results as they come."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax

from elmo_jax import Elmo, ElmoError

from . import corpus
from .accelerator_job import Job
from .limits import bandwidth, matmul_rate
from .measure import Spread, timed
from .precision import compare_layers
from .watch import watched
from .work import needed_work

BOUNDS = {"bfloat16": 0.03, "tf32": 0.003}
"""The relative error of a layer above which a precision is broken, not coarse."""

_CHECKED_TOKENS = 1_000
_LAYER_TOKENS = 500_000
"""All layers of a token are 6 KB of float16 in the *original* shape."""


def limit(job: Job) -> Iterator[dict[str, Any]]:
    """The rates of the device."""
    kinds = ("float32",) if jax.default_backend() == "cpu" else ("float32", "tf32", "bfloat16")
    rates = {kind: matmul_rate(kind, quick=job.args.quick) for kind in kinds}
    job.rates.update({kind: rate.median for kind, rate in rates.items()})
    yield {
        "gflops": {kind: rate.json() for kind, rate in rates.items()},
        "gigabytes_per_second": bandwidth(quick=job.args.quick).json(),
    }


def error(job: Job) -> Iterator[dict[str, Any]]:
    """What each lower precision gives, held against float32, before anything is timed.

    Raises:
        ElmoError: if the error is larger than rounding can make it.
    """
    sample = corpus.even_sample(job.setup.sentences, _CHECKED_TOKENS)
    exact = job.elmo("float32").embed(sample)
    found = {}
    for name, bound in BOUNDS.items():
        found[name] = compare_layers(job.elmo(name).embed(sample), exact)
        worst = max(layer["relative_error"] for layer in found[name])
        if not worst <= bound:  # NaN is within nothing
            raise ElmoError(
                f"{name} does not compute the same as float32: a layer's relative error is "
                f"{worst:.2g}, expected at most {bound}. Nothing was timed."
            )
    yield found


def sentences(job: Job) -> Iterator[dict[str, Any]]:
    """Sentence vectors of the whole text, on the host."""
    yield _embed(job, job.text, lambda elmo, text: elmo.embed_sentences(text))


def layers(job: Job) -> Iterator[dict[str, Any]]:
    """All layers in float16, each sentence's dropped when it is there."""
    few = job.text if job.args.quick else corpus.even_sample(job.text, _LAYER_TOKENS)
    yield _embed(job, few, lambda elmo, text: [None for _ in elmo.stream(text, dtype="float16")])


def _embed(
    job: Job, text: list[corpus.Sentence], call: Callable[[Elmo, list[corpus.Sentence]], Any]
) -> dict[str, Any]:
    """Rounds over a text: by a new Elmo, which knows no word, and by the same once more."""
    first = timed(lambda: call(job.elmo(), text))  # compiles
    fresh: list[float] = []
    again: list[float] = []
    for _ in range(job.args.rounds):
        elmo = job.elmo()
        for samples in (fresh, again):
            samples.append(timed(functools.partial(call, elmo, text)))
    work = needed_work(job.config, text)
    gflops = work.total / Spread.of(fresh).median / 1e9
    return {
        "tokens": work.n_tokens,
        "work": work.json(),
        "first_run_seconds": round(first, 3),
        "tokens_per_second": Spread.of([work.n_tokens / sample for sample in fresh]).json(),
        "again_tokens_per_second": Spread.of([work.n_tokens / sample for sample in again]).json(),
        "gflops": round(gflops, 2),
        "per_cent": job.per_cent(gflops),
    }


def busy(job: Job) -> Iterator[dict[str, float]]:
    """What the device's calls take one by one, as a share of a run that overlaps with the host.

    A call that is waited for includes its launch, so the share may come out a little too high.
    """
    elmo = job.elmo()
    elmo.embed_sentences(job.text)
    run = timed(lambda: elmo.embed_sentences(job.text))
    with watched() as found:
        elmo.embed_sentences(job.text)
    device = sum(sum(function.calls) for function in found.values())
    yield {
        "run": round(run, 3),
        "device": round(device, 3),
        "per_cent": round(100 * min(1, device / run), 1),
    }
