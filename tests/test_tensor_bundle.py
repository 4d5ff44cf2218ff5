"""TensorFlow checkpoints: the right numbers come out, or an error that says what is wrong."""

import sys
import tracemalloc

import numpy as np
import pytest
from checkpoint_files import assert_same_arrays, message_of, read_datasets
from tensor_bundles import (
    MAGIC,
    Variable,
    accept_every_checksum,
    block,
    entry,
    field,
    flip,
    footer,
    index_of,
    read_variables,
    sealed,
    varint,
    write_bundle,
)

from elmo_jax import ElmoError
from elmo_jax.checkpoint.containers import bundle_index, tensor_bundle
from elmo_jax.checkpoint.containers.crc32c import crc32c as checksum_of
from elmo_jax.checkpoint.containers.tensor_bundle import TensorBundle

AGAIN = "it is damaged; copy or download it again."

FEW_BYTES = 8 << 20
"""What reading may take beside twice the file: some pieces of 1 MiB, and Python's own objects."""

VARIABLES = {
    "a/kernel": np.arange(12, dtype=np.float32).reshape(3, 4),
    "a/kernel/Adagrad": np.ones((3, 4), np.float32),
    "b": np.arange(5, dtype=np.float64),
    "global_step": np.int64(7),
    "half": np.linspace(-1, 1, 6, dtype=np.float16).reshape(1, 2, 3),
    "ints": np.arange(3, dtype=np.int32),
}


@pytest.fixture
def prefix(tmp_path):
    return write_bundle(tmp_path / "model.ckpt-7", VARIABLES)


@pytest.fixture
def with_google(monkeypatch):
    pytest.importorskip("google_crc32c")


@pytest.fixture
def without_google(monkeypatch):
    monkeypatch.setitem(sys.modules, "google_crc32c", None)


@pytest.fixture(params=["with_google", "without_google"])
def with_and_without_google(request):
    request.getfixturevalue(request.param)


def file_of(prefix, suffix):
    return prefix.with_name(prefix.name + suffix)


def index_file(prefix):
    return file_of(prefix, ".index")


def data_file(prefix, shard=0, n_shards=1):
    return file_of(prefix, f".data-{shard:05d}-of-{n_shards:05d}")


def problem_of_index(prefix, content):
    """What the error about this index says, after naming its file."""
    index_file(prefix).write_bytes(content)
    message = message_of(TensorBundle, prefix, "model.zip:x/model")
    start = "Cannot read the checkpoint index model.zip:x/model.index: "
    assert message.startswith(start)
    return message.removeprefix(start)


# What TensorFlow wrote


CHECKPOINTS = [
    ("bilm-checkpoint/two-layers/checkpoint_dir/model.ckpt-100", 56),
    ("words/plain/checkpoint_dir/model.ckpt-100", 32),
    ("tfhub/module-a/module/variables/variables", 43),
]


@pytest.mark.parametrize(("name", "n_variables"), CHECKPOINTS)
def test_checkpoints_of_tensorflow_are_read_and_verified(foreign, with_google, name, n_variables):
    variables = read_variables(foreign / name)
    assert len(variables) == n_variables
    assert {array.dtype.name for array in variables.values()} == {"float32"}


@pytest.mark.parametrize("model", ["bilm-checkpoint/two-layers", "words/plain"])
def test_the_numbers_are_those_that_bilm_tf_dumped(foreign, with_and_without_google, model):
    variables = read_variables(foreign / model / "checkpoint_dir" / "model.ckpt-100")
    dumped = read_datasets(foreign / model / "dumped.hdf5")
    same_names = {name: array for name, array in dumped.items() if not name.startswith("RNN")}
    assert same_names
    assert_same_arrays({name: variables[f"lm/{name}"] for name in same_names}, same_names)


def test_the_second_data_file_is_read(foreign):
    bundle = TensorBundle(foreign / "tfhub/module-a/module/variables/variables", "variables")
    assert bundle.entries["bilm/char_embed"].shard == 1
    char_embed = bundle.read("bilm/char_embed")
    assert char_embed.shape == (262, 4)
    assert not char_embed[0].any() and char_embed[1:].any(axis=1).all()


# What the tests wrote


def test_every_kind_of_number_is_read(prefix, with_and_without_google):
    assert_same_arrays(read_variables(prefix), {k: np.asarray(v) for k, v in VARIABLES.items()})


def test_entries_say_what_variables_are_before_any_is_read(prefix):
    data_file(prefix).write_bytes(bytes(data_file(prefix).stat().st_size))
    entries = TensorBundle(prefix, "x").entries
    assert {name: (entry.dtype, entry.shape) for name, entry in entries.items()} == {
        name: (array.dtype.name, np.shape(array)) for name, array in VARIABLES.items()
    }


def test_bfloat16_is_widened(tmp_path, with_and_without_google):
    numbers = np.array([[1.0, -2.5, 0.0], [3e38, -1e-30, np.inf]], np.float32)
    upper = (numbers.view(np.uint32) >> 16).astype(np.uint16)
    write_bundle(tmp_path / "x", {"v": Variable(upper, dtype=14)})
    (array,) = read_variables(tmp_path / "x").values()
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, (upper.astype(np.uint32) << 16).view(np.float32))
    np.testing.assert_allclose(array, numbers, rtol=2**-7)


def test_numbers_of_several_pieces_come_together(prefix, monkeypatch, with_and_without_google):
    monkeypatch.setattr(tensor_bundle, "_CHUNK_BYTES", 16)
    assert_same_arrays(read_variables(prefix), {k: np.asarray(v) for k, v in VARIABLES.items()})


def test_variables_lie_in_several_files(tmp_path):
    variables = {
        name: Variable(np.full(3, number, np.float32), shard=number % 2)
        for number, name in enumerate("abcd")
    }
    prefix = write_bundle(tmp_path / "x", variables, n_shards=2)
    assert {name: array[0] for name, array in read_variables(prefix).items()} == dict(
        a=0, b=1, c=2, d=3
    )
    assert data_file(prefix, 1, 2).stat().st_size == 24


@pytest.mark.parametrize("block_entries", [1, 2, 100])
def test_names_share_their_beginnings_and_lie_in_blocks(tmp_path, block_entries):
    names = ["a", "ab", "abc/d", "abc/e", "b", "long" * 60, "long" * 60 + "er", "ä"]
    variables = {name: np.float32(number) for number, name in enumerate(sorted(names))}
    prefix = write_bundle(tmp_path / "x", variables, block_entries=block_entries)
    assert read_variables(prefix) == variables


def test_only_what_is_asked_for_is_read(prefix, with_google):
    """Where checksums are verified, a wrong byte in another variable would be noticed."""
    offset = TensorBundle(prefix, "x").entries["a/kernel/Adagrad"].offset
    flip(data_file(prefix), offset)
    bundle = TensorBundle(prefix, "x")
    np.testing.assert_array_equal(bundle.read("a/kernel"), VARIABLES["a/kernel"])
    assert "checksum" in message_of(bundle.read, "a/kernel/Adagrad")


def test_a_checksum_that_does_not_fit_is_found_where_google_crc32c_is(prefix, with_google):
    flip(data_file(prefix), 3)
    assert message_of(TensorBundle(prefix, "my/model").read, "a/kernel") == (
        "Cannot read the variable a/kernel from my/model.data-00000-of-00001: the checksum of its "
        f"bytes is wrong; {AGAIN}"
    )


def test_a_wrong_byte_goes_unnoticed_where_it_is_not(prefix, without_google):
    flip(data_file(prefix), 3)
    array = TensorBundle(prefix, "my/model").read("a/kernel")
    assert (array != VARIABLES["a/kernel"]).sum() == 1


@pytest.mark.parametrize(
    ("content", "crc32c"), [(b"", 0), (b"123456789", 0xE3069283), (bytes(32), 0x8A9136AA)]
)
def test_checksums_are_those_of_rfc_3720(content, crc32c):
    assert checksum_of(memoryview(content)) == crc32c


# Files that are not there, or not whole


def test_a_missing_index_is_reported(tmp_path):
    assert message_of(TensorBundle, tmp_path / "x", "some/x") == (
        "There is no checkpoint some/x: some/x.index is missing."
    )


def test_a_missing_data_file_is_reported(tmp_path):
    variables = {name: Variable(np.zeros(2, "f4"), shard=n) for n, name in enumerate("ab")}
    prefix = write_bundle(tmp_path / "x", variables, n_shards=2)
    data_file(prefix, 1, 2).unlink()
    assert message_of(TensorBundle, prefix, "x") == (
        "The checkpoint x is incomplete: x.data-00001-of-00002 is missing. It has 2 data files; "
        "copy or download all files again."
    )


def test_a_truncated_data_file_is_reported(prefix):
    content = data_file(prefix).read_bytes()
    data_file(prefix).write_bytes(content[:-1])
    assert message_of(TensorBundle, prefix, "x") == (
        f"The checkpoint x is incomplete: x.data-00000-of-00001 has {len(content) - 1} bytes, but "
        f"ints ends at {len(content)}. It has 1 data file; copy or download all files "
        "again."
    )


def test_a_file_that_becomes_shorter_is_reported(prefix):
    bundle = TensorBundle(prefix, "x")
    data_file(prefix).write_bytes(b"12345678")
    message = message_of(bundle.read, "a/kernel")
    assert message.endswith("the file became shorter while it was read.")


@pytest.mark.parametrize("suffix", [".index", ".data-00000-of-00001"])
def test_truncation_ends_in_an_error(prefix, suffix):
    content = file_of(prefix, suffix).read_bytes()
    for size in range(len(content)):
        file_of(prefix, suffix).write_bytes(content[:size])
        assert str(prefix) in message_of(read_variables, prefix)


# Variables that cannot be read


@pytest.mark.parametrize(
    ("variable", "problem"),
    [
        (
            Variable(np.zeros(3, "f4"), dtype=7),
            "its dtype is type 7, expected one of float32, float64, int32, int64, bfloat16, "
            "float16",
        ),
        (
            Variable(np.zeros(3, "f4"), sliced=True),
            "it is partitioned, as no known ELMo is; save it with TensorFlow as one variable",
        ),
        (
            Variable(np.zeros(3, "f4"), shape=(4,)),
            "it has 12 bytes, which do not make float32 (4,)",
        ),
        (
            Variable(np.zeros(3, "f4"), shape=(2**62, 2**62)),
            "it has 12 bytes, which do not make float32 (4611686018427387904, 4611686018427387904)",
        ),
        (
            Variable(np.zeros((0, 3), "f4")),
            "it has 0 bytes, which do not make float32 (0, 3)",
        ),
        (
            Variable(np.zeros((0, 3), "f4"), shape=(0, 2**62, 2**62)),
            "it has 0 bytes, which do not make float32 "
            "(0, 4611686018427387904, 4611686018427387904)",
        ),
    ],
)
def test_the_others_are_read_beside_a_variable_that_cannot_be(tmp_path, variable, problem):
    write_bundle(tmp_path / "x", {"a": np.float32(3), "b": variable})
    bundle = TensorBundle(tmp_path / "x", "m")
    assert bundle.read("a") == 3
    message = message_of(bundle.read, "b")
    assert message == f"Cannot read the variable b from m.data-00000-of-00001: {problem}."


def test_the_entries_of_slices_are_left_out(tmp_path):
    """Their keys start with a zero byte and need not be text (saved_tensor_slice_util.cc)."""
    slices = [(b"\0b\0\1\1\1\x80\x83", entry(Variable(np.zeros(3, "f4")), 0, b""))]
    write_bundle(tmp_path / "x", {"b": Variable(np.zeros(0, "f4"), sliced=True)}, extra=slices)
    assert list(TensorBundle(tmp_path / "x", "m").entries) == ["b"]


# An index that cannot be read

ONE = {"v": entry(Variable(np.zeros(3, "f4")), 0, bytes(12))}
HEADER = field(1, 1)


def index_with(content):
    """An index with one block of this content, whose checksum is right."""
    written = sealed(content)
    handles = block([(b"z", varint(0) + varint(len(content)))])
    start = len(written)
    index = footer(varint(0) + varint(0), varint(start) + varint(len(handles) - 5))
    return written + handles + index


def entries_of(*pairs):
    """The content of a block."""
    return block(list(pairs))[:-5]


def restarts(n):
    return n.to_bytes(4, "little")


NOT_AN_INDEX = (
    "its end is not that of a table; it is truncated or not the index of a TensorFlow checkpoint."
)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", NOT_AN_INDEX),
        (b"<html>404 Not Found</html>" * 10, NOT_AN_INDEX),
        (footer(b"\0\0", b"\0\0", MAGIC + 1), NOT_AN_INDEX),
        (
            footer(b"\0\0", varint(10) + varint(2**63)),
            f"it expects 9,223,372,036,854,775,809 bytes at byte 10 of 48; {AGAIN}",
        ),
        (
            footer(b"\0\0", varint(2**63) + varint(2)),
            f"it expects 3 bytes at byte 9,223,372,036,854,775,808 of 48; {AGAIN}",
        ),
        (
            footer(b"\xff" * 10, b""),
            f"a number has more than 64 bits; {AGAIN}",
        ),
        (
            index_of(ONE, big_endian=True),
            "the checkpoint is from a big-endian machine, which is not supported; save it with "
            "TensorFlow on another one.",
        ),
        (
            index_of(ONE, compression=1),
            "it is compressed (snappy), which is not supported and which TensorFlow does not do; "
            "save the checkpoint again with TensorFlow.",
        ),
        (
            index_of(ONE, compression=4),
            "it is compressed (method 4), which is not supported and which TensorFlow does not do; "
            "save the checkpoint again with TensorFlow.",
        ),
        (
            index_with(entries_of((b"v", ONE["v"]))),
            f"the entry of 'v' is out of place; {AGAIN}",
        ),
        (
            index_with(entries_of((b"", HEADER), (b"v", ONE["v"]), (b"v", ONE["v"]))),
            f"the entry of 'v' is out of place; {AGAIN}",
        ),
        (
            index_with(entries_of()),
            "it has no header; expected the index of a TensorFlow checkpoint.",
        ),
        (
            index_with(entries_of((b"", HEADER), (b"\xff", ONE["v"]))),
            f"the name b'\\xff' is not UTF-8; {AGAIN}",
        ),
        (
            index_of({"v": entry(Variable(np.zeros(3, "f4"), shard=4), 0, b"")}, n_shards=2),
            "v is in data file 4, but there are only 2.",
        ),
        (
            index_of({"v": field(2, field(2, b"") * 33)}),
            "a variable has more than 32 dimensions.",
        ),
        (
            index_of({"v": varint(3)}),
            f"it has a field of the unknown kind 3; {AGAIN}",
        ),
        (
            index_of({"v": field(2, 5)}),
            f"a number is where a record should be; {AGAIN}",
        ),
        (
            index_of({"v": field(5, b"abc")}),
            f"a record is where a number should be; {AGAIN}",
        ),
        (
            index_of({"v": varint(2 << 3 | 2) + varint(9)}),
            f"it expects 9 bytes at byte 2 of 2; {AGAIN}",
        ),
        (
            index_of({"v": varint(4 << 3) + b"\x80"}),
            f"it expects 1 byte at byte 2 of 2; {AGAIN}",
        ),
        (index_of({"n" * 257: b""}), "a name has 257 bytes, expected at most 256."),
        (
            index_with(b"\1\1\0a" + restarts(0) + restarts(1)),
            f"a name shares more with the one before than it has; {AGAIN}",
        ),
        (
            index_with(b"\0\5\0a" + restarts(0) + restarts(1)),
            f"it expects 5 bytes at byte 3 of 4; {AGAIN}",
        ),
        (
            index_with(restarts(0) + restarts(2**32 - 1)),
            f"a block of 8 bytes has 4,294,967,295 restarts; {AGAIN}",
        ),
        (index_with(b"abc"), f"it expects 4 bytes at byte -1 of 4; {AGAIN}"),
    ],
)
def test_an_index_that_cannot_be_read_says_why(prefix, content, problem):
    assert problem_of_index(prefix, content) == problem


def test_a_wrong_checksum_of_a_block_is_reported(prefix):
    content = bytearray(index_file(prefix).read_bytes())
    content[5] ^= 1
    problem = f"the checksum of the block at byte 0 is wrong; {AGAIN}"
    assert problem_of_index(prefix, content) == problem


def test_overlapping_blocks_are_refused(prefix):
    """Else a small file could name one block ten thousand times."""
    content = entries_of((b"", HEADER), (b"v", ONE["v"]))
    written, handle = sealed(content), varint(0) + varint(len(content))
    handles = block([(b"v", handle), (b"w", handle)])
    index = footer(b"\0\0", varint(len(written)) + varint(len(handles) - 5))
    problem = problem_of_index(prefix, written + handles + index)
    assert problem == f"its blocks overlap; {AGAIN}"


def test_a_huge_index_is_refused_before_it_is_read(prefix):
    with index_file(prefix).open("r+b") as file:
        file.truncate(1 << 40)
    message = message_of(TensorBundle, prefix, "x")
    assert message == (
        "Cannot read the checkpoint index x.index: it has 1,099,511,627,776 bytes, expected at "
        "most 4,194,304."
    )


def test_an_index_of_too_many_variables_is_refused(prefix, monkeypatch):
    monkeypatch.setattr(bundle_index, "_MOST_VARIABLES", 5)
    assert message_of(read_variables, prefix).endswith("it names more than 5 variables.")


# Wrong bytes anywhere


def test_a_wrong_byte_of_the_index_ends_in_an_error_or_changes_nothing(prefix):
    content, expected = index_file(prefix).read_bytes(), TensorBundle(prefix, "x").entries
    n_errors = 0
    for position in range(len(content)):
        for mask in (0x01, 0xFF):
            flip(index_file(prefix), position, mask)
            try:
                assert TensorBundle(prefix, "x").entries == expected
            except ElmoError as error:
                assert "x.index" in str(error)
                n_errors += 1
            index_file(prefix).write_bytes(content)
    # Only the block about the table and the filling of the footer are never looked at.
    assert n_errors > 0.8 * 2 * len(content)


def test_wrong_bytes_behind_right_checksums_end_in_an_error_or_other_numbers(prefix, monkeypatch):
    """Nothing but an ElmoError comes out, and memory is not taken for sizes that are not there."""
    accept_every_checksum(monkeypatch)
    content, messages = index_file(prefix).read_bytes(), set()
    size = sum(path.stat().st_size for path in prefix.parent.iterdir())
    tracemalloc.start()
    for position in range(len(content)):
        for mask in (0x01, 0xFF):
            flip(index_file(prefix), position, mask)
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            try:
                read_variables(prefix)
            except ElmoError as error:
                messages.add(str(error).split(str(prefix))[-1])
            assert tracemalloc.get_traced_memory()[1] - before < 2 * size + FEW_BYTES
            index_file(prefix).write_bytes(content)
    tracemalloc.stop()
    assert len(messages) > 30


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_reading_takes_at_most_twice_the_file(
    tmp_path, dtype, monkeypatch, with_and_without_google
):
    accept_every_checksum(monkeypatch)  # pure Python would take seconds for one
    stored = np.zeros((1 << 11, 1 << 12), "u2" if dtype == "bfloat16" else "f4")
    variable = Variable(stored, dtype=14 if dtype == "bfloat16" else 1, crc32c=0)
    prefix = write_bundle(tmp_path / "x", {"v": variable})
    tracemalloc.start()
    array = TensorBundle(prefix, "x").read("v")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (array.shape, array.dtype) == (stored.shape, np.float32)
    assert peak <= 2 * data_file(prefix).stat().st_size + FEW_BYTES
