"""Read the text of a compiled program: its kernels, products, loops, and talk between devices.

XLA prints computations that call each other. Their lines are
``%name = TYPE opcode(%operand, …), key=value, …``.
"""

from __future__ import annotations

import collections
import dataclasses
import math
import re
from collections.abc import Iterator

_HEAD = re.compile(r"(ENTRY )?%?([\w.\-]+) \(.*\{$")
_LINE = re.compile(r"\s+(?:ROOT )?%([\w.\-]+) = (.+?) ([a-z][\w\-]*)\((.*)$")
_ARRAY = re.compile(r"\b(pred|[a-z]+\d+\w*)\[([\d,]*)\]")
_BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}")
_CALLED = re.compile(r"\b(?:to_apply|body|condition|called_computations=\{)=?%?([\w.\-]+)")
_CONDITION = re.compile(r"\bcondition=%?([\w.\-]+)")
_CYCLES = re.compile(r'"estimated_cycles":"(\d+)"')
_LIBRARY = re.compile(r'custom_call_target="__cu(?:blas|dnn)')
_PRECISION = re.compile(r'operand_precision(?:=\{|":\["?)(\w+)')
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"')

COLLECTIVES = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute")
_CALLERS = ("while", "call", "conditional")
_HOST = ("send", "recv", "infeed", "outfeed")
_KERNELS = ("fusion", "custom-call")
_PRODUCTS = ("dot", "convolution")
_DTYPES = {"bf16": "bfloat16", "f32": "float32", "f16": "float16"}


@dataclasses.dataclass(frozen=True)
class Instruction:
    """A line of a computation."""

    name: str
    type: str
    opcode: str
    rest: str  # its operands, and what follows them

    @property
    def arrays(self) -> list[tuple[str, tuple[int, ...]]]:
        """Dtype and shape of each array of the result."""
        matches = _ARRAY.findall(self.type)
        return [(dtype, tuple(map(int, filter(None, s.split(","))))) for dtype, s in matches]

    @property
    def n_bytes(self) -> int:
        return sum(math.prod(shape) * _bits(dtype) // 8 for dtype, shape in self.arrays)

    @property
    def operands(self) -> list[str]:
        return re.findall(r"%([\w.\-]+)", self.rest.partition(")")[0])

    @property
    def called(self) -> list[str]:
        """The computations that a loop, a call or a choice runs."""
        branches = _BRANCHES.search(self.rest)
        names = re.findall(r"[\w.\-]+", branches[1]) if branches else []
        return names + _CALLED.findall(self.rest)

    @property
    def is_product(self) -> bool:
        return self.opcode in _PRODUCTS or bool(_LIBRARY.search(self.rest))


def _bits(dtype: str) -> int:
    width = re.search(r"\d+", dtype)
    return int(width[0]) if width else 8  # "pred" takes a byte


Computation = dict[str, Instruction]


class Program:
    """What a compiled program does, by its text."""

    def __init__(self, text: str) -> None:
        self._computations: dict[str, Computation] = {}
        self._entry, computation = "", Computation()
        for line in text.splitlines():
            if head := _HEAD.match(line):
                computation = self._computations[head[2]] = {}
                self._entry = head[2] if head[1] else self._entry
            elif match := _LINE.match(line):
                computation[match[1]] = Instruction(*match.groups())

    @property
    def n_kernels(self) -> int:
        """Fusions and library calls, each counted once however often it runs."""
        return sum(i.opcode in _KERNELS for i in self._launched())

    @property
    def n_host_transfers(self) -> int:
        return sum(i.opcode in _HOST for i in self._launched())

    def trip_counts(self) -> list[int | None]:
        """How often each loop runs; None where that is known only at run time."""
        return [self._trips(i) for i in self._launched() if i.opcode == "while"]

    def collectives(self) -> dict[str, tuple[int, int]]:
        """How many there are of each kind, and the bytes of their results."""
        found: dict[str, tuple[int, int]] = {}
        for i in self._launched():
            opcode = i.opcode.removesuffix("-start")
            if opcode in COLLECTIVES:
                count, n_bytes = found.get(opcode, (0, 0))
                found[opcode] = count + 1, n_bytes + i.n_bytes
        return found

    def products(self) -> collections.Counter[str]:
        """How many products there are of each kind, such as "bfloat16" or "float32 highest".

        A kind names the dtype of the operands, and their precision where that is not the default.
        """
        return collections.Counter(_kind(where, i) for where, i in self._products())

    def cycles(self, n_trips: int) -> int:
        """The TPU compiler's estimate; loops of unknown length run ``n_trips`` times.

        It has none for some operations, such as copies that run beside others.
        """
        return self._cycles(self._entry, n_trips)

    def _cycles(self, computation: str, n_trips: int) -> int:
        total = 0
        for i in self._computations[computation].values():
            if estimate := _CYCLES.search(i.rest):
                total += int(estimate[1])
            elif i.opcode in _CALLERS:
                each = [self._cycles(name, n_trips) for name in i.called]
                is_loop = i.opcode == "while"
                total += (self._trips(i) or n_trips) * sum(each) if is_loop else max(each)
        return total

    def _launched(self, computation: str | None = None) -> Iterator[Instruction]:
        """The instructions of the program and of its loops, without the insides of kernels."""
        for i in self._computations[computation or self._entry].values():
            yield i
            if i.opcode in _CALLERS:
                for name in i.called:
                    yield from self._launched(name)

    def _products(self) -> Iterator[tuple[Computation, Instruction]]:
        for computation in self._computations.values():
            yield from ((computation, i) for i in computation.values() if i.is_product)

    def _trips(self, loop: Instruction) -> int | None:
        if known := _TRIPS.search(loop.rest):
            return int(known[1])
        condition = _CONDITION.search(loop.rest)
        lines = self._computations[condition[1]].values() if condition else ()
        constants = [i.rest.partition(")")[0] for i in lines if i.opcode == "constant"]
        # A TPU's program compares with the number.
        return int(constants[0]) if len(constants) == 1 and constants[0].isdigit() else None


def _kind(computation: Computation, product: Instruction) -> str:
    arrays = [computation[name].arrays[0] for name in product.operands[:2]]
    dtypes = sorted({_DTYPES.get(dtype, dtype) for dtype, _ in arrays})
    precision = _PRECISION.search(product.rest)
    level = precision[1].lower() if precision else "default"
    return " and ".join(dtypes) + ("" if level == "default" else f" {level}")
