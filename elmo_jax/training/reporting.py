"""What a run shows while it goes: a progress bar, lines of metrics, a picture of the loss."""

from __future__ import annotations

import json
import logging
import math
import time
from pathlib import Path
from typing import Any

import optax
from tqdm import tqdm

from ..files import atomic_file, to_json
from .evaluation import Perplexity

_logger = logging.getLogger(__name__)


class Reporter:
    """Writes ``metrics.jsonl``, and a progress bar to stderr.

    The training loss has the kind of its softmax in its name, "sampled" or "full". A sampled
    loss is no perplexity, and cannot be compared with the validation perplexity, which is
    always that of the full softmax.

    Args:
        path: of the metrics file; lines of steps after ``first_step`` are dropped from it.
        first_step: steps taken before.
        n_steps: of the whole run.
        tokens_per_step: N · T. Each token counts once, though both directions predict one.
        learning_rate: of a step, counted from 0.
        kind: of the training loss, "sampled" or "full".
        log_every: steps between lines.
        progress: show the bar.
        valid_text: hash of the text of the validations; None without any. A validation of an
            earlier call counts only for the text that it was of.
    """

    def __init__(
        self,
        path: Path,
        first_step: int,
        n_steps: int,
        tokens_per_step: int,
        learning_rate: optax.Schedule,
        kind: str,
        log_every: int,
        progress: bool,
        valid_text: str | None = None,
    ) -> None:
        self._valid_text = valid_text
        self.kind, self._path, self._log_every = kind, path, log_every
        self._tokens_per_step, self._learning_rate = tokens_per_step, learning_rate
        kept = [line for line in read_metrics(path) if line["step"] <= first_step]
        with atomic_file(path, overwrite=True) as temporary:
            temporary.write_text("".join(to_json(line) + "\n" for line in kept), "utf-8")
        self._bar = tqdm(
            total=n_steps * tokens_per_step,
            initial=first_step * tokens_per_step,
            unit="tok",
            unit_scale=True,
            disable=not progress,
            desc="training",
        )
        self._shown: dict[str, str] = {}
        self._losses: list[float] = []
        self._started, self._interval = time.perf_counter(), 0.0
        self.seconds = 0.0
        self.n_steps = 0
        self._mean_loss: float | None = None
        self._logged_loss = _last(kept, f"train_{kind}_loss").get(f"train_{kind}_loss")
        self._validation = _last(kept, "valid_perplexity")

    def step(self, step: int, loss: float, gradient_norm: float) -> None:
        """Note a step that is done."""
        self.pause()
        self.resume()
        self._losses.append(loss)
        self.n_steps += 1
        self._bar.update(self._tokens_per_step)
        self._mean_loss = sum(self._losses) / len(self._losses)
        if step % self._log_every:
            return
        elapsed, self._interval = self._interval, 0.0
        self._write(
            {
                "step": step,
                f"train_{self.kind}_loss": self._mean_loss,
                "gradient_norm": gradient_norm,
                "learning_rate": float(self._learning_rate(step - 1)),
                "tokens": step * self._tokens_per_step,
                "tokens_per_second": len(self._losses) * self._tokens_per_step / elapsed,
            }
        )
        self._show(f"{self.kind}_loss", f"{self._mean_loss:.3f}")
        self._logged_loss, self._losses = self._mean_loss, []

    @property
    def loss(self) -> float | None:
        """Of the last line of the metrics, or of the steps since the start if there is none."""
        return self._mean_loss if self._logged_loss is None else self._logged_loss

    @property
    def validated_step(self) -> int | None:
        """The step of the last validation of this text, in this call or an earlier one."""
        if self._valid_text not in (None, self._validation.get("valid_text")):
            return None
        return self._validation.get("step")

    def validation_of(self, step: int) -> dict[str, Any]:
        """The fields of the last validation, if it was of this step; else none."""
        if self.validated_step != step:
            return {}
        return {name: value for name, value in self._validation.items() if name != "step"}

    def validation(self, step: int, result: Perplexity) -> None:
        """Note a validation."""
        self._validation = {"step": step, **validation_fields(result, self._valid_text)}
        self._write(self._validation)
        self._show("valid_ppl", f"{result.perplexity:.2f} ({result.oov_rate:.0%} unknown)")

    def pause(self) -> None:
        """Leave out of the training time what comes until ``resume``."""
        elapsed = time.perf_counter() - self._started
        self.seconds += elapsed
        self._interval += elapsed

    def resume(self) -> None:
        """Go on measuring."""
        self._started = time.perf_counter()

    def close(self) -> None:
        """End the bar."""
        self._bar.close()

    def _show(self, name: str, value: str) -> None:
        self._shown[name] = value
        self._bar.set_postfix(self._shown, refresh=False)

    def _write(self, line: dict[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(to_json(line) + "\n")


def validation_fields(result: Perplexity, text: str | None) -> dict[str, Any]:
    """What a metrics line and a summary say of a validation, with the hash of its text."""
    named = {f"valid_{name}": value for name, value in result._asdict().items()}
    return {**named, "valid_text": text}


def _last(lines: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """The last of the lines that have this field; nothing if none has."""
    return next((line for line in reversed(lines) if name in line), {})


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a metrics file; a last one that is cut off is left out."""
    if not path.exists():
        return []
    lines = []
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(text))
        except ValueError:
            break  # the process ended while it wrote
    return lines


def plot_metrics(metrics: Path, picture: Path) -> bool:
    """Draw the training loss and the validation perplexity over the steps.

    Returns:
        Whether it was drawn: not without matplotlib, which a log message then says.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        _logger.info("No %s: matplotlib is not installed (pip install matplotlib).", picture)
        return False
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
    axes.set(xlabel="step", ylabel="nats a token")
    if axes.lines:  # a run may be shorter than the way to its first line
        axes.legend()
    figure.savefig(picture, dpi=120)
    return True
