"""Every block of the README runs, in order, in one folder, and prints what it says it prints.

The two blocks that install the package (marked ``<!-- run: ... -->``) are run by ``.ci/run``; here
the first runs without its installation, and the second is this test run itself.
"""

import contextlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(
    r"(?:<!-- run: (?P<mark>\w+) -->\n)?```(?P<language>\w+)\n(?P<code>.*?)```", re.S
)
BLOCKS = [match.groupdict() for match in BLOCK.finditer((ROOT / "README.md").read_text("utf-8"))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the README's user is, after its first command."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "convert").symlink_to(ROOT / "convert")
    return folder


def shell(code, folder):
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


def python(code, folder):
    """Run a block, and compare what it prints with the comments behind its print calls."""
    printed = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(printed):
        exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
    promised = re.findall(r"print\(.*\)  +# (.*)", code)
    assert printed.getvalue().split() == " ".join(promised).split()


def test_the_readmes_blocks_run_in_order_and_print_what_they_say(folder):
    ran = []
    for block in BLOCKS:
        code, language = block["code"], block["language"]
        if block["mark"] == "first":
            shell("\n".join(code.splitlines()[1:]), folder)
        elif language == "python":
            python(code, folder)
        elif language == "sh" and block["mark"] is None:
            shell(code, folder)
        ran.append(language)
    assert ran.count("python") >= 4 and ran.count("sh") >= 4
    assert (folder / "vectors.h5").is_file() and (folder / "native").is_dir()


def test_the_installing_blocks_are_the_ones_that_ci_runs():
    marks = [block["mark"] for block in BLOCKS if block["mark"]]
    assert marks == ["first", "tests"]
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    assert "block first" in script and "block tests" in script
    for block in BLOCKS:
        installs = "pip install" in block["code"]
        assert installs == (block["mark"] is not None)


def test_the_file_tree_names_what_is_there():
    tree = next(block["code"] for block in BLOCKS if block["language"] == "text")
    listed = set(re.findall(r"(\w+\.py|\w+/)(?=  )", tree))
    package = ROOT / "elmo_jax"
    there = {path.name for path in package.glob("*.py")} | {
        f"{path.name}/" for path in package.iterdir() if path.is_dir() and path.name[0] != "_"
    }
    internal = {"__init__.py", "arguments.py", "errors.py", "files.py", "optional.py"}
    assert there - listed <= internal
    assert {name for name in listed if not (package / name).exists()} <= {
        "benchmarks/",
        "convert/",
        "examples/",
        "tests/",
    }
