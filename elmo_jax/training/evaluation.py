"""Perplexity with the full softmax: the number by which models can be compared."""

from __future__ import annotations

from ..checkpoint.vocabulary import Vocabulary
from ..engine.memory import explain_out_of_memory
from ..errors import UnknownWordsWarning, warn
from ..model.config import ElmoConfig
from ..model.parameters import Params
from ..processes import Processes, shared
from ..text.readers import Files
from .perplexity import EvaluationSettings, Perplexity, measure
from .text_files import Corpus

# A larger share of unknown words makes a perplexity meaningless.
_MAX_OOV_RATE = 0.2


@shared
@explain_out_of_memory("Take a smaller batch_size.")
def evaluate(
    config: ElmoConfig,
    params: Params,
    vocabulary: Vocabulary,
    files: Files | Corpus,
    *,
    batch_size: int = 32,
    unroll_steps: int = 64,
    max_tokens: int | None = None,
    reset_state: bool = False,
    precision: str = "float32",
    progress: bool = False,
) -> Perplexity:
    """The perplexity of a model on text files.

    The text fills ``batch_size`` rows in the order of the files, and the state is carried from
    sentence to sentence, as in training. ``batch_size`` decides which sentences follow each other
    in a row, so the result depends on it slightly; with ``reset_state`` it does not. Processes that
    JAX has joined share the rows: each must call this with the same arguments.

    Args:
        config: the architecture.
        params: the parameters, including the softmax, ``params["softmax"]``.
        vocabulary: the words of the softmax.
        files: paths or patterns, or a Corpus.
        batch_size: number of rows.
        unroll_steps: steps computed at once; they do not change the result.
        max_tokens: measure whole sentences from the start until they have this many tokens to
            predict; all sentences if None.
        reset_state: start each sentence from zeros, as in training with the "modern" recipe,
            instead of carrying the state on, as bilm-tf does.
        precision: for matrix products.
        progress: show a progress bar on stderr, if that is a terminal.

    Raises:
        ElmoError: for numbers out of range, a model without a softmax or with a different
            vocabulary, a text without a sentence, or too little memory.

    Warns:
        UnknownWordsWarning: if more than a fifth of the words are not in the vocabulary.
        WordsCutWarning: if words are longer than the model reads.

    Example:
        >>> model = load_language_model("run/model")
        >>> evaluate(*model, "valid.txt").perplexity
    """
    processes = Processes.here()
    with processes.together():
        settings = EvaluationSettings(
            batch_size, unroll_steps, max_tokens, reset_state, precision, progress
        )
        corpus = files if isinstance(files, Corpus) else Corpus.of(files)
    perplexity, cut = measure(config, params, vocabulary, corpus, settings, processes)
    cut.warn()
    warn_of_unknown_words(perplexity.oov_rate, "the text")
    return perplexity


def warn_of_unknown_words(oov_rate: float, text: str) -> None:
    """Warn if more than a fifth of the words of ``text`` are not in the vocabulary."""
    if oov_rate > _MAX_OOV_RATE:
        message = (
            f"{oov_rate:.0%} of the words of {text} are not in the vocabulary of the softmax. They "
            "count as <UNK>, which is easy to predict, so the perplexity says little. Expected "
            "a vocabulary that fits the text: its language, its tokenization, its upper and "
            "lower case."
        )
        warn(message, UnknownWordsWarning)
