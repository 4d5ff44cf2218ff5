"""``python -m elmo_jax``: the same as ``elmo-jax``."""

import sys

from .cli import main

if __name__ == "__main__":  # a process that this one spawns imports this file, too
    sys.exit(main())
