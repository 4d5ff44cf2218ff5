"""Disks that fill up or fail while a corpus is written: one line, and finished parts stay."""

import builtins
import errno
import itertools
import os
import subprocess

import pytest
from fake_elmo import FakeElmo, sentences
from tally import Tally

from elmo_jax import ElmoError
from elmo_jax.corpus import embed_corpus, merge_parts
from elmo_jax.corpus.lock import OutputLock

RECORDS = list(sentences(14))
SUFFIXES = (".h5", ".npz", ".parquet", ".csv")

pytestmark = pytest.mark.skipif(os.name == "nt", reason="mounts and descriptors are POSIX's")


def embed(out, **options):
    return embed_corpus(FakeElmo(), RECORDS, out, part_tokens=12, **options)


def attack(tally, out, work, expected):
    """Do work that may fail, then the same on a healthy disk."""
    try:
        work()
    except ElmoError as error:
        is_clear = "\n" not in str(error) and "Cannot" in str(error)
        tally.refused() if is_clear and not out.exists() else tally.wrong(str(error))
    except Exception as error:
        tally.wrong(repr(error))
    else:
        tally.right() if out.read_bytes() == expected else tally.wrong("other bytes")


class FailingFile:
    """A file whose writes fail from some call on, as of a disk that is full or broken."""

    def __init__(self, file, calls, code):
        self._file, self._calls, self._code = file, calls, code

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._file.close()

    def __iter__(self):
        return iter(self._file)

    def write(self, data):
        if next(self._calls) <= 0:
            raise OSError(self._code, os.strerror(self._code))
        return self._file.write(data)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_write_that_fails_leaves_the_parts_and_no_output(tmp_path, monkeypatch, suffix, code):
    out, whole = tmp_path / f"out{suffix}", tmp_path / f"whole{suffix}"
    embed(whole)
    real = builtins.open

    def run_with(n_writes):
        calls = itertools.count(n_writes, -1)

        def failing(file, mode="r", *arguments, **options):
            opened = real(file, mode, *arguments, **options)
            is_ours = str(tmp_path) in str(file) and ("w" in mode or "+" in mode)
            return FailingFile(opened, calls, code) if is_ours else opened

        with monkeypatch.context() as patch:
            patch.setattr("io.open", failing)  # which Path.open and zipfile call
            embed(out)

    n_parts = []
    with Tally("a write that fails: full or broken disk") as tally:
        for n_writes in (0, 3, 11, 40):
            attack(tally, out, lambda n=n_writes: run_with(n), whole.read_bytes())
            n_parts.append(len(list(tmp_path.glob("out*.parts/part-*.zip"))))
            left = [path.name for path in tmp_path.glob("out*.parts/.*")]
            assert not left and not list(tmp_path.glob("*.lock")), left
    assert n_parts == sorted(n_parts)
    if not out.exists():
        embed(out)
    assert out.read_bytes() == whole.read_bytes()


@pytest.fixture
def small_disk(tmp_path):
    """A function that mounts a disk of so many kilobytes; only root may do that."""
    disk = tmp_path / "disk"
    disk.mkdir()

    def mount(kilobytes):
        subprocess.run(["umount", disk], capture_output=True)
        options = f"size={kilobytes}k"
        mounting = ["mount", "-t", "tmpfs", "-o", options, "none", disk]
        try:
            done = subprocess.run(mounting, capture_output=True)
        except FileNotFoundError:
            pytest.skip("there is no mount")
        if done.returncode:
            pytest.skip("only root may mount a small disk")
        return disk

    yield mount
    subprocess.run(["umount", disk], capture_output=True)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_disk_of_any_size_holds_the_output_or_the_parts(
    tmp_path, small_disk, suffix, monkeypatch
):
    whole = tmp_path / f"whole{suffix}"
    embed(whole)
    monkeypatch.setattr("elmo_jax.corpus.pipeline.check_space", lambda target, needed: None)
    with Tally("a full disk, of every small size") as tally:
        for kilobytes in range(4, 92, 4):
            out = small_disk(kilobytes) / f"out{suffix}"
            attack(tally, out, lambda out=out: embed(out), whole.read_bytes())
            assert not list(out.parent.glob("*.parts/.*")) and not list(out.parent.glob("*.lock"))
    assert tally.n_right and tally.n_refused


def test_too_many_open_files_end_in_one_line(tmp_path, monkeypatch):
    whole, out, real = tmp_path / "whole.npz", tmp_path / "out.npz", os.open
    embed(whole)

    def run_with(n_opened):
        calls = itertools.count(n_opened, -1)

        def failing(path, *arguments, **options):
            if str(tmp_path) in str(path) and next(calls) <= 0:
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            return real(path, *arguments, **options)

        with monkeypatch.context() as patch:
            patch.setattr(os, "open", failing)
            embed(out)

    with Tally("too many open files") as tally:
        for n_opened in range(0, 60, 3):
            attack(tally, out, lambda n=n_opened: run_with(n), whole.read_bytes())
            out.unlink(missing_ok=True)
    assert tally.n_refused > 5


def test_a_folder_that_is_removed_meanwhile_ends_in_one_line(tmp_path):
    out = tmp_path / "out.h5"

    class Removing(FakeElmo):
        def stream(self, *args, **kwargs):
            if self.streams == 2:
                for path in out.with_name("out.h5.parts").iterdir():
                    path.unlink()
                out.with_name("out.h5.parts").rmdir()
            yield from super().stream(*args, **kwargs)

    with pytest.raises(ElmoError, match=r"Cannot write .*out\.h5: No such file"):
        embed_corpus(Removing(), RECORDS, out, part_tokens=12)
    assert list(tmp_path.iterdir()) == []


def test_a_merge_that_cannot_note_its_output_leaves_the_parts(tmp_path, monkeypatch):
    out = tmp_path / "out.h5"
    embed(out, shard=(1, 1))

    def fail(self, *arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(OutputLock, "remember_finished", fail)
        with pytest.raises(ElmoError, match=r"No space left .* parts are finished and stay in"):
            merge_parts(out)
    assert not out.exists()
    merge_parts(out)
