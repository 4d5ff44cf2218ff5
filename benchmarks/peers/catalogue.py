"""Which implementations there are, and what each needs."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from elmo_jax import ElmoError

HERE = Path(__file__).resolve().parent


@dataclasses.dataclass(frozen=True)
class Implementation:
    """What it takes to run one implementation.

    Attributes:
        worker: its file in ``workers/``.
        environment: whether it has an environment of its own, described by
            ``requirements/NAME.txt``; otherwise it runs in this Python.
        without_dependencies: packages that are installed last and alone, because the versions
            that they ask for exclude those in the requirements.
        newest_python: the highest (major, minor) that its packages were made for, if there is one.
    """

    worker: str
    environment: bool = True
    without_dependencies: tuple[str, ...] = ()
    newest_python: tuple[int, int] | None = None


_IMPLEMENTATIONS = {
    "elmo-jax": Implementation("elmo_jax_worker.py", environment=False),
    "allennlp": Implementation("allennlp_worker.py", without_dependencies=("allennlp==2.10.1",)),
    "simple_elmo": Implementation("simple_elmo_worker.py", newest_python=(3, 11)),
    "torch_lstm": Implementation("torch_lstm_worker.py"),
    "minilm": Implementation("minilm_worker.py"),
}

PEERS = tuple(_IMPLEMENTATIONS)
"""The names of all implementations, elmo-jax first."""


def implementation(name: str) -> Implementation:
    """Look an implementation up.

    Raises:
        ElmoError: if there is none of that name.
    """
    if name not in _IMPLEMENTATIONS:
        raise ElmoError(f"Unknown peer {name!r}: expected one of {', '.join(PEERS)}.")
    return _IMPLEMENTATIONS[name]


def worker_file(name: str) -> Path:
    """The file that puts the implementation behind the protocol."""
    return HERE / "workers" / implementation(name).worker


def requirements_file(name: str) -> Path:
    """The pinned packages of the implementation's environment."""
    return HERE / "requirements" / f"{name}.txt"


TORCH_TRAINING = HERE / "workers" / "torch_training_worker.py"
"""A trainer, which runs in the environment of ``torch_lstm``."""
