"""The parts of ``accelerator`` that are about elmo-jax: each gives its results as they come."""

from __future__ import annotations

import argparse
import functools
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax

from elmo_jax import Elmo, ElmoConfig, ElmoError

from . import corpus
from .arguments import Setting
from .limits import bandwidth, matmul_rate
from .measure import Spread, timed
from .pieces import pieces
from .precision import compare_layers
from .step import engine_step
from .watch import watched
from .work import needed_work, step_work

LANES = (1, 4, 16, 64, 128, 256, 512, 1024, 2048, 4096)
LENGTHS = (16, 64)
BOUNDS = {"bfloat16": 0.03, "tf32": 0.003}
"""The relative error of a layer above which a precision is broken, not coarse."""

_CHECKED_TOKENS = 1_000
_LAYER_TOKENS = 500_000
"""All layers of a token are 6 KB of float16 in the *original* shape."""
_PIECE_LANES = (256, 1024, 4096)
_PIECE_TOKENS = 16
_N_SAMPLES = 5


class Job:
    """What the parts need, and how long they have had.

    Args:
        args: of the command line.
        setup: model and text.
        config: the architecture.
        params: on the device.
        text: the sentences to embed.
    """

    def __init__(
        self,
        args: argparse.Namespace,
        setup: Setting,
        config: ElmoConfig,
        params: Any,
        text: list[corpus.Sentence],
    ) -> None:
        self.args, self.setup, self.config, self.params, self.text = (
            args,
            setup,
            config,
            params,
            text,
        )
        self.n_tokens = corpus.count_tokens(text)
        self._started = time.perf_counter()
        self._rates: dict[str, float] = {}

    @property
    def seconds(self) -> float:
        """Since the start."""
        return round(time.perf_counter() - self._started, 1)

    @property
    def is_over(self) -> bool:
        """Whether nothing more should begin."""
        return self.seconds > self.args.budget

    def elmo(self, precision: str | None = None) -> Elmo:
        """A new one, which knows no word yet."""
        return Elmo.from_params(
            self.config, self.params, precision=precision or self.args.precision
        )

    def rate(self, kind: str) -> float:
        """GFLOP/s of large products, measured once. A CPU has no faster kind than float32."""
        kind = "float32" if jax.default_backend() == "cpu" else kind
        if kind not in self._rates:
            self._rates[kind] = matmul_rate(kind, quick=self.args.quick).median
        return self._rates[kind]

    def per_cent(self, gflops: float) -> float:
        """Of the rate of products in the precision that is measured."""
        return round(100 * gflops / self.rate(self.args.precision), 2)


def repeated(setup: Setting, n_tokens: int) -> tuple[list[corpus.Sentence], int]:
    """At least so many tokens, and how often the text is in them."""
    copies = -(-n_tokens // corpus.count_tokens(setup.text))
    return corpus.even_sample(setup.text * copies, n_tokens), copies


def limit(job: Job) -> Iterator[dict[str, Any]]:
    """The rates of the device."""
    kinds = ("float32",) if jax.default_backend() == "cpu" else ("float32", "tf32", "bfloat16")
    rates = {kind: matmul_rate(kind, quick=job.args.quick) for kind in kinds}
    job._rates.update({kind: rate.median for kind, rate in rates.items()})
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


def steps(job: Job) -> Iterator[list[dict[str, Any]]]:
    """The compiled step alone, by lanes and by tokens of a lane."""
    rows: list[dict[str, Any]] = []
    lanes, lengths = ((1, 4), (4,)) if job.args.quick else (LANES, LENGTHS)
    for length in lengths:
        for n_lanes in lanes:
            if job.is_over:
                return
            step = engine_step(job.config, job.params, n_lanes, length, job.args.precision)
            compiling = timed(step)
            seconds = Spread.of([timed(step) for _ in range(_N_SAMPLES)])
            n_tokens = n_lanes * length
            gflops = n_tokens * step_work(job.config, job.config.n_layers) / seconds.median / 1e9
            rows.append(
                {
                    "lanes": n_lanes,
                    "length": length,
                    "first_call_seconds": round(compiling, 3),
                    "seconds": seconds.json(),
                    "tokens_per_second": round(n_tokens / seconds.median, 1),
                    "gflops": round(gflops, 2),
                    "per_cent": job.per_cent(gflops),
                }
            )
            yield rows


def kinds(job: Job) -> Iterator[list[dict[str, Any]]]:
    """The kinds of work in a step of one direction, each compiled and run alone."""
    rows: list[dict[str, Any]] = []
    for n_lanes in (4,) if job.args.quick else _PIECE_LANES:
        found = pieces(job.config, n_lanes, _PIECE_TOKENS, job.args.precision)
        for name, (run, flop) in found.items():
            if job.is_over:
                return
            timed(run)  # compiles
            seconds = Spread.of([timed(run) / _PIECE_TOKENS for _ in range(_N_SAMPLES)])
            gflops = round(flop / _PIECE_TOKENS / seconds.median / 1e9, 1) if flop else None
            rows.append({"what": name, "lanes": n_lanes, "step": seconds.json(), "gflops": gflops})
            yield rows
