"""Whole commands with standard streams that are closed, full, or gone: one line, one exit code."""

import os
import signal
import subprocess
import sys
import time

import pytest
from tally import Tally

pytestmark = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="of Linux")  # noqa: PTH110

MAIN = "import sys; from elmo_jax.cli import main; sys.exit(main())"
FINE, WRONG, USAGE = ["--version"], ["info", "no-such-model"], ["info", "--no-such-flag"]

# What the shell does with the streams, and how many lines can still reach stderr, after a command
# that ends well and after an error.
STREAMS = {
    "all there": (">/dev/null", 0, 1),
    "stdin closed": (">/dev/null <&-", 0, 1),
    "stdin of another kind": (">/dev/null </dev/full", 0, 1),
    "stdout closed": (">&-", 1, 1),
    "stdout full": (">/dev/full", 1, 1),
    "stderr closed": (">/dev/null 2>&-", 0, 0),
    "stderr full": (">/dev/null 2>/dev/full", 0, 0),
    "both full": (">/dev/full 2>/dev/full", 0, 0),
    "all closed": ("<&- >&- 2>&-", 0, 0),
}


@pytest.fixture
def environment(tmp_path):
    return {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}


def run(arguments, streams, environment):
    shell = f'"$@" {streams}'
    command = ["sh", "-c", shell, "sh", sys.executable, "-c", MAIN, *arguments]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, env=environment)
    return done.returncode, done.stderr


def test_commands_end_in_one_line_whatever_their_streams_are(environment):
    with Tally("a command with closed or full streams") as tally:
        for name, (streams, n_fine, n_wrong) in STREAMS.items():
            stdout_fails = "stdout" in name or name in ("both full", "all closed")
            for arguments, n_lines, expected in (
                (FINE, n_fine, int(stdout_fails)),
                (WRONG, n_wrong, 1),
            ):
                code, errors = run(arguments, streams, environment)
                is_ours = "Traceback" not in errors and "fault of this program" not in errors
                if code == expected and errors.count("\n") == n_lines and is_ours:
                    tally.right()
                else:
                    tally.wrong(f"{name}: {arguments}: exit code {code}, {errors!r}")


@pytest.mark.parametrize("streams", [">&-", ">/dev/full 2>/dev/full", "<&- >&- 2>&-"])
def test_wrong_usage_is_exit_code_2_whatever_the_streams_are(environment, streams):
    assert run(USAGE, streams, environment)[0] == 2


@pytest.mark.parametrize(
    ("name", "code", "ending"),
    [
        ("SIGTERM", 143, "terminated"),
        pytest.param("SIGHUP", 129, "hung up", marks=pytest.mark.slow),
        pytest.param("SIGINT", 130, "interrupted", marks=pytest.mark.slow),
    ],
)
@pytest.mark.usefixtures("heeds_signals")
def test_a_signal_ends_a_real_command_in_one_line(tmp_path, environment, name, code, ending):
    pipe = tmp_path / "text.txt"
    os.mkfifo(pipe)  # opening it waits for a writer
    command = [sys.executable, "-c", MAIN, "embed", pipe, "-o", tmp_path / "out.h5", "--quiet"]
    process = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, env=environment)
    with pipe.open("w") as writer:  # the command reads now
        writer.write("The bank .\n")
        writer.flush()
        time.sleep(0.2)
        process.send_signal(signal.Signals[name])
        errors = process.communicate()[1].decode()
    assert (process.returncode, errors) == (code, f"elmo-jax embed: {ending}\n")
    assert {path.name for path in tmp_path.iterdir()} <= {"text.txt", "elmo-jax"}


@pytest.mark.slow
def test_a_full_disk_under_a_checkpoint_is_one_line(tmp_path, environment):
    text = tmp_path / "text.txt"
    text.write_text("the bank of a river .\n" * 300)
    flags = "--preset tiny --batch-size 4 --unroll-steps 8 --n-negative-samples 4 --n-steps 4"
    train = ["train", str(text), "-o", str(tmp_path / "run"), *flags.split(), "--quiet"]
    limited = ["sh", "-c", 'ulimit -f 100; exec "$@"', "sh", sys.executable, "-c", MAIN, *train]
    done = subprocess.run(limited, capture_output=True, text=True, env=environment)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("elmo-jax train: error: ")
