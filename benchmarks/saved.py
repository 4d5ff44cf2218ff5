"""The results that earlier runs have saved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from elmo_jax import ElmoError


def read_results(folder: Path) -> dict[Path, dict[str, Any]]:
    """The answers to questions about speed in a folder; other JSON files there are left alone.

    Raises:
        ElmoError: if there is no such folder, or a file is not JSON.
    """
    if not folder.is_dir():
        raise ElmoError(f"There is no folder {folder}: expected one with results as JSON files.")
    found = {}
    for file in sorted(folder.glob("*.json")):
        try:
            summary = json.loads(file.read_text("utf-8"))
        except ValueError as error:
            raise ElmoError(f"{file} is not JSON: {error}. Remove it, or make it anew.") from None
        if isinstance(summary, dict) and "question" in summary:
            found[file] = summary
    return found
