"""``Elmo``, the object people use: a model on its devices, and all the ways to embed with it."""

from .elmo import Elmo
from .results import EmbeddedTokens

__all__ = ["Elmo", "EmbeddedTokens"]
