"""Install the implementations that elmo-jax is compared with, or list them.

Run from a checkout::

    python -m benchmarks.peers install            # all of them: a few minutes, some 5 GB
    python -m benchmarks.peers install allennlp
    python -m benchmarks.peers list

pip takes the packages from where it is told to by its own settings. Where the CPU build of PyTorch
is offered under the pinned version, it does; elsewhere that version brings its CUDA libraries.
"""

from __future__ import annotations

import sys

from elmo_jax.cli import run_command

from . import command

if __name__ == "__main__":
    sys.exit(run_command("python -m benchmarks.peers", command.HELP, command, sys.argv[1:]))
