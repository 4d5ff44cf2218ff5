"""Native models made to do harm: an ElmoError, and no more memory than the file has bytes."""

import json
import os
import random
import subprocess
import sys

import numpy as np
import pytest
from checkpoint_files import message_of
from safetensors.numpy import load_file, save_file
from tally import Tally
from test_native_damage import whole, write_model

from elmo_jax import ElmoError, load
from elmo_jax.checkpoint import native_config

DEEP = "[" * 100_000 + "]" * 100_000
BAD_VALUES = (
    *(None, True, False, 0, -1, 1, 3.5, 10**9, 2**31, 2**63, 2**64, 10**30, 1e308, -0.0),
    *("", "x", "F32", "\0", "\ud800", "a" * 5000, [], {}, [[]], [0], [1, 2], {"a": {}}),
    *(float("nan"), float("inf"), [10**9, 10**9, 10**9], [2**62, 4], [-1], [[[[[[[[1]]]]]]]]),
)
MEBIBYTE = 2**20


def paths_in(value, path=()):
    """The paths of all values in a JSON value."""
    yield path
    if not isinstance(value, dict | list):
        return
    for key, part in value.items() if isinstance(value, dict) else enumerate(value):
        yield from paths_in(part, (*path, key))


def changed_json(content, chance):
    """A JSON object with one or two parts replaced, removed or added, and what was done to it."""
    content, done = json.loads(json.dumps(content)), []
    for _ in range(chance.choice((1, 1, 2))):
        *above, key = chance.choice([path for path in paths_in(content) if path])
        place = content
        for step in above:
            place = place[step]
        kind, value = chance.choice(("replace",) * 4 + ("remove", "add")), chance.choice(BAD_VALUES)
        done.append(f"{kind} {'.'.join(map(str, [*above, key]))} {value!r:.30}")
        if kind == "replace":
            place[key] = value
        elif kind == "remove":
            del place[key]
        elif isinstance(place, dict):
            place[chance.choice(("x", "", "a\0b", "a.b.c", "__metadata__"))] = value
        else:
            place.insert(0, value)
    return content, "; ".join(done)


def header_of(path):
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def with_header(header, data, length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def changed_header(header, data, chance):
    """A file of safetensors with an impossible header, and what is wrong with it."""
    kind = chance.choice(("json",) * 6 + ("overlap", "twice", "length", "text", "order"))
    if kind == "json":
        changed, done = changed_json(header, chance)
        return with_header(changed, data), done
    one, other = chance.sample(sorted(header), 2)
    if kind == "overlap":
        header = {**header, one: {**header[one], "data_offsets": header[other]["data_offsets"]}}
    elif kind == "twice":
        text = json.dumps(header)[:-1] + f", {json.dumps(one)}: {json.dumps(header[other])}}}"
        return with_header(text.encode(), data), f"{one} twice"
    elif kind == "length":
        length = chance.choice((0, 1, 7, 2**20, 10**7, 10**8, 2**31, 2**62, 2**63, 2**64 - 1))
        return with_header(header, data, length), f"a header of {length} bytes"
    elif kind == "text":
        names = ("deep", "not UTF-8", "list", "spaces", "empty")
        texts = (DEEP.encode(), b'{"\xff": 1}', b"[]", b" " * 10**6, b"")
        number = chance.randrange(len(texts))
        return with_header(texts[number], data), f"a header that is {names[number]}"
    else:
        header = {**header, one: header[other], other: header[one]}
    return with_header(header, data), f"{kind} of {one} and {other}"


def open_changed(tally, folder, what, expected, **choices):
    """Open a model, and count it as right if it is the expected one, or may be another one."""
    try:
        if expected is None:
            load(folder, **choices)
        elif whole(folder) != expected:
            tally.wrong(f"{what}: another model")
            return
        tally.right()
    except ElmoError:
        tally.refused()
    except Exception as error:
        tally.wrong(f"{what}: {error!r}")


AMOUNTS = pytest.mark.parametrize(
    ("n", "seed"), [(100, 0), pytest.param(1500, 1, marks=pytest.mark.slow)], ids=["some", "many"]
)


@AMOUNTS
def test_a_hostile_header_of_the_weights(tmp_path, n, seed):
    """With digests nothing else opens; without them nothing but an ElmoError is raised."""
    folder, chance = write_model(tmp_path / "model"), random.Random(seed)
    path, expected = folder / "model.safetensors", whole(folder)
    header, data = header_of(path)
    with Tally("a hostile header of native weights") as tally:
        for number in range(n):
            content, what = changed_header(header, data, chance)
            path.write_bytes(content)
            open_changed(tally, folder, f"{what} ({number}, seed {seed})", expected)
            open_changed(tally, folder, f"{what} ({number}, seed {seed})", None, verify=False)


@AMOUNTS
@pytest.mark.parametrize("version", [1, 2])
def test_a_hostile_configuration(tmp_path, n, seed, version):
    """Its digest is right, or it is of the version that has none."""
    folder, chance = write_model(tmp_path / "model", "lexicon"), random.Random(seed)
    path = folder / "config.json"
    content = json.loads(path.read_text("utf-8"))
    content["version"] = version
    with Tally(f"a hostile configuration of a native model (version {version})") as tally:
        for number in range(n):
            changed, what = changed_json(content, chance)
            changed["sha256"] = native_config._digest(changed)
            path.write_text(json.dumps(changed), "utf-8")
            open_changed(tally, folder, f"{what} ({number}, seed {seed})", None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (DEEP.encode(), "nested too deep"),
        (
            b'{"format": "elmo-jax", "version": 1, "a": ' + DEEP[-100_060:-99_940].encode() + b"}",
            "",
        ),
        (b'{"format": "\xff"}', "is not JSON"),
        (b"", "is not JSON"),
        (b"null", "expected a JSON object"),
        (b'{"format": "elmo-jax", "version": true}', "version True"),
        (b'{"format": "elmo-jax", "version": ' + b"9" * 5000 + b"}", "is not JSON"),
        (b" " * (native_config.MOST_BYTES + 1), "expected at most 10,000,000"),
    ],
    ids=lambda value: None if isinstance(value, str) else "text",
)
def test_a_configuration_that_is_none(tmp_path, text, said):
    folder = write_model(tmp_path / "model")
    (folder / "config.json").write_bytes(text)
    message = message_of(load, folder, verify=False)
    assert said in message and len(message) < 1000


def test_a_record_of_the_wrong_type_is_named(tmp_path):
    folder = write_model(tmp_path / "model")
    content = json.loads((folder / "config.json").read_text("utf-8"))
    wrong = {"metadata": [1], "vocabulary": {"size": True, "sha256": "00"}, "alphabet": 3}
    (folder / "config.json").write_text(json.dumps({**content, **wrong}))
    assert message_of(load, folder, verify=False) == (
        f"{folder / 'config.json'}: expected an object 'metadata', got list; expected 'vocabulary' "
        "with size and sha256, got {'size': True, 'sha256': '00'}; expected 'alphabet' with "
        "sha256, got 3."
    )


def test_numbers_that_float32_cannot_hold_are_refused(tmp_path):
    folder = write_model(tmp_path / "model")
    path = folder / "model.safetensors"
    tensors = load_file(path)
    tensors["forward.layers_0.bias"] = np.full(20, 1e300)
    save_file(tensors, path)
    assert message_of(load, folder, verify=False) == (
        f"{path} has NaN or infinite values in forward.layers_0.bias."
    )


OPENER = """
import resource, sys
from elmo_jax import ElmoError, load
try:
    load(sys.argv[1], verify=False)
except ElmoError as error:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, str(error)[:200])
"""


def peak_and_message(folder):
    command = [sys.executable, "-c", OPENER, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    peak, _, message = done.stdout.partition(" ")
    return int(peak), message


@pytest.mark.skipif(os.name == "nt", reason="Windows has no resource module")
def test_what_a_file_claims_takes_no_memory(tmp_path):
    folder = write_model(tmp_path / "model")
    path = folder / "model.safetensors"
    header, data = header_of(path)
    path.write_bytes(b"")
    least, _ = peak_and_message(folder)  # what importing takes
    # A file of 8 GB that takes no space on the disk, with a tensor as large.
    most = max(part["data_offsets"][1] for part in header.values())
    huge = {"dtype": "F32", "shape": [2 * 10**9], "data_offsets": [most, most + 8 * 10**9]}
    contents = {
        "a tensor of 8 GB": (with_header({**header, "forward.x": huge}, data), 8 * 10**9),
        "a header of 10 MB": (with_header({str(n): huge for n in range(90_000)}, data), 0),
        "a header of 2 GB": (with_header(b"{", data, 2**31), 0),
    }
    with Tally("memory that native weights claim") as tally:
        for what, (content, more) in contents.items():
            path.write_bytes(content)
            os.truncate(path, len(content) + more)
            peak, message = peak_and_message(folder)
            if message and peak - least < 200 * MEBIBYTE:
                tally.refused()
            else:
                tally.wrong(f"{what}: {(peak - least) / MEBIBYTE:.0f} MiB, {message!r}")
