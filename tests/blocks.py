"""The blocks of code in a document, run as its reader would run them.

A document is Markdown. Its ``python`` and ``sh`` blocks run in order, in one folder; what a
``print`` prints is held against the comment behind it, or against the comments that end the block
(for a ``print`` in a loop). A comment above a block says more of it:
``<!-- run: NAME -->`` leaves it to the caller, ``<!-- not run: REASON -->`` leaves it out, and
``<!-- needs: MODULE -->``, anywhere, leaves out the document where that cannot be imported.
"""

import contextlib
import io
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple

import jax

ROOT = Path(__file__).resolve().parents[1]

_BLOCK = re.compile(
    r"(?:^<!-- (?P<kind>run|not run): (?P<mark>[^\n]+) -->\n)?"
    r"^(?P<indent> *)```(?P<language>\w+)\n(?P<code>.*?)^(?P=indent)```$",
    re.S | re.M,
)


class Block(NamedTuple):
    """One block: its language, its lines, and the comment above it.

    Attributes:
        language: "python", "sh", or another, which is not run.
        code: the lines.
        mark: the name of ``<!-- run: NAME -->``, or None.
        left_out: the reason of ``<!-- not run: REASON -->``, or None.
    """

    language: str
    code: str
    mark: str | None
    left_out: str | None


def blocks_of(document):
    """The blocks of a document, in order."""
    matches = _BLOCK.finditer(Path(document).read_text("utf-8"))
    return [
        Block(
            match["language"],
            textwrap.dedent(match["code"]),  # a block inside a list is indented
            match["mark"] if match["kind"] == "run" else None,
            match["mark"] if match["kind"] == "not run" else None,
        )
        for match in matches
    ]


def needs(document):
    """The modules that a document asks for."""
    return re.findall(r"^<!-- needs: (\S+) -->$", Path(document).read_text("utf-8"), re.M)


def run_document(document, folder):
    """Run the blocks of a document whose blocks of Python share their names."""
    names = {"__name__": "document"}
    for block in blocks_of(document):
        if block.left_out or block.mark:
            continue
        if block.language == "python":
            run_python(block.code, folder, names)
        elif block.language == "sh":
            run_shell(block.code, folder)


def run_python(code, folder, names):
    """Run a block, and compare what it prints with the comments behind its print calls."""
    printed = io.StringIO()
    defaults = jax.numpy_dtype_promotion("standard")  # a reader's, not the strict ones of the tests
    with contextlib.chdir(folder), contextlib.redirect_stdout(printed), defaults:
        exec(compile(code, "a block of the document", "exec"), names)
    behind = re.findall(r"print\(.*\)  +# (.*)", code)
    at_the_end = re.search(r"(?:^# .*\n)*\Z", code, re.M)[0].replace("# ", "")
    promised = " ".join([*behind, at_the_end])
    said = f"prints {printed.getvalue()!r}, not {promised!r}, in:\n{code}"
    assert printed.getvalue().split() == promised.split(), said


def run_shell(code, folder):
    """Run lines of sh with this environment's programs in place of those in .venv."""
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    main = "import sys; from elmo_jax.cli import main; sys.exit(main())"
    for name, arguments in (("python", ""), ("elmo-jax", f'-c "{main}"')):
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec {sys.executable} {arguments} "$@"\n')
        program.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    run = subprocess.run(
        ["sh", "-e", "-c", code.replace(".venv/bin/", "")],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
