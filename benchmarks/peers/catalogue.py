"""Which implementations there are, and what each needs."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from elmo_jax import ElmoError

HERE = Path(__file__).resolve().parent

TORCH_TRAINING = HERE / "workers" / "torch_training_worker.py"
"""A trainer, which runs in the environment of ``torch_lstm``."""


@dataclasses.dataclass(frozen=True)
class Implementation:
    """What it takes to run one implementation.

    Attributes:
        name: its own.
        environment: whether it has an environment of its own; else it runs in this Python.
        without_dependencies: packages that are installed last and alone, because the versions
            that they ask for exclude those in the requirements.
        newest_python: the highest (major, minor) that its packages were made for, if there is one.
    """

    name: str
    environment: bool = True
    without_dependencies: tuple[str, ...] = ()
    newest_python: tuple[int, int] | None = None

    @property
    def worker(self) -> Path:
        """The file that puts it behind the protocol of ``worker.py``."""
        return HERE / "workers" / f"{self.name.replace('-', '_')}_worker.py"

    @property
    def requirements(self) -> Path:
        """The pinned packages of its environment."""
        return HERE / "requirements" / f"{self.name}.txt"


IMPLEMENTATIONS = (
    Implementation("elmo-jax", environment=False),
    Implementation("allennlp", without_dependencies=("allennlp==2.10.1",)),
    Implementation("simple_elmo", newest_python=(3, 11)),
    Implementation("torch_lstm"),
    Implementation("minilm"),
)


def implementation(name: str) -> Implementation:
    """Look an implementation up.

    Raises:
        ElmoError: if there is none of that name.
    """
    named = {peer.name: peer for peer in IMPLEMENTATIONS}
    if name not in named:
        raise ElmoError(f"Unknown peer {name!r}: expected one of {', '.join(named)}.")
    return named[name]
