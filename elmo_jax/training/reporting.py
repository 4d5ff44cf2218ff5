"""What a run reports: a progress bar and lines of metrics."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from ..errors import ElmoError, ElmoWarning, count_problem, shortened, warn
from ..files import atomic_file
from ..json_text import parse_json_object, to_json
from .perplexity import Perplexity
from .settings import TrainingSettings
from .train_step import learning_rate


class Reported(NamedTuple):
    """What was reported of earlier steps, as far as later reports need it."""

    loss: float | None  # in the last line of the metrics
    losses: list[float]  # of the steps since that line
    validation: dict[str, Any]  # the last one: its step and its fields; empty before the first

    @classmethod
    def from_json(cls, content: Any) -> Reported:
        """The inverse of ``_asdict``; ElmoError for anything else."""
        if not isinstance(content, dict) or content.keys() != set(cls._fields):
            raise ElmoError(f"expected {', '.join(cls._fields)}, got {shortened(content)}")
        loss, losses, validation = (content[name] for name in cls._fields)
        numbers = [loss or 0, *losses] if isinstance(losses, list) else [None]
        if not all(isinstance(number, int | float) for number in numbers):
            raise ElmoError(f"losses are not numbers: {shortened(content)}")
        if not isinstance(validation, dict):
            raise ElmoError(f"validation is {shortened(validation)}, expected an object")
        return cls(loss, losses, validation)


class Reporter:
    """Writes a metrics file, and a progress bar to stderr.

    Lines of steps after ``first_step`` are removed from the file. ``reported`` is what the
    checkpoint of that step knows; a validation in it counts only if it is of ``valid_text``, the
    hash of a text. ``loss_kind`` is "sampled" or "full": a
    sampled loss must not be compared with the validation perplexity, which is that of the full
    softmax. Without a path there is no file.
    """

    def __init__(
        self,
        path: Path | None,
        settings: TrainingSettings,
        n_steps: int,
        first_step: int = 0,
        reported: Reported | None = None,
        *,
        loss_kind: str,
        progress: bool = False,
        valid_text: str | None = None,
    ) -> None:
        self._path, self._log_every, self._valid_text = path, settings.log_every, valid_text
        self._learning_rate = learning_rate(settings, n_steps)
        self._tokens_per_step = settings.tokens_per_step
        self.loss_name = f"train_{loss_kind}_loss"
        self._logged_loss, losses, self._validation = reported or Reported(None, [], {})
        self._losses = list(losses)  # of the steps since the last line
        self._remove_lines_after(first_step)
        self._mean_loss = sum(losses) / len(losses) if losses else None
        self._bar = tqdm(
            total=n_steps * self._tokens_per_step,
            initial=first_step * self._tokens_per_step,
            unit="tok",
            unit_scale=True,
            disable=not progress,
            desc="training",
        )
        self._bar_fields: dict[str, str] = {}
        self.n_steps, self.seconds = 0, 0.0  # of this call
        self._interval_seconds, self._last_tick = 0.0, time.perf_counter()

    def report_step(self, step: int, loss: float, gradient_norm: float) -> None:
        """Add a step to the mean loss; write a line every ``log_every`` steps."""
        self._tick()
        self.n_steps += 1
        self._losses.append(loss)
        self._mean_loss = sum(self._losses) / len(self._losses)
        self._bar.update(self._tokens_per_step)
        if step % self._log_every:
            return
        n_tokens = len(self._losses) * self._tokens_per_step
        line = {
            "step": step,
            self.loss_name: self._mean_loss,
            "gradient_norm": gradient_norm,
            "learning_rate": float(self._learning_rate(step - 1)),
            "tokens": step * self._tokens_per_step,
            "tokens_per_second": n_tokens / self._interval_seconds,
        }
        self._write(line)
        self._show(self.loss_name.removeprefix("train_"), f"{self._mean_loss:.3f}")
        self._logged_loss, self._losses, self._interval_seconds = self._mean_loss, [], 0.0

    def report_validation(self, step: int, result: Perplexity) -> None:
        """Write the line of a validation."""
        self._validation = {"step": step, **validation_fields(result, self._valid_text)}
        self._write(self._validation)
        self._show("valid_ppl", f"{result.perplexity:.2f} ({result.oov_rate:.0%} unknown)")

    @property
    def loss(self) -> float | None:
        """The loss in the last line of the metrics; before any line, the mean over the steps."""
        return self._mean_loss if self._logged_loss is None else self._logged_loss

    @property
    def validated_step(self) -> int | None:
        """The step of the last validation of this text, in this call or an earlier one."""
        if self._valid_text not in (None, self._validation.get("valid_text")):
            return None
        return self._validation.get("step")

    @property
    def reported(self) -> Reported:
        """What a resumed run needs to continue the report."""
        return Reported(self._logged_loss, list(self._losses), self._validation)

    def validation_of(self, step: int) -> dict[str, Any]:
        """The fields of the last validation if it was of this step; otherwise none."""
        if self.validated_step != step:
            return {}
        return {name: value for name, value in self._validation.items() if name != "step"}

    @contextlib.contextmanager
    def clock_stopped(self) -> Iterator[None]:
        """A context that does not count as training time."""
        self._tick()
        yield
        self._last_tick = time.perf_counter()

    def close(self) -> None:
        """End the progress bar."""
        self._bar.close()

    def _tick(self) -> None:
        now = time.perf_counter()
        self.seconds += now - self._last_tick
        self._interval_seconds += now - self._last_tick
        self._last_tick = now

    def _show(self, name: str, value: str) -> None:
        self._bar_fields[name] = value
        self._bar.set_postfix(self._bar_fields, refresh=False)

    def _remove_lines_after(self, step: int) -> None:
        if self._path is None:
            return
        try:
            kept = [
                to_json(line) + "\n" for line in read_metrics(self._path) if line["step"] <= step
            ]
            with atomic_file(self._path, overwrite=True) as temporary:
                temporary.write_text("".join(kept), "utf-8")
        except ElmoError as error:
            self._write_no_more(str(error))

    def _write(self, line: dict[str, Any]) -> None:
        if self._path is None:
            return
        try:
            # A link that stands here by now must not lead into another file.
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
            with open(os.open(self._path, flags, 0o666), "a", encoding="utf-8") as file:  # noqa: PTH123
                file.write(to_json(line) + "\n")
        except OSError as error:
            self._write_no_more(f"Cannot write {self._path}: {error.strerror or error}.")

    def _write_no_more(self, problem: str) -> None:
        self._path = None
        warn(f"{problem} Training goes on without the lines that belong there.", ElmoWarning)


def validation_fields(result: Perplexity, text: str | None) -> dict[str, Any]:
    """The fields of a validation in metrics and summaries, with the hash of its text."""
    named = {f"valid_{name}": value for name, value in result._asdict().items()}
    return {**named, "valid_text": text}


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a metrics file; those that are cut off or damaged are left out.

    Raises:
        ElmoError: if it cannot be read.
    """
    try:
        texts = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ElmoError(f"Cannot read {path}: {error.strerror or error}.") from None
    lines = []
    for text in texts:
        with contextlib.suppress(ElmoError):  # a process may have been killed while it wrote
            line = parse_json_object(text, str(path))
            if count_problem(line.get("step"), "step", 0) is None:
                lines.append(line)
    return lines
