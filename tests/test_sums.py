"""Hashes of downloaded files: recorded, compared again after a change, and verified on demand."""

import hashlib
import json
import os

import pytest
from damage import damaged, flipped
from tally import Tally

from elmo_jax import pretrained
from elmo_jax.errors import ElmoError
from elmo_jax.pretrained import PublishedModel, RemoteFile, ZipMember, fetch, sums, verify_cached

WEIGHTS = b"\x89HDF\r\n\x1a\n" + bytes(range(256)) * 12
WORDS = b"the\nbank\n"
URL = "http://127.0.0.1:1/"  # nothing is downloaded here


def sha256(content):
    return hashlib.sha256(content).hexdigest()


MODEL = PublishedModel(
    "tiny",
    {
        "weights.hdf5": RemoteFile(f"{URL}weights.hdf5", len(WEIGHTS), sha256(WEIGHTS)),
        "vocab.txt": RemoteFile(f"{URL}vocab.txt"),
    },
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A cache with the model, as `fetch` leaves it; "tiny" is a known name."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "weights.hdf5").write_bytes(WEIGHTS)
    (folder / "vocab.txt").write_bytes(WORDS)
    sums.record_sum(folder, "vocab.txt")
    monkeypatch.setattr(pretrained, "is_name", lambda name: name == "tiny")
    monkeypatch.setattr(pretrained, "model_named", lambda name: MODEL)
    monkeypatch.setattr(pretrained, "model_in", lambda name: MODEL)
    monkeypatch.setenv("ELMO_JAX_CACHE", str(tmp_path))
    return folder


@pytest.fixture
def hashed(monkeypatch):
    """The names of the files that are read for their hash."""
    names = []

    def sha256_of(path):
        names.append(path.name)
        return sha256(path.read_bytes())

    monkeypatch.setattr(sums, "sha256_of", sha256_of)
    return names


def opened(folder):
    return fetch(MODEL, cache=folder.parent, progress=False)


def problem(call, *arguments):
    with pytest.raises(ElmoError) as caught:
        call(*arguments)
    return str(caught.value)


def replace_quietly(path, content):
    """Change a file as a failing disk does: its time, size and inode stay."""
    status = path.stat()
    with path.open("r+b") as file:
        file.write(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_ino == status.st_ino


def test_files_are_read_once_while_they_seem_unchanged(folder, hashed):
    opened(folder)
    assert sorted(hashed) == ["vocab.txt", "weights.hdf5"]
    opened(folder)
    assert len(hashed) == 2
    os.utime(folder / "vocab.txt", (1, 1))
    opened(folder)
    assert hashed[2:] == ["vocab.txt"]


def test_a_changed_file_is_an_error(folder):
    opened(folder)
    (folder / "weights.hdf5").write_bytes(flipped(WEIGHTS, 1000))
    message = problem(opened, folder)
    assert f"{folder / 'weights.hdf5'} has changed: expected sha256 {sha256(WEIGHTS)}" in message
    assert "Delete what has changed, and it will be downloaded again" in message
    (folder / "weights.hdf5").write_bytes(WEIGHTS)
    opened(folder)


def test_a_copy_with_another_inode_is_compared(folder, hashed):
    opened(folder)
    path, status = folder / "vocab.txt", (folder / "vocab.txt").stat()
    (folder / "copy").write_bytes(WORDS.upper())
    os.utime(folder / "copy", ns=(status.st_atime_ns, status.st_mtime_ns))
    (folder / "copy").replace(path)
    assert "vocab.txt has changed" in problem(opened, folder)


def test_a_bit_that_flips_quietly_is_found_by_verify_cached(folder):
    opened(folder)
    replace_quietly(folder / "weights.hdf5", flipped(WEIGHTS, 1000))
    opened(folder)
    for name_or_path in "tiny", folder, folder / "weights.hdf5":
        assert "weights.hdf5 has changed" in problem(verify_cached, name_or_path)


def test_damaged_files_are_all_found(folder):
    path = folder / "weights.hdf5"
    with Tally("a damaged file of a downloaded model") as tally:
        for what, content in damaged(WEIGHTS, 300):
            path.write_bytes(content)
            try:
                verify_cached("tiny")
                tally.wrong(what)
            except ElmoError:
                tally.refused()
        path.write_bytes(WEIGHTS)
        assert verify_cached("tiny") == {"vocab.txt": True, "weights.hdf5": True}
        tally.right()


def test_files_without_a_hash_are_said_to_have_none(folder):
    (folder / "SHA256SUMS").unlink()
    assert verify_cached(folder) == {"vocab.txt": False, "weights.hdf5": True}


def test_a_path_elsewhere_has_the_hashes_that_lie_beside_it(folder, tmp_path, monkeypatch):
    monkeypatch.undo()
    elsewhere = folder.rename(tmp_path / "elsewhere")
    monkeypatch.setenv("ELMO_JAX_CACHE", str(tmp_path / "cache"))
    assert verify_cached(elsewhere) == {"vocab.txt": True}
    (elsewhere / "vocab.txt").write_bytes(b"other")
    assert "vocab.txt has changed" in problem(verify_cached, elsewhere)
    (elsewhere / "vocab.txt").unlink()
    assert "it is missing" in problem(verify_cached, elsewhere)
    assert verify_cached(tmp_path) == verify_cached("mini") == {}


def test_a_model_that_is_not_there_is_not_verified(folder):
    (folder / "vocab.txt").unlink()
    assert "does not have vocab.txt" in problem(verify_cached, "tiny")


def test_a_member_of_a_zip_that_was_placed_by_hand_is_verified(tmp_path, monkeypatch):
    member = ZipMember("model.hdf5", len(WEIGHTS), sha256(WEIGHTS))
    model = PublishedModel("tiny", {"7.zip": RemoteFile(f"{URL}7.zip", member=member)})
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "7.zip").write_bytes(b"PK\x05\x06" + bytes(18))
    monkeypatch.setattr(pretrained, "model_in", lambda name: model)
    message = problem(lambda: verify_cached(tmp_path / "tiny", cache=tmp_path))
    assert "a zip with 0 files called model.hdf5" in message


def test_a_folder_that_cannot_be_written_is_read_every_time(folder, hashed, monkeypatch):
    def refuse(path, **_):
        raise ElmoError(f"Cannot write {path}")

    monkeypatch.setattr(sums, "atomic_file", refuse)
    opened(folder)
    opened(folder)
    assert len(hashed) == 4


# What others may have written into the two files

TAMPERED = {
    "not UTF-8": b"\xff\xfe",
    "large": b"a" * 2_000_000,
    "nested": b"[" * 100_000,
    "a list": b"[1, 2]",
    "a number beyond 64 bits": b'{"vocab.txt": [' + b"9" * 5000 + b"]}",
    "other values": json.dumps({"vocab.txt": {"a": None}, "weights.hdf5": 1e308}).encode(),
    "a path": f"{sha256(b'')}  ../../etc/passwd\n".encode(),
    "an absolute path": f"{sha256(b'')}  /dev/zero\n".encode(),
    "NUL": b"\0" * 100,
}


@pytest.mark.parametrize("content", TAMPERED.values(), ids=TAMPERED)
def test_tampered_stamps_have_the_files_read_again(folder, hashed, content):
    (folder / "SHA256SUMS.stamps").write_bytes(content)
    opened(folder)
    assert sorted(hashed) == ["vocab.txt", "weights.hdf5"]
    opened(folder)
    assert len(hashed) == 2


@pytest.mark.parametrize("content", TAMPERED.values(), ids=TAMPERED)
def test_tampered_sums_are_an_error_that_says_what_to_do(folder, content):
    (folder / "SHA256SUMS").write_bytes(content)
    assert "SHA256SUMS cannot be read: " in problem(opened, folder)
    assert "Delete it if you trust the files beside it" in problem(verify_cached, folder)


@pytest.mark.parametrize("name", ["SHA256SUMS", "SHA256SUMS.stamps"])
@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_is_no_file_is_not_read(folder, name, kind):
    if kind == "pipe" and not hasattr(os, "mkfifo"):
        pytest.skip("of POSIX")
    (folder / name).unlink(missing_ok=True)
    {"folder": os.mkdir, "pipe": os.mkfifo}[kind](folder / name)
    if name == "SHA256SUMS":
        assert "it is not a file" in problem(opened, folder)
    else:
        opened(folder)
