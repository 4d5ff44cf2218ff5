"""ELMo (Peters et al. 2018, "Deep contextualized word representations") in JAX and Flax.

Start with ``elmo_jax.Elmo``. Importing this package loads nothing else: each public name is loaded
when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from . import forking as _forking  # noqa: F401  (watches for forks from now on)

if TYPE_CHECKING:
    from . import corpus, explore, pretrained, text, training
    from .checkpoint import load, save
    from .embedder import Elmo
    from .errors import (
        DeviceMemoryWarning,
        DuplicateKeysWarning,
        ElmoError,
        ElmoWarning,
        MissingFontWarning,
        UnknownWordsWarning,
        UnusedOptionsWarning,
        WhitespaceWarning,
        WordsCutWarning,
    )
    from .export import export_function
    from .functional import initial_state, layer_outputs, layer_outputs_with_state, pooled_sentences
    from .model.bilm import BiLM, BiLMState
    from .model.characters import encode_batch
    from .model.config import ElmoConfig
    from .model.lstm import LSTMState
    from .model.scalar_mix import ScalarMix, scalar_mix
    from .text.splitting import split_sentences
    from .text.tokenizers import tokenizer_named

__version__ = "0.1.0"

# Public name -> its module. Type checkers read the imports above instead.
_HOMES = {
    "checkpoint": ("load", "save"),
    "embedder": ("Elmo",),
    "errors": (
        "DeviceMemoryWarning",
        "DuplicateKeysWarning",
        "ElmoError",
        "ElmoWarning",
        "MissingFontWarning",
        "UnknownWordsWarning",
        "UnusedOptionsWarning",
        "WhitespaceWarning",
        "WordsCutWarning",
    ),
    "export": ("export_function",),
    "functional": (
        "initial_state",
        "layer_outputs",
        "layer_outputs_with_state",
        "pooled_sentences",
    ),
    "model.bilm": ("BiLM", "BiLMState"),
    "model.characters": ("encode_batch",),
    "model.config": ("ElmoConfig",),
    "model.lstm": ("LSTMState",),
    "model.scalar_mix": ("ScalarMix", "scalar_mix"),
    "text.splitting": ("split_sentences",),
    "text.tokenizers": ("tokenizer_named",),
}
_SUBPACKAGES = ("corpus", "explore", "pretrained", "text", "training")
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "BiLM",
    "BiLMState",
    "DeviceMemoryWarning",
    "DuplicateKeysWarning",
    "Elmo",
    "ElmoConfig",
    "ElmoError",
    "ElmoWarning",
    "LSTMState",
    "MissingFontWarning",
    "ScalarMix",
    "UnknownWordsWarning",
    "UnusedOptionsWarning",
    "WhitespaceWarning",
    "WordsCutWarning",
    "corpus",
    "encode_batch",
    "explore",
    "export_function",
    "initial_state",
    "layer_outputs",
    "layer_outputs_with_state",
    "load",
    "pooled_sentences",
    "pretrained",
    "save",
    "scalar_mix",
    "split_sentences",
    "text",
    "tokenizer_named",
    "training",
]


def __getattr__(name: str) -> Any:
    """Load a public name on first use (PEP 562), so that ``import elmo_jax`` stays quick."""
    if name in _HOME_OF:
        value = getattr(importlib.import_module(f".{_HOME_OF[name]}", __name__), name)
    elif name in _SUBPACKAGES:
        value = importlib.import_module(f".{name}", __name__)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
