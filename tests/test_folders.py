"""Folders that are replaced whole."""

import os
from pathlib import Path

import pytest
from checkpoint_files import files_of, message_of

from elmo_jax import ElmoError
from elmo_jax.folders import atomic_folder, standing_folder


class Interrupted(Exception):
    pass


def write_folder(target, files=None, overwrite=False, error=None, replaced=()):
    with atomic_folder(target, overwrite=overwrite, replaced=replaced) as folder:
        for name, content in (files or {"a": b"new"}).items():
            (folder / name).write_bytes(content)
        if error:
            raise error


@pytest.mark.parametrize("exists", [False, True])
def test_the_files_of_a_folder_appear_together(tmp_path, exists):
    target = tmp_path / "out"
    if exists:
        target.mkdir()
    with atomic_folder(target) as folder:
        assert folder.parent == target.parent
        (folder / "a").write_bytes(b"1")
        (folder / "b").write_bytes(b"2")
        assert not target.exists() or not any(target.iterdir())
    assert files_of(tmp_path) == {"out/a": b"1", "out/b": b"2"}


def test_missing_folders_above_are_made(tmp_path):
    write_folder(tmp_path / "x" / "y" / "out")
    assert files_of(tmp_path) == {"x/y/out/a": b"new"}


@pytest.mark.parametrize("error", [Interrupted(), KeyboardInterrupt(), ElmoError("no")])
def test_a_folder_that_fails_leaves_no_trace(tmp_path, error):
    with pytest.raises(type(error)):
        write_folder(tmp_path / "out", error=error)
    assert list(tmp_path.iterdir()) == []


def test_old_files_stay_until_the_new_ones_are_complete(tmp_path):
    target = tmp_path / "out"
    write_folder(target, {"a": b"old", "kept": b"old"})
    with pytest.raises(Interrupted):
        write_folder(target, overwrite=True, error=Interrupted())
    assert files_of(tmp_path) == {"out/a": b"old", "out/kept": b"old"}
    write_folder(target, overwrite=True)
    assert files_of(tmp_path) == {"out/a": b"new", "out/kept": b"old"}


def test_a_folder_with_files_is_refused_unless_it_may_be_overwritten(tmp_path):
    target = tmp_path / "out"
    write_folder(target, {"mine": b"old"})
    assert message_of(write_folder, target) == (
        f"{target} exists already. Choose another name, or replace it: overwrite=True."
    )
    assert files_of(tmp_path) == {"out/mine": b"old"}


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_is_never_replaced_by_a_folder(tmp_path, overwrite):
    (tmp_path / "out").write_bytes(b"old")
    assert message_of(write_folder, tmp_path / "out", overwrite=overwrite) == (
        f"Cannot write the folder {tmp_path / 'out'}: a file of that name exists."
    )
    assert files_of(tmp_path) == {"out": b"old"}


def test_a_file_above_is_reported(tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    target = tmp_path / "file" / "out"
    assert message_of(write_folder, target).startswith(f"Cannot write the folder {target}: [Errno")
    assert files_of(tmp_path) == {"file": b"old"}


def test_a_folder_is_replaced_as_a_whole(tmp_path, monkeypatch):
    """Whatever is there at any moment of the replacement is one of the two, or nothing."""
    target, seen = tmp_path / "out", []
    write_folder(target, {"a": b"old", "b": b"old"})
    rename = Path.rename

    def look(path, other):
        result = rename(path, other)
        seen.append(files_of(target) if target.exists() else files_of(standing_folder(target)))
        return result

    monkeypatch.setattr(Path, "rename", look)
    write_folder(target, {"a": b"new", "b": b"new"}, overwrite=True)
    assert seen == [{"a": b"old", "b": b"old"}, {"a": b"new", "b": b"new"}]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_is_replaced_goes_and_what_is_not_ours_stays(tmp_path):
    target = tmp_path / "out"
    write_folder(target, {"a": b"old", "stale": b"old", "notes.txt": b"mine"})
    (target / "mine" / "deep").mkdir(parents=True)
    (target / "mine" / "deep" / "file").write_bytes(b"mine")
    (target / "link").symlink_to("notes.txt")
    write_folder(target, {"a": b"new"}, overwrite=True, replaced=("a", "stale"))
    assert files_of(target) == {
        "a": b"new",
        "notes.txt": b"mine",
        "mine/deep/file": b"mine",
        "link": b"mine",
    }
    assert (target / "link").is_symlink()


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), KeyboardInterrupt()])
def test_a_replacement_that_fails_in_the_middle_brings_the_old_folder_back(
    tmp_path, monkeypatch, error
):
    target, rename = tmp_path / "out", Path.rename
    write_folder(target, {"a": b"old"})

    def fail(path, other):
        if path.suffix == ".tmp":
            raise error
        return rename(path, other)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises((ElmoError, KeyboardInterrupt)):
        write_folder(target, overwrite=True)
    assert files_of(tmp_path) == {"out/a": b"old"}


def test_a_process_killed_between_two_renames_leaves_the_old_folder_to_be_found(tmp_path):
    target = tmp_path / "out"
    write_folder(target, {"a": b"old"})
    target.rename(tmp_path / ".out.old-elmo-jax")
    assert files_of(standing_folder(target)) == {"a": b"old"}
    with pytest.raises(ElmoError, match="exists already"):
        write_folder(target)
    assert files_of(tmp_path) == {"out/a": b"old"}
    assert standing_folder(target) == target


def test_a_process_killed_after_both_renames_leaves_nothing_in_the_way(tmp_path):
    target = tmp_path / "out"
    write_folder(target, {"a": b"new"})
    write_folder(tmp_path / ".out.old-elmo-jax", {"a": b"old"})
    assert standing_folder(target) == target
    write_folder(target, {"a": b"newer"}, overwrite=True)
    assert files_of(tmp_path) == {"out/a": b"newer"}


def test_a_link_to_a_folder_stays_a_link(tmp_path):
    write_folder(tmp_path / "disk" / "real", {"a": b"old"})
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "real")
    write_folder(tmp_path / "link", overwrite=True)
    assert (tmp_path / "link").is_symlink()
    assert files_of(tmp_path / "disk") == {"real/a": b"new"}


def test_a_link_to_a_folder_that_was_being_replaced_leads_to_the_old_one(tmp_path):
    write_folder(tmp_path / "disk" / ".real.old-elmo-jax", {"a": b"old"})
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "real")
    assert standing_folder(tmp_path / "link") == tmp_path / "disk" / ".real.old-elmo-jax"


def test_the_working_directory_is_not_replaced(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message_of(write_folder, Path()).startswith("Cannot write the folder .: it is the ")
    assert list(tmp_path.iterdir()) == []


def test_folders_that_hold_what_must_stay_are_not_replaced(tmp_path, monkeypatch):
    (tmp_path / "user" / "work").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "user")
    monkeypatch.setattr("os.path.ismount", lambda path: Path(path) == tmp_path / "user" / "work")
    before = sorted(tmp_path.rglob("*"))
    for target, said in (
        ("..", "the working directory, or"),
        (tmp_path / "user", "the home directory, or"),
        (tmp_path / "user" / "work", "the top of a disk"),
    ):
        with pytest.raises(ElmoError, match=said), atomic_folder(Path(target), overwrite=True):
            pass
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_has_the_rights_that_the_old_one_had(tmp_path):
    (tmp_path / "plain").mkdir()
    write_folder(tmp_path / "new")
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "plain").stat().st_mode
    (tmp_path / "new").chmod(0o750)
    write_folder(tmp_path / "new", overwrite=True)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o750


# What killed processes leave


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot lock folders")
def test_a_temporary_folder_of_a_killed_process_goes_and_one_in_use_stays(tmp_path):
    target = tmp_path / "out"
    write_folder(tmp_path / ".out.0123abcd.tmp", {"a": b"half"})
    with atomic_folder(target, overwrite=True) as at_work:
        write_folder(target)
        assert at_work.is_dir()
        assert sorted(path.name for path in tmp_path.iterdir()) == [at_work.name, "out"]


@pytest.mark.parametrize(
    "name", [".out.0123abcd", ".out.0123ABCD.tmp", ".other.0123abcd.tmp", ".out.old", "out.tmp"]
)
def test_a_folder_of_another_name_is_the_users_own(tmp_path, name):
    write_folder(tmp_path / name, {"a": b"mine"})
    write_folder(tmp_path / "out", {"a": b"old"})
    write_folder(tmp_path / "out", {"a": b"new"}, overwrite=True)
    assert files_of(tmp_path) == {f"{name}/a": b"mine", "out/a": b"new"}


@pytest.mark.parametrize("name", [".out.0123abcd.tmp", ".out.old-elmo-jax"])
def test_links_in_the_place_of_temporary_folders_are_not_followed(tmp_path, name):
    write_folder(tmp_path / "mine", {"a": b"mine"})
    (tmp_path / name).symlink_to(tmp_path / "mine")
    assert standing_folder(tmp_path / "out") == tmp_path / "out"
    write_folder(tmp_path / "out", {"a": b"old"})
    if "old" in name:
        assert "Cannot write the folder" in message_of(write_folder, tmp_path / "out", None, True)
        assert files_of(tmp_path / "out") == {"a": b"old"}
    else:
        write_folder(tmp_path / "out", {"a": b"new"}, overwrite=True)
        assert files_of(tmp_path / "out") == {"a": b"new"}
    assert files_of(tmp_path / "mine") == {"a": b"mine"}


def test_an_old_folder_is_not_brought_back_while_its_process_is_at_work(tmp_path):
    write_folder(tmp_path / ".out.old-elmo-jax", {"a": b"old"})
    with atomic_folder(tmp_path / "out", overwrite=True) as at_work:
        assert files_of(tmp_path / "out") == {"a": b"old"}, "its process was killed"
        (tmp_path / "out").rename(tmp_path / ".out.old-elmo-jax")
        with atomic_folder(tmp_path / "out"):
            assert not (tmp_path / "out").exists(), "its process is between two renames"
        assert at_work.is_dir()


def test_the_working_directory_can_be_named_by_a_dot(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("", ".", "..", "/"):
        assert standing_folder(Path(name)) == Path(name)


def test_a_name_with_a_nul_character_is_refused(tmp_path):
    assert "has no NUL characters" in message_of(write_folder, tmp_path / "a\0b")
