"""Reading ahead: the user's sentences, a window at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

Sentence = Sequence[str]


class Source:
    """Iterates sentences until they end or fail; a failure waits, so that no result is lost.

    Attributes:
        failure: what the iterable raised, to be raised when all before it has been given out.
    """

    def __init__(self, sentences: Iterable[Sentence]) -> None:
        self._sentences = sentences
        self.failure: Exception | None = None

    def __iter__(self) -> Iterator[Sentence]:
        try:
            yield from self._sentences
        except Exception as error:
            self.failure = error


def windows(
    sentences: Iterable[Sentence], window_tokens: int
) -> Iterator[tuple[list[Sentence], bool]]:
    """Runs of sentences of about ``window_tokens`` tokens, and whether they are the last.

    The last run may be twice as long: the more sentences, the more evenly the lanes end. So one
    run more than is given is always read ahead, and the sentence that is beyond it.
    """
    window: list[Sentence] = []
    following: list[Sentence] = []
    n_tokens = n_following = 0
    for sentence in sentences:
        # An empty sentence counts too, so that any number of them stays bounded.
        size = max(1, len(sentence))
        if not following and (n_tokens + size <= window_tokens or not window):
            window.append(sentence)
            n_tokens += size
        elif n_following + size <= window_tokens or not following:
            following.append(sentence)
            n_following += size
        else:
            yield window, False
            window, n_tokens = following, n_following
            following, n_following = [sentence], size
    if window:
        yield window + following, True
