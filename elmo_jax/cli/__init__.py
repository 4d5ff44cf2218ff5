"""The command line: ``elmo-jax``, and what scripts of the project share with it.

A command is a module with ``HELP``, ``add_arguments(parser)``, ``run(args)``, which gives a
JSON-ready summary, and ``text(summary)``, which says the same to a person. Results go to stdout,
progress, notes and errors to stderr. Exit codes: 0, 1 for an error, 2 for a wrong usage, 130 when
interrupted.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Sequence
from typing import Any

from ..errors import ElmoError

_COMMANDS = ("embed", "convert", "info", "init")


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``elmo-jax``.

    Args:
        argv: the arguments; those of the process if None.

    Returns:
        The exit code.

    Raises:
        SystemExit: 0 after ``--help`` or ``--version``, 2 for a wrong usage.
    """
    from .. import __version__

    parser = argparse.ArgumentParser(
        prog="elmo-jax", description="ELMo word vectors in JAX: embed text, convert models."
    )
    parser.add_argument("--version", action="version", version=f"elmo-jax {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in _COMMANDS:
        module = importlib.import_module(f".{name}", __name__)
        command = commands.add_parser(name, help=module.HELP, description=module.HELP)
        _declare(command, module)
    return _execute(parser.parse_args(argv))


def run_command(prog: str, description: str, module: Any, argv: Sequence[str] | None = None) -> int:
    """Run one command module as a program of its own.

    Args:
        prog: what the program is called in its messages.
        description: for ``--help``.
        module: the command.
        argv: the arguments; those of the process if None.

    Returns:
        The exit code.

    Raises:
        SystemExit: 0 after ``--help``, 2 for a wrong usage.
    """
    parser = argparse.ArgumentParser(prog=prog, description=description)
    _declare(parser, module)
    return _execute(parser.parse_args(argv))


def _declare(parser: argparse.ArgumentParser, module: Any) -> None:
    module.add_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print the summary as a JSON object")
    parser.add_argument("--debug", action="store_true", help="show where an error comes from")
    parser.set_defaults(module=module, prog=parser.prog)


def _execute(args: argparse.Namespace) -> int:
    try:
        summary = args.module.run(args)
    except KeyboardInterrupt:
        print(f"{args.prog}: interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        if args.debug:
            raise
        print(f"{args.prog}: error: {_one_line(error)}", file=sys.stderr)
        return 1
    print(json.dumps(summary) if args.json else args.module.text(summary))
    return 0


def _one_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines()]
    message = "; ".join(line for line in lines if line).replace(":; ", ": ")
    if isinstance(error, ElmoError | OSError | MemoryError) and message:
        return message
    return f"{type(error).__name__}: {message} (a fault of this program; --debug shows where)"
