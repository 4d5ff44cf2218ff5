"""How many lanes run, how they are laid out, and how much text is looked at together."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from ..lanes.devices import n_shards
from ..lanes.packing import pack_longest_first

_MANY_A_LANE = 16
"""Sentences of a lane that end so evenly that their mean says where."""


class Layout(NamedTuple):
    """What a compiled step is made for, besides its shapes.

    Attributes:
        lanes_first: whether arrays have the lanes first. The products are then [N, in] @ [in, out],
            else [out, in] @ [in, N].
        all_steps: whether every step of a stretch is run, so that their number is a constant.
        together: whether what can be one product is one: of both directions, and above the first
            layer of input and state. Only with the lanes first.
    """

    lanes_first: bool
    all_steps: bool
    together: bool


@dataclasses.dataclass(frozen=True)
class Plan:
    """The sizes that the engine works with, for one device or for several together.

    Attributes:
        lane_shapes: how many lanes a call may have, rising; nothing else is ever compiled.
        stretch: tokens of each lane that one call reads.
        window_tokens: tokens that are spread over the lanes together; twice as many at the end
            of the text. The more, the more evenly the lanes end, and the more results wait for
            their turn.
        longest_lead: no text is laid down while a lane still has more than this before it, which
            bounds what waits for the results of a long sentence.
        lanes_first_from: as many lanes of one device, or more, are laid out with the lanes first.
        all_steps: see ``Layout``, as the next.
        together: for layouts with the lanes first.
        step_cost_in_lanes: a step reads all weights once, whatever the lanes. To choose among
            shapes, that is counted as the arithmetic of this many lanes.
        worth_compiling: steps of a lane that a smaller shape must save before lanes are moved.
        word_batches: words that are spelled out at once: the two compiled sizes.
        word_rows: of a new word table, and the most it grows to before words have to go.
        word_bytes: the most that a stream's words may take on each device; it lowers both of
            ``word_rows``. Sentences whose distinct words do not fit together wait for their turn.
            A table takes more only for one sentence that has more distinct words than fit, or for
            several streams that are under way together and need more than that at a time; the
            first run after them gets a new one. While a table grows, its former arrays are there
            too.
        n_devices: among how many the lanes of a large shape are divided.
    """

    lane_shapes: tuple[int, ...]
    stretch: int
    window_tokens: int
    longest_lead: int
    lanes_first_from: int
    all_steps: bool
    together: bool
    step_cost_in_lanes: int
    worth_compiling: int
    word_batches: tuple[int, int]
    word_rows: tuple[int, int]
    word_bytes: int
    n_devices: int = 1

    @property
    def max_lanes(self) -> int:
        """Lanes of a full call."""
        return self.lane_shapes[-1]

    def layout(self, n_lanes: int) -> Layout:
        """Of a call with so many lanes."""
        of_one_device = n_lanes // n_shards(n_lanes, self.n_devices)
        lanes_first = of_one_device >= self.lanes_first_from
        return Layout(lanes_first, self.all_steps, self.together and lanes_first)

    def over(self, n_devices: int) -> Plan:
        """The plan of one device for several: each has the shapes that it has alone."""
        few = tuple(shape for shape in self.lane_shapes if shape < n_devices)
        return dataclasses.replace(
            self,
            lane_shapes=few + tuple(shape * n_devices for shape in self.lane_shapes),
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
        """The rows of a new word table, and the most it grows to, if a row takes so many bytes."""
        n_new, n_most = self.word_rows
        n_most = max(2, min(n_most, self.word_bytes // row_bytes))  # one of them is for padding
        return min(n_new, n_most), n_most

    def with_fewer_words(self, n_rows: int) -> Plan:
        """The plan after a word table of ``n_rows`` was too large: half of it, and half batches."""
        n_most = max(2, n_rows // 2)
        small, large = self.word_batches
        return dataclasses.replace(
            self,
            word_rows=(min(self.word_rows[0], n_most), n_most),
            word_batches=(max(1, small // 2), max(1, large // 2)),
        )

    def choose_lanes(self, lengths_S: np.ndarray) -> int:
        """The shape that reads some sentences, and no others, at the least cost."""

        def cost(n_lanes: int) -> int:
            if len(lengths_S) > _MANY_A_LANE * n_lanes:  # they level each other
                last = max(int(lengths_S.max()), -(-int(lengths_S.sum()) // n_lanes))
            else:
                last = int(pack_longest_first(lengths_S, np.zeros(n_lanes, np.int64)).ends_N.max())
            return -(-last // self.stretch) * (self.step_cost_in_lanes + n_lanes)

        return min(self.lane_shapes, key=cost)

    def smaller_shape(self, ends_N: np.ndarray) -> int:
        """The shape for lanes some of which have come to their end; the same unless it pays."""
        n_lanes, n_active = len(ends_N), int((ends_N > 0).sum())
        fitting = next((shape for shape in self.lane_shapes if shape >= n_active), n_lanes)
        saved = (n_lanes - fitting) * int(ends_N.max(initial=0))
        return fitting if saved >= self.worth_compiling else n_lanes


CPU = Plan(
    lane_shapes=(1, 4, 16, 64, 128),
    # What a lane's end leaves unused of it is waste.
    stretch=8,
    window_tokens=128 * 64,
    longest_lead=512,
    # On two cores, a layer of the largest published model came to 98 % of the rate of large
    # products with 128 lanes first, against 92 % with 64 lanes last; with 16 lanes it was 69 %
    # with the lanes last, 55 % with them first.
    lanes_first_from=96,
    all_steps=False,
    together=False,
    step_cost_in_lanes=8,
    worth_compiling=2048,
    word_batches=(16, 128),
    word_rows=(512, 1 << 15),  # at first enough for some sentences, and little memory
    word_bytes=1 << 30,  # 8,064 words of the largest published model
)
"""Measured on two cores."""

ACCELERATOR = Plan(
    lane_shapes=(8, 64, 256, 1024),
    stretch=64,
    window_tokens=1024 * 128,
    longest_lead=1024,
    lanes_first_from=1,
    all_steps=True,
    together=True,
    step_cost_in_lanes=256,
    worth_compiling=1024 * 64,
    word_batches=(128, 2048),
    word_rows=(1 << 13, 1 << 17),
    word_bytes=1 << 32,
)
"""For a GPU or a TPU: reasoned, not measured. A step there takes as long as its weights take to be
read until there are hundreds of lanes, and a call costs the host the same however much it holds;
so there are more lanes and longer stretches, and the number of steps is a constant, which lets
the compiler lay one step over the next."""


def plan_for(platform: str) -> Plan:
    """The plan of one device of a platform, as ``jax.Device.platform`` names it."""
    return CPU if platform == "cpu" else ACCELERATOR
