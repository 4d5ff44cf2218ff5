"""The reader of pickles: equal to Python's for plain data, and small whatever a pickle claims."""

import io
import pickle
import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch_files import call, named, pickled, whole

from elmo_jax.checkpoint.containers import pickles
from elmo_jax.checkpoint.containers.pickles import StandIn, Unpickler, UnreadableError

DAMAGED = (IndexError, KeyError, TypeError, ValueError, struct.error)

# Buffers of the interpreter, and 100 bytes for each of the few opcodes; what the hostile pickles
# below claim is from a megabyte to exabytes.
A_FEW_BUFFERS = 100_000


class Doubler(Unpickler):
    """Knows one function and one class, and loads what lies outside as its id."""

    def find_class(self, module, name):
        if (module, name) not in [("some", "double"), ("some", "Class")]:
            raise UnreadableError(f"{module}.{name}")
        return StandIn(name, (lambda x: 2 * x) if name == "double" else None)

    def persistent_load(self, persistent_id):
        return f"<{persistent_id}>"

    def build(self, instance, state):
        instance.append(state)


def load(content):
    return Doubler(io.BytesIO(content), len(content)).load()


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**2000), 2**2000)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.text(), inner)
        | inner.map(lambda value: [value, value])  # the second is a memo
    ),
    max_leaves=20,
)


@given(plain, st.integers(3, 5))
def test_plain_data_is_read_as_python_reads_it(value, protocol):
    assert load(pickle.dumps(value, protocol)) == value


@given(st.lists(st.integers(-(2**70), 2**70) | st.text() | st.floats(allow_nan=False)))
def test_protocol_2_is_read_too(value):
    assert load(pickle.dumps(value, 2)) == value


def test_long_texts_and_bytes_are_read():
    """Their lengths and memos need the wide opcodes."""
    value = ["x" * 300, b"y" * 300, "z" * 70_000, [f"{i}" for i in range(300)]]
    value += value
    for protocol in (3, 4):
        assert load(pickle.dumps(value, protocol)) == value


def test_pickles_may_follow_one_another():
    content = whole(1) + whole("two") + b"rest"
    file = io.BytesIO(content)
    unpickler = Doubler(file, len(content))
    assert [unpickler.load(), unpickler.load(), file.read()] == [1, "two", b"rest"]


def test_stand_ins_are_called_and_states_are_handed_over():
    assert load(whole(call("some.double", 21))) == 42
    assert load(whole(pickled(["a"]) + pickled("b") + pickle.BUILD)) == ["a", "b"]
    assert load(whole(pickled("key") + pickle.BINPERSID)) == "<key>"
    names = pickled("some") + pickled("double") + pickle.STACK_GLOBAL
    assert load(whole(names + pickled((4,)) + pickle.REDUCE)) == 8


# What is refused


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (call("os.system", "true"), r"^os\.system$"),
        ({"a": 1, None: 2}, "a key of type NoneType"),
        (pickle.EMPTY_LIST * 1001, "more than 1,000 steps"),
        ("\U0001f600" + "a" * (1 << 20), "a text of 1,048,580 bytes"),
    ],
    ids=["function", "key", "steps", "text"],
)
def test_what_no_model_needs_is_refused(value, message, monkeypatch):
    monkeypatch.setattr(pickles, "_MOST_OPCODES", 1000)  # as many as it takes are slow
    with pytest.raises(UnreadableError, match=message):
        load(whole(value))


def test_a_long_text_may_hold_any_bytes_of_an_array():
    text = bytes(range(256)).decode("latin1") * (1 << 13)
    assert load(whole(text)) == text
    text = "\U0001f600" * (1 << 18)  # 1 MiB: not yet long
    assert load(whole(text)) == text


@pytest.mark.parametrize(
    "content",
    [
        b"",
        pickle.STOP,
        whole(pickled(1) + pickled(2)),
        whole(b"\xff"),
        whole(pickle.EXT1 + b"\x01"),  # asks a registry of the process for an object
        whole(pickle.PERSID + b"key\n"),
        whole(pickle.GLOBAL + b"some" * 99 + b"\ndouble\n"),
        whole(pickle.GLOBAL + b"some\ndouble"),
        whole(pickled(("some", ())) + pickled("double") + pickle.STACK_GLOBAL),
        whole(pickled(1) + pickled(()) + pickle.STACK_GLOBAL),
        whole(call("some.Class", 1)),  # only named
        whole(named("some.double") + pickled([1]) + pickle.REDUCE),
        whole(pickled("print") + pickled(("x",)) + pickle.REDUCE),
        whole(pickle.TUPLE2),
        whole(pickle.TUPLE),
        whole(pickled(1) + pickle.MARK + pickle.TUPLE1 + pickle.TUPLE),
        whole(pickle.BINGET + b"\x00"),
        whole(pickle.BINPUT + b"\x00"),
        whole(pickled((1,)) + pickled(2) + pickle.APPEND),
        whole(pickled([1]) + pickled("a") + pickled(2) + pickle.SETITEM),
        whole(pickle.EMPTY_DICT + pickle.MARK + pickled("a") + pickle.SETITEMS),
        whole(pickle.BINUNICODE + struct.pack("<I", 1) + b"\xff"),
    ],
)
def test_a_damaged_pickle_ends_in_an_error(content):
    with pytest.raises((*DAMAGED, UnreadableError)):
        load(content)


@pytest.mark.parametrize("opcodes", [pickles._TEXTS, pickles._BYTES], ids=["text", "bytes"])
def test_a_length_beyond_the_end_is_not_believed(opcodes):
    for opcode, form in opcodes.items():
        longest = 2 ** (8 * struct.calcsize(form)) - 1
        content = whole(opcode + struct.pack(form, longest) + b"abc")
        with pytest.raises(UnreadableError, match=f"claims {longest:,} more bytes than there are"):
            assert_small(content)


def test_a_pickle_may_not_read_what_follows_it():
    content = whole("abcdef")
    with pytest.raises(UnreadableError, match="claims 6 more bytes"):
        Doubler(io.BytesIO(content), len(content) - 2).load()
    content = whole(call("some.double", 1))
    with pytest.raises(ValueError, match="name of a function"):
        Doubler(io.BytesIO(content), 12).load()


def test_a_memo_may_have_any_index():
    """Python's unpickler makes a list as long as the index."""
    index = struct.pack("<I", 2**32 - 1)
    content = whole([1, pickled(2) + pickle.LONG_BINPUT + index, pickle.LONG_BINGET + index])
    assert_small(content)
    assert load(content) == [1, 2, 2]


TWICE = pickle.BINPUT + b"\0" + pickle.BINGET + b"\0" + pickle.TUPLE2
NESTED = pickled(()) + TWICE * 40
"""A tuple with the same tuple twice, and so on: as a tree it has 2^40 leaves."""


@pytest.mark.parametrize(
    "content",
    [
        pickle.EMPTY_DICT + NESTED + pickle.NONE + pickle.SETITEM,
        NESTED + NESTED + pickle.STACK_GLOBAL,
        NESTED + pickled(()) + pickle.REDUCE,
        pickled(1) + NESTED + pickle.APPEND,
    ],
)
def test_nested_tuples_are_never_hashed_or_shown(content):
    with pytest.raises((*DAMAGED, UnreadableError)) as caught:
        assert_small(whole(content))
    assert len(str(caught.value)) < 200


def test_nested_tuples_are_neither_copied_nor_descended_into():
    assert_small(whole(pickle.EMPTY_LIST + NESTED + pickle.APPEND))
    deep = pickle.MARK * 100_000 + pickle.TUPLE * 100_000
    assert type(load(whole(deep))) is tuple


def assert_small(content):
    tracemalloc.start()
    try:
        load(content)
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 2 * len(content) + A_FEW_BUFFERS
