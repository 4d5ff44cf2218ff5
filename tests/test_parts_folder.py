"""The folder of parts, its lock and its output: what is in their way, and what others own."""

import errno
import json
import os
import re
import socket

import pytest
from checkpoint_files import files_of
from fake_elmo import FakeElmo, sentences
from tally import Tally

from elmo_jax import ElmoError
from elmo_jax.corpus import embed_corpus, lock, merge_parts
from elmo_jax.corpus.parts import PartsFolder

RECORDS = list(sentences(14))
FOREIGN = (
    "notes.tmp",
    "lock.txt",
    "lock",
    "part-final.zip",
    "part-000001.zip.tmp",
    "part-000001.zip\n",
    "manifest.json.bak",
    "whole.tmp",
    ".whole.0123456.tmp",
    ".part-000001.zip.thesis.tmp",
    "lock-1-of-2.txt",
    "PART-000001.ZIP",
)
OWN = ("manifest.json", "part-000001.zip", ".whole.01234567.tmp", "lock-1-of-2")


def embed(out, **options):
    return embed_corpus(FakeElmo(), RECORDS, out, part_tokens=12, **options)


@pytest.fixture
def out(tmp_path):
    """An output of which one of two shards is made; the folder is beside a victim."""
    (tmp_path / "victim").write_bytes(b"precious")
    embed(tmp_path / "out.h5", shard=(1, 2))
    return tmp_path / "out.h5"


def attempts(out):
    """Everything that may be done with the folder."""
    yield lambda: embed(out)
    yield lambda: embed(out, restart=True)
    yield lambda: embed(out, shard=(2, 2))
    yield lambda: embed(out, shard=(2, 2), restart=True)
    yield lambda: embed(out, overwrite=True, restart=True)


@pytest.mark.parametrize("name", FOREIGN)
def test_a_file_of_a_user_is_named_and_never_touched(out, name):
    folder = out.with_name("out.h5.parts")
    (folder / name).write_bytes(b"precious")
    before = files_of(out.parent)
    for attempt in attempts(out):
        with pytest.raises(ElmoError, match=f"holds {re.escape(name)}, which is not one"):
            attempt()
        assert files_of(out.parent) == before


def test_a_file_that_comes_into_the_folder_meanwhile_stays(tmp_path):
    note = tmp_path / "out.h5.parts" / "notes.tmp"

    class Interrupted(FakeElmo):
        def stream(self, *args, **kwargs):
            note.write_bytes(b"precious")
            yield from super().stream(*args, **kwargs)

    embed_corpus(Interrupted(), RECORDS, tmp_path / "out.h5", part_tokens=12)
    assert set(files_of(tmp_path)) == {"out.h5", "out.h5.parts/notes.tmp"}


@pytest.mark.parametrize("name", OWN)
def test_a_link_under_one_of_our_names_is_refused(out, name):
    victim, planted = out.parent / "victim", out.with_name("out.h5.parts") / name
    planted.unlink(missing_ok=True)
    planted.symlink_to(victim)
    for attempt in attempts(out):
        with pytest.raises(ElmoError, match=rf"holds {re.escape(name)}, which is not one"):
            attempt()
    assert victim.read_bytes() == b"precious" and planted.is_symlink() and not out.exists()
    for merged in (out, out.with_name("merged.h5")):
        with pytest.raises(ElmoError, match=r"is a link .* Copy the file itself|symbolic link"):
            merge_parts(out, merged)
    assert victim.read_bytes() == b"precious" and not merged.exists()


def test_a_hard_link_under_one_of_our_names_is_never_written_through(out):
    victim = out.parent / "victim"
    for name in OWN:
        planted = out.with_name("out.h5.parts") / name
        if name != "manifest.json":
            planted.unlink(missing_ok=True)
            planted.hardlink_to(victim)
    embed(out)
    assert victim.read_bytes() == b"precious" and set(files_of(out.parent)) == {"out.h5", "victim"}


@pytest.mark.parametrize("kind", ["link", "hard link", "file", "folder", "pipe"])
def test_what_stands_under_the_name_of_the_lock_stays(out, kind):
    victim, planted = out.parent / "victim", out.with_name("out.h5.parts.lock")
    if kind == "link":
        planted.symlink_to(victim)
    elif kind == "hard link":
        planted.hardlink_to(victim)
    elif kind == "file":
        planted.write_bytes(b"precious")
    elif kind == "folder":
        planted.mkdir()
    else:
        os.mkfifo(planted)
    for attempt in (*attempts(out), lambda: merge_parts(out)):
        with pytest.raises(ElmoError, match=r"out\.h5\.parts\.lock"):
            attempt()
    assert victim.read_bytes() == b"precious" and os.path.lexists(planted)


def test_a_folder_of_parts_that_is_a_link_is_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out.h5.parts").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ElmoError, match=r"out\.h5\.parts is needed for .* is a symbolic link"):
        embed(tmp_path / "out.h5")
    (tmp_path / "b.h5.parts").write_bytes(b"precious")
    for restart in (False, True):
        with pytest.raises(ElmoError, match=r"b\.h5\.parts"):
            embed(tmp_path / "b.h5", restart=restart)
    assert files_of(tmp_path / "elsewhere") == {}


def test_an_output_that_is_a_link_is_replaced_and_what_it_leads_to_stays(tmp_path):
    victim, out = tmp_path / "victim.h5", tmp_path / "out.h5"
    out.symlink_to(victim)
    with pytest.raises(ElmoError, match="exists already"):  # also while it leads nowhere
        embed(out)
    victim.write_bytes(b"precious")
    with pytest.raises(ElmoError, match="exists already"):
        embed(out)
    embed(out, overwrite=True)
    assert victim.read_bytes() == b"precious" and not out.is_symlink()


def test_leftovers_of_killed_processes_are_removed(out):
    for name in (".whole.0123abcd.tmp", ".part-000001.zip.0123abcd.tmp", ".keys.ab_d0123.tmp"):
        (out.with_name("out.h5.parts") / name).write_bytes(b"half")
    embed(out)
    assert set(files_of(out.parent)) == {"out.h5", "victim"}


# The lock


def test_who_holds_the_lock_is_named(tmp_path):
    who = f"process {os.getpid()} on {socket.gethostname()[:100]}"
    with PartsFolder.beside(tmp_path / "out.h5").locked():
        for attempt in attempts(tmp_path / "out.h5"):
            with pytest.raises(ElmoError, match=rf"\({re.escape(who)}\) is at work in .*out\.h5"):
                attempt()
    assert files_of(tmp_path) == {}


def test_who_waits_for_a_lock_that_is_removed_gets_a_new_one(tmp_path, monkeypatch):
    path, real, opened = tmp_path / "lock", lock.open_regular, []

    def open_and_remove(*arguments):
        descriptor = real(*arguments)
        if not opened:
            path.unlink()
        opened.append(descriptor)
        return descriptor

    monkeypatch.setattr(lock, "open_regular", open_and_remove)
    with lock.held(path) as held:
        held.check()
        assert path.exists() and len(opened) == 2
    assert not path.exists()


def test_a_run_whose_lock_was_removed_writes_no_output(tmp_path):
    out = tmp_path / "out.h5"

    class Disturbed(FakeElmo):
        def stream(self, *args, **kwargs):
            out.with_name("out.h5.parts.lock").unlink(missing_ok=True)
            yield from super().stream(*args, **kwargs)

    with pytest.raises(ElmoError, match="was removed while this process was at work"):
        embed_corpus(Disturbed(), RECORDS, out, part_tokens=12)
    assert not out.exists()
    embed(out)


def test_shards_of_two_jobs_that_start_at_once_do_not_mix(tmp_path, monkeypatch):
    out, real = tmp_path / "out.h5", PartsFolder.job
    looks = []

    def job(self):
        earlier = real(self)
        if not looks:  # between this look and the manifest of this shard, another one begins
            looks.append(1)
            embed(out, shard=(2, 2), layers="top")
        return earlier

    monkeypatch.setattr(PartsFolder, "job", job)
    with pytest.raises(ElmoError, match="parts of another job"):
        embed(out, shard=(1, 2))


def test_a_file_that_appears_at_the_last_moment_is_kept(tmp_path, monkeypatch):
    out, real = tmp_path / "out.h5", os.link

    def link(source, target, **options):
        if target == out:
            out.write_bytes(b"precious")
        return real(source, target, **options)

    monkeypatch.setattr(os, "link", link)
    with pytest.raises(ElmoError, match="exists already"):
        embed(out)
    assert out.read_bytes() == b"precious"


def test_a_file_system_without_links_and_locks_does(tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise OSError(errno.ENOTSUP, "Not supported")

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr("fcntl.flock", refuse)
    for i in (1, 2):
        embed(tmp_path / "out.h5", shard=(i, 2))
    merge_parts(tmp_path / "out.h5")
    embed(tmp_path / "b.h5")
    assert (tmp_path / "out.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    assert set(files_of(tmp_path)) == {"out.h5", "b.h5"}


def test_a_lock_that_is_damaged_tells_of_no_finished_output(tmp_path, monkeypatch):
    out, path = tmp_path / "out.h5", tmp_path / "out.h5.parts.lock"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PartsFolder, "remove", lambda self: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            embed(out)
    content, result = path.read_bytes(), out.read_bytes()
    note = json.loads(content[256:])
    with Tally("the note of a finished output, changed") as tally:
        for value in (None, [], 7, "x", {"stamp": None}, *({**note, key: 5} for key in note)):
            path.write_bytes(content[:256] + json.dumps(value).encode())
            with pytest.raises(ElmoError, match="exists already"):
                embed(out)
            tally.refused()
            path.write_bytes(content)
        for cut in range(0, len(content), 40):
            path.write_bytes(content[:cut])
            with pytest.raises(ElmoError, match=r"exists already|is another file"):
                embed(out)
            tally.refused()
    path.write_bytes(content)
    assert merge_parts(out)["tokens"] == sum(len(record.words) for record in RECORDS)
    assert files_of(tmp_path) == {"out.h5": result}
