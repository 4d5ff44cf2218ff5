"""The machinery behind ``Elmo``: words spelled once, sentences packed, few compiled shapes."""

from .collectors import Request
from .engine import Engine

__all__ = ["Engine", "Request"]
