"""Every page under docs/ does what it shows, and leads only to what is there."""

import importlib.util
import re

import pytest
from blocks import ROOT, blocks_of, needs, run_document

DOCS = ROOT / "docs"
PAGES = {
    path.relative_to(DOCS).as_posix(): path
    for path in sorted(DOCS.rglob("*.md"))
    if "_build" not in path.parts
}
SLOW = (
    *("guide/alignment.md", "guide/classify.md", "guide/devices.md", "guide/embed.md"),
    *("guide/fine_tune.md", "guide/hosts.md", "guide/train.md"),
)
"""Pages that take more than about ten seconds."""


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=pytest.mark.slow) if page in SLOW else page
        for page, path in PAGES.items()
        if any(block.language in ("python", "sh") for block in blocks_of(path))
    ],
)
def test_a_pages_blocks_run_in_order_and_print_what_they_say(page, tmp_path):
    for module in needs(PAGES[page]):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{page} shows a use of {module}, which is not installed")
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    run_document(PAGES[page], tmp_path)


def test_what_is_not_run_says_why_and_is_little():
    left_out = [block.left_out for path in PAGES.values() for block in blocks_of(path)]
    assert len([reason for reason in left_out if reason]) <= 8


def links_of(path):
    return re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text("utf-8"))


@pytest.mark.parametrize("page", PAGES)
def test_a_pages_links_lead_to_pages_that_are_there(page):
    path = PAGES[page]
    for target in links_of(path):
        assert (path.parent / target).is_file(), f"{page} leads to {target}"


def test_links_are_seen():
    assert "guide/your_model.md" in links_of(DOCS / "coming_from.md")


def test_every_page_is_in_a_table_of_contents():
    toctrees = re.compile(r"^```\{toctree\}\n(.*?)^```$", re.S | re.M)
    listed = set()
    for path in PAGES.values():
        for toctree in toctrees.findall(path.read_text("utf-8")):
            names = [line for line in toctree.splitlines() if line and line[0] != ":"]
            listed |= {(path.parent / f"{name}.md").resolve() for name in names}
    assert set(PAGES.values()) - listed == {DOCS / "index.md"}
