"""Files of torch.save: read as torch reads them, and refused before they do harm."""

import copy
import io
import json
import math
import pickle
import random
import tarfile
import tracemalloc
import zipfile

import numpy as np
import pytest
from checkpoint_files import message_of
from torch_files import (
    call,
    latin1,
    named,
    numpy_array,
    pickled,
    storage,
    stream,
    tensor,
    whole,
    zipped,
)

from elmo_jax import ElmoError
from elmo_jax.checkpoint.containers import zip_directory
from elmo_jax.checkpoint.containers.torch_file import read_state_dict, read_torch

# What reading takes beyond the file and its arrays: the interpreter's objects for a pickle, a zip's
# directory and an error; none of them grows with the numbers in the file.
SMALL = 250_000

# float32 for the golden vectors, which are of order 1: 24 bits, and a few roundings in a product.
FLOAT32_TOLERANCE = 2e-6

SIX = np.arange(6, dtype=np.float32)
WEIGHT = tensor(storage("0", 6), 0, (2, 3), (3, 1))


@pytest.fixture(scope="module", autouse=True)
def traced():
    """Count the memory that is allocated, for `measured`."""
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.fixture
def read(tmp_path):
    """Read the content of a file; errors call it "the file"."""

    def read(content, reader=read_torch):
        path = tmp_path / "file.pkl"
        path.write_bytes(content)
        return reader(path, "the file")

    return read


@pytest.fixture(params=[stream, zipped], ids=["stream", "zip"])
def container(request):
    return request.param


# What others wrote


def test_of_the_hostile_files_only_the_good_ones_are_read(foreign):
    refused = 0
    for path in sorted((foreign / "hostile").glob("*.pkl")):
        if path.stem == "good":
            assert_same(read_torch(path, "it"), SIX.reshape(2, 3))
        elif path.stem == "good_transposed":
            assert_same(read_torch(path, "it"), SIX.reshape(2, 3).T)
        else:
            assert message_of(measured, read_torch, path, "it").startswith("Cannot read it: ")
            refused += 1
    assert refused == 9


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("calls_eval", "it refers to __builtin__.eval, and only tensors, arrays and plain data"),
        ("calls_eval_zip", "it refers to __builtin__.eval, and only tensors, arrays and plain"),
        ("unknown_class", "it refers to some.package.Model, and only tensors, arrays and plain"),
        ("cut_off", "the file is truncated: its tensors take 32 bytes, but it has 27 for them"),
        ("sizes_differ", "the file is damaged: its tensors take 32 bytes, but it has 36 for them"),
        ("huge", "the file is truncated or damaged: its tensors take at least 4,294,967,296 bytes"),
        ("out_of_bounds", "it is damaged: a tensor of 16 numbers ends at number 15 of a storage"),
        ("negative_offset", "the file is damaged; copy or download it again. [ValueError: a size,"),
        ("not_a_model", "it is not a file of torch.save: it starts with b'<!DOCTYPE html>"),
    ],
)
def test_the_error_for_a_hostile_file_names_the_cause(foreign, name, cause):
    message = message_of(read_torch, foreign / "hostile" / f"{name}.pkl", "it")
    assert message.startswith(f"Cannot read it: {cause}")


def test_state_dicts_of_elmoformanylangs_are_read(foreign):
    """A stream with a GPU's storages and a zip; what the numbers are, their vectors say."""
    for name, head in (("words-and-chars", b"\x80\x02"), ("chars-only", b"PK")):
        path = foreign / "emfml" / name / "encoder.pkl"
        assert path.read_bytes().startswith(head)
        tensors = measured(read_state_dict, path, "it")
        assert len(tensors) == 16
        config = json.loads(next(path.parent.glob("cnn*")).read_text())["encoder"]
        shape = 4 * config["dim"], config["projection_dim"]
        assert tensors["backward_layer_1.input_linearity.weight"].shape == shape
        for array in tensors.values():
            assert array.dtype == np.float32 and 0.01 < np.abs(array).mean() < 1


@pytest.mark.parametrize("name", ["tagger-0.9", "tagger-2.10"])
def test_weights_of_allennlp_are_read(foreign, tmp_path, name):
    with tarfile.open(foreign / "allennlp-archive" / name / "model.tar.gz") as archive:
        archive.extract("weights.th", tmp_path, filter="data")
    tensors = measured(read_state_dict, tmp_path / "weights.th", "it")
    (table,) = (v for k, v in tensors.items() if k.endswith("._char_embedding_weights"))
    assert table.shape[0] == 262 and 0.01 < np.abs(table).mean() < 1


@pytest.mark.parametrize("language", ["en", "es"])
def test_alignment_matrices_are_read(foreign, language):
    """They are NumPy arrays in a stream; en has the older name of NumPy's module."""
    path = foreign / "aligned" / language / f"{language}_best_mapping.pth"
    matrix = measured(read_torch, path, "it")
    assert matrix.dtype == np.float64
    golden = np.load(foreign / "aligned" / "golden.npz")
    for i in range(2):
        aligned = golden[f"{language}_s{i}"][1] @ matrix.astype(np.float32).T
        np.testing.assert_allclose(
            aligned, golden[f"{language}_aligned{i}"], rtol=0, atol=FLOAT32_TOLERANCE
        )


# Tensors


def test_tensors_of_every_type_are_read(read, container):
    types = {"Double": "f8", "Float": "f4", "Half": "f2", "Bool": "?"}
    types |= {"Long": "i8", "Int": "i4", "Short": "i2", "Char": "i1", "Byte": "u1"}
    arrays = {key: np.array([0, 1, 1, 0, 1, 0], dtype) for key, dtype in types.items()}
    value = {key: tensor(storage(key, 6, key), 0, (3, 2), (2, 1)) for key in types}
    actual = read(container(value, arrays), read_state_dict)
    assert actual.keys() == types.keys()
    for key, array in arrays.items():
        assert_same(actual[key], array.reshape(3, 2))


def test_bfloat16_becomes_float32(read, container):
    """It is the upper half of a float32."""
    expected = np.array([1.0, -2.5, 0.0, 3.140625, np.inf, 2.0**-130], np.float32)
    halves = (expected.view("<u4") >> 16).astype("<u2")
    value = tensor(storage("0", 6, "BFloat16"), 0, (6,), (1,))
    assert_same(read(container(value, {"0": halves})), expected)


@pytest.mark.parametrize(
    ("offset", "size", "stride", "expected"),
    [
        (0, (3, 2), (1, 3), [[0, 3], [1, 4], [2, 5]]),
        (1, (2, 2), (3, 1), [[1, 2], [4, 5]]),
        (5, (), (), 5),
        (0, (2, 2), (0, 1), [[0, 1], [0, 1]]),
        (2, (2, 2), (1, 1), [[2, 3], [3, 4]]),
        (6, (0, 4), (4, 1), np.zeros((0, 4))),
        (4, (1, 2), (99, 1), [[4, 5]]),
    ],
)
def test_a_tensor_is_a_view_of_its_storage(read, container, offset, size, stride, expected):
    value = tensor(storage("0", 6), offset, size, stride)
    assert_same(read(container(value, {"0": SIX})), np.array(expected, np.float32))


def test_tensors_may_share_a_storage(read, container):
    value = {"all": WEIGHT, "row": tensor(storage("0", 6), 3, (3,), (1,))}
    actual = read(container(value, {"0": SIX}))
    assert_same(actual["row"], SIX[3:])
    assert np.shares_memory(actual["all"], actual["row"])


def test_parameters_and_the_oldest_tensors_are_read(read, container):
    hooks = call("collections.OrderedDict")
    old = call("torch._utils._rebuild_tensor", storage("0", 6), 0, (6,), (1,))
    value = {
        "parameter": call("torch._utils._rebuild_parameter", WEIGHT, True, hooks),
        "old": old,
        "metadata": call("torch._utils._rebuild_tensor_v2", storage("0", 6), 0, (), (), 0, 0, {}),
    }
    actual = read(container(value, {"0": SIX}))
    assert_same(actual["parameter"], SIX.reshape(2, 3))
    assert_same(actual["old"], SIX)
    assert_same(actual["metadata"], SIX[0])


def test_a_storage_may_be_a_part_of_another(read, container):
    """As files of 2017 have it."""
    view = storage("0", 6, "Float", ("1", 2, 3))
    value = {
        "a": tensor(view, 1, (2,), (1,)),
        "b": tensor(storage("0", 6, "Float", None), 0, (), ()),
    }
    actual = read(container(value, {"0": SIX}))
    assert_same(actual["a"], SIX[3:5])
    assert_same(actual["b"], SIX[0])
    for part in (("1", 4, 3), ("1", -1, 3)):
        value = tensor(storage("0", 6, "Float", part), 0, (1,), (1,))
        assert "damaged" in message_of(read, container(value, {"0": SIX}))
    value = tensor(view, 1, (3,), (1,))  # within the storage, but not within its part
    assert "storage that has 3" in message_of(read, container(value, {"0": SIX}))


def test_a_state_dict_has_the_versions_of_its_modules(read, container):
    names = call("collections.OrderedDict") + pickle.MARK + pickled("w") + WEIGHT
    names += pickle.SETITEMS + pickled({"_metadata": {"": {"version": 1}}}) + pickle.BUILD
    assert_same(read(container(names, {"0": SIX}), read_state_dict)["w"], SIX.reshape(2, 3))


def test_what_is_read_may_be_written_to(read, container):
    actual = read(container(WEIGHT, {"0": SIX}))
    actual += 1
    assert_same(actual, SIX.reshape(2, 3) + 1)


# NumPy arrays

RAW = latin1(b"x" * 16)


@pytest.mark.parametrize("code", ["f8", "f4", "f2", "i8", "i1", "u4", "b1"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_numpy_arrays_are_read(read, container, code, order):
    array = np.arange(2).astype(order + code)
    expected = array.astype(code)
    assert_same(read(container(numpy_array(latin1(array.tobytes()), code, order))), expected)


def test_a_large_numpy_array_of_either_order_is_read(read):
    """NumPy keeps the bytes of one with more than 1,000 of them."""
    array = np.random.default_rng(0).normal(size=(30, 20))
    for content, order in ((array, "<"), (array.astype(">f8"), ">")):
        value = numpy_array(latin1(content.tobytes()), order=order, shape=(30, 20))
        actual = measured(read, stream(value))
        assert_same(actual, array)
        assert actual.dtype.isnative


@pytest.mark.parametrize(
    ("value", "cause"),
    [
        (numpy_array(RAW, code="O8"), "it has a NumPy array of type 'O8', and only numbers"),
        (numpy_array(RAW, code="U4"), "it has a NumPy array of type 'U4', and only numbers"),
        (numpy_array(RAW, shape=(3,)), "an array with too many or too few bytes"),
        (numpy_array(RAW, shape=(2**62, 2**62)), "an array with too many or too few bytes"),
        (numpy_array(RAW, shape=(-2,)), "a size, offset or stride that is negative"),
        (numpy_array(RAW, order="S"), "a type without a byte order"),
        (numpy_array("x" * 16), "an array with too many or too few bytes"),
        (call("_codecs.encode", "eval", "rot13"), "bytes in another encoding than Latin-1"),
        (call("numpy.ndarray", (2,)), "StandIn where a function should be called"),
        (call("numpy.dtype", "f8") + pickled(()) + pickle.BUILD, "tuple index out of range"),
        (WEIGHT + pickled((1, (6,), "f4", False, "")) + pickle.BUILD, "a state for an object of"),
        (named("numpy.dtype") + pickled({"call": 1}) + pickle.BUILD, "a state for an object of"),
    ],
)
def test_a_numpy_array_that_cannot_be_is_refused(read, value, cause):
    assert cause in message_of(read, stream(value))


def test_a_text_is_not_made_into_bytes_again_and_again(read):
    """Each time takes 30 bytes of the file and all of the text in memory."""
    text = pickled("a" * 10_000) + pickle.BINPUT + b"\x07"
    again = call("_codecs.encode", pickle.BINGET + b"\x07", "latin1")
    content = stream([text, *[again] * 100])
    assert "its arrays are larger than the file" in message_of(measured, read, content)
    raw = latin1(b"a" * 8000) + pickle.BINPUT + b"\x07"
    again = [numpy_array(pickle.BINGET + b"\x07", order=">", shape=(1000,))] * 100
    content = stream([raw, *again])
    assert "its arrays are larger than the file" in message_of(measured, read, content)


# Claims that the file does not keep


def test_storages_are_checked_against_the_file_before_they_are_made(read, container):
    for n in (10**6, 2**62):
        message = message_of(measured, read, container(tensor(storage("0", n), 0, (1,), (1,))))
        assert f"its tensors take at least {4 * n:,} bytes, but it has" in message
    # Each of them would fit.
    value = [tensor(storage(str(i), 400), 0, (400,), (1,)) for i in range(50)]
    message = message_of(measured, read, container(value))
    assert "the file is truncated or damaged: its tensors take at least" in message


def test_entries_of_a_zip_cannot_share_their_bytes(read):
    """Each entry is as large as it should be, but there are more of them than the file has room."""
    numbers = np.zeros(50_000, np.float32)
    value = {str(i): tensor(storage(str(i), numbers.size), 0, (), ()) for i in range(10)}
    file = io.BytesIO(zipped(value, {"0": numbers}))
    with zipfile.ZipFile(file, "a") as archive:
        for i in range(1, 10):
            twin = copy.copy(archive.getinfo("model/data/0"))
            twin.filename = f"model/data/{i}"
            archive.filelist.append(twin)
        archive.writestr("model/last", "")
    with zipfile.ZipFile(file) as archive:
        assert archive.getinfo("model/data/9").file_size == numbers.nbytes
    assert "its tensors take at least" in message_of(measured, read, file.getvalue())


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [
        (0, (7,), (1,)),
        (5, (2,), (1,)),
        (6, (), ()),
        (0, (2, 2), (5, 1)),
        (0, (100,), (0,)),  # a view of one number that would be a hundred if it were copied
        (0, (2**40, 2**40), (0, 0)),
        (0, (2**62, 2), (2**62, 1)),
    ],
)
def test_a_tensor_cannot_be_larger_than_its_storage(read, container, offset, size, stride):
    value = tensor(storage("0", 6), offset, size, stride)
    message = message_of(measured, read, container(value, {"0": SIX}))
    assert f"it is damaged: a tensor of {math.prod(size):,} numbers ends at number" in message
    assert "of a storage that has 6." in message


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [
        (-1, (2,), (1,)),
        (0, (-2,), (1,)),
        (3, (2,), (-1,)),
        (0, (2,), ()),
        (0, [2], (1,)),
        (0, (2**63,), (0,)),
        (0, (True,), (1,)),
        (0, (1,) * 33, (1,) * 33),
        (0, (0, 2**62, 2**62), (1, 1, 1)),
        (None, (2,), (1,)),
        (0, "2", "1"),
    ],
)
def test_a_tensor_of_an_impossible_shape_is_refused(read, container, offset, size, stride):
    value = tensor(storage("0", 6), offset, size, stride)
    assert "the file is damaged" in message_of(measured, read, container(value, {"0": SIX}))


@pytest.mark.parametrize(
    "value",
    [
        pickled(("module", named("torch.FloatStorage"), "0", "cpu", 6)) + pickle.BINPERSID,
        pickled(("storage", "FloatStorage", "0", "cpu", 6)) + pickle.BINPERSID,
        pickled(("storage", named("numpy.ndarray"), "0", "cpu", 6)) + pickle.BINPERSID,
        pickled(("storage", named("torch.FloatStorage"), 0, "cpu", 6)) + pickle.BINPERSID,
        pickled(("storage", named("torch.FloatStorage"), "0", "cpu", "6")) + pickle.BINPERSID,
        pickled(("storage", named("torch.FloatStorage"), "0", "cpu", -6)) + pickle.BINPERSID,
        pickled(("storage", named("torch.FloatStorage"))) + pickle.BINPERSID,
        pickled("storage") + pickle.BINPERSID,
        storage("0", 6, "Float", 1),
        [storage("0", 6), storage("0", 6, "Int")],
        [storage("0", 6), storage("0", 5)],
        tensor(WEIGHT, 0, (1,), (1,)),
        tensor("0", 0, (1,), (1,)),
        call("torch._utils._rebuild_tensor_v2"),
        call("torch._utils._rebuild_parameter"),
        call("torch.FloatStorage", 6),
        call("collections.OrderedDict", []),
    ],
)
def test_a_storage_that_is_none_is_refused(read, container, value):
    assert "the file is damaged" in message_of(measured, read, container(value, {"0": SIX}))


# The stream


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (stream(WEIGHT, {"0": SIX}, counts={"0": 5}), "a storage of 5 numbers, expected 6"),
        (stream(WEIGHT, {"0": SIX}, keys=[]), "the storages listed are not those in use"),
        (stream(WEIGHT, {"0": SIX}, keys=["0", "0"]), "the storages listed are not those in use"),
        (stream(WEIGHT, {"0": SIX}, keys=["0", "1"]), "the storages listed are not those in use"),
        (stream(WEIGHT, {"0": SIX}, keys=[("0",)]), "the storages listed are not those in use"),
        (stream(WEIGHT, {"0": SIX}) + b"!", "the file is damaged: its tensors take 32 bytes, but"),
        (stream(1, little_endian=False), "it was written on a big-endian machine"),
        (stream(1).replace(whole(1001), whole(1002)), "another version of its format than 1001"),
        (stream(1).replace(whole(1001), whole("1")), "another version of its format than 1001"),
        (b"", "the file is empty"),
        (whole({"a": 1}), "it is a pickle, but none of torch.save: it starts with b'\\x80"),
        (b"\0" * 257 + b"ustar" + b"\0" * 250, "it is a tar, as torch before 0.1.10 wrote it"),
    ],
)
def test_a_stream_that_cannot_be_read_is_refused(read, content, cause):
    message = message_of(measured, read, content)
    assert message.startswith("Cannot read the file: ")
    assert cause in message


# The zip


def test_the_folder_in_a_zip_may_have_any_name(read):
    for top in ("archive", "a/b", "データ"):
        for order in ("little", None):
            content = zipped(WEIGHT, {"0": SIX}, top=top, byteorder=order)
            assert_same(read(content), SIX.reshape(2, 3))


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (zipped(WEIGHT, {"0": SIX}, byteorder="big"), "it was written on a big-endian machine"),
        (zipped(WEIGHT, {"0": SIX}, byteorder=""), "it was written on a big-endian machine"),
        (zipped(WEIGHT, {"1": SIX}), "it has no storage data/0, although a tensor needs it"),
        (zipped(WEIGHT, {"0": SIX[:5]}), "model/data/0 has 20 bytes, but its tensors need 24"),
        (
            zipped(WEIGHT, {"0": SIX}, compression=zipfile.ZIP_DEFLATED),
            "model/data.pkl in it is compressed, and torch.save never does that",
        ),
        (zipped(1)[:-9], "the file is damaged; copy or download it again. [BadZipFile: "),
        (zipped(1)[:40], "the file is damaged; copy or download it again. [BadZipFile: "),
        (
            zipped(1).replace(b"data.pkl", b"date.pkl"),
            "it is a zip, but not of torch.save: expected one data.pkl, found 0 among model/date",
        ),
        (zipped(SIX.tobytes() + pickled(1)), "the file is damaged"),
        (zipped(pickled(1) + pickle.STOP), "bytes after the end of its pickle"),
        (
            zipped(WEIGHT, {"0": SIX}).replace(SIX.tobytes(), SIX[::-1].tobytes()),
            "model/data/0 in it is damaged (wrong checksum)",
        ),
        (zipped("text").replace(b"text", b"next"), "model/data.pkl in it is damaged (wrong check"),
    ],
)
def test_a_zip_that_cannot_be_read_is_refused(read, content, cause):
    message = message_of(measured, read, content)
    assert message.startswith("Cannot read the file: ")
    assert cause in message


def test_an_encrypted_zip_is_refused(read):
    content = bytearray(zipped(WEIGHT, {"0": SIX}))
    directory = content.index(b"PK\x01\x02")
    content[directory + 8] |= 1
    assert "model/data.pkl in it is encrypted" in message_of(read, bytes(content))


def test_the_directory_of_a_zip_must_be_small(read, monkeypatch):
    content = zipped(WEIGHT, {"0": SIX})
    monkeypatch.setattr(zip_directory, "_MOST_BYTES", 100)
    assert "it is a zip with a directory of" in message_of(read, content)


# State dicts


@pytest.mark.parametrize(
    ("value", "content"),
    [
        (WEIGHT, "an object of type ndarray"),
        ([WEIGHT], "an object of type list"),
        ({"w": WEIGHT, "epoch": 3}, "entries that are no tensors: 'epoch' (int)"),
        ({"model": {"w": WEIGHT}}, "entries that are no tensors: 'model' (dict)"),
        (
            {f"a{i}": None for i in range(1234)},
            "entries that are no tensors: 'a0' (NoneType), 'a1' (NoneType), 'a2' (NoneType), "
            "'a3' (NoneType) and 1,230 more",
        ),
    ],
)
def test_anything_else_than_a_state_dict_is_refused(read, value, content):
    used = {"0": SIX} if WEIGHT in pickled(value) else {}
    assert message_of(read, stream(value, used), read_state_dict) == (
        f"the file holds {content}. Expected a state dict: tensors by name, as "
        "torch.save(model.state_dict(), file) writes them."
    )


def test_a_file_that_is_not_there_is_reported(tmp_path):
    message = message_of(read_torch, tmp_path / "none.pkl", "none.pkl")
    assert message == "Cannot read none.pkl: No such file or directory."


# Damage anywhere

STEP = 2  # so that a few hundred places are tried in each file


def small_files():
    state = {"w": WEIGHT, "v": tensor(storage("1", 3, "BFloat16"), 0, (3,), (1,)), "n": [1, "a"]}
    numbers = {"0": SIX, "1": np.arange(3, dtype="<u2")}
    return {
        "stream": stream(state, numbers),
        "zip": zipped(state, numbers),
        "array": stream(numpy_array(latin1(SIX.tobytes()), "f4", shape=(6,))),
    }


def outcome(path):
    """What reading a damaged file ends in: a kind of error, or an answer."""
    try:
        measured(read_torch, path, "it")
    except ElmoError as error:
        assert str(error).startswith("Cannot read it: ")
        return str(error)
    return "an answer"


@pytest.mark.parametrize("name", ["stream", "zip", "array"])
def test_a_wrong_byte_anywhere_ends_in_an_error_or_an_answer(tmp_path, name):
    content, path, outcomes = small_files()[name], tmp_path / "damaged", set()
    random_bits = random.Random(0)
    for position in range(0, len(content), STEP):
        damaged = bytearray(content)
        damaged[position] ^= 1 << random_bits.randrange(8)
        path.write_bytes(damaged)
        outcomes.add(outcome(path))
    assert len(outcomes) > 10 and "an answer" in outcomes


@pytest.mark.parametrize("name", ["stream", "zip", "array"])
def test_a_truncated_file_ends_in_an_error(tmp_path, name):
    content, path = small_files()[name], tmp_path / "truncated"
    for kept in range(0, len(content), STEP):
        path.write_bytes(content[:kept])
        assert outcome(path) != "an answer"


@pytest.mark.parametrize("name", ["words-only/token_embedder", "chars-only/encoder"])
def test_bytes_in_the_pickles_of_others_may_be_anything(foreign, tmp_path, name):
    content, path = (foreign / "emfml" / f"{name}.pkl").read_bytes(), tmp_path / "damaged"
    draw = random.Random(1)
    for _ in range(100):
        damaged = bytearray(content)
        for _ in range(draw.choice([1, 2, 8])):
            damaged[draw.randrange(3000)] = draw.randrange(256)  # the numbers come later
        path.write_bytes(damaged)
        outcome(path)


def test_reading_takes_no_more_memory_than_the_arrays(read, container):
    numbers = {str(i): np.ones(50_000, np.float32) for i in range(4)}
    value = {key: tensor(storage(key, 50_000), 0, (50_000,), (1,)) for key in numbers}
    content = container(value, numbers)
    before, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    tensors = read(content)
    _, peak = tracemalloc.get_traced_memory()
    assert peak - before < sum(array.nbytes for array in tensors.values()) + SMALL


def assert_same(actual, expected):
    assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(actual, expected)


def measured(function, source, *args):
    """Call a function, and see that it takes at most twice the memory that its file takes."""
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    before, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    try:
        return function(source, *args)
    finally:
        _, peak = tracemalloc.get_traced_memory()
        assert peak - before < 2 * size + SMALL
