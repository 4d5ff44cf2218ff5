"""Files made to do harm: bombs, lies and tangles, each with the error that it gets.

They are opened in a process with little memory, see `opening`.
"""

import gzip
import io
import json
import pickle
import struct
import tarfile
import zipfile

import numpy as np
import pytest
from opening import Apart
from random_models import random_lexicon_model, random_model, write_lexicon_model, write_model
from tally import Tally
from tensor_bundles import Variable, variables_of, write_bundle
from torch_files import pickled, storage, stream, tensor, zipped

MILLION = 10**6


@pytest.fixture(scope="module")
def apart():
    with Apart() as process:
        yield process


def model_zip(folder, **files):
    """A zip with options.json and other files."""
    options, _ = random_model(0)
    with zipfile.ZipFile(folder / "m.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("options.json", json.dumps(options))
        for name, content in files.items():
            archive.writestr(name.replace("__", "."), content)
    return {"source": folder / "m.zip"}


def patched(path, magics, value):
    """Write a value at places after the headers of a zip's last entry: {magic: offset}."""
    content = bytearray(path.read_bytes())
    for magic, offset in magics.items():
        start = content.rindex(magic) + offset
        content[start : start + len(value)] = value
    path.write_bytes(content)


LOCAL, CENTRAL = b"PK\x03\x04", b"PK\x01\x02"


def a_small_zip_of_many_bytes(folder):
    return model_zip(folder, weights__hdf5=bytes(120 * MILLION))


def a_zip_that_claims_fewer_bytes(folder):
    source = model_zip(folder, weights__hdf5=bytes(30 * MILLION))
    patched(source["source"], {LOCAL: 22, CENTRAL: 24}, (40).to_bytes(4, "little"))
    return source


def a_zip64_that_claims_exabytes(folder):
    source = model_zip(folder, weights__hdf5=b"x")
    path = source["source"]
    content = path.read_bytes()
    start = content.rindex(CENTRAL)
    entry = bytearray(content[start:])
    name_length = int.from_bytes(entry[28:30], "little")
    entry[24:28] = b"\xff" * 4  # the size stands in an extra field
    extra = struct.pack("<HHQ", 1, 8, 2**62)
    entry[30:32] = len(extra).to_bytes(2, "little")
    entry[46 + name_length : 46 + name_length] = extra
    end = entry.index(b"PK\x05\x06")
    size = int.from_bytes(entry[end + 12 : end + 16], "little") + len(extra)
    entry[end + 12 : end + 16] = size.to_bytes(4, "little")
    path.write_bytes(content[:start] + entry)
    return source


def a_zip_whose_entries_are_the_same_bytes(folder):
    source = model_zip(folder, weights__hdf5=bytes(10 * MILLION))
    path = source["source"]
    content = path.read_bytes()
    start, end = content.rindex(CENTRAL), content.rindex(b"PK\x05\x06")
    entry, tail = content[start:end], bytearray(content[end:])
    copies = b"".join(entry.replace(b"weights.", b"%07d." % n) for n in range(2000))
    for place in (8, 10):
        tail[place : place + 2] = (2002).to_bytes(2, "little")
    size = int.from_bytes(tail[12:16], "little") + len(copies)
    tail[12:16] = size.to_bytes(4, "little")
    path.write_bytes(content[:end] + copies + tail)
    return source


def a_zip_in_a_zip(folder):
    inner = model_zip(folder, weights__hdf5=bytes(MILLION))["source"].read_bytes()
    return model_zip(folder, weights__hdf5=inner)


def a_zip_of_very_many_names(folder):
    with zipfile.ZipFile(folder / "m.zip", "w") as archive:
        for number in range(12_000):
            archive.writestr(f"{number:040d}", b"")
    return {"source": folder / "m.zip"}


def a_zip_with_an_unknown_compression(folder):
    source = model_zip(folder, weights__hdf5=b"x" * 100)
    patched(source["source"], {LOCAL: 8, CENTRAL: 10}, (97).to_bytes(2, "little"))
    return source


def an_encrypted_zip(folder):
    source = model_zip(folder, weights__hdf5=b"x" * 100)
    patched(source["source"], {LOCAL: 6, CENTRAL: 8}, b"\x01")
    return source


def a_zip_with_a_name_that_is_no_utf_8(folder):
    source = model_zip(folder, weights__hdf5=b"x" * 100)
    patched(source["source"], {LOCAL: 6, CENTRAL: 8}, (0x800).to_bytes(2, "little"))
    patched(source["source"], {CENTRAL: 46}, b"\xff\xfe")
    return source


def a_zip_with_an_absolute_name(folder):
    with zipfile.ZipFile(folder / "m.zip", "w") as archive:
        archive.writestr("/etc/options.json", b"{}")
    return {"source": folder / "m.zip"}


def a_tar_with_a_header_that_takes_long_to_parse(folder):
    """Python's module looks for a pattern from each of these digits to the end."""
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, MILLION
    (folder / "m.tar").write_bytes(info.tobuf() + b"1" * MILLION + bytes(10_240))
    return {"source": folder / "m.tar"}


def a_tar_with_many_long_headers(folder):
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 16_384
    header = info.tobuf() + b"a" * 16_384
    (folder / "m.tar").write_bytes(header * 500 + tarfile.TarInfo("a").tobuf() + bytes(10_240))
    return {"source": folder / "m.tar"}


def options_with(**changes):
    def write(folder):
        options, weights = random_model(0)
        for path, value in changes.items():
            section, _, key = path.partition("__")
            options[section][key] = value
        write_model(folder / "m", options, weights)
        return {"source": folder / "m"}

    return write


def options_text(text):
    def write(folder):
        write_model(folder / "m", *random_model(0))
        (folder / "m" / "options.json").write_bytes(text)
        return {"source": folder / "m"}

    return write


def checkpoint_with(variable):
    def write(folder):
        options, weights = random_model(0)
        write_model(folder / "m", options, {})
        (folder / "m" / "weights.hdf5").unlink()
        variables = {**variables_of(weights), "lm/softmax/W": variable}
        write_bundle(folder / "m" / "model.ckpt-1", variables)
        return {"source": folder / "m"}

    return write


def variables_that_are_the_same_bytes(folder):
    options, weights = random_model(0)
    write_model(folder / "m", options, {})
    (folder / "m" / "weights.hdf5").unlink()
    numbers = np.ones((20_000, 6), np.float32)
    heads = {
        f"lm/{n:04d}": Variable(numbers[:0], shape=(20_000, 6), offset=0, size=numbers.nbytes)
        for n in range(1500)
    }
    write_bundle(folder / "m" / "model.ckpt-1", {**variables_of(weights), **heads, "lm/z": numbers})
    return {"source": folder / "m"}


def module_with(**variables):
    def write(folder):
        _, weights = random_model(0)
        named = {f"aggregation/{name}": array for name, array in variables.items()}
        prefix = folder / "m" / "variables" / "variables"
        write_bundle(prefix, {**variables_of(weights, "bilm"), **named})
        return {"source": folder / "m"}

    return write


def state_dict_of(content):
    def write(folder):
        (folder / "m").mkdir()
        (folder / "m" / "weights.th").write_bytes(content)
        return {"source": folder / "m"}

    return write


def a_dictionary_of_empty_lines(folder):
    write_lexicon_model(folder / "m", *random_lexicon_model(0))
    (folder / "m" / "word.dic").write_bytes(b"\n" * 5 * MILLION)
    return {"source": folder / "m"}


def a_dictionary_of_one_line(folder):
    write_lexicon_model(folder / "m", *random_lexicon_model(0))
    (folder / "m" / "char.dic").write_bytes(b"x" * 5 * MILLION)
    return {"source": folder / "m"}


def with_table(content, name="table.txt"):
    def write(folder):
        write_model(folder / "m", *random_model(0))
        (folder / name).write_bytes(content() if callable(content) else content)
        return {"source": folder / "m", "token_table": folder / name}

    return write


def with_alignment(content, name="m.npy"):
    def write(folder):
        write_model(folder / "m", *random_model(0))
        (folder / name).write_bytes(content() if callable(content) else content)
        return {"source": folder / "m", "alignment": folder / name}

    return write


def npy(shape, content=b"", kind="<f8"):
    header = repr({"descr": kind, "fortran_order": False, "shape": shape}).encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content


def npz(content):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("alignment.npy", content)
    return file.getvalue()


def a_vocabulary_that_expands(folder):
    options, weights = random_model(0)
    write_model(folder / "m", {"lstm": options["lstm"], "n_tokens_vocab": 9}, weights)
    (folder / "m" / "vocab.txt.gz").write_bytes(gzip.compress(b"a\n" * 15 * MILLION, 1))
    return {"source": folder / "m"}


def deep(opcode_open, opcode_close, n=200_000):
    return b"\x80\x02" + opcode_open * n + pickled(1) + opcode_close * n + b"."


OPCODES = {
    "an extension": pickle.EXT1 + b"\x01",
    "a long integer": pickle.LONG4 + struct.pack("<i", 2**31 - 1),
    "an old integer": pickle.INT + b"9" * 100_000 + b"\n",
    "an instance": pickle.INST + b"os\nsystem\n",
    "a frozen set": pickle.MARK + pickle.FROZENSET,
    "a buffer": pickle.NEXT_BUFFER,
    "bytes that are not there": pickle.BINBYTES8 + struct.pack("<Q", 2**40),
}

HOSTILE = {
    a_small_zip_of_many_bytes: "plausible for a file of its size",
    a_zip_that_claims_fewer_bytes: "Cannot read the zip",
    a_zip64_that_claims_exabytes: "plausible for a file of its size",
    a_zip_whose_entries_are_the_same_bytes: "plausible for a file of its size",
    a_zip_in_a_zip: "it is not an HDF5 file",
    a_zip_of_very_many_names: "more than 10,000 entries",
    a_zip_with_an_unknown_compression: "Cannot read the zip",
    an_encrypted_zip: "is encrypted",
    a_zip_with_a_name_that_is_no_utf_8: "Cannot read the zip",
    a_zip_with_an_absolute_name: "outside the archive",
    a_tar_with_a_header_that_takes_long_to_parse: "a header claims",
    a_tar_with_many_long_headers: "a header claims",
    a_dictionary_of_empty_lines: "expected at most",
    a_dictionary_of_one_line: "expected at most",
    a_vocabulary_that_expands: "expands to more than",
    variables_that_are_the_same_bytes: "some share their bytes",
}
CASES = {attack.__name__: (attack, message) for attack, message in HOSTILE.items()} | {
    **{
        f"{key} of 10**9": (options_with(**{key: 10**9}), "expected at most")
        for key in ("lstm__n_layers", "lstm__dim", "lstm__projection_dim", "char_cnn__n_highway")
    },
    "words of 10**9 characters": (
        options_with(char_cnn__max_characters_per_token=10**9),
        "expected at most",
    ),
    "10**5 filters": (options_with(char_cnn__filters=[[1, 1]] * 10**5), "expected at most"),
    "a filter of 10**9 numbers": (options_with(char_cnn__filters=[[1, 10**9]]), "expected at most"),
    "999 layers": (options_with(lstm__n_layers=999), "5,982 problems"),
    "a million layers in text": (
        options_text(b'{"lstm": {"n_layers": 1e6}}'),
        "does not describe a character-based ELMo",
    ),
    "options nested deep": (options_text(b'{"a":' * 9000 + b"1" + b"}" * 9000), "nested too deep"),
    "lists nested deep": (options_text(b"[" * 100_000 + b"]" * 100_000), "nested too deep"),
    "options nested 200 levels": (
        options_text(b'{"a":' * 200 + b"1" + b"}" * 200),
        "nested too deep",
    ),
    "a number of many digits": (options_text(b'{"a": ' + b"9" * 10_000 + b"}"), "is not JSON"),
    "options of 10 MB": (options_text(b" " * 10 * MILLION), "expected at most"),
    "options with a NUL": (options_text(b"{}\0"), "is not JSON"),
    "options that are null": (options_text(b"null"), "expected a JSON object, got NoneType"),
    "options in Latin-1": (options_text(b'{"\xff": 1}'), "is not JSON"),
    "NaN as a clip": (
        options_with(lstm__cell_clip=float("nan")),
        "cell_clip is nan, expected a positive number",
    ),
    "an endless clip": (options_with(lstm__cell_clip=float("inf")), "cell_clip is inf"),
    "a softmax of 16 TB": (
        checkpoint_with(Variable(np.ones(6, "f4"), shape=(2**42, 6), size=2**42 * 24)),
        "but lm/softmax/W ends at",
    ),
    "a softmax of a negative size": (
        checkpoint_with(Variable(np.ones(6, "f4"), shape=(2**64 - 4, 6))),
        "do not make float32",
    ),
    "a softmax far away": (
        checkpoint_with(Variable(np.ones((1, 6), "f4"), offset=2**63)),
        "ends at",
    ),
    "a mix of float64 beyond float32": (
        module_with(weights=np.full(3, 1e300), scaling=np.ones(())),
        "has NaN or infinite values",
    ),
    "a factor that is NaN": (
        module_with(weights=np.zeros(3), scaling=np.full((), np.nan)),
        "has NaN or infinite values",
    ),
    "a storage of 8 GB": (
        state_dict_of(stream({"w": tensor(storage("0", 2**31), 0, (2**31,), (1,))})),
        "truncated or damaged",
    ),
    "a storage of 8 GB in a zip": (
        state_dict_of(zipped({"w": tensor(storage("0", 2**31), 0, (2**31,), (1,))})),
        "truncated or damaged",
    ),
    "tuples nested deep": (state_dict_of(deep(b"", pickle.TUPLE1)), "Cannot read"),
    "lists nested deep in a pickle": (
        state_dict_of(stream({"w": []}).replace(b"]", b"]" * 100_000)),
        "Cannot read",
    ),
    **{
        f"a pickle with {name}": (
            state_dict_of(stream(b"\x80\x02" and opcodes)),
            "Cannot read",
        )
        for name, opcodes in OPCODES.items()
    },
    "a memo at the end of all numbers": (
        state_dict_of(stream(pickled(1) + pickle.LONG_BINPUT + b"\xff" * 4)),
        "holds an object of type int",
    ),
    "a table of one endless line": (
        with_table(lambda: b"a " + b"0.5 " * MILLION),
        "has a line of more than",
    ),
    "a table that expands": (
        with_table(lambda: gzip.compress((b"<S>" + b" 0.5" * 500 + b"\n") * 10_000, 1)),
        "expands to more than",
    ),
    "a table of zeros that expands": (
        with_table(lambda: gzip.compress(bytes(30 * MILLION), 1)),
        "is not text",
    ),
    "an alignment that claims 8 TB": (with_alignment(npy((10**6, 10**6))), "it claims float64"),
    "an alignment of a negative size": (
        with_alignment(npy((-1, -8), bytes(64))),
        "it claims float64",
    ),
    "an alignment of objects": (with_alignment(npy((1,), bytes(8), "|O")), "only numbers are read"),
    "an alignment of 8 TB in a zip": (
        with_alignment(npz(npy((10**6, 10**6))), "m.npz"),
        "it claims float64",
    ),
    "an alignment that expands": (
        with_alignment(lambda: npz(npy((4000, 4000), bytes(128 * MILLION))), "m.npz"),
        "plausible for a file of its size",
    ),
    "an alignment that is not finite in float32": (
        with_alignment(npy((12, 12), np.full((12, 12), 1e300).tobytes())),
        "not finite in float32",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_model_is_refused_with_its_cause(apart, tmp_path, name):
    write, message = CASES[name]
    arguments = {key: str(path) for key, path in write(tmp_path).items()}
    with Tally("files of models made to do harm: bombs, lies, tangles") as tally:
        kind, result = apart.open({}, arguments)
        if kind == "refused" and message in result:
            tally.refused()
        else:
            tally.wrong(f"{name}: {kind} {result}")


# Values of wrong types

VALUES = ["3", "", None, True, False, 0, -1, 2.5, 1e400, [], [1], {}, {"a": 1}, 2**63, 10**300]
MEANINGFUL = [
    *[("bidirectional", value) for value in (None, True)],
    *[("lstm.cell_clip", value) for value in (None, 2.5, 2**63)],
    ("lstm.use_skip_connections", True),
    ("lstm.use_skip_connections", False),
    ("lstm.use_skip_connections", None),
    *[("n_tokens_vocab", value) for value in VALUES],  # not of a model that spells words
]


@pytest.mark.parametrize(
    "path",
    [
        *("char_cnn", "lstm", "char_cnn.embedding", "bidirectional", "n_tokens_vocab"),
        *(
            "char_cnn.filters",
            "char_cnn.embedding.dim",
            "char_cnn.n_highway",
            "char_cnn.activation",
        ),
        *("char_cnn.max_characters_per_token", "char_cnn.n_characters", "lstm.cell_clip"),
        *("lstm.projection_dim", "lstm.dim", "lstm.n_layers", "lstm.use_skip_connections"),
    ],
)
def test_values_of_any_type_end_in_an_error_or_in_the_model(apart, tmp_path, path):
    *sections, key = path.split(".")
    write_model(tmp_path / "m", *random_model(0))
    with Tally("values of any type in options.json") as tally:
        for value in VALUES:
            options, _ = random_model(0)
            section = options
            for name in sections:
                section = section[name]
            section[key] = value
            files = {str(tmp_path / "m" / "options.json"): json.dumps(options).encode()}
            kind, result = apart.open(files, {"source": str(tmp_path / "m")})
            if kind == "refused":
                tally.refused()
            elif kind == "opened" and (path, value) in MEANINGFUL:
                tally.right()
            else:
                tally.wrong(f"{path} {value!r:.60}: {kind} {result}")
