"""A process may be killed (SIGKILL) at any moment: the same command goes on, to the same bytes."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fake_elmo import sentences

import elmo_jax
from elmo_jax.embedding import embed_corpus
from elmo_jax.readers import Records

HERE = Path(__file__).parent
PART_TOKENS = 60
MAIN = "import sys; from elmo_jax.cli import main; sys.exit(main())"

pytestmark = pytest.mark.skipif(os.name == "nt", reason="SIGKILL and fork are POSIX's")


def environment(tmp_path):
    paths = os.pathsep.join([str(HERE.parent), str(HERE)])
    compiled = {
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    return {**os.environ, **compiled, "PYTHONPATH": paths}


def kill_at_steps(tmp_path, suffix, every):
    """How many steps there are; the program checks the bytes after each."""
    command = [sys.executable, HERE / "killed_job.py", suffix, tmp_path, str(every)]
    run = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return int(run.stdout)


def test_killed_at_steps_of_the_way_to_the_disk_it_goes_on(tmp_path):
    assert kill_at_steps(tmp_path, ".h5", every=9) > 50


def test_a_killed_command_left_parts_that_a_call_in_python_goes_on_with(tmp_path, make_model):
    folder, _ = make_model(3)
    text = tmp_path / "text.txt"
    text.write_text("".join(f"{record.text}\n" for record in sentences(900)), "utf-8")
    out, parts = tmp_path / "out.h5", tmp_path / "out.h5.parts"
    process = Command(tmp_path, folder, text).start(out)
    while len(list(parts.glob("part-*.zip"))) < 2 and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL and not out.exists()
    elmo, records = elmo_jax.Elmo(folder), Records.of(text)
    assert embed_corpus(elmo, records, out, part_tokens=PART_TOKENS)["parts_found"] >= 2
    embed_corpus(elmo, records, tmp_path / "whole.h5", part_tokens=PART_TOKENS)
    assert out.read_bytes() == (tmp_path / "whole.h5").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".h5", ".npz", ".parquet", ".npy"])
def test_killed_at_every_step_of_the_way_to_the_disk_it_goes_on(tmp_path, suffix):
    assert kill_at_steps(tmp_path, suffix, every=1) > 50


class Command:
    """`elmo-jax embed` with a tiny model, as a process of its own each time."""

    def __init__(self, tmp_path, model, text):
        self.environment = environment(tmp_path)
        self.arguments = ["embed", text, "--model", model, "--part-tokens", PART_TOKENS]

    def start(self, out):
        command = [sys.executable, "-c", MAIN, *self.arguments, "-o", out]
        return subprocess.Popen(
            list(map(str, command)), env=self.environment, stderr=subprocess.PIPE, text=True
        )

    def finish(self, out):
        """Let it come to its end; gives the seconds from its first note on."""
        process = self.start(out)
        process.stderr.readline()
        began = time.monotonic()
        told = process.communicate()[1]
        assert process.returncode == 0, told
        return time.monotonic() - began

    def kill(self, out, seconds):
        """Kill it some time after its first note; whether it was still running."""
        process = self.start(out)
        process.stderr.readline()
        time.sleep(seconds)
        process.kill()
        process.communicate()
        return process.returncode < 0


@pytest.fixture
def command(tmp_path, make_model):
    folder, _ = make_model(n_layers=1, filters=((1, 4),), projection_dim=4, dim=4)
    text = tmp_path / "text.txt"
    words = ["the", "bank", "of", "a", "river", "naïve", "."]
    lines = [" ".join(words[i % 3 : i % 8]) for i in range(1000)]
    text.write_text("\n".join(lines), "utf-8")
    return Command(tmp_path, folder, text)


def kill_and_go_on(command, tmp_path, n_kills, seed):
    """Kill at so many random points; whenever it got through, compare the bytes."""
    whole = tmp_path / "whole.h5"
    command.finish(whole)  # which also fills the compilation cache
    seconds = command.finish(tmp_path / "again.h5")
    assert whole.read_bytes() == (tmp_path / "again.h5").read_bytes()
    expected, chance, n_done, n_rounds = whole.read_bytes(), random.Random(seed), 0, 0
    out = tmp_path / "out.h5"
    while n_done < n_kills:
        n_done += command.kill(out, chance.uniform(0, seconds))
        if out.exists():
            assert out.read_bytes() == expected
            out.unlink()
            n_rounds += 1
    folder = tmp_path / "out.h5.parts"
    if not folder.is_dir() or any(folder.glob("part-*")):
        command.finish(out)
        assert out.read_bytes() == expected
    return n_rounds


@pytest.mark.slow
def test_killed_at_55_random_points_the_command_goes_on(command, tmp_path):
    assert kill_and_go_on(command, tmp_path, 55, seed=1) >= 1
