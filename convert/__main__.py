"""Convert a model between the native format and the published one.

Run from a checkout::

    python -m convert OPTIONS WEIGHTS OUT              # two published files -> a native folder
    python -m convert SOURCE OUT [--to native|hdf5]    # a folder, a zip or a published name

``elmo-jax convert`` is the same command where the package is installed.
"""

from __future__ import annotations

import sys

from elmo_jax.cli import convert, run_command

DESCRIPTION = "Convert a model between the native format and options.json with an HDF5 file."

if __name__ == "__main__":
    sys.exit(run_command("python -m convert", DESCRIPTION, convert))
