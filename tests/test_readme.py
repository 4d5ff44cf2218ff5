"""Every block of the README runs, in order, in one folder, and prints what it says it prints.

The two blocks that install the package (marked ``<!-- run: ... -->``) are run by ``.ci/run``; here
the first runs without its installation, and the second is this test run itself. The block on Ray in
``docs/guide/devices.md`` starts processes, so it is a slow test of its own.
"""

import importlib.util
import os
import re
import subprocess
import sys

import pytest
from blocks import ROOT, blocks_of, run_python, run_shell

BLOCKS = blocks_of(ROOT / "README.md")
DEVICES = ROOT / "docs" / "guide" / "devices.md"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the README's user is, after its first command."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "examples").symlink_to(ROOT / "examples")
    return folder


@pytest.mark.slow
def test_the_readmes_blocks_run_in_order_and_print_what_they_say(folder):
    ran = []
    names = {"__name__": "readme"}  # of one session of Python, as its reader has it
    for block in BLOCKS:
        if block.mark == "first":
            run_shell("\n".join(block.code.splitlines()[1:]), folder)
        elif block.language == "python" and block.mark is None:
            run_python(block.code, folder, names)
        elif block.language == "sh" and block.mark is None:
            run_shell(block.code, folder)
        ran.append(block.language)
    assert ran.count("python") >= 2 and ran.count("sh") >= 3
    assert (folder / "vectors.h5").is_file() and (folder / "published").is_dir()


def test_the_installing_blocks_are_the_ones_that_ci_runs():
    marks = [block.mark for block in BLOCKS if block.mark]
    assert marks == ["first", "tests"]
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    assert "block first" in script and "block tests" in script
    for block in BLOCKS:
        installs = "pip install" in block.code
        assert installs == (block.mark in ("first", "tests"))


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed")
def test_the_block_on_ray_writes_a_vector_beside_each_text(tmp_path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.table({"text": ["The bank .", "Hi"]}), tmp_path / "texts.parquet")
    code = next(block.code for block in blocks_of(DEVICES) if block.mark == "ray")
    environment = {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(ROOT)}
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, **environment},
        check=True,
        timeout=600,
    )
    rows = parquet.read_table(tmp_path / "vectors").to_pylist()
    assert {row["text"]: len(row["vector"]) for row in rows} == {"The bank .": 256, "Hi": 256}


def test_the_tree_in_contributing_names_every_room_of_the_package():
    tree = next(b.code for b in blocks_of(ROOT / "CONTRIBUTING.md") if b.language == "text")
    listed = set(re.findall(r"(\w+\.py|\w+/)(?=  )", tree))
    package = ROOT / "elmo_jax"
    there = {path.name for path in package.glob("*.py")} | {
        f"{path.name}/" for path in package.iterdir() if path.is_dir() and path.name[0] != "_"
    }
    assert there - listed <= {"__init__.py"}
    assert all((package / name).exists() or (ROOT / name).exists() for name in listed)


def test_the_readme_stays_short_and_its_links_lead_somewhere():
    text = (ROOT / "README.md").read_text("utf-8")
    assert 120 <= len(text.splitlines()) <= 180
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (ROOT / target).is_file(), f"the README leads to {target}"
