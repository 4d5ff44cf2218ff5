"""Whatever happens while a model is replaced, the whole old one or the whole new one opens."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from checkpoint_files import files_of, message_of
from tally import Tally

from elmo_jax import ElmoError, load, save

HERE = Path(__file__).parent
KINDS = {
    "kill": "a kill at a file operation of a save",
    "refuse": "a file operation of a save that the system refuses",
    "full": "a disk that is full during a save",
}

pytestmark = pytest.mark.skipif(os.name == "nt", reason="SIGKILL and fork are POSIX's")


def start(*arguments, **choices):
    paths = os.pathsep.join([str(HERE.parent), str(HERE)])
    command = [sys.executable, "-W", "ignore", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": paths}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env=environment, text=True, **pipes, **choices)


def disturb(kind, folder, every, format):
    """Count what the program says of each disturbance."""
    with Tally(f"{KINDS[kind]} ({format})") as tally:
        process = start(HERE / "killed_save.py", kind, folder, every, format)
        lines, errors = process.communicate()
        assert process.returncode == 0, errors
        steps = [json.loads(line) for line in lines.splitlines()]
        assert steps.pop()["status"] == 0 and len(steps) > 5, "it went on until nothing happened"
        for step in steps:
            if step["problem"]:
                tally.wrong(f"{kind} at {step['step']}: {step['problem']}")
            else:
                tally.right()


@pytest.mark.parametrize(("kind", "every"), [("kill", 3), ("refuse", 4), ("full", 41)])
def test_a_disturbed_save_leaves_the_old_model_or_the_new_one(tmp_path, kind, every):
    disturb(kind, tmp_path, every, "native")


@pytest.mark.slow
@pytest.mark.parametrize("format", ["native", "hdf5"])
@pytest.mark.parametrize(("kind", "every"), [("kill", 1), ("refuse", 1), ("full", 6)])
def test_no_disturbance_leaves_anything_else(tmp_path, kind, every, format):
    disturb(kind, tmp_path, every, format)


WRITER = """
import sys
from killed_save import CONFIG, NEW, OLD, save
for number in range(int(sys.argv[2])):
    save(sys.argv[1], CONFIG, (OLD, NEW)[number % 2], sys.argv[3], overwrite=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("format", ["native", "hdf5"])
def test_who_opens_a_model_while_it_is_replaced_gets_one_of_the_two(tmp_path, format):
    from killed_save import CONFIG, NEW, OLD, bits

    out, both = tmp_path / "out", [bits(OLD), bits(NEW)]
    save(out, CONFIG, OLD, format)
    kind = f"opening a model while another process replaces it ({format})"
    with Tally(kind) as tally, start("-c", WRITER, out, 400, format) as process:
        while process.poll() is None:
            try:
                found = bits(load(out)[1])
            except Exception as error:
                tally.wrong(repr(error))
                continue
            if found in both:
                tally.right()
            else:
                tally.wrong("a mixture")
        assert process.returncode == 0, process.stderr.read()


@pytest.mark.slow
def test_two_processes_that_replace_a_model_leave_one_of_the_two(tmp_path):
    """One of them may fail, if both replace it in the same moment."""
    from killed_save import CONFIG, NEW, OLD, bits

    out = tmp_path / "out"
    save(out, CONFIG, OLD)
    with Tally("two processes that replace a model at the same time") as tally:
        writers = [start("-c", WRITER, out, 200, "native") for _ in range(2)]
        for process in writers:
            errors = process.communicate()[1]
            if process.returncode == 0:
                tally.right()
            elif "ElmoError: Cannot write the folder" in errors:
                tally.refused()
            else:
                tally.wrong(errors)
        assert bits(load(out)[1]) in [bits(OLD), bits(NEW)]
        save(out, CONFIG, NEW, overwrite=True)
        assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_keeps_its_model(make_model, tmp_path):
    model = load(make_model()[0])
    save(tmp_path / "closed" / "out", *model)
    before = files_of(tmp_path)
    (tmp_path / "closed").chmod(0o500)
    try:
        assert "Permission denied" in message_of(
            save, tmp_path / "closed" / "out", *model, overwrite=True
        )
    finally:
        (tmp_path / "closed").chmod(0o700)
    assert files_of(tmp_path) == before


def test_an_error_of_the_weights_writer_is_an_elmo_error(make_model, tmp_path, monkeypatch):
    """The library of safetensors has an error of its own for full disks."""
    from safetensors import SafetensorError

    from elmo_jax.checkpoint import safetensors_weights

    def fail(*_):
        raise SafetensorError(f"I/O error: {os.strerror(errno.ENOSPC)}")

    monkeypatch.setattr(safetensors_weights, "save_file", fail)
    with pytest.raises(ElmoError, match=r"Cannot write the folder .*: I/O error: No space left"):
        save(tmp_path / "out", *load(make_model()[0]))
    assert not (tmp_path / "out").exists()
