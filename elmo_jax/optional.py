"""Packages that only some users need, imported where they are needed."""

from __future__ import annotations

import importlib
from typing import Any

from .errors import ElmoError


def optional_module(name: str, purpose: str, extra: str) -> Any:
    """Import a module of an optional package.

    Args:
        name: of the module.
        purpose: what it is needed for, as it stands in the error.
        extra: of elmo-jax, that installs it.

    Raises:
        ElmoError: if it is not installed, naming the extra.
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        package = name.partition(".")[0]
        raise ElmoError(
            f"The package {package} is not installed; {purpose} needs it: "
            f'pip install "elmo-jax[{extra}]".'
        ) from None
