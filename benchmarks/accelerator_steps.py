"""The parts of ``accelerator`` that are about the compiled step alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from elmo_jax import ElmoError

from .accelerator_job import Job
from .accelerator_parts import BOUNDS
from .measure import Spread, timed
from .pieces import pieces
from .step import engine_step
from .work import step_work

LANES = (1, 4, 16, 64, 128, 256, 512, 1024, 2048, 4096)
LENGTHS = (16, 64)

FORMS = {
    "each product by itself": False,
    "both directions, and input and state, in one": True,
}
"""Of the step: see ``Layout.fused_products``. Both have the lanes first."""

_FORM_LANES = (64, 256, 1024, 2048)
_SAME = 1e-5
"""The relative error of a form that sums float32 numbers in another order."""
_PIECE_LANES = (256, 1024, 4096)
_PIECE_TOKENS = 16
_N_SAMPLES = 5


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


def forms(job: Job) -> Iterator[list[dict[str, Any]]]:
    """The step in its forms, each held against the engine's in float32 before it is timed.

    Raises:
        ElmoError: if a form computes something else.
    """
    rows: list[dict[str, Any]] = []
    config, precision = job.config, job.args.precision
    lanes, n_tokens = ((4,), 4) if job.args.quick else (_FORM_LANES, LENGTHS[-1])
    exact = _stacked(engine_step(config, job.params, lanes[0], n_tokens)())
    for n_lanes in lanes:
        for name, together in FORMS.items():
            if job.is_over:
                return
            layout = {"lanes_first": True, "static_steps": True, "fused_products": together}
            run = engine_step(config, job.params, n_lanes, n_tokens, precision, **layout)
            compiling = timed(run)
            if n_lanes == lanes[0]:
                error = float(np.linalg.norm(_stacked(run()) - exact) / np.linalg.norm(exact))
                if not error <= BOUNDS.get(precision, _SAME):  # NaN is within nothing
                    raise ElmoError(f"The form {name!r} is off by {error:.2g}. It was not timed.")
            seconds = Spread.of([timed(run) for _ in range(_N_SAMPLES)])
            rate = n_lanes * n_tokens / seconds.median
            gflops = rate * step_work(config, config.n_layers) / 1e9
            rows.append(
                {
                    "form": name,
                    "lanes": n_lanes,
                    "length": n_tokens,
                    "relative_error": error,
                    "first_call_seconds": round(compiling, 3),
                    "seconds": seconds.json(),
                    "tokens_per_second": round(rate, 1),
                    "per_cent": job.per_cent(gflops),
                }
            )
            yield rows


def _stacked(called: Any) -> np.ndarray:
    """The outputs of ``engine_step``."""
    (forward, backward), _ = called
    return np.stack([np.stack(forward), np.stack(backward)])


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
