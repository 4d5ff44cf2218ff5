"""The command line: ``elmo-jax``, and what scripts of the project share with it.

A command is a module with three functions: ``add_arguments(parser)``; ``run(args)``, which does the
work and returns a JSON-ready summary; and ``text(summary)``, which puts the summary into words.
``run`` and ``text`` import what is slow to load, so that ``--help`` is quick. Results go to stdout;
progress, notes, warnings and errors go to stderr, and ``frame`` lists the exit codes.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from types import ModuleType

from ..errors import ElmoError, ElmoWarning
from ..json_text import to_json
from .compiled import keep_compiled
from .flag_names import with_flags
from .frame import (
    Stop,
    framed,
    is_interrupt,
    leave,
    logs_on_one_line,
    say,
    tell,
    warnings_on_one_line,
)
from .parser import Parser

COMMANDS = {
    "embed": "Embed a corpus into a file of vectors, or resume an unfinished run.",
    "merge": "Join the shards that `elmo-jax embed --shard` made, on one machine or several.",
    "tokenize": "Write text in any format as one tokenized sentence per line, to train on.",
    "train": "Train a biLM on text, fine-tune one, or resume an unfinished run.",
    "evaluate": "Measure the perplexity on text of a model with a softmax.",
    "convert": "Convert a model from any format to the native or the published one.",
    "token-table": "Write the token vectors of a vocabulary to a file that bilm-tf reads.",
    "export": "Write a model to one file that runs with JAX alone, for serving.",
    "neighbors": "List the occurrences of a word that are nearest to one occurrence.",
    "explore": "Draw a word's occurrences on a plane: an HTML page, or a figure for a paper.",
    "similarity": "Compare sentences, or two of them word by word, and draw a heatmap.",
    "vectors": "Write one vector per word, as word2vec files that gensim reads.",
    "anchors": "Average each word's vectors over a text, to align its language with another.",
    "align": "Fit the matrix that maps one language's vectors into another's space.",
    "info": "Show a model's configuration, parameter count and sizes.",
    "init": "Make a new, untrained model with random weights.",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``elmo-jax`` with ``argv``, by default the process's own, and return the exit code.

    Raises:
        SystemExit: 0 after ``--help`` or ``--version``, 2 for wrong usage.
    """
    exit_code = framed("elmo-jax", lambda stop: _main(argv, stop))
    if argv is None:
        leave(exit_code)
    return exit_code


def _main(argv: Sequence[str] | None, stop: Stop) -> int:
    from .. import __version__

    if argv is None:  # the process belongs to this program
        argv = sys.argv[1:]
        keep_compiled(quiet="--quiet" in argv)
    parser = Parser(
        prog="elmo-jax",
        description="ELMo word vectors in JAX: embed text, train and convert models.",
    )
    parser.add_argument("--version", action="version", version=f"elmo-jax {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, description in COMMANDS.items():
        command = commands.add_parser(name, help=description, description=description)
        if name in argv:  # importing the others would only take time
            _declare(command, command_module(name))
    return _execute(_parsed(parser, argv), stop)


def command_module(name: str) -> ModuleType:
    """The module of a command."""
    return importlib.import_module(f".{name.replace('-', '_')}", __name__)


def run_command(
    prog: str, description: str, module: ModuleType, argv: Sequence[str] | None = None
) -> int:
    """What ``main`` does, for one command module as a program of its own."""

    def action(stop: Stop) -> int:
        parser = Parser(prog=prog, description=description)
        _declare(parser, module)
        return _execute(_parsed(parser, sys.argv[1:] if argv is None else argv), stop)

    return framed(prog, action)


def _declare(parser: argparse.ArgumentParser, module: ModuleType) -> None:
    module.add_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print the summary as a JSON object")
    parser.add_argument("--debug", action="store_true", help="show where an error comes from")
    parser.set_defaults(module=module, prog=parser.prog)


def _parsed(parser: argparse.ArgumentParser, argv: Sequence[str]) -> argparse.Namespace:
    if any("\0" in argument for argument in argv):  # no file name can have one, nor can any text
        parser.error("expected arguments without NUL bytes")
    return parser.parse_args(argv)


def _execute(args: argparse.Namespace, stop: Stop) -> int:
    stop.prog = args.prog
    quiet = getattr(args, "quiet", False)
    try:
        with warnings_on_one_line(args.prog, quiet), logs_on_one_line(args.prog, quiet):
            summary = args.module.run(args)
            if not getattr(args, "reports", True):  # another process does, see ``joining``
                return 0
            text = to_json(summary) if args.json else args.module.text(summary)
    except (BrokenPipeError, SystemExit):
        raise  # ``framed`` handles them
    except BaseException as error:  # extensions in Rust raise some that are not Exceptions
        if args.debug or is_interrupt(error):
            raise
        tell(f"{args.prog}: error: {_one_line(error)}")
        return 1
    say(text)
    return 0


def _one_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines()]
    message = "; ".join(line for line in lines if line).replace(":; ", ": ")
    if isinstance(error, MemoryError):
        return f"there is not enough memory{message and f': {message}'}"
    if isinstance(error, RecursionError):
        return "an input is nested too deep to be read"
    if isinstance(error, ElmoError | ElmoWarning) and message:
        return with_flags(message)
    if isinstance(error, OSError) and message:
        return message
    return f"{type(error).__name__}: {message} (a fault of this program; --debug shows where)"
