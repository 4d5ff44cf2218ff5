"""Training a biLM: from text files to a model in a folder."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ..checkpoint import FORMATS, VOCABULARY_FILE, save
from ..config import ElmoConfig
from ..errors import ElmoError
from ..forking import check_process
from ..parameters import check_params
from ..readers import Files
from .checkpoints import Checkpoints
from .corpus import Corpus, survey
from .evaluation import Perplexity, evaluate
from .language_model import init_language_model
from .lexicon import Lexicon
from .loop import Loop
from .optimizers import learning_rate, make_optimizer
from .placement import Placement
from .reporting import Reporter, plot_metrics
from .run_folder import RunFolder, check_same, describe
from .settings import TrainingSettings
from .starting import Source, fit_softmax, open_start
from .step import TrainState, new_state
from .streams import TrainingStreams
from .vocabulary import Vocabulary

_logger = logging.getLogger(__name__)


def train(
    output: str | os.PathLike[str],
    files: Files,
    *,
    config: ElmoConfig | None = None,
    start_from: Source | None = None,
    vocabulary: Vocabulary | str | os.PathLike[str] | None = None,
    vocabulary_size: int | None = None,
    min_count: int = 1,
    valid_files: Files | None = None,
    max_valid_tokens: int | None = None,
    settings: TrainingSettings | None = None,
    formats: Sequence[str] = ("native",),
    strict: bool = False,
    progress: bool = False,
) -> dict[str, Any]:
    """Train a new biLM, or fine-tune one; goes on where a run in ``output`` was broken off.

    The folder is described in ``elmo_jax.training.run_folder``; the result is in
    ``output/model``. Run again with the same arguments, a run that was killed ends with the
    parameters that it would have had; one that has ended can be made longer with more epochs.

    Args:
        output: the folder of the run.
        files: text files, paths or patterns: one tokenised sentence a line, UTF-8, plain or
            ``.gz``, ``.xz``, ``.bz2``.
        config: the architecture of a new model.
        start_from: the model to fine-tune, all that ``elmo_jax.load`` opens, or
            (config, params). One of ``config`` and ``start_from``.
        vocabulary: the words to predict, or a file of them. If None, that of the model to
            fine-tune, if it has one, or the most frequent words of ``files``.
        vocabulary_size: of a vocabulary made from ``files``.
        min_count: least count of a word in a vocabulary made from ``files``.
        valid_files: text to measure the perplexity on, with the full softmax.
        max_valid_tokens: how much of it; all if None.
        settings: everything else; ``TrainingSettings()`` if None.
        formats: of the result: "native", "hdf5" or both.
        strict: raise for faults of the text that are otherwise reported and passed over.
        progress: show a progress bar on stderr.

    Returns:
        A summary, ready for JSON: ``finished``; ``stopped_by``, the signal that ended the run
        early, or None; ``step``, ``n_steps``, ``reset_state``; ``tokens``, ``seconds`` and
        ``tokens_per_second`` of this call; ``train_sampled_loss`` or ``train_full_loss``;
        ``valid_perplexity`` and its companions, if there are ``valid_files``; ``model``, the
        folders of the result.

    Raises:
        ElmoError: for arguments, files or a folder that cannot be used.
        TrainingDiverged: if the loss is no longer a number.

    Example:
        >>> config = elmo_jax.ElmoConfig.preset("small")
        >>> summary = train("run", "corpus/*.txt.bz2", config=config, valid_files="valid.txt")
        >>> elmo = elmo_jax.Elmo("run/model")
    """
    check_process()
    settings = settings or TrainingSettings()
    if (config is None) == (start_from is None):
        raise ElmoError("Expected one of config (a new model) and start_from (a model to tune).")
    for format in formats:
        if format not in FORMATS:
            raise ElmoError(f"Unknown format {format!r}: expected one of {', '.join(FORMATS)}.")
    corpus = Corpus.of(files, strict)
    valid = None
    if valid_files is not None:
        valid = Corpus.of(valid_files, strict)
        survey(valid)  # so that its faults are known now, and reported once
        valid = dataclasses.replace(valid, quiet=True, strict=False)
    placement = Placement(settings.batch_size)
    params, known = None, None
    if start_from is not None:
        config, params, known = open_start(start_from)
        check_params(config, params)
    assert config is not None

    folder = RunFolder(Path(output))
    chosen = _chosen(vocabulary) or known
    record, words = _open_run(folder, settings, config, corpus, chosen, vocabulary_size, min_count)
    n_steps = settings.steps(record["n_predictions"])
    if params is None:
        params = init_language_model(config, len(words), settings.seed)
    else:
        params = fit_softmax(config, params, known, words, settings.seed)

    with contextlib.closing(Checkpoints(folder.checkpoints, settings.keep_checkpoints)) as saved:
        state = placement.place_state(
            new_state(config, params, make_optimizer(settings, n_steps), settings.batch_size)
        )
        position, first = None, saved.latest() or 0
        if first:
            restored, position = saved.restore(first, state)
            state = placement.place_state(restored)
            _logger.info("Going on from the checkpoint of step %d.", first)
        streams = TrainingStreams(
            dataclasses.replace(corpus, quiet=True, strict=False),  # the survey has reported
            Lexicon(words, config),
            settings.batch_size,
            settings.unroll_steps,
            settings.seed,
            settings.shuffle_buffer,
            position,
        )
        kind = "sampled" if settings.samples(len(words)) else "full"
        tokens_per_step = settings.batch_size * settings.unroll_steps
        reporter = Reporter(
            folder.metrics,
            first,
            n_steps,
            tokens_per_step,
            learning_rate(settings, n_steps),
            kind,
            settings.log_every,
            progress,
        )
        validate = None
        if valid is not None:
            validate = functools.partial(
                _validate, config, words, valid, settings, max_valid_tokens
            )
        loop = Loop(config, settings, n_steps, words, streams, placement, saved, reporter, validate)
        with contextlib.closing(reporter):
            state, signal = loop.run(state)

    summary: dict[str, Any] = {
        "finished": signal is None,
        "stopped_by": signal,
        "step": int(state.step),
        "n_steps": n_steps,
        "reset_state": settings.resets,
        "tokens": reporter.n_steps * tokens_per_step,
        "seconds": round(reporter.seconds, 3),
        "tokens_per_second": round(
            reporter.n_steps * tokens_per_step / max(reporter.seconds, 1e-9), 1
        ),
        f"train_{kind}_loss": reporter.loss,
    }
    if loop.validations:
        result = loop.validations[-1][1]
        summary.update({f"valid_{name}": value for name, value in result._asdict().items()})
    plot_metrics(folder.metrics, folder.picture)
    summary["model"] = _write_model(folder, config, state, words, formats, summary)
    return summary


def _chosen(vocabulary: Vocabulary | str | os.PathLike[str] | None) -> Vocabulary | None:
    if vocabulary is None or isinstance(vocabulary, Vocabulary):
        return vocabulary
    return Vocabulary.read(vocabulary)


def _open_run(
    folder: RunFolder,
    settings: TrainingSettings,
    config: ElmoConfig,
    corpus: Corpus,
    chosen: Vocabulary | None,
    vocabulary_size: int | None,
    min_count: int,
) -> tuple[dict[str, Any], Vocabulary]:
    """The record and the vocabulary of the run in the folder, or of a new one."""
    description = describe(settings, config, corpus)
    record = folder.read()
    if record is not None:
        check_same(record, description, folder.path)
        words = Vocabulary.read(folder.vocabulary)
        if chosen is not None and chosen.words != words.words:
            raise ElmoError(
                f"The run in {folder.path} was started with another vocabulary, that in "
                f"{folder.vocabulary}. Start another run in another folder."
            )
        return record, words
    if folder.path.is_dir() and any(folder.path.iterdir()):
        raise ElmoError(
            f"{folder.path} has files, but no run.json of a run to go on with. Choose another "
            "folder."
        )
    statistics = survey(corpus)
    words = chosen or Vocabulary.from_counts(statistics.counts, vocabulary_size, min_count)
    covered = sum(n for word, n in statistics.counts.items() if word in words)
    record = {
        **description,
        "n_sentences": statistics.n_sentences,
        "n_words": statistics.n_words,
        "n_predictions": statistics.n_predictions,
        "n_vocabulary": len(words),
        "oov_rate": 1 - covered / statistics.n_words,
    }
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ElmoError(f"Cannot make the folder {folder.path}: {error}") from error
    words.write(folder.vocabulary)
    folder.write(record)  # last: its presence says that the run has begun
    return record, words


def _validate(
    config: ElmoConfig,
    vocabulary: Vocabulary,
    corpus: Corpus,
    settings: TrainingSettings,
    max_tokens: int | None,
    state: TrainState,
) -> Perplexity:
    return evaluate(
        config,
        state.params,
        vocabulary,
        corpus,
        max_tokens=max_tokens,
        reset_state=settings.resets,
        precision=settings.precision,
    )


def _write_model(
    folder: RunFolder,
    config: ElmoConfig,
    state: TrainState,
    vocabulary: Vocabulary,
    formats: Sequence[str],
    summary: dict[str, Any],
) -> dict[str, str]:
    params = jax.tree.map(np.asarray, state.params)
    written = {}
    for format in formats:
        path = folder.model(format)
        save(path, config, params, format, metadata={"training": summary}, overwrite=True)
        vocabulary.write(path / VOCABULARY_FILE)
        written[format] = str(path)
    return written
