"""Embed a whole corpus into one file, in parts that survive a killed process."""

from .merging import merge_parts
from .pipeline import embed_corpus
from .shards import Process, this_process
from .survey import PART_TOKENS

__all__ = ["PART_TOKENS", "Process", "embed_corpus", "merge_parts", "this_process"]
