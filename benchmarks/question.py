"""One question as a command: its measurement between a card and the files that it goes to.

A question is a module with ``HELP``, ``add_arguments(parser)``, ``measure(args)``, which gives what
was found, ready for JSON, and ``table(summary)``, which shows it in Markdown. A long measurement
yields instead, after each of its parts, all that was found so far: the files are written each time,
so that a run which is cut off leaves what it had. ``MODEL`` is the model that a question is about
unless another is named; *original* where there is none.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from elmo_jax.files import atomic_file, refuse_existing, to_json

from .arguments import MODEL, add_common
from .card import card

RESULTS = Path(__file__).resolve().parent / "results"


class Question:
    """A question's module, as ``elmo_jax.cli.run_command`` takes a command."""

    def __init__(self, name: str, module: ModuleType) -> None:
        self._name, self._module = name, module

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the common arguments and the question's own."""
        add_common(parser, self._model)
        self._module.add_arguments(parser)

    def run(self, args: argparse.Namespace) -> dict[str, Any]:
        """Measure, and write the results where that is wanted.

        Raises:
            ElmoError: if something is missing, or an output exists.
        """
        head = card()
        outputs = self._outputs(args, device_name(head["machine"]))
        for output in outputs:  # before minutes of work, not after them
            refuse_existing(output, args.overwrite)
        measured = self._module.measure(args)
        parts: Iterable[dict[str, Any]] = [measured] if isinstance(measured, dict) else measured
        summary: dict[str, Any] = {}
        for found in parts:
            # From the second part on, the file that is there is this run's own.
            overwrite = args.overwrite or bool(summary)
            summary = {"question": self._name, "card": head, "quick": args.quick, **found}
            for output in outputs:
                with atomic_file(output, overwrite=overwrite) as path:
                    path.write_text(to_json(summary, indent=1) + "\n", encoding="utf-8")
        return summary

    def text(self, summary: dict[str, Any]) -> str:
        """The card, the table, and a last line of JSON."""
        parts = [card_text(summary), self._module.table(summary), to_json(summary)]
        return "\n\n".join(parts)

    @property
    def _model(self) -> str:
        return getattr(self._module, "MODEL", MODEL)

    def _outputs(self, args: argparse.Namespace, device: str) -> list[Path]:
        outputs = [Path(args.output)] if args.output else []
        if args.save:
            name = result_name(self._name, args.model, device, default=self._model)
            outputs.append(RESULTS / name)
        return outputs


def result_name(question: str, model: str, device: str, default: str = MODEL) -> str:
    """The file of a result; the question's own model goes without saying."""
    parts = [question, *([] if model == default else [Path(model).name]), device]
    return "-".join(parts) + ".json"


def device_name(machine: dict[str, Any]) -> str:
    """Of a card's machine, for file names: "cpu", or the accelerator's model, such as "h100"."""
    if machine["platform"] == "cpu":
        return "cpu"
    kind = machine["device"].lower()
    found = re.search(r"\b[a-z]{1,2}\d{2,}[a-z]?\b", kind)
    return found[0] if found else re.sub(r"[^a-z0-9]+", "-", kind).strip("-")


def card_text(summary: dict[str, Any]) -> str:
    """The question and the card in a few lines."""
    lines = [f"# {summary['question']}", "", card_line(summary)]
    if summary["quick"]:
        lines += ["", "**--quick: shows that it works; not to be compared with anything.**"]
    return "\n".join(lines)


def card_line(summary: dict[str, Any]) -> str:
    """Machine, versions, date and commit in one line."""
    head = summary["card"]
    machine = head["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in head["versions"].items())
    device = "" if machine["platform"] == "cpu" else f"; {machine['device']}"
    return (
        f"{machine['processor']}, {machine['cores']} cores{device}; {packages}; {head['date']}, "
        f"commit {(head['commit'] or 'unknown')[:12]}."
    )
