"""The folder of a run: what is in it, and whether a run may go on there.

run.json        settings, model and text of the run
vocab.txt       the words of the softmax
metrics.jsonl   a line for every few steps, and for every validation
loss.png        the same as a picture (with matplotlib)
checkpoints/    the latest, from which a run goes on
model/          the result: config.json, model.safetensors, vocab.txt
hdf5/           the result in the published format, on request
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from ..config import ElmoConfig
from ..errors import ElmoError
from ..files import atomic_file
from ..json_text import to_json
from .corpus import Corpus
from .settings import TrainingSettings

# What may differ when a run goes on: it changes when things happen, not what is computed.
_FREE = {
    "epochs", "n_steps", "eval_every", "checkpoint_every", "keep_checkpoints", "log_every",
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class RunFolder:
    """Paths of a run."""

    path: Path

    @property
    def record(self) -> Path:
        """run.json."""
        return self.path / "run.json"

    @property
    def vocabulary(self) -> Path:
        """vocab.txt."""
        return self.path / "vocab.txt"

    @property
    def metrics(self) -> Path:
        """metrics.jsonl."""
        return self.path / "metrics.jsonl"

    @property
    def picture(self) -> Path:
        """loss.png."""
        return self.path / "loss.png"

    @property
    def checkpoints(self) -> Path:
        """checkpoints/."""
        return self.path / "checkpoints"

    def model(self, format: str) -> Path:
        """The folder of the result in a format of ``elmo_jax.save``."""
        return self.path / {"native": "model", "hdf5": "hdf5"}[format]

    def read(self) -> dict[str, Any] | None:
        """The record of the run that was started here, if one was."""
        if not self.record.exists():
            return None
        try:
            content: dict[str, Any] = json.loads(self.record.read_bytes())
        except ValueError as error:
            raise ElmoError(f"{self.record} is not JSON: {error}") from None
        return content

    def write(self, record: dict[str, Any]) -> None:
        """Write the record."""
        with atomic_file(self.record, overwrite=True) as temporary:
            temporary.write_text(to_json(record, indent=2) + "\n", encoding="utf-8")


def describe(settings: TrainingSettings, config: ElmoConfig, corpus: Corpus) -> dict[str, Any]:
    """What decides a run, ready for JSON."""
    return json.loads(
        to_json(
            {
                "settings": dataclasses.asdict(settings),
                "config": dataclasses.asdict(config),
                "files": [[path.name, path.stat().st_size] for path in corpus.files],
            }
        )
    )


def check_same(record: dict[str, Any], description: dict[str, Any], folder: Path) -> None:
    """Raise ElmoError, naming all differences, unless a run may go on as described."""
    differences = []
    for part in ("settings", "config"):
        for name, value in description[part].items():
            before = record[part].get(name)
            if before != value and not (part == "settings" and name in _FREE):
                differences.append(f"{name} was {before!r}, is {value!r}")
    if record["files"] != description["files"]:
        differences.append("the text files have other names or sizes")
    if differences:
        raise ElmoError(
            f"The run in {folder} was started differently: {'; '.join(differences)}. Go on with "
            "what it was started with, or start another run in another folder."
        )
