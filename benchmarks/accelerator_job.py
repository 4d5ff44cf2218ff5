"""What the parts of ``accelerator`` need, and how long they have had."""

from __future__ import annotations

import argparse
import time
from typing import Any

import jax

from elmo_jax import Elmo, ElmoConfig

from . import corpus
from .arguments import Setting
from .limits import matmul_rate


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
        self.rates: dict[str, float] = {}

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
        if kind not in self.rates:
            self.rates[kind] = matmul_rate(kind, quick=self.args.quick).median
        return self.rates[kind]

    def per_cent(self, gflops: float) -> float:
        """Of the rate of products in the precision that is measured."""
        return round(100 * gflops / self.rate(self.args.precision), 2)


def repeated(setup: Setting, n_tokens: int) -> tuple[list[corpus.Sentence], int]:
    """At least so many tokens, and how often the text is in them."""
    copies = -(-n_tokens // corpus.count_tokens(setup.text))
    return corpus.even_sample(setup.text * copies, n_tokens), copies
