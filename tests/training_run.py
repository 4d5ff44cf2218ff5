"""A small training run as a process of its own, for tests that kill it or count its devices.

python training_run.py OUTPUT TEXT [n_steps=24 ...]
"""

import json
import sys

import numpy as np

from elmo_jax import ElmoConfig
from elmo_jax.training import TrainingSettings, train

CONFIG = ElmoConfig(
    filters=((1, 4), (2, 8), (3, 8)),
    projection_dim=8,
    cell_dim=16,
    char_embedding_dim=4,
    n_layers=1,  # compiles in half the time
    max_characters_per_token=20,
)
SETTINGS = {
    "batch_size": 8,
    "unroll_steps": 5,
    "n_steps": 24,
    "n_negative_samples": 20,
    "checkpoint_every": 4,
    "log_every": 1,
    "eval_every": 1000,
    "shuffle_buffer": 50,
}


def write_text(path):
    """300 sentences of words of falling frequency."""
    rng = np.random.default_rng(0)
    lines = []
    for _ in range(300):
        numbers = np.minimum(rng.geometric(0.02, rng.integers(3, 20)), 400)
        lines.append(" ".join(f"w{n}" for n in numbers))
    path.write_text("\n".join(lines) + "\n")
    return path


CHOICES = {"min_count", "valid_files", "vocabulary_size"}


def run(output, text, formats=("native",), **changes):
    choices = {"vocabulary_size": 200, "formats": formats}
    choices |= {name: changes.pop(name) for name in CHOICES & changes.keys()}
    settings = TrainingSettings(**{**SETTINGS, **changes})
    return train(output, text, config=CONFIG, settings=settings, **choices)


if __name__ == "__main__":
    changes = dict(item.split("=") for item in sys.argv[3:])
    print(json.dumps(run(*sys.argv[1:3], **{name: int(n) for name, n in changes.items()})))
