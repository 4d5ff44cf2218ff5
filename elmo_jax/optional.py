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
        ElmoError: if it is not installed, naming the extra, or cannot be imported.
    """
    package = name.partition(".")[0]
    try:
        return importlib.import_module(name)
    except ImportError as error:
        # A package may be there, and lack another or a version of it.
        name_of = (error.name or "").partition(".")[0]
        is_missing = isinstance(error, ModuleNotFoundError) and name_of == package
        problem = "is not installed" if is_missing else f"cannot be imported ({error})"
        raise ElmoError(
            f'The package {package} {problem}; {purpose} needs it: pip install "elmo-jax[{extra}]".'
        ) from None
