"""What would a billion words cost, on paper: to embed, and to train on?

Bounds from ``work.py`` and the vendors' rates. Nothing here was measured. Every quotient has a
formula in docs/guide/scale.md, which shows the tables of this module.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
from typing import Any

import jax

from elmo_jax import ElmoConfig
from elmo_jax.engine.plan import plan_for
from elmo_jax.model.bilm import init_params

from .absent import DEVICES, Absent
from .tables import markdown
from .work import input_work, step_work, word_work

N_TOKENS = 10**9
N_DISTINCT = 2 * 10**6  # each takes as much as a token: even ten million would be 1%
LETTERS = 8  # of a word, besides its two markers

CORPUS_TOKENS, EPOCHS = 768_648_884, 10  # of the 1B-Word corpus, as in bilm-tf
SOFTMAX_WORDS, N_SAMPLES = 793_471, 8192
ROWS = {"h100": 1024, "v5e": 512, "v6e": 1024}  # of one device: what its memory holds
UNROLL = 20  # steps of a window
DISTINCT_SHARE = 0.2  # of the words of such a window

N_DEVICES = (1, 8, 64)
CHIPS = ("h100", "v5e", "v6e")
_GPUS_OF_A_MACHINE = 8
_LINK = {"h100": 450e9, "v5e": 200e9, "v6e": 448e9}  # bytes/s of one device, within a machine
_BETWEEN_MACHINES = 50e9  # of one GPU: 400 Gbit/s. The chips of a TPU slice have their own links.
_OPTIMIZER_PASSES = 7  # gradient: written, normed, read; weights and Adagrad's sums: read, written


@dataclasses.dataclass(frozen=True)
class Cost:
    """Seconds of devices that share the work, by what limits them."""

    chip: str
    n_devices: int
    parts: dict[str, float]

    def row(self) -> dict[str, Any]:
        heads = {"devices": f"{self.n_devices} × {DEVICES[self.chip].name}"}
        return heads | {what: duration(seconds) for what, seconds in self.parts.items()}


def embedding(config: ElmoConfig, chip: str, n_devices: int) -> Cost:
    """All layers of a billion tokens, in bfloat16."""
    device = DEVICES[chip]
    word = word_work(config, LETTERS + 2) + input_work(config)
    flop = N_TOKENS * step_work(config, config.n_layers) + N_DISTINCT * word
    n_steps = N_TOKENS / plan_for(device.platform).max_lanes
    parts = {
        "arithmetic": flop / device.bfloat16_rate / n_devices,
        "reading weights": n_steps * step_weight_bytes(config) / device.bandwidth / n_devices,
    }
    return Cost(chip, n_devices, parts)


def step_weight_bytes(config: ElmoConfig) -> int:
    """What a step of the engine reads in bfloat16: each weight makes two operations of a token."""
    return 2 * step_work(config, config.n_layers) // 2


def output_bytes(config: ElmoConfig) -> int:
    """All layers of a billion tokens in float16."""
    return N_TOKENS * (config.n_layers + 1) * 2 * config.projection_dim * 2


def training(config: ElmoConfig, chip: str, n_devices: int) -> Cost:
    """Ten epochs, in bfloat16; devices hold the columns of the softmax together."""
    device = DEVICES[chip]
    n_tokens = CORPUS_TOKENS * EPOCHS
    n_steps = math.ceil(n_tokens / (n_devices * ROWS[chip] * UNROLL))
    own_bytes = copied_bytes(config) + softmax_bytes(config, n_devices)
    sent_bytes = exchanged_bytes(config, chip, n_devices)
    parts = {
        "arithmetic": n_tokens * training_work(config) / device.bfloat16_rate / n_devices,
        "optimizer": n_steps * _OPTIMIZER_PASSES * own_bytes / device.bandwidth,
        "between devices": n_steps * sent_bytes / link(chip, device, n_devices),
    }
    return Cost(chip, n_devices, parts | {"one after the other": sum(parts.values())})


def softmax_bytes(config: ElmoConfig, n_devices: int) -> int:
    """The columns of the softmax that one device holds."""
    return 4 * SOFTMAX_WORDS * config.projection_dim // n_devices


def copied_bytes(config: ElmoConfig) -> int:
    """All other parameters: each device has all of them."""
    return 4 * (n_parameters(config) - SOFTMAX_WORDS * config.projection_dim)


def exchanged_bytes(config: ElmoConfig, chip: str, n_devices: int) -> float:
    """What one device sends, or receives, in a step."""
    # Gradients of the copies, and of the samples: two passes around the ring. The samples: one.
    samples = 4 * config.projection_dim * N_SAMPLES
    around = 2 * copied_bytes(config) + 2 * 3 * samples
    # Each token's row of the softmax, and its gradient, put together of their columns.
    rows = 2 * 2 * 4 * config.projection_dim * ROWS[chip] * UNROLL
    return (n_devices - 1) / n_devices * (around + rows)


def training_work(config: ElmoConfig) -> float:
    """Operations for one token: once forwards, twice backwards."""
    softmax = 2 * 2 * config.projection_dim * (N_SAMPLES + 1)
    word = word_work(config, LETTERS + 2) + input_work(config)
    return 3 * (step_work(config, config.n_layers) + softmax + DISTINCT_SHARE * word)


def n_parameters(config: ElmoConfig) -> int:
    """Those of the biLM, and those of a softmax over all words."""
    shapes = jax.tree.leaves(jax.eval_shape(lambda: init_params(config, 0)))
    return sum(math.prod(x.shape) for x in shapes) + SOFTMAX_WORDS * (config.projection_dim + 1)


def link(chip: str, device: Absent, n_devices: int) -> float:
    """Bytes per second between devices that sum their gradients."""
    leaves_machine = device.platform == "gpu" and n_devices > _GPUS_OF_A_MACHINE
    return _BETWEEN_MACHINES if leaves_machine else _LINK[chip]


def duration(seconds: float) -> str:
    """Two digits of the unit that fits: "45 s", "3.2 h"."""
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{float(f'{seconds / size:.2g}'):g} {unit}"
    return f"{float(f'{seconds:.2g}'):g} s"


def tables() -> list[str]:
    """Of embedding, and of training."""
    config = ElmoConfig.preset("original")
    each = [(chip, n) for chip in CHIPS for n in N_DEVICES]
    return [markdown([cost(config, *one).row() for one in each]) for cost in (embedding, training)]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """There are none."""


def run(args: argparse.Namespace) -> dict[str, Any]:
    return {"tables": tables()}


def text(summary: dict[str, Any]) -> str:
    return "\n\n".join(summary["tables"])
