"""Files of torch.save made by hand, from opcodes of a pickle.

`pickled` turns plain values into opcodes. Bytes are opcodes already, so that tensors and whatever
else a file may claim can stand anywhere in a value.
"""

import io
import pickle
import struct
import zipfile

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C


def pickled(value):
    """The opcodes that put a value on the stack."""
    match value:
        case bytes():
            return value
        case None:
            return pickle.NONE
        case bool():
            return pickle.NEWTRUE if value else pickle.NEWFALSE
        case int() if -(2**31) <= value < 2**31:
            return pickle.BININT + struct.pack("<i", value)
        case int():
            number = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            return pickle.LONG1 + bytes([len(number)]) + number
        case str():
            text = value.encode()
            return pickle.BINUNICODE + struct.pack("<I", len(text)) + text
        case tuple():
            return pickle.MARK + b"".join(map(pickled, value)) + pickle.TUPLE
        case list():
            items = b"".join(map(pickled, value))
            return pickle.EMPTY_LIST + pickle.MARK + items + pickle.APPENDS
        case dict():
            items = b"".join(pickled(part) for item in value.items() for part in item)
            return pickle.EMPTY_DICT + pickle.MARK + items + pickle.SETITEMS


def named(name):
    """A function or class, by its module and name."""
    module, _, name = name.rpartition(".")
    return pickle.GLOBAL + f"{module}\n{name}\n".encode()


def call(name, *arguments):
    """What a function gives for these arguments."""
    return named(name) + pickled(arguments) + pickle.REDUCE


def whole(value):
    """A pickle by itself."""
    return pickle.PROTO + b"\x02" + pickled(value) + pickle.STOP


def storage(key, count, kind="Float", *view):
    """A reference to `count` numbers; with a view, as files of 2017 have it, to a part of them."""
    described = ("storage", named(f"torch.{kind}Storage"), key, "cpu", count, *view)
    return pickled(described) + pickle.BINPERSID


def tensor(numbers, offset, size, stride):
    """A view of a storage."""
    hooks = call("collections.OrderedDict")
    return call("torch._utils._rebuild_tensor_v2", numbers, offset, size, stride, False, hooks)


def latin1(content):
    """Bytes as protocol 2 has them: a text to be encoded."""
    return call("_codecs.encode", content.decode("latin1"), "latin1")


def numpy_array(raw, code="f8", order="<", shape=(2,)):
    """A NumPy array of bytes, which opcodes put on the stack."""
    empty = call(
        "numpy.core.multiarray._reconstruct",
        named("numpy.ndarray"),
        (0,),
        latin1(b"b"),
    )
    dtype = call("numpy.dtype", code, False, True)
    dtype += pickled((3, order, None, None, None, -1, -1, 0)) + pickle.BUILD
    return empty + pickled((1, shape, dtype, False, raw)) + pickle.BUILD


def stream(value, storages=None, *, keys=None, little_endian=True, counts=None):
    """The older container. `storages`: {key: array}, `counts`: what is written for their sizes."""
    storages = storages or {}
    system = {"protocol_version": 1001, "little_endian": little_endian, "type_sizes": {"int": 4}}
    keys = sorted(storages) if keys is None else keys
    content = b"".join(map(whole, (MAGIC, 1001, system, value, keys)))
    for key, array in sorted(storages.items()):
        count = (counts or {}).get(key, array.size)
        content += struct.pack("<q", count) + array.tobytes()
    return content


def zipped(value, storages=None, *, byteorder="little", top="model", **choices):
    """The newer container. `choices`: of zipfile.ZipFile, such as the compression."""
    parts = {"data.pkl": whole(value)}
    if byteorder is not None:
        parts["byteorder"] = byteorder.encode()
    parts |= {f"data/{key}": array.tobytes() for key, array in (storages or {}).items()}
    parts["version"] = b"3\n"
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **choices) as archive:
        for name, content in parts.items():
            # With the time of 1980: pytest makes names of tests of these bytes.
            entry = zipfile.ZipInfo(f"{top}/{name}")
            archive.writestr(entry, content, archive.compression)
    return file.getvalue()


def state_dict(tensors, container=stream):
    """A file with tensors by name, each a storage of its own, as torch.save writes a state dict."""
    value, storages = {}, {}
    for key, (name, array) in enumerate(tensors.items()):
        array = np.ascontiguousarray(array, np.float32)
        strides = tuple(step // array.itemsize for step in array.strides)
        value[name] = tensor(storage(str(key), array.size), 0, array.shape, strides)
        storages[str(key)] = array
    return container(value, storages)
