"""The machinery behind ``Elmo``: words spelled once, sentences packed, few compiled shapes."""

from .engine import Engine
from .outputs import Request
from .stream import Stream

__all__ = ["Engine", "Request", "Stream"]
