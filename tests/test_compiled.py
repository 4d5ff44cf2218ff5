"""Compiled functions that the program keeps: private, checked before they run, bounded."""

import json
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from damage import damaged
from tally import Tally, attempts

from elmo_jax import cli
from elmo_jax.cli import compiled
from elmo_jax.cli.compiled import CheckedEntries

KEY, OTHER = "jit_step-1", "jit_step-2"
CONTENT = bytes(range(256)) * 12
MAIN = "import sys; from elmo_jax.cli import main; sys.exit(main())"
ROOT = Path(__file__).parents[1]

posix = pytest.mark.skipif(os.name != "posix", reason="of POSIX")


@pytest.fixture
def entries(tmp_path):
    entries = CheckedEntries(tmp_path)
    entries.put(KEY, CONTENT)
    return entries


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where this user's compiled functions go in the test."""
    for variable in compiled._FOLDER, compiled._LEAST_COMPILE_SECONDS, compiled._XLA_CACHES:
        monkeypatch.setenv(variable, "")  # so that it is as before after the test
        monkeypatch.delenv(variable)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "elmo-jax" / "compiled"


def path_of(entries, key=KEY):
    return entries._path / compiled._name(key)


# One entry


def test_an_entry_comes_back_as_it_was_put(entries):
    assert entries.get(KEY) == CONTENT
    entries.put(KEY, b"other")
    assert entries.get(KEY) == b"other"
    assert entries.get(OTHER) is None


def test_no_damaged_entry_comes_back(entries):
    path = path_of(entries)
    whole = path.read_bytes()
    with Tally("a damaged compiled function, read") as tally:
        for what, content in damaged(whole, 1000):
            path.write_bytes(content)
            found = entries.get(KEY)
            if found is not None or path.exists():
                tally.wrong(what)
            else:
                tally.refused()
            entries.put(KEY, CONTENT)
            assert entries.get(KEY) == CONTENT


def test_an_entry_under_the_name_of_another_does_not_come_back(entries):
    path_of(entries).rename(path_of(entries, OTHER))
    assert entries.get(OTHER) is None
    assert not path_of(entries, OTHER).exists()


def test_an_entry_of_another_kind_of_processor_does_not_come_back(entries, monkeypatch):
    monkeypatch.setattr(compiled, "_machine", lambda: "another processor")
    assert entries.get(KEY) is None
    monkeypatch.undo()
    assert entries.get(KEY) == CONTENT


@posix
@pytest.mark.parametrize("what", ["link", "folder", "pipe", "shared"])
def test_what_is_not_a_private_file_does_not_come_back(entries, tmp_path, what):
    path = path_of(entries)
    if what == "shared":
        path.chmod(0o620)
    else:
        path.rename(tmp_path / "elsewhere")
        make = {
            "link": lambda p: p.symlink_to("elsewhere"),
            "folder": Path.mkdir,
            "pipe": os.mkfifo,
        }
        make[what](path)
    assert entries.get(KEY) is None


@posix
def test_a_file_of_another_user_does_not_come_back(entries, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: path_of(entries).stat().st_uid + 1)
    assert entries.get(KEY) is None


def test_what_cannot_be_written_is_not_kept(tmp_path):
    entries = CheckedEntries(tmp_path / "missing")
    entries.put(KEY, CONTENT)
    assert entries.get(KEY) is None


def test_threads_that_put_and_get_one_entry_see_it_whole(entries):
    contents = [bytes([i]) * 50_000 for i in range(4)]
    seen = []

    def work(content):
        for _ in range(20):
            entries.put(KEY, content)
            seen.append(entries.get(KEY))

    threads = [threading.Thread(target=work, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 80 and set(seen) <= {*contents}


def test_entries_that_were_not_used_for_longest_go_first(entries, monkeypatch):
    monkeypatch.setattr(compiled, "MOST_BYTES", 10 * len(CONTENT))
    for i in range(8):
        entries.put(f"{i}", CONTENT)
        os.utime(path_of(entries, f"{i}"), (1000 + i, 1000 + i))
    os.utime(path_of(entries), (500, 500))
    assert entries.get(KEY) == CONTENT, "which makes it the latest"
    entries.put("last", CONTENT)
    left = [i for i in range(8) if entries.get(f"{i}") is not None]
    assert left == [3, 4, 5, 6, 7]
    assert entries.get(KEY) == entries.get("last") == CONTENT


# The folder


@posix
def test_the_folder_is_private_and_apart_from_the_models(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("ELMO_JAX_CACHE", str(tmp_path / "models"))
    compiled.keep_compiled()
    assert os.environ[compiled._FOLDER] == str(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not (tmp_path / "models").exists()


@posix
def test_a_folder_that_others_may_read_is_made_private(folder):
    folder.mkdir(parents=True, mode=0o755)
    compiled.keep_compiled()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@posix
@pytest.mark.parametrize("how", ["group", "others", "owner", "link"])
@pytest.mark.parametrize("quiet", [False, True])
def test_a_folder_that_others_control_is_not_used(folder, monkeypatch, capsys, how, quiet):
    folder.mkdir(parents=True)
    folder.chmod({"group": 0o770, "others": 0o702}.get(how, 0o700))
    if how == "owner":
        monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    if how == "link":
        folder.rename(folder.with_name("elsewhere"))
        folder.symlink_to("elsewhere")
    compiled.keep_compiled(quiet=quiet)
    assert compiled._FOLDER not in os.environ
    shown = capsys.readouterr().err
    assert shown.count("\n") == (not quiet)
    assert quiet or f"what is compiled is not kept, because {folder} " in shown


def test_a_home_that_cannot_be_written_is_done_without(folder, capsys):
    folder.parent.touch()
    compiled.keep_compiled()
    assert compiled._FOLDER not in os.environ
    assert capsys.readouterr().err == ""


def test_a_user_without_a_home_is_done_without(folder, monkeypatch):
    def home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", home)
    compiled.keep_compiled()
    assert compiled._FOLDER not in os.environ


def test_a_folder_that_the_user_names_is_left_alone(folder, monkeypatch):
    monkeypatch.setenv(compiled._FOLDER, "the user's own")
    compiled.keep_compiled()
    assert os.environ[compiled._FOLDER] == "the user's own"
    assert not folder.exists()


def test_what_jax_wrote_itself_and_what_killed_processes_left_is_deleted(folder):
    folder.mkdir(parents=True, mode=0o700)
    kept = [folder / compiled._name(KEY), folder / ".new.tmp"]
    dropped = [folder / "jit_f-00-cache", folder / "jit_f-00-atime", folder / ".old.tmp"]
    for path in (*kept, *dropped):
        path.touch()
    os.utime(dropped[-1], (time.time() - 4000,) * 2)
    compiled.keep_compiled()
    assert sorted(folder.iterdir()) == sorted(kept)


# Commands


@pytest.fixture
def arguments(tmp_path, make_model):
    """`elmo-jax embed` of a small text with a small model."""
    folder, _ = make_model(3)
    text = tmp_path / "text.txt"
    text.write_text("The bank of the river .\nShe runs a bank .\n", "utf-8")
    return [str(text), "--model", str(folder)]


def environment(tmp_path):
    """Of a command that keeps every function in ``tmp_path``."""
    environment = {key: value for key, value in os.environ.items() if key != compiled._FOLDER}
    changes = {
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        compiled._LEAST_COMPILE_SECONDS: "0",
        "PYTHONPATH": str(ROOT),
    }
    return environment | changes


def test_the_program_keeps_what_it_compiled_and_the_function_does_not(
    arguments, tmp_path, monkeypatch
):
    monkeypatch.delenv(compiled._FOLDER)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert cli.main(["embed", *arguments, "-o", str(tmp_path / "a.h5"), "--quiet"]) == 0
    assert not (tmp_path / "cache").exists()
    command = [sys.executable, "-c", MAIN, "embed", *arguments, "--quiet"]
    folder = tmp_path / "cache" / "elmo-jax" / "compiled"
    written = []
    for name in ("b.h5", "c.h5"):
        done = subprocess.run(
            [*command, "-o", str(tmp_path / name)],
            capture_output=True,
            text=True,
            env=environment(tmp_path),
        )
        assert (done.returncode, done.stderr) == (0, "")
        written.append({path.name: path.stat().st_mtime_ns for path in folder.iterdir()})
    assert len(written[0]) > 2 and all(map(compiled._ENTRY.fullmatch, written[0]))
    assert written[0] == written[1], "the second command compiled nothing"
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "c.h5").read_bytes()


def outcomes(tmp_path, arguments, n):
    """What a command did with each of a number of damaged folders; see damaged_compiled.py."""
    program = Path(__file__).with_name("damaged_compiled.py")
    command = [sys.executable, program, n, 1, *arguments, tmp_path / "out.h5"]
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, env=environment(tmp_path)
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.slow
@posix
def test_no_command_runs_a_damaged_compiled_function(tmp_path, arguments):
    with Tally("a damaged compiled function, run by a command") as tally:
        for what, status, errors, is_right, is_whole in outcomes(tmp_path, arguments, attempts(56)):
            if (status, errors, is_right, is_whole) == (0, "", True, True):
                tally.right()
            else:
                tally.wrong(f"{what}: exit code {status}, {errors!r}")
    assert tally.n_right >= attempts(56)
