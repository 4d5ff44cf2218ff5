"""Convert a model between the native format and the published one.

Run from a checkout::

    python -m convert MODEL -o OUT                     # a folder, a zip or a name
    python -m convert --options-file options.json --weight-file weights.hdf5 -o OUT

``elmo-jax convert`` is the same command where the package is installed.
"""

from __future__ import annotations

import sys

from elmo_jax.cli import COMMANDS, convert, run_command

if __name__ == "__main__":
    sys.exit(run_command("python -m convert", COMMANDS["convert"], convert))
