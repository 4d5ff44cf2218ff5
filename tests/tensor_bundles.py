"""Writing TensorFlow checkpoints, whole and in every way wrong, without TensorFlow."""

import itertools
import re
from typing import NamedTuple

import numpy as np

from elmo_jax.checkpoint.containers import bundle_table, crc32c, tensor_bundle
from elmo_jax.checkpoint.containers.tensor_bundle import TensorBundle

MAGIC = 0xDB4775248B80FB57
TYPES = {"float32": 1, "float64": 2, "int32": 3, "int64": 9, "bfloat16": 14, "float16": 19}


class Variable(NamedTuple):
    """One variable as it is written; a choice of None means the right value."""

    numbers: np.ndarray
    dtype: int | None = None
    shape: tuple[int, ...] | None = None
    shard: int = 0
    offset: int | None = None
    size: int | None = None
    crc32c: int | None = None
    sliced: bool = False


class Anything(int):
    """A checksum that is equal to every other."""

    def __ne__(self, other):
        return False


def accept_every_checksum(monkeypatch):
    """Let wrong bytes through to what stands behind the checksums."""
    for module in (bundle_table, tensor_bundle):
        monkeypatch.setattr(module, "masked", Anything)
    monkeypatch.setattr(bundle_table, "crc32c", lambda content: 0)


def flip(path, position, mask=0xFF):
    """Change one byte of a file."""
    content = bytearray(path.read_bytes())
    content[position] ^= mask
    path.write_bytes(content)


def read_variables(prefix):
    """{name: array} of a checkpoint."""
    bundle = TensorBundle(prefix, str(prefix))
    return {name: bundle.read(name) for name in bundle.entries}


def masked_crc32c(content):
    return crc32c.masked(crc32c.crc32c(memoryview(content)))


def write_bundle(prefix, variables, *, n_shards=1, **choices):
    """Write `PREFIX.index` and the data files; `choices` are those of `index_of`."""
    prefix.parent.mkdir(parents=True, exist_ok=True)
    shards, entries = [b""] * n_shards, {}
    for name, variable in sorted(variables.items()):
        if not isinstance(variable, Variable):
            variable = Variable(np.asarray(variable))
        content = np.ascontiguousarray(variable.numbers).tobytes()
        if variable.shard < n_shards:
            entries[name] = entry(variable, len(shards[variable.shard]), content)
            shards[variable.shard] += content
        else:
            entries[name] = entry(variable, 0, content)
    for number, content in enumerate(shards):
        suffix = f".data-{number:05d}-of-{n_shards:05d}"
        prefix.with_name(prefix.name + suffix).write_bytes(content)
    index = prefix.with_name(f"{prefix.name}.index")
    index.write_bytes(index_of(entries, n_shards, **choices))
    return prefix


def index_of(
    entries,
    n_shards=1,
    *,
    big_endian=False,
    compression=0,
    block_entries=7,
    header=None,
    extra=(),
):
    """The content of an index: the messages of `entries` by name, in blocks of some entries.

    `header` replaces its first message; `extra` are (key, message) pairs that follow it.
    """
    message = field(1, n_shards) + field(2, int(big_endian)) + field(3, field(1, 1))
    pairs = [(b"", message if header is None else header), *extra]
    pairs += [(name.encode(), value) for name, value in entries.items()]
    content, handles = b"", []
    for start in range(0, len(pairs), block_entries):
        part = pairs[start : start + block_entries]
        written = block(part, compression)
        handles.append((part[-1][0], varint(len(content)) + varint(len(written) - 5)))
        content += written
    for written in (block([]), block(handles, restart=1)):  # the first is the metaindex
        handles.append((b"", varint(len(content)) + varint(len(written) - 5)))
        content += written
    return content + footer(*(handle for _, handle in handles[-2:]))


def footer(metaindex, index, magic=MAGIC):
    return (metaindex + index).ljust(40, b"\0") + magic.to_bytes(8, "little")


def block(pairs, compression=0, restart=3):
    """A block whose keys share their beginnings, with a restart at every few of them."""
    content, restarts, before = b"", [], b""
    for number, (key, value) in enumerate(pairs):
        same = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(key, before, strict=False))
        n_shared = len(list(same))
        if number % restart == 0:
            n_shared = 0
            restarts.append(len(content))
        content += varint(n_shared) + varint(len(key) - n_shared) + varint(len(value))
        content += key[n_shared:] + value
        before = key
    restarts = restarts or [0]
    content += b"".join(n.to_bytes(4, "little") for n in (*restarts, len(restarts)))
    return sealed(content, compression)


def sealed(content, compression=0):
    """The bytes of a block with its compression and its checksum."""
    content += bytes([compression])
    return content + masked_crc32c(content).to_bytes(4, "little")


def entry(variable, offset, content):
    """The message about a variable whose numbers lie at `offset`."""

    def given(choice, value):
        return value if choice is None else choice

    shape = given(variable.shape, variable.numbers.shape)
    crc32c = masked_crc32c(content) if variable.crc32c is None else variable.crc32c
    return (
        field(1, given(variable.dtype, TYPES.get(variable.numbers.dtype.name, 7)))
        + field(2, b"".join(field(2, field(1, n) if n else b"") for n in shape))
        + field(3, variable.shard)
        + field(4, given(variable.offset, offset))
        + field(5, given(variable.size, len(content)))
        + varint(6 << 3 | 5)
        + crc32c.to_bytes(4, "little")
        + (field(7, field(1, b"")) if variable.sliced else b"")
    )


def field(number, value):
    """A field of a protocol buffer; 0 is left out."""
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    return varint(number << 3) + varint(value) if value else b""


def varint(number):
    content = b""
    while number > 0x7F:
        content += bytes([number & 0x7F | 0x80])
        number >>= 7
    return content + bytes([number])


# The variables of a biLM

CELL = re.compile(r"(RNN_[01])/RNN/MultiRNNCell/Cell(\d)/LSTMCell/(W_0|B|W_P_0)")
ARRAYS = {"W_0": "kernel", "B": "bias", "W_P_0": "projection/kernel"}


def variables_of(weights, scope="lm"):
    """Weights of a published file by the names of variables.

    The scope is "lm" for bilm-tf's graph for training, "bilm" for that for inference, as in TF-Hub.
    """
    only = not any("/Cell1/" in name for name in weights)
    variables = {}
    for name, array in weights.items():
        if match := CELL.fullmatch(name):
            direction, layer, part = match.groups()
            cell = "rnn/lstm_cell" if only else f"rnn/multi_rnn_cell/cell_{layer}/lstm_cell"
            if scope == "bilm":
                cell = f"RNN/MultiRNNCell/Cell{layer}/rnn/lstm_cell"
            name = f"{direction}/{cell}/{ARRAYS[part]}"
        variables[f"{scope}/{name}"] = array
    return variables


def random_softmax(n_words, projection_dim, seed=0):
    """The softmax of a biLM: its variables by name."""
    rng = np.random.default_rng(seed)
    return {
        "lm/softmax/W": rng.normal(size=(n_words, projection_dim)).astype(np.float32),
        "lm/softmax/b": rng.normal(size=n_words).astype(np.float32),
    }
