"""The folder of a run: its files, and whether the run in it can be resumed.

run.json        settings, model and text of the run
vocab.txt       the words of the softmax
metrics.jsonl   a line for every few steps, and one for every validation
loss.png        the same as a picture (with matplotlib)
checkpoints/    the latest checkpoints, from which an unfinished run is resumed
model/          the result: config.json, model.safetensors, vocab.txt
best/           the same as it was at the best validation
hdf5/           the result in the published format, on request
summary.json    the summary of a finished run
lock            there while a process trains; it says which
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..checkpoint import FILES, FORMATS, save
from ..checkpoint.vocabulary import Vocabulary
from ..errors import ElmoError, count_problem, counted, first_few, number_problem, shortened
from ..files import refuse_input, sync
from ..json_text import parse_json_object, to_json
from ..model.config import ElmoConfig
from .best_model import CALL_FIELDS, metadata_of
from .checkpoints import steps_in
from .language_model import StartingModel
from .run_lock import LOCK_FILE, only_process_in
from .sealed_json import read_sealed, write_sealed
from .settings import TrainingSettings

# These may change when a run is resumed: they move its end, with the learning rate schedule, its
# validations and its checkpoints.
_MAY_CHANGE = {
    "epochs", "n_steps", "eval_every", "checkpoint_every", "keep_checkpoints", "log_every",
}  # fmt: skip

_LOST_RECORD = "Put back a copy of it, or start another run in another folder."
_LOST_SUMMARY = "Remove it: the same command writes it again, from the checkpoints of the run."

_FILES = (
    "run.json",
    "vocab.txt",
    ".vocab.txt.new.tmp",
    "metrics.jsonl",
    "loss.png",
    "summary.json",
)
_MODEL_FOLDERS = {"native": "model", "hdf5": "hdf5"}
_BEST = "best"


class RunFolder:
    """The files listed at the top of this module."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.vocabulary = path / "vocab.txt"
        self._new_vocabulary = path / ".vocab.txt.new.tmp"
        self.metrics = path / "metrics.jsonl"
        self.picture = path / "loss.png"
        self.checkpoints = path / "checkpoints"
        self.best = path / _BEST
        self._record = path / "run.json"
        self._summary = path / "summary.json"

    def model(self, format: str) -> Path:
        """The folder of the result in a format of ``elmo_jax.save``."""
        return self.path / _MODEL_FOLDERS[format]

    @property
    def model_formats(self) -> list[str]:
        """The formats in which the result is there."""
        return [f for f in FORMATS if all((self.model(f) / name).is_file() for name in FILES[f])]

    def refuse_inputs(self, files: Iterable[Path]) -> None:
        """Raise ElmoError for a text that the run would overwrite."""
        outputs = (self._record, self.vocabulary, self.metrics, self.picture, self._summary)
        folders = (self.checkpoints, self.best, *map(self.model, FORMATS))
        for path in files:
            for output in outputs:
                refuse_input(output, [path])
            if any(path.resolve().is_relative_to(folder.resolve()) for folder in folders):
                raise ElmoError(
                    f"The text {path} lies in {self.path}, where the run writes its own files."
                )

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Make the folder, and be the only process that works in it; ElmoError if one does.

        A folder that was made and holds nothing in the end is removed.
        """
        made = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        try:
            try:
                self.path.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise ElmoError(f"Cannot make the folder {self.path}: {error.strerror}.") from None
            with only_process_in(self.path):
                self._remove_leftovers()
                yield
        finally:
            with contextlib.suppress(OSError):
                for folder in made:
                    folder.rmdir()

    def _remove_leftovers(self) -> None:
        """Remove what killed processes left of files and folders that they wrote."""
        for name in (*_FILES, _BEST, *_MODEL_FOLDERS.values()):
            for path in self.path.glob(f".{name}.*.tmp"):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                elif path != self._new_vocabulary:
                    with contextlib.suppress(OSError):
                        path.unlink()

    def create(self, record: dict[str, Any], vocabulary: Vocabulary) -> dict[str, Any]:
        """Start a run: write its vocabulary and its record, which is returned as JSON has it."""
        # The vocabulary gets its name only when run.json says that the folder is that of a run:
        # a process may be killed between the two.
        vocabulary.write(self._new_vocabulary)
        sync(self._new_vocabulary)
        write_sealed(self._record, record)
        self._new_vocabulary.replace(self.vocabulary)
        return parse_json_object(to_json(record), str(self._record))

    def read_record(self) -> dict[str, Any] | None:
        """What run.json says; None if nothing is there, ElmoError for other files without it."""
        record = read_sealed(self._record, _LOST_RECORD)
        if record is not None:
            _check_record(record, self._record)
            if self._new_vocabulary.is_file() and not self.vocabulary.exists():
                self._new_vocabulary.replace(self.vocabulary)
            return record
        own = (LOCK_FILE, self._new_vocabulary.name)
        if foreign := sorted(p.name for p in self.path.glob("*") if p.name not in own):
            raise ElmoError(
                f"{self.path} has files ({first_few(foreign)}) but no run.json, so there is no run "
                "to resume. Choose another folder."
            )
        return None

    def write_models(
        self,
        formats: Sequence[str],
        config: ElmoConfig,
        params: dict[str, Any],
        vocabulary: Vocabulary,
        summary: dict[str, Any],
    ) -> None:
        """Write the model in these formats, in place of one of an earlier call."""
        words: dict[str, Any] = {"vocabulary": vocabulary, "metadata": metadata_of(summary)}
        for format in formats:
            save(self.model(format), config, params, format, **words, overwrite=True)

    def write_summary(self, summary: dict[str, Any], earlier: dict[str, Any] | None) -> None:
        """Record that the run has finished; a call without a step keeps the ``earlier`` speed."""
        if earlier is not None and not summary["tokens"]:
            summary = {**summary, **{name: earlier[name] for name in CALL_FIELDS}}
        write_sealed(self._summary, summary)

    def finished_summary(self, n_steps: int) -> dict[str, Any] | None:
        """The summary of the run if it finished after ``n_steps``; None if steps are missing.

        Raises ElmoError if it has taken more steps already, or has finished after fewer and has no
        checkpoint left to resume from.
        """
        summary = read_sealed(self._summary, _LOST_SUMMARY)
        if summary is not None:
            _check_summary(summary, self._summary)
        checkpoint = max(steps_in(self.checkpoints), default=None)
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
                "model further in another folder: start_from=."
            )
        return summary if summary["step"] == n_steps else None


# What others may have written into the folder


def _check_record(record: dict[str, Any], path: Path) -> None:
    """Raise ElmoError unless run.json has what a run writes, of the right types."""
    kinds: dict[str, Any] = {
        "settings": dict, "config": dict, "vocabulary_choice": dict, "files": list,
        "start": str | None, "vocabulary": dict,
    }  # fmt: skip
    problems: list[str | None] = [
        f"{name} is {shortened(record.get(name))}"
        for name, kind in kinds.items()
        if name not in record or not isinstance(record[name], kind)
    ]
    for name, least in (("n_sentences", 1), ("n_words", 0), ("words_cut", 0), ("n_predictions", 1)):
        problems.append(count_problem(record.get(name), name, least))
    problems.append(_share_problem(record.get("oov_rate"), "oov_rate"))
    _refuse(problems, path, _LOST_RECORD)


def _check_summary(summary: dict[str, Any], path: Path) -> None:
    """Raise ElmoError unless summary.json has what is used of it."""
    counts = ("step", "n_steps", "tokens", "total_tokens")
    problems = [count_problem(summary.get(name), name, 0) for name in counts]
    for name in ("seconds", "tokens_per_second"):
        problems.append(number_problem(summary.get(name), name, positive=False))
    problems.append(_share_problem(summary.get("train_oov_rate"), "train_oov_rate"))
    _refuse(problems, path, _LOST_SUMMARY)


def _share_problem(value: Any, name: str) -> str | None:
    return number_problem(value, name, positive=False, below=math.nextafter(1, 2))


def _refuse(problems: Iterable[str | None], path: Path, remedy: str) -> None:
    if real := [problem for problem in problems if problem]:
        raise ElmoError(f"{path} is not what a run writes: {first_few(real)}. {remedy}")


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
            limit = "they limit" if names[1:] else "it limits"
            raise ElmoError(
                f"Expected no {' nor '.join(names)}: {limit} a vocabulary made from the text, "
                "but here the words come from vocabulary= or from the model in start_from=. "
                "Leave out one of the two."
            )


def describe_run(
    settings: TrainingSettings,
    start: StartingModel,
    words: Vocabulary | VocabularyLimits,
) -> dict[str, Any]:
    """What decides a run beside its text, ready for JSON."""
    limits = dataclasses.asdict(words) if isinstance(words, VocabularyLimits) else {}
    description = {
        "settings": dataclasses.asdict(settings),
        "config": start.config.to_dict(),
        "vocabulary_choice": limits,
        "start": start.digest,
    }
    return parse_json_object(to_json(description), "The description of the run")


def check_same_run(
    record: dict[str, Any], description: dict[str, Any], changes: Sequence[str], folder: Path
) -> None:
    """Raise ElmoError, with every difference, unless ``description`` is that of the same run.

    ``changes`` are those of the text.
    """
    default_limits = dataclasses.asdict(VocabularyLimits())
    record = {**record, "vocabulary_choice": record["vocabulary_choice"] or default_limits}
    # A setting that is not there was not there yet; its default changes nothing.
    record["settings"] = dataclasses.asdict(TrainingSettings()) | record["settings"]
    differences = [
        f"{name} was {shortened(record[part].get(name))}, is {shortened(value)}"
        for part in ("settings", "config", "vocabulary_choice")
        for name, value in description[part].items()
        if record[part].get(name) != value and not (part == "settings" and name in _MAY_CHANGE)
    ]
    differences += changes
    if record["start"] != description["start"]:
        before, now = _start_name(record["start"]), _start_name(description["start"])
        differences.append(f"it started from {before}, and now should start from {now}")
    if differences:
        raise ElmoError(
            f"The run in {folder} was started differently: {'; '.join(differences)}. Resume it "
            "with what it was started with, or start another run in another folder."
        )


def _start_name(digest: str | None) -> str:
    return "a new model" if digest is None else f"the model with the hash {digest[:12]}…"
