"""Text and its words: tokenizers, checks of sentences, and readers of files."""

from . import readers
from .splitting import split_sentences
from .tokenizers import tokenizer_named

__all__ = ["readers", "split_sentences", "tokenizer_named"]
