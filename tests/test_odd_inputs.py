"""Inputs that are no plain files, change while they are read, or have strange names."""

import os
import socket
import sys
import threading

import pytest
from commands import failing

from elmo_jax import ElmoError, tokenizer_named
from elmo_jax.text.readers import BrokenFile, Records
from elmo_jax.training.text_files import Corpus

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX has these files")


def texts(records):
    return [record.text for record in records]


@posix
def test_a_pipe_is_copied_so_that_it_can_be_read_again(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(b"a\nb\n"))
    writer.start()
    records = Records.of(pipe)
    writer.join()
    assert texts(records) == texts(records) == ["a", "b"]
    pairs = zip(records, records, strict=True)
    assert [(a.text, b.text) for a, b in pairs] == [("a", "a"), ("b", "b")], "even at once"
    with pytest.raises(ElmoError, match="is a pipe, and what is read from it cannot be read again"):
        Corpus.of(pipe)


@posix
def test_devices_sockets_and_folders_are_refused(tmp_path):
    place = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(str(place))
        for path, kind in [
            ("/dev/zero", "a device"),
            (place, "a socket"),
            (tmp_path, "the folder"),
        ]:
            for open_texts in (Records.of, Corpus.of):
                with pytest.raises(ElmoError, match=f"Expected text files, got {kind}"):
                    open_texts(path)


@pytest.mark.parametrize(
    "name", ["a" * 300, "a\0b", "", "The bank . " * 100, "\ud800", "no\udcff", "[", "**"]
)
def test_a_name_that_no_file_has_is_an_error(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ElmoError, match="No such file") as caught:
        Records.of(name)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("files", [5, None, [5], b"a", [b"a"], [None]])
def test_what_is_no_path_is_an_error(files):
    with pytest.raises(ElmoError, match=r"Expected (paths|a path)"):
        Records.of(files)


@posix
def test_a_file_whose_name_is_not_unicode_is_read_and_named_in_errors(tmp_path, capsys):
    path = os.fsencode(tmp_path) + b"/\xff.txt"
    try:
        with open(path, "wb") as file:  # noqa: PTH123 - the name is bytes
            file.write(b"a\n\xff\n")
    except OSError:
        pytest.skip("this file system has Unicode names alone")
    name = os.fsdecode(path)
    with pytest.raises(ElmoError, match=r"\.txt, line 2: not UTF-8"):
        list(Records.of(name))
    error = failing(capsys, "embed", name, "-o", tmp_path / "a.npz")
    assert "line 2: not UTF-8" in error and "Traceback" not in error


def test_a_file_that_may_not_be_read_is_an_error(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_bytes(b"a\n")

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("elmo_jax.text.readers.stored_bytes._Plain.__init__", refuse)
    with pytest.raises(ElmoError, match=r"Cannot read .*a\.txt: Permission denied"):
        list(Records.of(path))
    monkeypatch.setattr("elmo_jax.text.readers.input_files.os.stat", refuse)
    with pytest.raises(ElmoError, match=r"Cannot read .*a\.txt: Permission denied"):
        Records.of(path)


@pytest.mark.parametrize("change", ["longer", "shorter", "other"])
def test_a_file_that_changes_while_it_is_read_is_an_error(tmp_path, change):
    path = tmp_path / "a.txt"
    path.write_bytes(b"a b\n" * 50_000)
    records = iter(Records.of(path))
    next(records)
    if change == "other":
        os.utime(path, ns=(0, 0))
    else:
        with path.open("r+b") as file:
            file.truncate(150_000 if change == "shorter" else 250_000)
    with pytest.raises(ElmoError, match=r"changed while it was read|NUL"):
        list(records)


@posix
def test_a_file_that_is_deleted_while_it_is_read_is_read_to_its_end(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"a b\n" * 50_000)
    records = iter(Records.of(path))
    next(records)
    path.unlink()
    assert sum(1 for _ in records) == 49_999


@posix
def test_an_error_of_the_disk_is_told_with_its_place(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"a b\n" * 50_000)
    records = iter(Records.of(path))
    next(records)
    folder = os.open(tmp_path, os.O_RDONLY)  # reading a folder fails as a bad disk does
    descriptor = records.gi_yieldfrom.gi_frame.f_locals["file"].fileno()
    os.dup2(folder, descriptor)
    os.close(folder)
    with pytest.raises(BrokenFile, match=r"to its end: Is a directory \(after line"):
        list(records)


@pytest.mark.parametrize("part", [".", "-", "a.", "a@", "www.", "e\u0301.", "\u200d", "1,", "a.+"])
def test_a_line_of_one_thing_again_and_again_is_tokenized_in_time(part):
    """Some took minutes, when every character began a search to the end of the line."""
    text = part * (50_000 // len(part)) + "b"
    assert "".join(tokenizer_named("words")(text)) == text
