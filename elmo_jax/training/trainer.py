"""``train``: turn text files into a model in a folder. The run reads from top to bottom."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ..checkpoint import FORMATS, open_model
from ..checkpoint.vocabulary import Vocabulary, Words, check_vocabulary_choice
from ..engine.memory import explain_out_of_memory
from ..errors import ElmoError, check_count, first_few, flag_problem, noting_interrupts, shortened
from ..lanes.devices import Devices
from ..model.config import ElmoConfig
from ..processes import ALONE, Processes, shared
from ..text.readers import Files
from .argument_types import check_config, choice_problem, path_problem, refuse
from .best_model import best_validation
from .checkpoints import Checkpoint, Checkpoints, steps_in
from .evaluation import warn_of_unknown_words
from .feed import WindowFeed
from .language_model import StartFrom, StartingModel, open_starting_model
from .lexicon import Lexicon
from .loop import N_WINDOWS_AHEAD, Run, TrainingLoop, Validation
from .open_run import open_run, open_validation
from .placement import devices_for_rows, divides_softmax, place_state, to_host
from .plotting import plot_metrics
from .reporting import Reported, Reporter, validation_fields
from .run_folder import RunFolder, VocabularyLimits, describe_run
from .sealed_json import hash_of
from .settings import TrainingSettings
from .streams import StreamPosition, TrainingStreams
from .text_files import Corpus
from .text_tokenizer import recorded_tokenizer, refuse_another_tokenizer, with_model_tokenizer
from .train_step import TrainState, make_optimizer, new_state

_logger = logging.getLogger(__name__)


@shared
@explain_out_of_memory(
    "Free memory on the device, or start another run in another folder with a smaller batch_size "
    "or unroll_steps."
)
def train(
    output: str | os.PathLike[str],
    files: Files,
    *,
    config: ElmoConfig | None = None,
    start_from: StartFrom | StartingModel | None = None,
    vocabulary: Words | None = None,
    vocabulary_size: int | None = None,
    min_count: int = 1,
    valid_files: Files | None = None,
    max_valid_tokens: int | None = None,
    settings: TrainingSettings | None = None,
    formats: Sequence[str] = ("native",),
    strict: bool = False,
    input_format: str | None = None,
    tokenized_with: str | None = None,
    progress: bool = False,
) -> dict[str, Any]:
    """Train a new biLM, fine-tune one, or resume an unfinished run in ``output``.

    Processes that JAX has joined (``processes.join``, ``jax.distributed.initialize``) share the
    run. Each must call this with the same arguments. Only the first needs access to ``output``.

    The result is in ``output/model``; the guide's page "Train" lists the other files. If a run was
    killed, the same call resumes it, and it ends with the parameters of an uninterrupted run. If
    the text changes after the run started, even while it is running, that is an error: no
    checkpoint is written once the changed text has been read. A finished run does not change,
    except that missing formats are written, or that more epochs or steps make it longer.

    Args:
        output: the folder of the run.
        files: paths or patterns of text files: one tokenized sentence per line, UTF-8, plain or
            ``.gz``, ``.xz``, ``.bz2``, ``.zst``.
        config: the architecture of a new model. Pass either this or ``start_from``. A model that
            needs an alphabet and has none gets one from the vocabulary.
        start_from: the model to fine-tune: anything that ``elmo_jax.load`` opens, or
            (config, params, vocabulary), or (config, params) if it has no softmax.
        vocabulary: the words to predict: a Vocabulary, a list of words, or a file with them. If
            None, the words of the model to fine-tune if it has any, otherwise the most frequent
            words of ``files``.
        vocabulary_size: largest size of a vocabulary made from ``files``.
        min_count: how often a word must occur to be in a vocabulary made from ``files``.
        valid_files: text to measure the perplexity on, with the full softmax. The model of the
            best validation is kept in ``output/best``.
        max_valid_tokens: how many tokens of it to measure, see ``evaluate``.
        settings: everything else; ``TrainingSettings()`` if None.
        formats: the formats of the result: "native", "hdf5" or both.
        strict: raise for problems in the text that are otherwise reported and accepted.
        input_format: "text" for plain text, whatever the files look like; None refuses others.
        tokenized_with: the name of the tokenizer that made the words of ``files``, for the model to
            record, so that ``tokenizer="auto"`` stands for it. If None, that of the settings if it
            splits raw text, or else that of the model to fine-tune.
        progress: show a progress bar on stderr.

    Returns:
        A summary that can be written as JSON:

        * ``finished``; ``stopped_by``, the signal that stopped the run, or None; ``step`` and
          ``n_steps``; ``reset_state``; ``tokenizer``; ``tokenized_with``, if that is known;
        * ``tokens``, ``seconds`` and ``tokens_per_second`` of this call (0 if the run was
          finished before); ``total_tokens`` of the run;
        * ``train_sampled_loss`` or ``train_full_loss``; ``train_oov_rate``, the share of the words
          of ``files`` that are not in the vocabulary; ``words_cut``, the number of words that are
          longer than the model reads; ``broken_files``, if some could not be read to their end:
          each ``file``, and where and why it ``breaks_off``;
        * with ``valid_files``: ``valid_perplexity`` and the other fields of ``Perplexity``, and
          ``valid_text``, a hash of that text. If the run was already finished, another text is
          measured, but not recorded;
        * then also ``best_step`` and ``best_valid_perplexity``, those of the best validation, whose
          model is in ``output/best``;
        * ``model``: the folder of the result in each format.

    Warns:
        RawTextWarning: if the text is split at whitespace and looks raw.
        UnknownWordsWarning: if the vocabulary lacks more than a fifth of the words of a text.
        WordsCutWarning: if a new run's text or a validation text has words longer than the model
            reads.

        ElmoWarning: if the latest checkpoint is damaged and an earlier one is used; if the
            metrics, the picture of the loss, the best model or the last checkpoint cannot be
            written.

    Raises:
        ElmoError: for arguments, files or a folder that cannot be used. The folder cannot be used
            if another process trains in it, its run was started with other arguments or another
            text, or its files are damaged.
        TrainingDiverged: if the loss is no longer a number.
        LostProcess: if another process of the run has ended.

    Example:
        >>> config = elmo_jax.ElmoConfig.preset("small")
        >>> summary = train("run", "corpus/*.txt.bz2", config=config, valid_files="valid.txt")
        >>> elmo = elmo_jax.Elmo("run/model")
    """
    processes = Processes.here()
    with processes.together():
        settings = TrainingSettings() if settings is None else settings
        formats = (formats,) if isinstance(formats, str) else formats
        _check_arguments(output, settings, formats, strict, progress)
        check_vocabulary_choice(vocabulary_size, min_count)

        # What goes in: the model or its architecture, the words, the texts, the devices.
        start = _starting_model(config, start_from)
        settings = with_model_tokenizer(settings, start.tokenizer)
        tokenizer = recorded_tokenizer(tokenized_with, settings.tokenizer, start.tokenizer)
        words = _words_or_limits(start, vocabulary, VocabularyLimits(vocabulary_size, min_count))
        open_text = functools.partial(
            Corpus.of, strict=strict, tokenizer=settings.tokenizer, format=input_format
        )
        corpus, validation = open_text(files), None
        if max_valid_tokens is not None:
            check_count(max_valid_tokens, "max_valid_tokens")
            if valid_files is None:
                raise ElmoError(
                    "max_valid_tokens says how much of valid_files to measure, and there are none. "
                    "Name some with valid_files=, or leave it out."
                )
        if valid_files is not None:
            validation = open_validation(open_text(valid_files), settings, max_valid_tokens)
        devices = devices_for_rows(settings.batch_size)
    _check_same_arguments(processes, settings, start, words, validation)

    # The folder: a new run, an unfinished one to resume, or a finished one.
    folder = RunFolder(Path(output))
    texts = [*corpus.files, *(validation.corpus.files if validation else ())]
    processes.first(lambda: folder.refuse_inputs(texts))
    with processes.only_first(folder.locked()), contextlib.ExitStack() as stack:
        run = open_run(folder, settings, start, corpus, words, validation, processes, tokenizer)
        stack.enter_context(noting_interrupts(functools.partial(_what_stays, folder)))
        start = start._replace(config=run.config)  # which now has an alphabet, if it needs one
        finished = processes.first(lambda: folder.finished_summary(run.n_steps))
        if finished is not None and processes.first(lambda: folder.model_formats):
            refuse_another_tokenizer(tokenized_with, finished.get("tokenized_with"))
            return processes.first(lambda: _summary_of_finished_run(run, finished, formats))

        # The steps that are missing, and the results.
        warn_of_unknown_words(run.record["oov_rate"], "the training text")
        if validation is not None:
            validation.warn(run.config, run.vocabulary)
            if processes.is_first:
                _report_texts_in_both(run, validation)
        state, stopped_by, reporter = _train(run, start, devices, processes, progress)
        summary = _summarize(run, int(state.step), stopped_by, reporter)
        params = to_host(state.result, devices, processes)
        return processes.first(lambda: _write_results(run, params, summary, finished, formats))


# Before the first step


def _check_arguments(output: Any, settings: Any, formats: Any, strict: Any, progress: Any) -> None:
    if not isinstance(settings, TrainingSettings):
        kind = type(settings).__name__
        raise ElmoError(f"Expected the settings as a TrainingSettings, got {kind}.")
    if not isinstance(formats, list | tuple) or not formats:
        raise ElmoError(
            f"formats is {shortened(formats)}, expected one or both of {', '.join(FORMATS)}."
        )
    refuse(
        [
            path_problem(output, "output"),
            *(choice_problem(format, "format", FORMATS) for format in formats),
            flag_problem(strict, "strict"),
            flag_problem(progress, "progress"),
        ]
    )


def _starting_model(
    config: ElmoConfig | None, start_from: StartFrom | StartingModel | None
) -> StartingModel:
    if config is not None and start_from is None:
        check_config(config)
        return StartingModel(config)
    if config is None and start_from is not None:
        return open_starting_model(start_from)
    choices = "config (for a new model) and start_from (the model to fine-tune)"
    raise ElmoError(f"Expected one of {choices}.")


def _words_or_limits(
    start: StartingModel, vocabulary: Words | None, limits: VocabularyLimits
) -> Vocabulary | VocabularyLimits:
    """The words of the softmax, or the limits of a vocabulary to be made from the text."""
    words = start.vocabulary if vocabulary is None else Vocabulary.of(vocabulary)
    if words is None:
        return limits
    limits.refuse()
    return words


def _what_stays(folder: RunFolder) -> str:
    steps = [] if (folder.path / "summary.json").exists() else steps_in(folder.checkpoints)
    return f"the same call resumes it from the checkpoint of step {steps[-1]:,}" if steps else ""


def _check_same_arguments(
    processes: Processes,
    settings: TrainingSettings,
    start: StartingModel,
    words: Vocabulary | VocabularyLimits,
    validation: Validation | None,
) -> None:
    if processes.is_alone:
        return
    description = describe_run(settings, start, words)
    text = validation.digest if validation else None
    processes.check_same([description, text], "was started with other arguments or other texts")


# The steps


def _train(
    run: Run, start: StartingModel, devices: Devices, processes: Processes, progress: bool
) -> tuple[TrainState, str | None, Reporter]:
    """Take the steps that are missing, from the latest checkpoint or from the start."""
    settings = run.settings
    params = start.initial_params(run.vocabulary, settings.seed)
    optimizer = make_optimizer(settings, run.n_steps)
    averages = settings.n_averaged(run.n_steps) > 0
    state = new_state(run.config, params, optimizer, settings.batch_size, averages=averages)
    n_tokens = settings.tokens_per_step // devices.count
    divide_softmax = divides_softmax(len(run.vocabulary), run.n_samples, n_tokens)
    state = place_state(state, devices, divide_softmax=divide_softmax)
    owner = {"run": hash_of(run.record), "vocabulary": run.vocabulary.sha256}
    checkpoints = Checkpoints(run.folder.checkpoints, settings.keep_checkpoints, owner)
    checkpoint = _restore(checkpoints, state, processes)
    if checkpoint is not None:
        state = place_state(checkpoint.state, devices, divide_softmax=divide_softmax)
        _logger.info("Resuming from the checkpoint of step %d.", checkpoint.step)
    reporter = Reporter(
        run.folder.metrics if processes.is_first else None,
        settings,
        run.n_steps,
        checkpoint.step if checkpoint else 0,
        checkpoint.reported if checkpoint else None,
        loss_kind="sampled" if run.n_samples else "full",
        progress=progress and processes.is_first,
        valid_text=run.validation.digest if run.validation else None,
    )
    lexicon = Lexicon(run.vocabulary, run.config)
    position = checkpoint.position if checkpoint else None
    with processes.together():
        own_rows = processes.own(settings.batch_size)
        streams = TrainingStreams(run.corpus, lexicon, settings, position, own_rows)
    feed = WindowFeed(streams, processes, devices.count, N_WINDOWS_AHEAD)
    loop = TrainingLoop(run, processes, feed, devices, checkpoints, reporter)
    with contextlib.closing(reporter):
        state, stopped_by = loop.train(state)
    return state, stopped_by, reporter


def _restore(checkpoints: Checkpoints, like: TrainState, processes: Processes) -> Checkpoint | None:
    """The latest checkpoint, which the first process reads for all."""
    if processes.is_alone:
        return checkpoints.restore(like)
    checkpoint: Checkpoint | None = None

    def read() -> dict[str, Any] | None:
        nonlocal checkpoint
        checkpoint = checkpoints.restore(like)
        if checkpoint is None:
            return None
        position, reported = checkpoint.position.to_json(), checkpoint.reported._asdict()
        return {"step": checkpoint.step, "position": position, "reported": reported}

    content = processes.first(read)
    if content is None:
        return None
    zeros = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), like)
    state = processes.arrays_of_first(checkpoint.state if checkpoint else zeros)
    position = StreamPosition.from_json(content["position"])
    return Checkpoint(content["step"], state, position, Reported.from_json(content["reported"]))


def _report_texts_in_both(run: Run, validation: Validation) -> None:
    """Say which validation texts are trained on, too: a pattern may match them, or a copy."""
    contents = validation.corpus.contents
    assert contents is not None  # it was read when it was counted
    trained = set(run.contents.hashes(run.corpus.files))
    both = [str(path) for path in validation.corpus.files if contents.of(path).sha256 in trained]
    if both:
        _logger.warning(
            "%s: trained on, too, so the validation perplexity says little about other text.",
            first_few(both),
        )


# After the last step


def _summarize(run: Run, step: int, stopped_by: str | None, reporter: Reporter) -> dict[str, Any]:
    tokens = reporter.n_steps * run.settings.tokens_per_step
    return {
        "finished": stopped_by is None,
        "stopped_by": stopped_by,
        **run.taken(step),
        "words_cut": run.record["words_cut"],
        **({"broken_files": broken} if (broken := run.contents.broken) else {}),
        "tokens": tokens,
        "seconds": round(reporter.seconds, 3),
        "tokens_per_second": round(tokens / max(reporter.seconds, 1e-9), 1),
        reporter.loss_name: reporter.loss,
        "train_oov_rate": run.record["oov_rate"],
        **reporter.validation_of(step),
        **_best(run),
    }


def _best(run: Run) -> dict[str, Any]:
    """The best validation so far, if there was any."""
    text = run.validation and run.validation.digest
    best = best_validation(run.folder.best, text) if text else None
    return {f"best_{name}": best[name] for name in ("step", "valid_perplexity")} if best else {}


def _write_results(
    run: Run,
    params: dict[str, Any],
    summary: dict[str, Any],
    finished: dict[str, Any] | None,
    formats: Sequence[str],
) -> dict[str, Any]:
    # Also the formats of an earlier call: their model would not match this summary.
    all_formats = [f for f in FORMATS if f in formats or f in run.folder.model_formats]
    run.folder.write_models(all_formats, run.config, params, run.vocabulary, summary)
    if summary["finished"]:
        run.folder.write_summary(summary, finished)  # says that the run has finished
    plot_metrics(run.folder.metrics, run.folder.picture)  # last: it matters least
    return {**summary, "model": _model_paths(run, formats)}


def _summary_of_finished_run(
    run: Run, finished: dict[str, Any], formats: Sequence[str]
) -> dict[str, Any]:
    """Write the formats that are missing, and measure a validation text other than the run's."""
    folder, validation = run.folder, run.validation
    summary = {**finished, "tokens": 0, "seconds": 0.0, "tokens_per_second": 0.0}
    if validation is not None and finished.get("valid_text") == validation.digest:
        validation = None
    missing = [format for format in formats if format not in folder.model_formats]
    if missing or validation is not None:
        opened = open_model(folder.model(folder.model_formats[0]))
        config, params = opened.config, opened.params
        folder.write_models(missing, config, params, run.vocabulary, finished)
    if validation is not None:
        validation.warn(run.config, run.vocabulary)
        perplexity = validation.perplexity(config, params, run.vocabulary, ALONE)
        summary = {name: summary[name] for name in summary if not name.startswith("best_")}
        summary |= validation_fields(perplexity, validation.digest)
    return {**summary, "model": _model_paths(run, formats)}


def _model_paths(run: Run, formats: Sequence[str]) -> dict[str, str]:
    return {format: str(run.folder.model(format)) for format in formats}
