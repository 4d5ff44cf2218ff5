"""The kernels of a compiled function: how often each runs, what it reads, writes and multiplies.

Read from the text of the compiled module, which XLA gives in the order in which it runs. A kernel
is an instruction that is no mere name for data: a fusion, a product, a copy, a call of a library.
Bytes are those that have to be read and written once; what a cache keeps costs less. Of an array
of which a fusion reads a slice, or rows, or into which it writes some, only those are counted.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator

_BYTES = {"pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f16": 2, "f64": 8, "s64": 8, "u64": 8}
_USUAL_BYTES = 4
_NAMES_FOR_DATA = {
    *("parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all"),
    *("partition-id", "opt-barrier", "reshape"),
}
_PRODUCTS = {
    *("dot", "convolution", "__cublas$lt$matmul", "__cublas$gemm"),
    *("__cudnn$convForward", "__cudnn$convBiasActivationForward"),
}
_PARTS_OF = {"dynamic-slice", "gather", "slice"}

_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\) -> .*\{$")
_INSTRUCTION = re.compile(r"^\s+(ROOT )?%?([\w.\-]+) = (\(.*?\)|\S+) ([\w\-]+)\((.*)$")
_SHAPE = re.compile(r"\b([a-z]+\d*)\[([\d,]*)\]")
_CALLED = re.compile(r"\b(?:calls|to_apply|body)=%?([\w.\-]+)")
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"')


@dataclasses.dataclass(frozen=True)
class Kernel:
    """One kernel.

    Attributes:
        name: of the instruction, as profilers give it.
        kind: "fusion", "copy", …, or the library function that is called.
        source: where it comes from in the program, in the words of JAX.
        count: how often it runs in one call of the function.
        n_bytes: read and written each time.
        flop: of its products, each time.
    """

    name: str
    kind: str
    source: str
    count: int
    n_bytes: int
    flop: int


@dataclasses.dataclass(frozen=True)
class _Instruction:
    is_root: bool
    name: str
    type: str
    opcode: str
    operands: list[str]
    rest: str  # the attributes behind the operands

    def attribute(self, pattern: re.Pattern[str] | str) -> str | None:
        found = re.search(pattern, self.rest)
        return found[1] if found else None


Module = dict[str, list[_Instruction]]
"""The instructions of each computation; that of the function itself is "ENTRY"."""


def kernels(text: str, n_steps: int = 1) -> list[Kernel]:
    """The kernels of a function, from the text of its compiled module.

    Args:
        text: ``jax.jit(f).lower(...).compile().as_text()``.
        n_steps: of loops whose number of steps is no constant.
    """
    return list(_kernels(_parse(text), "ENTRY", 1, n_steps))


def _parse(text: str) -> Module:
    module: Module = {}
    current: list[_Instruction] = []
    for line in text.splitlines():
        if head := _COMPUTATION.match(line):
            current = module["ENTRY" if head[1] else head[2]] = []
        elif found := _INSTRUCTION.match(line):
            operands, rest = _split_at_the_closing_bracket(found[5])
            names = re.findall(r"%([\w.\-]+)", operands)
            current.append(_Instruction(bool(found[1]), found[2], found[3], found[4], names, rest))
    return module


def _split_at_the_closing_bracket(text: str) -> tuple[str, str]:
    depth = 1
    for place, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if not depth:
            return text[:place], text[place:]
    return text, ""


def _kernels(module: Module, name: str, count: int, n_steps: int) -> Iterator[Kernel]:
    types = {one.name: one.type for one in module[name]}
    for one in module[name]:
        called = one.attribute(_CALLED)
        if one.opcode in _NAMES_FOR_DATA:
            continue
        if one.opcode == "while" and called:
            trips = int(one.attribute(_TRIPS) or n_steps)
            yield from _kernels(module, called, count * trips, n_steps)
        elif one.opcode in ("call", "async-start") and called:
            yield from _kernels(module, called, count, n_steps)
        elif one.opcode == "fusion" and called:
            yield _kernel(one, "fusion", count, *_work_of_fusion(module[called]))
        else:
            kind = one.attribute(r'custom_call_target="([^"]+)"') or one.opcode
            # The scratch memory of a library is an array of bytes.
            result = re.sub(r"\bs8\[\d+\]", "", one.type) if kind != one.opcode else one.type
            read = sum(_n_bytes(types.get(operand, "")) for operand in one.operands)
            flop = _flop(one, types) if kind in _PRODUCTS else 0
            yield _kernel(one, kind, count, read + _n_bytes(result), flop)


def _kernel(one: _Instruction, kind: str, count: int, n_bytes: int, flop: int) -> Kernel:
    source = one.attribute(r'op_name="([^"]*)"') or ""
    return Kernel(one.name, kind, source, count, n_bytes, flop)


def _work_of_fusion(body: list[_Instruction]) -> tuple[int, int]:
    """Bytes read and written, and floating-point operations."""
    by_name = {one.name: one for one in body}
    types = {one.name: one.type for one in body}
    users: dict[str, list[_Instruction]] = {}
    for one in body:
        for operand in one.operands:
            users.setdefault(operand, []).append(one)
    read = sum(_read(one, users) for one in body if one.opcode == "parameter")
    root = next(one for one in body if one.is_root)
    results = [by_name[x] for x in root.operands] if root.opcode == "tuple" else [root]
    written = sum(_written(one, by_name) for one in results)
    return read + written, sum(_flop(one, types) for one in body if one.opcode in _PRODUCTS)


def _read(parameter: _Instruction, users: dict[str, list[_Instruction]]) -> int:
    """Of a parameter: all of it, or what slices and gathers take, or nothing if it is updated."""

    def uses(name: str) -> Iterator[_Instruction]:
        for user in users.get(name, ()):
            if user.opcode in ("bitcast", "reshape"):
                yield from uses(user.name)
            else:
                yield user

    total, whole = 0, _n_bytes(parameter.type)
    for user in uses(parameter.name):
        if user.opcode in _PARTS_OF:
            total += _n_bytes(user.type)
        elif user.opcode not in ("dynamic-update-slice", "scatter") or (
            user.operands[0] != parameter.name
        ):
            return whole
    return min(total, whole)


def _written(result: _Instruction, by_name: dict[str, _Instruction]) -> int:
    while result.opcode == "bitcast" and result.operands[0] in by_name:
        result = by_name[result.operands[0]]
    changed = {"dynamic-update-slice": 1, "scatter": -1}.get(result.opcode)
    return _n_bytes(result.type if changed is None else by_name[result.operands[changed]].type)


def _flop(product: _Instruction, types: dict[str, str]) -> int:
    """Two for each number of the result and each number that is summed for it."""
    left, right = (_sizes(types[operand]) for operand in product.operands[:2])
    if kernel := product.attribute(r"dim_labels=\w+_(\w+)->"):  # of a convolution
        summed = [size for label, size in zip(kernel, right, strict=True) if label != "o"]
    elif axes := product.attribute(r"lhs_contracting_dim(?:ension)?s\W+([\d,]+)"):
        summed = [left[int(axis)] for axis in axes.split(",")]
    else:
        summed = left[-1:]
    return 2 * math.prod(_sizes(product.type)) * math.prod(summed)


def _sizes(type_: str) -> list[int]:
    """Of the first array of a type."""
    found = _SHAPE.search(type_)
    return [int(size) for size in found[2].split(",") if size] if found else []


def _n_bytes(type_: str) -> int:
    """Of all arrays of a type."""
    return sum(
        _BYTES.get(dtype, _USUAL_BYTES) * math.prod(int(size) for size in sizes.split(",") if size)
        for dtype, sizes in _SHAPE.findall(type_)
    )
