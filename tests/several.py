"""Several processes of one command, joined over the loopback interface."""

import os
import subprocess

from benchmarks.corpus import COMMAND
from benchmarks.processes import free_port


def start_together(count, *arguments, n_devices=1, variables=None):
    """Start an `elmo-jax` command ``count`` times; each has its own devices.

    ``variables(number)`` is the environment of a process that finds the others by itself.
    """
    flags = f"--xla_force_host_platform_device_count={n_devices}"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    command = [*COMMAND, *map(str, arguments)]
    has_flags = count > 1 and variables is None
    if has_flags:
        command += ["--coordinator", f"127.0.0.1:{free_port()}", "--num-processes", str(count)]
    return [
        subprocess.Popen(
            [*command, *(["--process-id", str(number)] if has_flags else [])],
            env={**environment, **(variables(number) if variables else {})},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for number in range(count)
    ]


def outcomes(processes, timeout=300):
    """The exit code, stdout and stderr of each; none is left running."""
    try:
        texts = [process.communicate(timeout=timeout) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(process.returncode, *text) for process, text in zip(processes, texts, strict=True)]


def last_line(err):
    """The last line of stderr, which says what went wrong."""
    return err.strip().splitlines()[-1]
