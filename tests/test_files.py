"""Files that are never half there."""

import os
import secrets

import pytest
from checkpoint_files import files_of, message_of

from elmo_jax.files import atomic_file, open_regular


class Interrupted(Exception):
    pass


def write_file(target, content=b"new", overwrite=False, error=None):
    with atomic_file(target, overwrite=overwrite) as temporary:
        temporary.write_bytes(content)
        if error:
            raise error


def test_a_file_appears_when_it_is_complete(tmp_path):
    target = tmp_path / "über.hdf5"
    with atomic_file(target) as temporary:
        assert temporary.parent == target.parent, "a rename is atomic within one file system only"
        temporary.write_bytes(b"half")
        assert not target.exists()
        temporary.write_bytes(b"whole")
    assert files_of(tmp_path) == {"über.hdf5": b"whole"}


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_that_fails_leaves_no_trace(tmp_path, overwrite):
    with pytest.raises(Interrupted):
        write_file(tmp_path / "out", overwrite=overwrite, error=Interrupted())
    assert files_of(tmp_path) == {}


def test_an_old_file_stays_until_the_new_one_is_complete(tmp_path):
    target = tmp_path / "out"
    target.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        write_file(target, overwrite=True, error=KeyboardInterrupt())
    assert files_of(tmp_path) == {"out": b"old"}
    write_file(target, overwrite=True)
    assert files_of(tmp_path) == {"out": b"new"}


def test_an_existing_file_is_refused_before_any_work(tmp_path):
    target, worked = tmp_path / "out", []
    target.write_bytes(b"old")

    def work():
        with atomic_file(target):
            worked.append(1)

    assert message_of(work) == (
        f"{target} exists already. Choose another name, or replace it: overwrite=True."
    )
    assert not worked and files_of(tmp_path) == {"out": b"old"}


def test_a_file_that_came_up_meanwhile_is_kept(tmp_path):
    target = tmp_path / "out"

    def work():
        with atomic_file(target) as temporary:
            temporary.write_bytes(b"new")
            target.write_bytes(b"of another process")

    assert message_of(work).startswith(f"{target} exists already. ")
    assert files_of(tmp_path) == {"out": b"of another process"}


def test_a_full_disk_is_reported_as_what_it_is(tmp_path):
    target = tmp_path / "out"
    error = OSError(28, "No space left on device")
    assert message_of(write_file, target, error=error) == (
        f"Cannot write {target}: [Errno 28] No space left on device"
    )
    assert files_of(tmp_path) == {}


def test_a_folder_that_is_missing_is_reported(tmp_path):
    target = tmp_path / "nowhere" / "out"
    assert message_of(write_file, target) == (
        f"Cannot write {target}: the folder {tmp_path / 'nowhere'} does not exist."
    )


def test_a_folder_is_never_replaced_by_a_file(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "kept").write_bytes(b"old")
    message = message_of(write_file, tmp_path / "out", overwrite=True)
    assert message.startswith(f"Cannot write {tmp_path / 'out'}: ")
    assert files_of(tmp_path) == {"out/kept": b"old"}


def test_a_link_that_was_planted_is_not_followed(tmp_path, monkeypatch):
    monkeypatch.setattr(secrets, "token_hex", lambda n: "12345678")
    victim = tmp_path / "victim"
    victim.write_bytes(b"old")
    (tmp_path / ".out.12345678.tmp").symlink_to(victim)
    message = message_of(write_file, tmp_path / "out")
    assert message.startswith(f"Cannot write {tmp_path / 'out'}: ") and "exists" in message
    assert victim.read_bytes() == b"old" and not (tmp_path / "out").exists()


def test_a_link_under_the_name_of_a_file_is_replaced_and_what_it_leads_to_stays(tmp_path):
    victim, target = tmp_path / "victim", tmp_path / "out"
    target.symlink_to(victim)
    assert "exists already" in message_of(write_file, target), "though it leads nowhere"
    victim.write_bytes(b"old")
    write_file(target, overwrite=True)
    assert files_of(tmp_path) == {"victim": b"old", "out": b"new"} and not target.is_symlink()


def test_a_file_that_comes_up_at_the_last_moment_is_kept(tmp_path, monkeypatch):
    target, real = tmp_path / "out", os.link

    def link(source, name):
        target.write_bytes(b"of another process")
        return real(source, name)

    monkeypatch.setattr(os, "link", link)
    assert "exists already" in message_of(write_file, target)
    assert files_of(tmp_path) == {"out": b"of another process"}


def test_only_regular_files_are_opened(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "folder").mkdir()
    os.close(open_regular(tmp_path / "file"))
    for name in ("link", "folder", "nothing", "a\0b"):
        with pytest.raises(OSError):
            open_regular(tmp_path / name)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
@pytest.mark.parametrize("by_link", [False, True])
def test_a_pipe_is_never_replaced_by_a_file(tmp_path, by_link):
    os.mkfifo(tmp_path / "pipe")
    target = tmp_path / "link" if by_link else tmp_path / "pipe"
    if by_link:
        target.symlink_to(tmp_path / "pipe")
    message = message_of(write_file, target, overwrite=True)
    assert message.startswith(f"Cannot write {target}: it is a device, a pipe or a socket")
    assert (tmp_path / "pipe").is_fifo()
