"""Published numbers of the same tasks, to see how far away a model is.

Peters et al. 2018 used Penn Treebank for tagging, and SemCor with the all-words framework of
Raganato et al. 2017 for senses. Those are not the data here, so a gap is an order of magnitude,
never a comparison.
"""

from __future__ import annotations

from typing import NamedTuple

PAPER = "Peters et al. 2018, section 5.3"


class Published(NamedTuple):
    """One number of the paper, in points.

    Attributes:
        what: whose number.
        value: the number.
        data: on which data.
    """

    what: str
    value: float
    data: str


_PTB = "Penn Treebank, linear probe: not the same data"
_ALL_WORDS = "SemCor and the all-words test sets, WordNet senses, F1: not the same data"

PUBLISHED: dict[str, tuple[Published, ...]] = {
    "pos": (
        Published("ELMo, first biLM layer", 97.3, _PTB),
        Published("ELMo, second biLM layer", 96.8, _PTB),
    ),
    "wsd": (
        Published("ELMo, first biLM layer", 67.4, _ALL_WORDS),
        Published("ELMo, second biLM layer", 69.0, _ALL_WORDS),
        Published("WordNet's first sense", 65.9, _ALL_WORDS),
    ),
}
