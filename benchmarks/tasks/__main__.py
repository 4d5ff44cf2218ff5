"""The task table of a model: what its layers know, beside its token layer and random LSTMs.

Run from a checkout::

    python -m benchmarks.tasks MODEL                            # all of it: minutes
    python -m benchmarks.tasks MODEL --quick --tasks pos wsd    # a small part of the data
    python -m benchmarks.tasks MODEL --output benchmarks/results/NAME.json

The data are the folder ``tasks`` described in ``benchmarks/tasks/data.py``: ``--data FOLDER``, or
``data/tasks`` in the folder that ELMO_JAX_SHARED names (default: ``../shared``).
"""

from __future__ import annotations

import sys

from elmo_jax.cli import run_command

from . import command

if __name__ == "__main__":
    sys.exit(run_command("python -m benchmarks.tasks", command.HELP, command, sys.argv[1:]))
