"""What a run leaves behind: its summary, and its model in the formats that are asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..checkpoint import FORMATS, open_model, save
from ..checkpoint.vocabulary import Vocabulary
from ..model.config import ElmoConfig
from .evaluation import Perplexity
from .reporting import Reporter, validation_fields
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
        **reporter.validation_of(step),
    }


def as_it_ended(
    folder: RunFolder,
    summary: dict[str, Any],
    vocabulary: Vocabulary,
    formats: Sequence[str],
    valid_text: str | None,
    measure_model: Callable[[ElmoConfig, dict[str, Any]], Perplexity] | None,
) -> dict[str, Any]:
    """The summary of a run that has ended; only formats that are missing are written.

    A validation text other than the run's own is measured for this summary, and not recorded.

    Args:
        folder: of the run.
        summary: that it ended with.
        vocabulary: of its softmax.
        formats: that are asked for.
        valid_text: hash of the validation text; None without one.
        measure_model: the perplexity of a model on that text.
    """
    missing = [format for format in formats if not folder.has_model(format)]
    is_measured = measure_model is None or summary.get("valid_text") == valid_text
    shown = {**summary, "tokens": 0, "seconds": 0.0, "tokens_per_second": 0.0}
    if missing or not is_measured:
        source = next(format for format in FORMATS if folder.has_model(format))
        config, params = open_model(folder.model(source))
        write_models(folder, config, params, vocabulary, missing, summary)
        if measure_model is not None and not is_measured:
            shown.update(validation_fields(measure_model(config, params), valid_text))
    return {**shown, "model": model_paths(folder, formats)}


def written_summary(summary: dict[str, Any], ended: dict[str, Any] | None) -> dict[str, Any]:
    """What summary.json says: of a run that had ended and takes no step, the call that ended it."""
    if ended is None or summary["tokens"]:
        return summary
    return {**summary, **{name: ended[name] for name in _OF_A_CALL}}


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
