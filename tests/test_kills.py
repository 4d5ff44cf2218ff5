"""A process may be killed (SIGKILL) at any moment: the same command resumes, to the same bytes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fake_elmo import sentences
from tally import Tally

import elmo_jax
from elmo_jax.corpus import embed_corpus
from elmo_jax.text.readers import Records

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


def run(program, tmp_path, *arguments):
    """Run a program of this folder, which fails if bytes differ; the numbers in its last line."""
    command = [sys.executable, "-W", "ignore", HERE / program, *arguments]
    done = subprocess.run(
        list(map(str, command)), env=environment(tmp_path), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return list(map(int, done.stdout.splitlines()[-1].split()))


@pytest.mark.parametrize(("job", "every"), [("embed", 9), ("overwrite", 31), ("merge", 13)])
def test_it_resumes_after_kills_at_some_file_operations(tmp_path, job, every):
    (n_steps,) = run("killed_job.py", tmp_path, job, ".h5", tmp_path, every)
    assert n_steps > 25


def test_a_call_in_python_resumes_a_killed_command(tmp_path, make_model):
    folder, _ = make_model(3)
    text = tmp_path / "text.txt"
    text.write_text("".join(f"{record.text}\n" for record in sentences(900)), "utf-8")
    out, parts = tmp_path / "out.h5", tmp_path / "out.h5.parts"
    command = [sys.executable, "-c", MAIN, "embed", text, "--model", folder, "-o", out]
    command += ["--part-tokens", PART_TOKENS, "--quiet"]
    process = subprocess.Popen(list(map(str, command)), env=environment(tmp_path))
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
@pytest.mark.parametrize("job", ["embed", "overwrite", "restart", "merge", "collect"])
def test_it_resumes_after_a_kill_at_every_file_operation(tmp_path, job):
    with Tally(f"a kill before each file operation: {job}") as tally:
        (n_steps,) = run("killed_job.py", tmp_path, job, ".h5", tmp_path)
        for _ in range(n_steps):
            tally.right()
    assert n_steps > 25


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_every_format_resumes_after_kills_at_some_file_operations(tmp_path, suffix):
    (n_steps,) = run("killed_job.py", tmp_path, "embed", suffix, tmp_path, 3)
    assert n_steps > 50


@pytest.mark.slow
def test_the_command_resumes_after_60_kills_at_random_points(tmp_path, make_model):
    folder, _ = make_model(n_layers=1, filters=((1, 4),), projection_dim=4, dim=4)
    text = tmp_path / "text.txt"
    words = ["the", "bank", "of", "a", "river", "naïve", "."]
    lines = [" ".join(words[i % 3 : i % 8]) for i in range(1000)]
    text.write_text("\n".join(lines), "utf-8")
    arguments = [text, "--model", folder, "--part-tokens", 400]
    counts = run("killed_command.py", tmp_path, 60, 1, *arguments, tmp_path / "out.h5")
    n_with_parts, n_through = counts
    assert n_with_parts >= 30 and n_through >= 4, f"{counts}: the kills were spread over the work"


@pytest.mark.slow
def test_a_training_run_resumes_after_kills_at_its_file_operations(tmp_path):
    (n_steps,) = run("killed_training.py", tmp_path, tmp_path, 6)
    assert n_steps > 80
