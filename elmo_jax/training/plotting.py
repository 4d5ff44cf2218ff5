"""The picture of a run: its losses over its steps."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

from ..errors import ElmoWarning, warn
from ..files import atomic_file
from .reporting import read_metrics

_logger = logging.getLogger(__name__)


def plot_metrics(metrics: Path, picture: Path) -> None:
    """Draw the training loss and the validation perplexity over the steps, with matplotlib.

    Warns:
        ElmoWarning: if there can be no picture, for whatever reason.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        _logger.info("No %s: matplotlib is not installed (pip install matplotlib).", picture)
        return
    try:
        _draw(read_metrics(metrics), picture)
    except Exception as error:  # of matplotlib, its fonts or the disk: the model is there already
        warn(f"There is no picture of the loss, {picture}: {error}", ElmoWarning)


def _draw(lines: list[dict[str, Any]], picture: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for name, label in (
        ("train_sampled_loss", "training, sampled softmax: not comparable"),
        ("train_full_loss", "training, full softmax"),
        ("valid_perplexity", "validation, full softmax: log perplexity"),
    ):
        points = [(x["step"], x[name]) for x in lines if isinstance(x.get(name), int | float)]
        if points:
            in_nats = math.log if name == "valid_perplexity" else float
            steps, values = zip(*[(step, in_nats(v)) for step, v in points], strict=True)
            axes.plot(steps, values, label=label, marker="." if len(points) < 50 else None)
    axes.set(xlabel="step", ylabel="nats per token")
    if axes.lines:  # a short run may have no line
        axes.legend()
    with atomic_file(picture, overwrite=True) as temporary:
        figure.savefig(temporary, dpi=120, format="png")
