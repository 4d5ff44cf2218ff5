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

from ..checkpoint import FORMATS, vocabulary_record
from ..checkpoint.vocabulary import Vocabulary, Words, check_vocabulary_choice
from ..errors import ElmoError, check_count
from ..forking import check_process
from ..model.config import ElmoConfig
from ..model.parameters import model_digest
from ..text.cut_words import CutWords
from ..text.readers import Files
from .checkpoints import Checkpoints
from .corpus import Corpus, CorpusStatistics, survey
from .digests import text_digest
from .evaluation import Perplexity, measure, warn_of_unknown_words
from .language_model import init_language_model
from .lexicon import Lexicon
from .loop import Loop
from .memory import tell_out_of_memory
from .optimizers import learning_rate, make_optimizer
from .placement import Placement
from .reporting import Reporter, plot_metrics
from .result import as_it_ended, model_paths, summarise, write_models, written_summary
from .run_folder import DEFAULT_CHOICE, RunFolder, check_same, describe
from .settings import TrainingSettings
from .starting import Source, fit_softmax, open_start
from .step import new_state
from .streams import StreamPosition, TrainingStreams

_logger = logging.getLogger(__name__)


@tell_out_of_memory(
    "Free memory on the device, or start another run in another folder with a smaller batch_size "
    "or unroll_steps (in a command --batch-size, --unroll-steps)."
)
def train(
    output: str | os.PathLike[str],
    files: Files,
    *,
    config: ElmoConfig | None = None,
    start_from: Source | None = None,
    vocabulary: Words | None = None,
    vocabulary_size: int | None = None,
    min_count: int = 1,
    valid_files: Files | None = None,
    max_valid_tokens: int | None = None,
    settings: TrainingSettings | None = None,
    formats: Sequence[str] = ("native",),
    strict: bool = False,
    input_format: str | None = None,
    progress: bool = False,
) -> dict[str, Any]:
    """Train a new biLM, or fine-tune one; goes on where a run in ``output`` was broken off.

    The folder is described in ``elmo_jax.training.run_folder``; the result is in
    ``output/model``. Run again with the same arguments, a run that was killed ends with the
    parameters that it would have had. One that has ended stays as it is, but for formats that
    are missing, unless it is made longer with more epochs or steps.

    Args:
        output: the folder of the run.
        files: text files, paths or patterns: one tokenised sentence a line, UTF-8, plain or
            ``.gz``, ``.xz``, ``.bz2``.
        config: the architecture of a new model.
        start_from: the model to fine-tune: all that ``elmo_jax.load`` opens, or
            (config, params, vocabulary); (config, params) if it has no softmax. One of
            ``config`` and ``start_from``.
        vocabulary: the words to predict: a Vocabulary, a list, or a file of them. If None, that
            of the model to fine-tune, if it has one, or the most frequent words of ``files``.
        vocabulary_size: of a vocabulary made from ``files``.
        min_count: least count of a word in a vocabulary made from ``files``.
        valid_files: text to measure the perplexity on, with the full softmax.
        max_valid_tokens: how much of it, as ``max_tokens`` of ``evaluate``; all if None.
        settings: everything else; ``TrainingSettings()`` if None.
        formats: of the result: "native", "hdf5" or both.
        strict: raise for faults of the text that are otherwise reported and passed over.
        input_format: "text" for plain text, whatever the files look like; None refuses others.
        progress: show a progress bar on stderr.

    Returns:
        A summary, ready for JSON: ``finished``; ``stopped_by``, the signal that ended the run
        early, or None; ``step``, ``n_steps``, ``reset_state``, ``tokenizer``; ``words_cut``, words
        of ``files`` that are longer than the model reads; ``tokens``, ``seconds`` and
        ``tokens_per_second`` of this call; ``total_tokens`` of the run; ``train_sampled_loss`` or
        ``train_full_loss``; ``train_oov_rate``, the share of the words of ``files`` that are not
        in the vocabulary; ``valid_perplexity`` and its companions, if there are ``valid_files``,
        ``valid_oov_rate`` among them, and ``valid_text``, a hash of that text; ``model``, the
        folders of the result. Of a run that has ended, the summary that it ended with, but for
        ``tokens`` and ``seconds`` of this call, 0; other ``valid_files`` than its own are measured,
        and nothing is written.

    Warns:
        UnknownWordsWarning: if more than a fifth of the words of a text are not in the
            vocabulary.
        WordsCutWarning: if a new run's text or a validation text has words that are longer than
            the model reads.

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
    formats = (formats,) if isinstance(formats, str) else formats
    _check_choices(config, start_from, formats, vocabulary_size, min_count, max_valid_tokens)
    open_corpus = functools.partial(
        Corpus.of, strict=strict, tokenizer=settings.tokenizer, format=input_format
    )
    corpus = open_corpus(files)
    valid = None if valid_files is None else _survey_valid(open_corpus(valid_files))
    valid_text = None if valid is None else text_digest(valid[0].files, max_valid_tokens)
    placement = Placement(settings.batch_size)
    params, known = None, None
    if start_from is not None:
        config, params, known = open_start(start_from)
    assert config is not None

    folder = RunFolder(Path(output))
    folder.refuse_inputs([*corpus.files, *(valid[0].files if valid else ())])
    chosen = known if vocabulary is None else Vocabulary.of(vocabulary)
    choice = {"vocabulary_size": vocabulary_size, "min_count": min_count}
    if chosen is not None:
        _refuse_choice(choice)
    start = None if params is None else model_digest(config, params)
    description = describe(settings, config, corpus, start, {} if chosen else choice)
    record, words = _open_run(folder, description, settings, config, corpus, chosen, choice)
    n_steps = settings.steps(record["n_predictions"])
    validate = None
    if valid is not None:
        validate = functools.partial(
            _validate, words=words, corpus=valid[0], settings=settings, max_tokens=max_valid_tokens
        )
    ended = folder.ended(n_steps)
    has_model = ended is not None and any(map(folder.has_model, FORMATS))
    if not has_model:
        warn_of_unknown_words(record["oov_rate"], "the training text")
    if valid is not None and not (has_model and ended and ended.get("valid_text") == valid_text):
        warn_of_unknown_words(_unknown_share(valid[1], words), "the validation text")
        _count_cut(config, valid[1]).warn("the validation text")
    if ended is not None and has_model:
        return as_it_ended(folder, ended, words, formats, valid_text, validate)
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
        streams = _open_streams(settings, corpus, Lexicon(words, config), position)
        reporter = Reporter(
            folder.metrics,
            first,
            n_steps,
            settings.tokens_per_step,
            learning_rate(settings, n_steps),
            "sampled" if settings.samples(len(words)) else "full",
            settings.log_every,
            progress,
            valid_text,
        )
        loop = Loop(config, settings, n_steps, words, streams, placement, saved, reporter, validate)
        with contextlib.closing(reporter):
            state, signal = loop.run(state)

    step = int(state.step)
    summary = summarise(settings, record, n_steps, step, signal, reporter)
    plot_metrics(folder.metrics, folder.picture)
    params = jax.tree.map(np.asarray, state.params)
    # Those of an earlier call, too: they would not be the model of this summary.
    written = [f for f in FORMATS if f in formats or folder.has_model(f)]
    write_models(folder, config, params, words, written, summary)
    if summary["finished"]:
        # Last: its presence says that the run has ended.
        folder.write_summary(written_summary(summary, ended))
    return {**summary, "model": model_paths(folder, formats)}


def _check_choices(
    config: ElmoConfig | None,
    start_from: Source | None,
    formats: Sequence[str],
    vocabulary_size: int | None,
    min_count: int,
    max_valid_tokens: int | None,
) -> None:
    if (config is None) == (start_from is None):
        raise ElmoError("Expected one of config (a new model) and start_from (a model to tune).")
    for format in formats:
        if format not in FORMATS:
            raise ElmoError(f"Unknown format {format!r}: expected one of {', '.join(FORMATS)}.")
    check_vocabulary_choice(vocabulary_size, min_count)
    if max_valid_tokens is not None:
        check_count(max_valid_tokens, "max_valid_tokens")


def _survey_valid(valid: Corpus) -> tuple[Corpus, CorpusStatistics]:
    """The text, and what is in it: so its faults are known now, and reported once."""
    statistics = survey(valid)
    return dataclasses.replace(valid, quiet=True, strict=False), statistics


def _open_streams(
    settings: TrainingSettings, corpus: Corpus, lexicon: Lexicon, position: StreamPosition | None
) -> TrainingStreams:
    return TrainingStreams(
        dataclasses.replace(corpus, quiet=True, strict=False),  # the survey has reported
        lexicon,
        settings.batch_size,
        settings.unroll_steps,
        settings.seed,
        settings.shuffle_buffer,
        position,
    )


def _unknown_share(statistics: CorpusStatistics, vocabulary: Vocabulary) -> float:
    n_known = sum(n for word, n in statistics.counts.items() if word in vocabulary)
    return 1 - n_known / max(1, statistics.n_words)


def _refuse_choice(choice: dict[str, Any]) -> None:
    """Raise ElmoError if words that come from elsewhere are to be chosen by frequency."""
    differing = [name for name, value in choice.items() if value != DEFAULT_CHOICE[name]]
    if differing:
        raise ElmoError(
            f"Expected no {' nor '.join(differing)}, which belong to a vocabulary made from the "
            "text: here the words are those of vocabulary, or of the model to start from (in a "
            "command --vocabulary and --start-from). Leave out one of the two."
        )


def _count_cut(config: ElmoConfig, statistics: CorpusStatistics) -> CutWords:
    cut = CutWords(config.max_characters_per_token)
    cut.add_counts(statistics.counts)
    return cut


def _open_run(
    folder: RunFolder,
    description: dict[str, Any],
    settings: TrainingSettings,
    config: ElmoConfig,
    corpus: Corpus,
    chosen: Vocabulary | None,
    choice: dict[str, Any],
) -> tuple[dict[str, Any], Vocabulary]:
    """The record and the vocabulary of the run in the folder, or of a new one."""
    record = folder.read()
    if record is not None:
        check_same(record, description, folder.path)
        words = Vocabulary.read(folder.vocabulary)
        if record["vocabulary"] != vocabulary_record(words):
            raise ElmoError(
                f"{folder.vocabulary} is not what the run was started with; its softmax belongs to "
                "other words. Put the file back, or start another run in another folder."
            )
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
    settings.steps(statistics.n_predictions)  # an error in it must come before a file is written
    cut = _count_cut(config, statistics)
    cut.warn("the training text")
    words = chosen or Vocabulary.from_counts(
        statistics.counts, choice["vocabulary_size"], choice["min_count"]
    )
    record = {
        **description,
        "n_sentences": statistics.n_sentences,
        "n_words": statistics.n_words,
        "words_cut": cut.n_cut,
        "n_predictions": statistics.n_predictions,
        "vocabulary": vocabulary_record(words),
        "oov_rate": _unknown_share(statistics, words),
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
    params: dict[str, Any],
    words: Vocabulary,
    corpus: Corpus,
    settings: TrainingSettings,
    max_tokens: int | None,
) -> Perplexity:
    return measure(
        config,
        params,
        words,
        corpus,
        CutWords(config.max_characters_per_token),  # the result has their number
        max_tokens=max_tokens,
        reset_state=settings.resets,
        precision=settings.precision,
    )
