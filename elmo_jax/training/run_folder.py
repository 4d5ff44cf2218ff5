"""The folder of a run: its files, and whether the run in it can be resumed.

run.json        settings, model and text of the run
vocab.txt       the words of the softmax
metrics.jsonl   a line for every few steps, and one for every validation
loss.png        the same as a picture (with matplotlib)
checkpoints/    the latest checkpoints, from which an unfinished run is resumed
model/          the result: config.json, model.safetensors, vocab.txt
hdf5/           the result in the published format, on request
summary.json    the summary of a finished run
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ..checkpoint import FILES, FORMATS, save
from ..checkpoint.vocabulary import Vocabulary
from ..errors import ElmoError, counted
from ..files import atomic_file, refuse_input
from ..json_text import to_json
from ..model.config import ElmoConfig
from .language_model import StartingModel
from .settings import TrainingSettings
from .streams import StreamPosition
from .text_files import file_digests
from .train_step import TrainState

# These may change when a run is resumed: they move its end, with the learning rate schedule, its
# validations and its checkpoints.
_MAY_CHANGE = {
    "epochs", "n_steps", "eval_every", "checkpoint_every", "keep_checkpoints", "log_every",
}  # fmt: skip

# Fields of a summary that belong to one call of train(), not to the run.
_CALL_FIELDS = ("tokens", "total_tokens", "seconds", "tokens_per_second")


class RunFolder:
    """The files listed at the top of this module."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.vocabulary = path / "vocab.txt"
        self.metrics = path / "metrics.jsonl"
        self.picture = path / "loss.png"
        self.checkpoints = path / "checkpoints"
        self._record = path / "run.json"
        self._summary = path / "summary.json"

    def model(self, format: str) -> Path:
        """The folder of the result in a format of ``elmo_jax.save``."""
        return self.path / {"native": "model", "hdf5": "hdf5"}[format]

    @property
    def model_formats(self) -> list[str]:
        """The formats in which the result is there."""
        return [f for f in FORMATS if all((self.model(f) / name).is_file() for name in FILES[f])]

    def refuse_inputs(self, files: Iterable[Path]) -> None:
        """Raise ElmoError for a text that the run would overwrite."""
        outputs = (self._record, self.vocabulary, self.metrics, self.picture)
        folders = (self.checkpoints, *map(self.model, FORMATS))
        for path in files:
            for output in outputs:
                refuse_input(output, [path])
            if any(path.resolve().is_relative_to(folder.resolve()) for folder in folders):
                raise ElmoError(
                    f"The text {path} lies in {self.path}, where the run writes its own files."
                )

    def create(self, record: dict[str, Any], vocabulary: Vocabulary) -> None:
        """Start a run: write its vocabulary and its record, run.json."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ElmoError(f"Cannot make the folder {self.path}: {error}") from error
        vocabulary.write(self.vocabulary)
        _write_json(self._record, record)  # last, because its presence says that the run has begun

    def read_record(self) -> dict[str, Any] | None:
        """What run.json says; None if nothing is there, ElmoError for other files without it."""
        record = _read_json(self._record)
        if record is None and self.path.is_dir() and any(self.path.iterdir()):
            raise ElmoError(
                f"{self.path} has files but no run.json, so there is no run to resume. Choose "
                "another folder."
            )
        return record

    def write_models(
        self,
        formats: Sequence[str],
        config: ElmoConfig,
        params: dict[str, Any],
        vocabulary: Vocabulary,
        summary: dict[str, Any],
    ) -> None:
        """Write the model in these formats, in place of one of an earlier call."""
        # Without the fields of this call: a resumed run writes the same bytes as an unbroken one.
        training = {name: value for name, value in summary.items() if name not in _CALL_FIELDS}
        metadata = {"training": {**training, "tokens": summary["total_tokens"]}}
        words: dict[str, Any] = {"vocabulary": vocabulary, "metadata": metadata}
        for format in formats:
            save(self.model(format), config, params, format, **words, overwrite=True)

    def write_summary(self, summary: dict[str, Any], earlier: dict[str, Any] | None) -> None:
        """Record that the run has finished; a call without a step keeps the ``earlier`` speed."""
        if earlier is not None and not summary["tokens"]:
            summary = {**summary, **{name: earlier[name] for name in _CALL_FIELDS}}
        _write_json(self._summary, summary)

    def finished_summary(self, n_steps: int) -> dict[str, Any] | None:
        """The summary of the run if it finished after ``n_steps``; None if steps are missing.

        Raises ElmoError if it has taken more steps already, or has finished after fewer and has no
        checkpoint left to resume from.
        """
        summary, checkpoint = _read_json(self._summary), self._latest_checkpoint()
        n_taken = max(checkpoint or 0, summary["step"] if summary else 0)
        if n_taken > n_steps:
            raise ElmoError(
                f"The run in {self.path} has taken {counted(n_taken, 'step')} already, more than "
                f"the {n_steps:,} asked for. Ask for at least as many, or start another run in "
                "another folder."
            )
        if summary is None or checkpoint not in (None, summary["step"]):
            return None
        if checkpoint is None and n_steps > n_taken:
            raise ElmoError(
                f"The run in {self.path} finished after {counted(n_taken, 'step')}, and its "
                f"checkpoints are gone, so it cannot be resumed to reach {n_steps:,}. Train its "
                "model further in another folder: start_from, in a command --start-from."
            )
        return summary if summary["step"] == n_steps else None

    def _latest_checkpoint(self) -> int | None:
        names = [path.name for path in self.checkpoints.glob("*")]
        return max((int(name) for name in names if name.isdecimal()), default=None)


class Checkpoints:
    """The latest checkpoints of a run: the state on the devices, and the position in the text.

    Each checkpoint is either complete or not there at all.
    """

    def __init__(self, folder: Path, n_latest: int) -> None:
        # Importing Orbax takes a second, which only training should cost.
        import orbax.checkpoint as ocp

        self._ocp, self.folder = ocp, folder
        options = ocp.CheckpointManagerOptions(
            max_to_keep=n_latest, create=True, enable_async_checkpointing=False
        )
        self._manager = ocp.CheckpointManager(folder.absolute(), options=options)

    def latest(self) -> int | None:
        """The step of the latest checkpoint; None if there is none."""
        step: int | None = self._manager.latest_step()
        return step

    def save(self, step: int, state: TrainState, position: StreamPosition) -> None:
        """Write a checkpoint, unless the latest one is of the same step."""
        if step == self.latest():
            return
        args = self._ocp.args
        parts = {
            "state": args.StandardSave(_on_host(state)),
            "position": args.JsonSave(position.to_json()),
        }
        self._manager.save(step, args=args.Composite(**parts))

    def restore(self, step: int, like: TrainState) -> tuple[TrainState, StreamPosition]:
        """Read the checkpoint of a step, as NumPy arrays of the shapes of ``like``.

        Raises ElmoError if it cannot be read, or belongs to another model.
        """
        args = self._ocp.args
        parts = {"state": args.StandardRestore(_on_host(like)), "position": args.JsonRestore()}
        try:
            restored = self._manager.restore(step, args=args.Composite(**parts))
        except Exception as error:  # Orbax passes on whatever its storage raises
            raise ElmoError(
                f"Cannot read the checkpoint of step {step} in {self.folder}: {error}. Remove "
                f"{self.folder / str(step)} to resume from the one before."
            ) from error
        try:
            position = StreamPosition.from_json(restored["position"])
        except ElmoError as error:
            what = f"Cannot resume from the checkpoints in {self.folder}"
            raise ElmoError(f"{what}: {error}") from None
        return restored["state"], position

    def close(self) -> None:
        """Release the folder."""
        self._manager.close()


def _on_host(state: TrainState) -> Any:
    # NumPy arrays: a checkpoint must not depend on the devices, nor on their number.
    return jax.tree.map(np.asarray, state)


def _read_json(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
    except ValueError as error:
        raise ElmoError(f"{path} is not JSON: {error}") from None
    return content


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with atomic_file(path, overwrite=True) as temporary:
        temporary.write_text(to_json(content, indent=2) + "\n", encoding="utf-8")


# What decides a run


@dataclasses.dataclass(frozen=True)
class VocabularyLimits:
    """The limits of a vocabulary that is made from the text of the run."""

    vocabulary_size: int | None = None
    min_count: int = 1

    def refuse(self) -> None:
        """Raise ElmoError if a limit is set, though the vocabulary is not made from the text."""
        limits, defaults = dataclasses.asdict(self), dataclasses.asdict(VocabularyLimits())
        names = [name for name, value in limits.items() if value != defaults[name]]
        if names:
            raise ElmoError(
                f"Expected no {' nor '.join(names)}: they limit a vocabulary made from the text, "
                "but here the words come from vocabulary or from the model to fine-tune (in a "
                "command --vocabulary, --start-from). Leave out one of the two."
            )


def describe_run(
    settings: TrainingSettings,
    start: StartingModel,
    files: Sequence[Path],
    words: Vocabulary | VocabularyLimits,
) -> dict[str, Any]:
    """What decides a run, ready for JSON."""
    limits = dataclasses.asdict(words) if isinstance(words, VocabularyLimits) else {}
    description = {
        "settings": dataclasses.asdict(settings),
        "config": start.config.to_dict(),
        "vocabulary_choice": limits,
        "files": file_digests(files),
        "start": start.digest,
    }
    return json.loads(to_json(description))


def check_same_run(record: dict[str, Any], description: dict[str, Any], folder: Path) -> None:
    """Raise ElmoError, with every difference, unless ``description`` is that of the same run."""
    default_limits = dataclasses.asdict(VocabularyLimits())
    record = {**record, "vocabulary_choice": record.get("vocabulary_choice") or default_limits}
    differences = [
        f"{name} was {record[part].get(name)!r}, is {value!r}"
        for part in ("settings", "config", "vocabulary_choice")
        for name, value in description[part].items()
        if record[part].get(name) != value and not (part == "settings" and name in _MAY_CHANGE)
    ]
    if record["files"] != description["files"]:
        differences.append("the text files have other names, sizes or contents")
    if record.get("start") != description["start"]:
        before, now = _start_name(record.get("start")), _start_name(description["start"])
        differences.append(f"it started from {before}, and now should start from {now}")
    if differences:
        raise ElmoError(
            f"The run in {folder} was started differently: {'; '.join(differences)}. Resume it "
            "with what it was started with, or start another run in another folder."
        )


def _start_name(digest: str | None) -> str:
    return "a new model" if digest is None else f"the model with the hash {digest[:12]}…"
