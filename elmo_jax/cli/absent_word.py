"""Why a text does not have a word: what the tokenizer made of it, and of the text."""

from __future__ import annotations

import argparse
import collections
import string
from collections.abc import Callable, Iterable, Sequence

from ..errors import ElmoError, counted
from ..text.tokenizers import splits_at_whitespace
from ..text.treebank import treebank
from .inputs import LabelledText
from .models import chosen_tokenizer, tokenizer_name

_MARKS = string.punctuation + "“”„«»‘’…،؛؟"
_MOST_EXAMPLES = 2


def refuse_word_absent_from_text(args: argparse.Namespace, text: LabelledText) -> None:
    """Raise ElmoError, with what the text has instead, unless WORD occurs in it."""
    problem = f"{' '.join(args.input)} has 0 occurrences of {args.word!r}"
    refuse_absent_word(args, (sentence.words for sentence in text()), problem)


def refuse_absent_word(
    args: argparse.Namespace, sentences: Iterable[Sequence[str]], problem: str
) -> None:
    """Raise ElmoError unless WORD occurs in these sentences, which are read until it does.

    The error adds what became of the word to the ``problem``.
    """
    normal: Callable[[str], str] = str if args.exact else str.casefold
    wanted = normal(args.word)
    longer: collections.Counter[str] = collections.Counter()
    for words in sentences:
        for word in words:
            candidate = normal(word)
            if candidate == wanted:
                return
            if wanted in candidate:
                longer[word] += 1
    spelling = " in this spelling" if args.exact else ""
    reason = _split_word(args) or _longer_words(args, longer, normal) or _ADVICE
    raise ElmoError(f"{problem}{spelling}{reason}.")


_ADVICE = ". Expected a word as the tokenizer yields it; --tokenizer chooses another tokenizer"


def _split_word(args: argparse.Namespace) -> str:
    """What to say of a WORD that is several words, if it is."""
    split = chosen_tokenizer(args)
    parts, how = split(args.word), f"the tokenizer {tokenizer_name(args)!r} splits it"
    if len(parts) < 2 and splits_at_whitespace(split):
        parts, how = treebank(args.word), "tokenized English has it split"
    if len(parts) < 2:
        return ""
    return f": {how} into {', '.join(map(repr, parts))}. Ask for one of these"


def _longer_words(
    args: argparse.Namespace, longer: collections.Counter[str], normal: Callable[[str], str]
) -> str:
    """What to say of words that contain WORD; of those with punctuation attached, if any are."""
    raw = [word for word in longer if normal(word.strip(_MARKS)) == normal(args.word)]
    if not longer:
        return ""
    examples = raw or [word for word, _ in longer.most_common()]
    shown = ", ".join(map(repr, examples[:_MOST_EXAMPLES]))
    n_words = longer.total()
    contain = "contains" if n_words == 1 else "contain"
    message = f"; {counted(n_words, 'word')} {contain} it, such as {shown}"
    if raw and splits_at_whitespace(chosen_tokenizer(args)):
        message += ": the text looks raw, add --tokenizer auto"
    return message
