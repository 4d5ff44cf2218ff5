"""The parser of the command line: argparse, with errors that say what was likely meant."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from ..errors import did_you_mean
from .streams import say, tell


class Parser(argparse.ArgumentParser):
    """Takes flags by their whole names: a beginning may fit two flags in a later version."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, allow_abbrev=False)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """What argparse does, after a look for unknown flags."""
        # Before argparse, which would first miss what a misspelled flag was meant to give.
        for flag in self._unknown_flags(args):
            meant = did_you_mean(flag, self._option_string_actions)
            self.error(f"unknown flag {flag}.{meant or f' {self.prog} --help lists them.'}")
        namespace, rest = super().parse_known_args(args, namespace)
        if rest:  # here, since the parser of a command knows its name and usage
            self.error(f"unexpected after the other arguments: {' '.join(rest)}")
        return namespace, rest

    def _unknown_flags(self, args: Sequence[str]) -> Iterator[str]:
        own = itertools.takewhile(lambda text: text != "--", args)
        if self._subparsers is not None:  # what follows the command belongs to its own parser
            own = itertools.takewhile(lambda text: text.startswith("-"), own)
        for text in own:
            flag = text.partition("=")[0]
            is_long = flag.startswith("--") and " " not in text
            # "-output OUT" would otherwise be read as "-o utput".
            if (is_long and flag not in self._option_string_actions) or (
                f"-{flag}" in self._option_string_actions and len(flag) > 2
            ):
                yield flag

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            raise argparse.ArgumentError(
                action,
                f"invalid choice: {value!r} (choose from {', '.join(map(str, action.choices))})."
                f"{did_you_mean(value, action.choices)}",
            )

    def _print_message(self, message: str, file: Any = None) -> None:
        # Through ``frame``: argparse ignores a help text that cannot be written.
        say(message.removesuffix("\n"))

    def error(self, message: str) -> NoReturn:
        """Print what the command needs, and the error, and exit with code 2."""
        tell(f"{self._needed_usage()}{self.prog}: error: {message}")
        raise SystemExit(2)

    def _needed_usage(self) -> str:
        """The usage without flags that may be left out, which would push the error off a screen."""
        needed = [group for group in self._mutually_exclusive_groups if group.required]
        either = [action for group in needed for action in group._group_actions]
        actions = [a for a in self._actions if a.required or not a.option_strings or a in either]
        formatter = self._get_formatter()
        formatter.add_usage(None, actions, needed)
        others = "all flags" if self._subparsers is None else "the commands"
        return f"{formatter.format_help().rstrip()}\n       {self.prog} --help lists {others}\n"
