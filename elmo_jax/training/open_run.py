"""What ``train`` opens before the first step: the validation text, and the run in its folder."""

from __future__ import annotations

import dataclasses
from typing import Any

from ..checkpoint import vocabulary_record
from ..checkpoint.vocabulary import Vocabulary
from ..errors import ElmoError
from ..model.spelling import word_limit
from ..processes import Processes
from .alphabets import with_alphabet
from .language_model import StartingModel
from .loop import Run, Validation
from .perplexity import EvaluationSettings
from .run_folder import RunFolder, VocabularyLimits, check_same_run, describe_run
from .settings import TrainingSettings
from .text_contents import TextContents
from .text_files import Corpus, survey


def open_validation(
    corpus: Corpus, settings: TrainingSettings, max_tokens: int | None
) -> Validation:
    """Count the validation text; the perplexity will be that of its first ``max_tokens``."""
    contents = TextContents()
    corpus = dataclasses.replace(corpus, contents=contents)
    statistics = survey(corpus)  # reports the faults of the text, once and before anything else
    evaluation = EvaluationSettings(
        max_tokens=max_tokens, reset_state=settings.resets, precision=settings.precision
    )
    digest = contents.digest(corpus.files, max_tokens)
    return Validation(corpus.without_reports(), statistics, evaluation, digest)


def open_run(
    folder: RunFolder,
    settings: TrainingSettings,
    start: StartingModel,
    corpus: Corpus,
    words: Vocabulary | VocabularyLimits,
    validation: Validation | None,
    processes: Processes,
    tokenized_with: str | None,
) -> Run:
    """The run in the folder, or a new one.

    Each process reads the text itself. Only the first one sees the folder.
    """
    description = describe_run(settings, start, words)
    record = processes.first(folder.read_record)
    if record is None:
        contents = TextContents()
        corpus = dataclasses.replace(corpus, contents=contents)
        with processes.together():
            new_record, vocabulary = _begin_run(description, settings, start, corpus, words)
        processes.check_same([new_record, contents.hashes(corpus.files)], "reads another text")
        new_record["files"] = contents.to_json(corpus.files)
        record = processes.first(lambda: folder.create(new_record, vocabulary))
    else:
        with processes.together():
            contents, changes = _recorded_contents(corpus, record)
            check_same_run(record, description, changes, folder.path)
            if corpus.strict:
                contents.refuse_faults()
        vocabulary = Vocabulary(
            processes.first(lambda: list(_recorded_vocabulary(folder, record, words).words))
        )
    n_steps = settings.total_steps(record["n_predictions"])
    config = with_alphabet(start.config, vocabulary)
    text = dataclasses.replace(corpus.without_reports(), contents=contents)
    return Run(
        folder, record, config, settings, vocabulary, n_steps, text, contents, validation,
        tokenized_with,
    )  # fmt: skip


def _begin_run(
    description: dict[str, Any],
    settings: TrainingSettings,
    start: StartingModel,
    corpus: Corpus,
    words: Vocabulary | VocabularyLimits,
) -> tuple[dict[str, Any], Vocabulary]:
    """Count the text; the record of a new run, and its vocabulary."""
    statistics = survey(corpus)
    settings.total_steps(statistics.n_predictions)  # raises if too many, before a file is written
    cut = statistics.cut_words(word_limit(start.config))
    cut.warn("the training text")
    if isinstance(words, VocabularyLimits):
        words = Vocabulary.from_counts(statistics.counts, words.vocabulary_size, words.min_count)
    record = {
        **description,
        "n_sentences": statistics.n_sentences,
        "n_words": statistics.n_words,
        "words_cut": cut.n_cut,
        "n_predictions": statistics.n_predictions,
        "vocabulary": vocabulary_record(words),
        "oov_rate": statistics.oov_rate(words),
    }
    return record, words


def _recorded_contents(corpus: Corpus, record: dict[str, Any]) -> tuple[TextContents, list[str]]:
    """What the text contained when the run was started, and what has changed since."""
    try:
        contents = TextContents.from_json(corpus.files, record["files"])
    except ElmoError as error:
        return TextContents(), [str(error)]
    return contents, contents.changes()


def _recorded_vocabulary(
    folder: RunFolder, record: dict[str, Any], words: Vocabulary | VocabularyLimits
) -> Vocabulary:
    vocabulary = Vocabulary.read(folder.vocabulary)
    if record["vocabulary"] != vocabulary_record(vocabulary):
        raise ElmoError(
            f"{folder.vocabulary} has changed since the run was started: the softmax belongs to "
            "other words. Put the file back, or start another run in another folder."
        )
    if isinstance(words, Vocabulary) and words.words != vocabulary.words:
        raise ElmoError(
            f"The run in {folder.path} was started with another vocabulary, that in "
            f"{folder.vocabulary}. Start another run in another folder."
        )
    return vocabulary
