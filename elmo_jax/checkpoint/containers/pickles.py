"""A reader of pickles that runs nothing and stays small, whatever the pickle says.

It knows the opcodes that write plain data and tensors (protocols 2 to 5). Python's own unpickler
would do, if the file were trusted: even with ``find_class`` overridden, nine bytes make it allocate
a gigabyte (a length or memo index is believed before the data is there), and a few hundred make it
hash nested tuples for ever. Here memory and time are bounded by the size of the pickle.
"""

from __future__ import annotations

import dataclasses
import pickle
import struct
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

_MOST_OPCODES = 500_000
"""An opcode takes up to about 100 bytes of memory; a tensor has about 40 opcodes."""

_LONG_TEXT = 1 << 20
"""Bytes from which on a text must be Latin-1: then it can only be the bytes of an array."""

_LAST_LATIN1_LEAD = 0xC3
"""The first byte of U+00FF in UTF-8: no byte of a Latin-1 text is larger."""

_LONGEST_NAME = 256

_CONSTANTS: dict[bytes, Callable[[], Any]] = {
    pickle.NONE: lambda: None,
    pickle.NEWTRUE: lambda: True,
    pickle.NEWFALSE: lambda: False,
    pickle.EMPTY_TUPLE: tuple,
    pickle.EMPTY_LIST: list,
    pickle.EMPTY_DICT: dict,
}
_NUMBERS = {
    pickle.BININT: "<i",
    pickle.BININT1: "<B",
    pickle.BININT2: "<H",
    pickle.BINFLOAT: ">d",
}
# The length of what follows.
_TEXTS = {pickle.SHORT_BINUNICODE: "<B", pickle.BINUNICODE: "<I", pickle.BINUNICODE8: "<Q"}
_BYTES = {pickle.SHORT_BINBYTES: "<B", pickle.BINBYTES: "<I", pickle.BINBYTES8: "<Q"}
# The index of a memo.
_PUTS = {pickle.BINPUT: "<B", pickle.LONG_BINPUT: "<I"}
_GETS = {pickle.BINGET: "<B", pickle.LONG_BINGET: "<I"}
_TUPLES = {pickle.TUPLE1: 1, pickle.TUPLE2: 2, pickle.TUPLE3: 3}


class UnreadableError(Exception):
    """What is wrong with a file, for a caller who knows its name."""


@dataclasses.dataclass(frozen=True)
class StandIn:
    """What takes the place of a function or class that a pickle names."""

    name: str
    call: Callable[..., Any] | None = None  # None: it is only named, never called


class Unpickler:
    """Reads pickles from a file, one after another, up to the byte ``end``.

    A subclass says what stands in for the names in the pickle (``find_class``), for what lies
    outside it (``persistent_load``), and how an object takes its state (``build``). Nothing else is
    ever called. The keys of dictionaries must be strings.

    Raises:
        UnreadableError: if the pickle does something that is refused.
        IndexError, KeyError, TypeError, ValueError, struct.error: if it is damaged.
    """

    def __init__(self, file: BinaryIO, end: int) -> None:
        self._file, self._end = file, end

    def find_class(self, module: str, name: str) -> StandIn:
        """What stands in for ``module.name``; UnreadableError if nothing does."""
        raise NotImplementedError

    def persistent_load(self, persistent_id: Any) -> Any:
        """The object outside the pickle that has this id."""
        raise NotImplementedError

    def build(self, instance: Any, state: Any) -> None:
        """Give an object the state that its pickle has."""
        raise NotImplementedError

    def load(self) -> Any:
        """The object of the next pickle."""
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        for _ in range(_MOST_OPCODES):
            opcode = self._take(1)
            if opcode == pickle.STOP:
                (value,) = self._stack
                return value
            self._run(opcode)
        raise UnreadableError(
            f"it has a pickle of more than {_MOST_OPCODES:,} steps, more than any model needs"
        )

    def _run(self, opcode: bytes) -> None:
        stack = self._stack
        if opcode in _CONSTANTS:
            stack.append(_CONSTANTS[opcode]())
        elif opcode in _NUMBERS:
            stack.append(self._number(_NUMBERS[opcode]))
        elif opcode in _TEXTS:
            stack.append(self._text(self._number(_TEXTS[opcode])))
        elif opcode in _BYTES:
            stack.append(self._take(self._number(_BYTES[opcode])))
        elif opcode in _PUTS:
            self._memo[self._number(_PUTS[opcode])] = stack[-1]
        elif opcode in _GETS:
            stack.append(self._memo[self._number(_GETS[opcode])])
        elif opcode in _TUPLES:
            stack.append(tuple(self._pop(_TUPLES[opcode])))
        else:
            self._run_other(opcode)

    def _run_other(self, opcode: bytes) -> None:
        stack = self._stack
        match opcode:
            case pickle.PROTO | pickle.FRAME:
                self._take(1 if opcode == pickle.PROTO else 8)
            case pickle.LONG1:
                stack.append(int.from_bytes(self._take(self._number("<B")), "little", signed=True))
            case pickle.MEMOIZE:
                self._memo[len(self._memo)] = stack[-1]
            case pickle.MARK:
                self._marks.append(len(stack))
            case pickle.TUPLE:
                stack.append(tuple(self._pop_to_mark()))
            case pickle.APPEND:
                self._extend(self._pop(1))
            case pickle.APPENDS:
                self._extend(self._pop_to_mark())
            case pickle.SETITEM:
                self._update(self._pop(2))
            case pickle.SETITEMS:
                self._update(self._pop_to_mark())
            case pickle.GLOBAL:
                stack.append(self.find_class(self._line(), self._line()))
            case pickle.STACK_GLOBAL:
                module, name = self._pop(2)
                if type(module) is not str or type(name) is not str:
                    raise TypeError(f"{type(name).__name__} where the name of a function should be")
                stack.append(self.find_class(module, name))
            case pickle.REDUCE:
                function, arguments = self._pop(2)
                stack.append(_called(function, arguments))
            case pickle.BUILD:
                (state,) = self._pop(1)
                self.build(stack[-1], state)
            case pickle.BINPERSID:
                stack.append(self.persistent_load(*self._pop(1)))
            case _:
                raise ValueError(f"byte {opcode!r} where an opcode of a pickle should be")

    def _take(self, size: int) -> bytes:
        """The next ``size`` bytes."""
        if size > self._end - self._file.tell():
            raise UnreadableError(
                f"a pickle in it claims {size:,} more bytes than there are; the file is truncated "
                "or damaged"
            )
        return self._file.read(size)

    def _number(self, form: str) -> Any:
        (number,) = struct.unpack(form, self._take(struct.calcsize(form)))
        return number

    def _text(self, size: int) -> str:
        data = self._take(size)
        # Other text could need four times the memory that it has in the file.
        if size > _LONG_TEXT and np.frombuffer(data, np.uint8).max() > _LAST_LATIN1_LEAD:
            raise UnreadableError(f"it has a text of {size:,} bytes, which no model needs")
        return data.decode()

    def _line(self) -> str:
        line = self._file.readline(_LONGEST_NAME)
        if not line.endswith(b"\n") or self._file.tell() > self._end:
            raise ValueError(f"{line!r:.60} where the name of a function should be")
        return line[:-1].decode()

    def _pop(self, n: int) -> list[Any]:
        """The last n values of the stack, which lie after the last mark."""
        start = len(self._stack) - n
        if start < (self._marks[-1] if self._marks else 0):
            raise IndexError(f"{n} values where fewer are")
        values = self._stack[start:]
        del self._stack[start:]
        return values

    def _pop_to_mark(self) -> list[Any]:
        start = self._marks.pop()
        values = self._stack[start:]
        del self._stack[start:]
        return values

    def _extend(self, values: list[Any]) -> None:
        if type(self._stack[-1]) is not list:
            raise TypeError(f"{type(self._stack[-1]).__name__} where a list should be")
        self._stack[-1].extend(values)

    def _update(self, values: list[Any]) -> None:
        if type(self._stack[-1]) is not dict:
            raise TypeError(f"{type(self._stack[-1]).__name__} where a dictionary should be")
        keys = values[::2]
        if others := [type(key).__name__ for key in keys if type(key) is not str]:
            # Nested tuples take a time to hash that doubles with every level.
            raise UnreadableError(
                f"it has a dictionary with a key of type {others[0]}; only texts are read as keys"
            )
        self._stack[-1].update(zip(keys, values[1::2], strict=True))


def _called(function: Any, arguments: Any) -> Any:
    if not isinstance(function, StandIn) or function.call is None or type(arguments) is not tuple:
        raise TypeError(f"{type(function).__name__} where a function should be called")
    return function.call(*arguments)
