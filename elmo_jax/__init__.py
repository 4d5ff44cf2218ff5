"""ELMo (Peters et al. 2018, "Deep contextualized word representations") in JAX and Flax.

Start with ``elmo_jax.Elmo``. Importing this package loads nothing else: each public name is loaded
when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from . import forking as _forking  # noqa: F401  (watches for forks from now on)

if TYPE_CHECKING:  # repeated names tell type checkers that these are exported
    from . import alignment as alignment
    from . import corpus as corpus
    from . import explore as explore
    from . import pretrained as pretrained
    from . import text as text
    from . import training as training
    from . import word_vectors as word_vectors
    from .checkpoint import load as load
    from .checkpoint import save as save
    from .embedder import Elmo as Elmo
    from .embedder import EmbeddedTokens as EmbeddedTokens
    from .errors import DeviceMemoryWarning as DeviceMemoryWarning
    from .errors import DuplicateKeysWarning as DuplicateKeysWarning
    from .errors import ElmoError as ElmoError
    from .errors import ElmoWarning as ElmoWarning
    from .errors import MissingFontWarning as MissingFontWarning
    from .errors import MissingPackageError as MissingPackageError
    from .errors import RawTextWarning as RawTextWarning
    from .errors import UnknownWordsWarning as UnknownWordsWarning
    from .errors import UnusedOptionsWarning as UnusedOptionsWarning
    from .errors import WhitespaceWarning as WhitespaceWarning
    from .errors import WordsCutWarning as WordsCutWarning
    from .export import export_function as export_function
    from .functional import initial_state as initial_state
    from .functional import layer_outputs as layer_outputs
    from .functional import layer_outputs_with_state as layer_outputs_with_state
    from .functional import pooled_sentences as pooled_sentences
    from .model.alphabet import Alphabet as Alphabet
    from .model.batches import encode_batch as encode_batch
    from .model.bilm import BiLM as BiLM
    from .model.bilm import BiLMState as BiLMState
    from .model.config import ElmoConfig as ElmoConfig
    from .model.lstm import LSTMState as LSTMState
    from .model.scalar_mix import ScalarMix as ScalarMix
    from .model.scalar_mix import scalar_mix as scalar_mix
    from .text.splitting import split_sentences as split_sentences
    from .text.tokenizers import tokenizer_named as tokenizer_named

__version__ = "0.1.0"

# Public name -> its module. Type checkers read the imports above instead.
_HOMES = {
    "checkpoint": ("load", "save"),
    "embedder": ("Elmo", "EmbeddedTokens"),
    "errors": (
        "DeviceMemoryWarning",
        "DuplicateKeysWarning",
        "ElmoError",
        "ElmoWarning",
        "MissingFontWarning",
        "MissingPackageError",
        "RawTextWarning",
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
    "model.alphabet": ("Alphabet",),
    "model.batches": ("encode_batch",),
    "model.bilm": ("BiLM", "BiLMState"),
    "model.config": ("ElmoConfig",),
    "model.lstm": ("LSTMState",),
    "model.scalar_mix": ("ScalarMix", "scalar_mix"),
    "text.splitting": ("split_sentences",),
    "text.tokenizers": ("tokenizer_named",),
}
_SUBPACKAGES = (
    "alignment",
    "corpus",
    "explore",
    "pretrained",
    "text",
    "training",
    "word_vectors",
)
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}


__all__ = sorted([*_HOME_OF, *_SUBPACKAGES])


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
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
