"""Whole corpora to files of vectors, in parts that outlive whatever ends the process."""

from .embedding import embed_corpus
from .merging import merge_parts
from .survey import PART_TOKENS

__all__ = ["PART_TOKENS", "embed_corpus", "merge_parts"]
