"""Runs that several processes share, over the loopback interface."""

import json
import os
import random
import re
import signal
import subprocess
import time

import numpy as np
import pytest
import training_run
from several import last_line, outcomes, start_together
from tally import Tally, attempts

from benchmarks.corpus import COMMAND
from benchmarks.processes import free_port
from elmo_jax import ElmoConfig, load
from elmo_jax.cli import main
from elmo_jax.model.parameters import flatten
from elmo_jax.training.reporting import read_metrics

LOSS_TOLERANCE = 1e-5
"""Relative: float32 sums in another order, over 24 steps of Adam."""

PARAMETER_TOLERANCE = 2e-4
"""Absolute. Adam divides a small gradient by its own size, so its rounding shows."""

BATCH, N_STEPS = 12, 24


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    return training_run.write_text(tmp_path_factory.mktemp("text") / "text.txt")


@pytest.fixture(scope="module")
def options_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("options") / "options.json"
    path.write_text(json.dumps(training_run.CONFIG.to_options()))
    assert ElmoConfig.from_options(json.loads(path.read_text())) == training_run.CONFIG
    return path


@pytest.fixture(scope="module")
def arguments(text, options_file):
    """Those of every run but for its folder."""
    settings = {**training_run.SETTINGS, "batch_size": BATCH, "n_steps": N_STEPS, "eval_every": 8}
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
    choices = ("--options-file", options_file, "--vocabulary-size=300", "--valid", text)
    return ("train", text, *choices, *flags, "--json")


@pytest.fixture(scope="module")
def alone(arguments, tmp_path_factory):
    """The run of one process: its folder."""
    output = tmp_path_factory.mktemp("alone") / "run"
    assert main([*map(str, arguments), "-o", str(output)]) == 0
    return output


def finished(processes):
    """What the first process printed, when all have ended well and the others printed nothing."""
    (code, out, err), *others = outcomes(processes)
    assert code == 0, err
    for other in others:
        assert other[:2] == (0, ""), other
    return json.loads(out)


def assert_same_run(output, expected):
    mine, theirs = (read_metrics(run / "metrics.jsonl") for run in (output, expected))
    assert [line["step"] for line in mine] == [line["step"] for line in theirs]
    assert len(mine) == N_STEPS + N_STEPS // 8
    for one, other in zip(mine, theirs, strict=True):
        for name in ("train_sampled_loss", "valid_perplexity"):
            np.testing.assert_allclose(
                one.get(name, 0), other.get(name, 0), rtol=LOSS_TOLERANCE, err_msg=str(one)
            )
    (_, mine), (_, theirs) = (load(run / "model") for run in (output, expected))
    mine, theirs = flatten(mine), flatten(theirs)
    assert mine.keys() == theirs.keys()
    for name in theirs:
        np.testing.assert_allclose(
            mine[name], theirs[name], rtol=0, atol=PARAMETER_TOLERANCE, err_msg=name
        )


def test_two_processes_make_the_run_of_one(arguments, alone, tmp_path):
    summary = finished(start_together(2, *arguments, "-o", tmp_path / "run"))
    assert summary["finished"] and summary["step"] == N_STEPS
    assert_same_run(tmp_path / "run", alone)


@pytest.mark.slow
@pytest.mark.parametrize(("count", "n_devices"), [(4, 1), (2, 2), (3, 1)])
def test_any_number_of_processes_and_devices_makes_that_run(
    arguments, alone, tmp_path, count, n_devices
):
    processes = start_together(count, *arguments, "-o", tmp_path / "run", n_devices=n_devices)
    finished(processes)
    assert_same_run(tmp_path / "run", alone)


def wait_for_checkpoint(output, processes, n_seconds=120):
    deadline = time.monotonic() + n_seconds
    while not any((output / "checkpoints").glob("[0-9]*")):
        assert all(process.poll() is None for process in processes)
        assert time.monotonic() < deadline
        time.sleep(0.05)


def wait_for_step(output, step, processes):
    """Return when a step has been reported, or a process has ended.

    A run says itself how far it is: the same number of seconds is the start of it on one machine,
    and its end on another.
    """
    while step > 0 and all(process.poll() is None for process in processes):
        if any(line["step"] >= step for line in read_metrics(output / "metrics.jsonl")):
            return
        time.sleep(0.01)


@pytest.mark.slow
def test_a_signal_to_one_process_stops_all_at_the_same_step(arguments, alone, tmp_path):
    output = tmp_path / "run"
    processes = start_together(2, *arguments, "-o", output)
    wait_for_checkpoint(output, processes)
    processes[1].send_signal(signal.SIGTERM)
    summary = finished(processes)
    assert summary["stopped_by"] == "SIGTERM" and 4 <= summary["step"] < N_STEPS
    # And the run goes on with another number of processes.
    assert finished(start_together(1, *arguments, "-o", output))["finished"]
    assert_same_run(output, alone)


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_process_that_dies_ends_the_others_with_a_clear_error(arguments, tmp_path, victim):
    output = tmp_path / "run"
    processes = start_together(3, *arguments, "-o", output)
    wait_for_checkpoint(output, processes)
    processes[victim].kill()
    began = time.monotonic()
    results = outcomes(processes)
    # Gloo notices at once; JAX's own heartbeat would after 100 s.
    assert time.monotonic() - began < 60
    for number, (code, out, err) in enumerate(results):
        if number != victim:
            assert code not in (0, None) and out == ""
            own = [line for line in err.splitlines() if line.startswith("elmo-jax train: error: ")]
            # The first process is also JAX's coordinator: without it JAX aborts the others, on a
            # busy machine before they can say anything themselves.
            aborted_by_jax = victim == 0 and "another task died" in err
            assert aborted_by_jax or (own and "again with the same command" in own[-1]), err


@pytest.mark.slow
def test_a_run_killed_at_any_moment_resumes_with_another_number_of_processes(
    arguments, alone, tmp_path
):
    rng = random.Random(0)
    with Tally("a process of a shared training run, killed at a random moment") as tally:
        for number in range(attempts(20)):
            output, count = tmp_path / f"run-{number}", rng.choice([2, 3])
            processes = start_together(count, *arguments, "-o", output)
            step = rng.randrange(-6, N_STEPS)  # below 1: while they join and compile
            wait_for_step(output, step, processes)
            time.sleep(rng.uniform(0, 1 if step > 0 else 10))
            rng.choice(processes).kill()
            outcomes(processes)
            finished(start_together(rng.choice([1, 2, 3]), *arguments, "-o", output))
            try:
                assert_same_run(output, alone)
                tally.right()
            except AssertionError as error:
                tally.wrong(f"{number}: {error}")


@pytest.mark.slow
def test_a_process_with_another_text_is_named_by_all(arguments, text, tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / text.name).write_text(text.read_text())
    other = text.read_text().replace("w1 ", "w2 ", 1)
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / text.name).write_text(other)
    processes, address = [], f"127.0.0.1:{free_port()}"
    for number, folder in enumerate(("one", "two")):
        command, _, *others = arguments
        joining = ("--coordinator", address, "--num-processes", 2, "--process-id", number)
        own_text, output = tmp_path / folder / text.name, ("-o", tmp_path / "run")
        processes += start_together(1, command, own_text, *others, *output, *joining)
    for code, out, err in outcomes(processes):
        assert (code, out) == (1, "")
        assert "Process 1 reads another text than the first process." in last_line(err)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_slurm_tells_the_processes_who_they_are(arguments, alone, tmp_path):
    def slurm(number):
        return {
            "SLURM_JOB_ID": str(os.getpid()),  # JAX makes the port of it
            "SLURM_STEP_NODELIST": "localhost",
            "SLURM_STEP_NUM_NODES": "1",
            "SLURM_NTASKS": "2",
            "SLURM_PROCID": str(number),
            "SLURM_LOCALID": str(number),
        }

    output = ("-o", tmp_path / "run", "--distributed")
    finished(start_together(2, *arguments, *output, variables=slurm))
    assert_same_run(tmp_path / "run", alone)


def test_without_a_cluster_the_command_says_what_to_name(arguments, tmp_path):
    command = [*map(str, arguments), "-o", str(tmp_path / "run")]
    for flags, message in (
        (["--distributed"], "JAX finds no cluster here .*--coordinator, --num-processes and --pro"),
        (["--num-processes", "2"], "--process-id together, or none of them"),
        (["--coordinator", "here", "--num-processes", "2", "--process-id", "1"], "HOST:PORT"),
    ):
        script = [*COMMAND, *command, *flags]
        done = subprocess.run(script, capture_output=True, text=True, timeout=120)
        assert (done.returncode, done.stdout) == (1, "")
        assert re.search(message, last_line(done.stderr)), done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_several_processes_evaluate_as_one(alone, text, capsys):
    arguments = ("evaluate", text, "--model", alone / "model", "--json")
    assert main(list(map(str, arguments))) == 0
    expected = json.loads(capsys.readouterr().out)
    result = finished(start_together(2, *arguments))
    for name, value in expected.items():
        np.testing.assert_allclose(result[name], value, rtol=LOSS_TOLERANCE, err_msg=name)
