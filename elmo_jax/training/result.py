"""What a run leaves behind: its summary, and its model in the formats that are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..checkpoint import FORMATS, open_model, save
from ..config import ElmoConfig
from ..vocabulary import Vocabulary
from .reporting import Reporter
from .run_folder import RunFolder
from .settings import TrainingSettings

_OF_A_CALL = ("tokens", "total_tokens", "seconds", "tokens_per_second")


def summarise(
    settings: TrainingSettings,
    record: dict[str, Any],
    n_steps: int,
    step: int,
    signal: str | None,
    reporter: Reporter,
) -> dict[str, Any]:
    """What ``train`` returns, but for the folders of the model."""
    tokens = reporter.n_steps * settings.tokens_per_step
    return {
        "finished": signal is None,
        "stopped_by": signal,
        "step": step,
        "n_steps": n_steps,
        "reset_state": settings.resets,
        "tokenizer": settings.tokenizer,
        "words_cut": record["words_cut"],
        "tokens": tokens,
        "total_tokens": step * settings.tokens_per_step,
        "seconds": round(reporter.seconds, 3),
        "tokens_per_second": round(tokens / max(reporter.seconds, 1e-9), 1),
        f"train_{reporter.kind}_loss": reporter.loss,
        "train_oov_rate": record["oov_rate"],
        **reporter.validation_result,
    }


def as_it_ended(
    folder: RunFolder, summary: dict[str, Any], vocabulary: Vocabulary, formats: Sequence[str]
) -> dict[str, Any]:
    """The summary of a run that has ended; only formats that are missing are written."""
    missing = [format for format in formats if not folder.has_model(format)]
    if missing:
        source = next(format for format in FORMATS if folder.has_model(format))
        config, params = open_model(folder.model(source))
        write_models(folder, config, params, vocabulary, missing, summary)
    return {**summary, "model": model_paths(folder, formats)}


def write_models(
    folder: RunFolder,
    config: ElmoConfig,
    params: dict[str, Any],
    vocabulary: Vocabulary,
    formats: Sequence[str],
    summary: dict[str, Any],
) -> None:
    """Write the model, with its words and the summary, over one of an earlier call."""
    # Without what only concerns this call, so that a run that was broken off has the same model.
    training = {name: value for name, value in summary.items() if name not in _OF_A_CALL}
    metadata = {"training": {**training, "tokens": summary["total_tokens"]}}
    for format in formats:
        save(
            folder.model(format),
            config,
            params,
            format,
            vocabulary=vocabulary,
            metadata=metadata,
            overwrite=True,
        )


def model_paths(folder: RunFolder, formats: Sequence[str]) -> dict[str, str]:
    """The folder of the model in each format."""
    return {format: str(folder.model(format)) for format in formats}
