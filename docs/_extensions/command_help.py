"""The directive ``command-help``: what ``elmo-jax COMMAND --help`` prints, for every command."""

import contextlib
import io
import os
from unittest import mock

from docutils import nodes
from docutils.parsers.rst import Directive

from elmo_jax import cli


class CommandHelp(Directive):
    """One section a command, made from the program itself."""

    def run(self) -> list[nodes.Node]:
        """The sections."""
        return [self._section(name) for name in cli.COMMANDS]

    def _section(self, name: str) -> nodes.section:
        title = f"elmo-jax {name}"
        section = nodes.section(ids=[nodes.make_id(title)], names=[title])
        section += nodes.title(title, title)
        text = help_text(name)
        section += nodes.literal_block(text, text, language="text")
        return section


def help_text(command: str) -> str:
    """What ``elmo-jax COMMAND --help`` prints on a terminal of 88 columns."""
    printed = io.StringIO()
    with (
        mock.patch.dict(os.environ, {"COLUMNS": "88"}),
        contextlib.redirect_stdout(printed),
        contextlib.suppress(SystemExit),
    ):
        cli.main([command, "--help"])
    return printed.getvalue().rstrip()


def setup(app: object) -> dict[str, bool]:
    """Tell Sphinx of the directive."""
    app.add_directive("command-help", CommandHelp)
    return {"parallel_read_safe": True}
