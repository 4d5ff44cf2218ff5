"""What a run reports: a progress bar, lines of metrics, and a picture of the loss."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..files import atomic_file
from ..json_text import to_json
from .evaluation import Perplexity
from .settings import TrainingSettings
from .train_step import learning_rate

_logger = logging.getLogger(__name__)


class Reporter:
    """Writes a metrics file, and a progress bar to stderr.

    Lines of steps after ``first_step`` are removed from the file, and a validation in it counts
    only if it is of ``valid_text``, the hash of a text. ``loss_kind`` is "sampled" or "full": a
    sampled loss must not be compared with the validation perplexity, which is that of the full
    softmax.
    """

    def __init__(
        self,
        path: Path,
        settings: TrainingSettings,
        n_steps: int,
        first_step: int = 0,
        *,
        loss_kind: str,
        progress: bool = False,
        valid_text: str | None = None,
    ) -> None:
        self._path, self._log_every, self._valid_text = path, settings.log_every, valid_text
        self._learning_rate = learning_rate(settings, n_steps)
        self._tokens_per_step = settings.tokens_per_step
        self.loss_name = f"train_{loss_kind}_loss"
        earlier = [line for line in read_metrics(path) if line["step"] <= first_step]
        with atomic_file(path, overwrite=True) as temporary:
            temporary.write_text("".join(to_json(line) + "\n" for line in earlier), "utf-8")
        self._logged_loss = _last_with(earlier, self.loss_name).get(self.loss_name)
        self._validation = _last_with(earlier, "valid_perplexity")
        self._losses: list[float] = []  # of the steps since the last line
        self._mean_loss: float | None = None
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

    def _write(self, line: dict[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(to_json(line) + "\n")


def validation_fields(result: Perplexity, text: str | None) -> dict[str, Any]:
    """The fields of a validation in metrics and summaries, with the hash of its text."""
    named = {f"valid_{name}": value for name, value in result._asdict().items()}
    return {**named, "valid_text": text}


def _last_with(lines: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """The last line that has this field; an empty one if none has."""
    return next((line for line in reversed(lines) if name in line), {})


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a metrics file, without a last line that is cut off."""
    if not path.exists():
        return []
    lines = []
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(text))
        except ValueError:
            break  # the process was killed while it wrote
    return lines


def plot_metrics(metrics: Path, picture: Path) -> None:
    """Draw the training loss and the validation perplexity over the steps, with matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        _logger.info("No %s: matplotlib is not installed (pip install matplotlib).", picture)
        return
    lines = read_metrics(metrics)
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for name, label in (
        ("train_sampled_loss", "training, sampled softmax: not comparable"),
        ("train_full_loss", "training, full softmax"),
        ("valid_perplexity", "validation, full softmax: log perplexity"),
    ):
        points = [(line["step"], line[name]) for line in lines if line.get(name) is not None]
        if points:
            in_nats = math.log if name == "valid_perplexity" else float
            steps, values = zip(*[(step, in_nats(v)) for step, v in points], strict=True)
            axes.plot(steps, values, label=label, marker="." if len(points) < 50 else None)
    axes.set(xlabel="step", ylabel="nats per token")
    if axes.lines:  # a short run may have no line
        axes.legend()
    figure.savefig(picture, dpi=120)
