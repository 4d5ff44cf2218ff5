"""The folder of a run: what is in it, and whether a run may go on there.

run.json        settings, model and text of the run
vocab.txt       the words of the softmax
metrics.jsonl   a line for every few steps, and for every validation
loss.png        the same as a picture (with matplotlib)
checkpoints/    the latest, from which a run goes on
model/          the result: config.json, model.safetensors, vocab.txt
hdf5/           the result in the published format, on request
summary.json    of a run that has ended: what it came to
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..checkpoint import FILES
from ..errors import ElmoError, counted
from ..files import atomic_file, refuse_input, to_json
from ..model.config import ElmoConfig
from .corpus import Corpus
from .digests import files_record
from .settings import TrainingSettings

# What may differ when a run goes on: it changes when things happen, not what is computed.
_FREE = {
    "epochs", "n_steps", "eval_every", "checkpoint_every", "keep_checkpoints", "log_every",
}  # fmt: skip

DEFAULT_CHOICE: dict[str, Any] = {"vocabulary_size": None, "min_count": 1}
"""Of a vocabulary made from the text, unless the user says otherwise."""


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

    @property
    def summary(self) -> Path:
        """summary.json."""
        return self.path / "summary.json"

    def model(self, format: str) -> Path:
        """The folder of the result in a format of ``elmo_jax.save``."""
        return self.path / {"native": "model", "hdf5": "hdf5"}[format]

    def has_model(self, format: str) -> bool:
        """Whether the result is there in a format."""
        return all((self.model(format) / name).is_file() for name in FILES[format])

    def refuse_inputs(self, files: Iterable[Path]) -> None:
        """Raise ElmoError for a text that the run would overwrite."""
        written = (self.record, self.vocabulary, self.metrics, self.picture)
        folders = (self.checkpoints, self.model("native"), self.model("hdf5"))
        for path in files:
            for target in written:
                refuse_input(target, [path])
            if any(path.resolve().is_relative_to(folder.resolve()) for folder in folders):
                raise ElmoError(
                    f"The text {path} lies in {self.path}, where the run writes its own."
                )

    def read(self) -> dict[str, Any] | None:
        """The record of the run that was started here, if one was."""
        return _read(self.record)

    def write(self, record: dict[str, Any]) -> None:
        """Write the record."""
        _write(self.record, record)

    def write_summary(self, summary: dict[str, Any]) -> None:
        """Write down that the run has ended, and what it came to."""
        _write(self.summary, summary)

    def ended(self, n_steps: int) -> dict[str, Any] | None:
        """The summary of the run, if it has ended after ``n_steps``; None if it has to go on.

        Raises:
            ElmoError: if it has taken more steps already, or has ended after fewer and has no
                checkpoint left to go on from.
        """
        summary, checkpoint = _read(self.summary), self._last_checkpoint()
        n_taken = max(checkpoint or 0, summary["step"] if summary else 0)
        if n_taken > n_steps:
            raise ElmoError(
                f"The run in {self.path} has taken {counted(n_taken, 'step')} already, more "
                "than the "
                f"{n_steps:,} that are asked for. Ask for as many or more, or start another run in "
                "another folder."
            )
        if summary is None or checkpoint not in (None, summary["step"]):
            return None
        if checkpoint is None and n_steps > n_taken:
            raise ElmoError(
                f"The run in {self.path} ended after {counted(n_taken, 'step')}, and its "
                "checkpoints are "
                f"gone, so that it cannot go on to {n_steps:,}. Train its model on in another "
                "folder: start_from, in a command --start-from."
            )
        return summary if summary["step"] == n_steps else None

    def _last_checkpoint(self) -> int | None:
        names = [path.name for path in self.checkpoints.glob("*")]
        return max((int(name) for name in names if name.isdecimal()), default=None)


def _read(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
    except ValueError as error:
        raise ElmoError(f"{path} is not JSON: {error}") from None
    return content


def _write(path: Path, content: dict[str, Any]) -> None:
    with atomic_file(path, overwrite=True) as temporary:
        temporary.write_text(to_json(content, indent=2) + "\n", encoding="utf-8")


def describe(
    settings: TrainingSettings,
    config: ElmoConfig,
    corpus: Corpus,
    start: str | None,
    vocabulary_choice: dict[str, Any],
) -> dict[str, Any]:
    """What decides a run, ready for JSON.

    Args:
        settings: of the run.
        config: the architecture.
        corpus: the text.
        start: hash of the model that the run starts from; None for a new model.
        vocabulary_choice: ``vocabulary_size`` and ``min_count`` of a vocabulary made from the text;
            empty if the words come from elsewhere.
    """
    return json.loads(
        to_json(
            {
                "settings": dataclasses.asdict(settings),
                "config": dataclasses.asdict(config),
                "vocabulary_choice": vocabulary_choice,
                "files": files_record(corpus.files),
                "start": start,
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
    choice_before = record.get("vocabulary_choice") or DEFAULT_CHOICE
    for name, value in description["vocabulary_choice"].items():
        if choice_before[name] != value:
            differences.append(f"{name} was {choice_before[name]!r}, is {value!r}")
    if record["files"] != description["files"]:
        differences.append("the text files have other names, sizes or contents")
    if record.get("start") != description["start"]:
        differences.append(
            f"it began with {_start_name(record.get('start'))}, is to begin with "
            f"{_start_name(description['start'])}"
        )
    if differences:
        raise ElmoError(
            f"The run in {folder} was started differently: {'; '.join(differences)}. Go on with "
            "what it was started with, or start another run in another folder."
        )


def _start_name(digest: str | None) -> str:
    """What to call the model that a run starts from."""
    return "a new model" if digest is None else f"the model with the hash {digest[:12]}…"
