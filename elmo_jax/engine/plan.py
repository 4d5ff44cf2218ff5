"""How many lanes run, how they are laid out, and how much text is read ahead."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from ..lanes.devices import n_shards
from ..lanes.packing import pack_longest_first

_EVEN_LANES_FROM = 16
"""Sentences per lane from which on the lanes end at nearly the same step."""


_EVEN_ROWS = 128
"""A TPU holds rows in tiles of 8 or 16. The step's compiler takes minutes over a table that ends
within a tile. A table that must grow beyond its size grows by eighths of it."""


class Layout(NamedTuple):
    """What a compiled step is made for, besides its shapes."""

    # Whether axis 0 of the step's arrays is the lane: products are [N, in] @ [in, out] then, else
    # [out, in] @ [in, N].
    lanes_first: bool
    # Whether all steps of a chunk run, so that their number is a constant.
    static_steps: bool
    # Whether products that can be one are one: those of both directions, and, above the first
    # layer, those of input and state. Only with the lanes first.
    fused_products: bool


@dataclasses.dataclass(frozen=True)
class Plan:
    """The sizes that the engine works with, for one device or for several as one."""

    lane_shapes: tuple[int, ...]  # lanes that a call may have, rising; no others are compiled
    chunk_steps: int  # tokens of each lane that one call reads
    # Tokens that are packed at a time; twice as many at the end of the text. The more there are,
    # the more evenly the lanes end, and the more results wait for their turn.
    window_tokens: int
    # No text is packed while a lane still has more steps than this to go. This bounds the results
    # that wait for a long sentence.
    longest_lead: int
    lanes_first_from: int  # lanes of one device from which on ``Layout.lanes_first`` holds
    static_steps: bool  # see ``Layout``
    fused_products: bool  # see ``Layout``
    # A step reads all weights once, however many lanes there are. To choose a shape, that cost
    # counts as the arithmetic of this many lanes.
    step_cost_in_lanes: int
    worth_compiling: int  # steps of a lane that a smaller shape must save before lanes are moved
    word_batches: tuple[int, int]  # words that are spelled at a time: the two compiled sizes
    word_rows: tuple[int, int]  # of a new word table, and the most before it drops words
    # The most bytes that a stream's words may take on each device; it lowers both ``word_rows``.
    # Sentences with more distinct words wait for their turn. A table takes more only for a single
    # sentence that needs it, or for several streams that run at once; the next run after them gets
    # a new table. While a table grows, its old arrays take memory too.
    word_bytes: int
    n_devices: int = 1  # that share the lanes of a large shape

    @property
    def max_lanes(self) -> int:
        """Lanes of a full call."""
        return self.lane_shapes[-1]

    def layout(self, n_lanes: int) -> Layout:
        """The layout of a call with this many lanes."""
        lanes_per_device = n_lanes // n_shards(n_lanes, self.n_devices)
        lanes_first = lanes_per_device >= self.lanes_first_from
        return Layout(lanes_first, self.static_steps, self.fused_products and lanes_first)

    def over(self, n_devices: int) -> Plan:
        """The plan of several devices from that of one: each gets the shapes it has alone."""
        undivided = tuple(shape for shape in self.lane_shapes if shape < n_devices)
        return dataclasses.replace(
            self,
            lane_shapes=undivided + tuple(shape * n_devices for shape in self.lane_shapes),
            window_tokens=self.window_tokens * n_devices,
            worth_compiling=self.worth_compiling * n_devices,
            step_cost_in_lanes=self.step_cost_in_lanes * n_devices,
            n_devices=n_devices,
        )

    def halved(self, n_lanes: int) -> Plan | None:
        """The plan after ``n_lanes`` were too many; None if they cannot be fewer."""
        half = min(self.max_lanes, n_lanes // self.n_devices // 2 * self.n_devices)
        if half < self.n_devices:
            return None
        fewer = tuple(shape for shape in self.lane_shapes if shape < half)
        return dataclasses.replace(self, lane_shapes=(*fewer, half))

    def rows_of_words(self, row_bytes: int) -> tuple[int, int]:
        """The rows of a new word table, and the most it grows to, with rows of this size."""
        n_new, n_most = self.word_rows
        n_most = max(2, min(n_most, self.word_bytes // row_bytes))  # one row is for padding
        if n_most > _EVEN_ROWS:
            n_most -= n_most % _EVEN_ROWS
        return min(n_new, n_most), n_most

    def with_fewer_words(self, n_rows: int) -> Plan:
        """The plan after a word table of ``n_rows`` was too large: half the rows, half batches."""
        n_most = max(2, n_rows // 2)
        small, large = self.word_batches
        return dataclasses.replace(
            self,
            word_rows=(min(self.word_rows[0], n_most), n_most),
            word_batches=(max(1, small // 2), max(1, large // 2)),
        )

    def choose_lanes(self, lengths_S: np.ndarray) -> int:
        """The shape that reads sentences of these lengths, and no others, at the least cost."""

        def cost(n_lanes: int) -> int:
            if len(lengths_S) > _EVEN_LANES_FROM * n_lanes:  # no need to pack them
                last = max(int(lengths_S.max()), -(-int(lengths_S.sum()) // n_lanes))
            else:
                last = int(pack_longest_first(lengths_S, np.zeros(n_lanes, np.int64)).ends_N.max())
            return -(-last // self.chunk_steps) * (self.step_cost_in_lanes + n_lanes)

        return min(self.lane_shapes, key=cost)

    def smaller_shape(self, ends_N: np.ndarray) -> int:
        """The shape to continue with when some lanes have ended: a smaller one, if that pays."""
        n_lanes, n_active = len(ends_N), int((ends_N > 0).sum())
        fitting = next((shape for shape in self.lane_shapes if shape >= n_active), n_lanes)
        saved = (n_lanes - fitting) * int(ends_N.max(initial=0))
        return fitting if saved >= self.worth_compiling else n_lanes


CPU = Plan(
    lane_shapes=(1, 4, 16, 64, 128),
    # The steps of a chunk after the end of a lane are wasted.
    chunk_steps=8,
    window_tokens=128 * 64,
    longest_lead=512,
    # On two cores, a layer of the largest published model reached 98% of the rate of large products
    # with 128 lanes first, 92% with 64 lanes last; with 16 lanes 69% last, and 55% first.
    lanes_first_from=96,
    static_steps=False,
    fused_products=False,
    step_cost_in_lanes=8,
    worth_compiling=2048,
    word_batches=(16, 128),
    word_rows=(512, 1 << 15),  # at first little memory, enough for some sentences
    word_bytes=1 << 30,  # 8,063 words of the largest published model
)
"""Measured on two cores."""

GPU = Plan(
    lane_shapes=(8, 64, 256, 1024),
    chunk_steps=64,
    window_tokens=1024 * 128,
    longest_lead=1024,
    lanes_first_from=1,
    static_steps=True,
    fused_products=True,
    step_cost_in_lanes=256,
    worth_compiling=1024 * 64,
    word_batches=(128, 2048),
    word_rows=(1 << 13, 1 << 17),
    word_bytes=1 << 32,
)
"""Reasoned, not measured. Until there are hundreds of lanes, a step takes as long as reading the
weights, and a call costs the host the same however much it holds: so there are more lanes and
longer chunks. With a constant number of steps the compiler can launch them as one graph."""

TPU = Plan(
    # With 512 lanes the weights of a layer, and its lanes' gates, are together in the memory on
    # the chip while the layer's loop runs. With 1,024 they are not.
    lane_shapes=(8, 64, 256, 512),
    chunk_steps=64,
    window_tokens=512 * 128,
    longest_lead=1024,
    lanes_first_from=64,
    static_steps=False,
    fused_products=False,
    step_cost_in_lanes=64,
    worth_compiling=512 * 64,
    word_batches=(128, 512),
    word_rows=(1 << 13, 1 << 17),
    word_bytes=1 << 32,
)
"""Chosen by what the compiler for v5e and v6e expects in the *original* shape, not measured.

Its estimated cycles per token are fewest with 512 lanes (``python -m benchmarks compiled --for v5e
--lanes``). Joining products gains nothing there, and takes several times the memory. A loop runs on
the chip whether or not its length is constant, so no step runs that no lane needs."""


def plan_for(platform: str) -> Plan:
    """The plan of one device of a platform, as ``jax.Device.platform`` names it."""
    return {"cpu": CPU, "tpu": TPU}.get(platform, GPU)
