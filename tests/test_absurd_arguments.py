"""Absurd values for every flag and argument of every command: an exit code, and one clear line."""

import argparse
import io
import itertools
import random
import sys
from pathlib import Path

import pytest
from tally import Tally

from elmo_jax.cli import COMMANDS, command_module, main

# Numbers, texts and paths that no command can do much with. Relative paths: the tests run in a
# folder of their own, where FOLDER and FILE are. Outputs never get a path outside it.
NUMBERS = ("-1", "0", "1" + "0" * 30, "9" * 5000, "-1e999", "nan", "inf", "1e-400", "0x10", "1_0")
TEXTS = (
    "",
    " ",
    "²",
    "٣",
    "a\0b",
    "a\nb",
    "\udcff",
    "x" * 5000,
    "=",
    "a=",
    "=1",
    "*",
    "[",
    "-",
    "%s",
)
PATHS = ("folder", "folder/", "file", "file/below", "missing/below", "..", ".")
VALUES = (*NUMBERS, *TEXTS, *PATHS)

# What each command needs: its options, then its positional arguments. Each fails early: there is no
# such model, or no such text.
MODELS = (("missing_model", "text.txt"), ("model", "missing.txt"))
NEEDS = {
    "embed": (["-oout.h5", "--model={model}"], ["{text}"]),
    "merge": ([], ["missing.h5.parts"]),
    "tokenize": (["-oout.txt", "--tokenizer=auto", "--model={model}"], ["{text}"]),
    "train": (["-oout", "--preset=tiny"], ["missing.txt"]),
    "evaluate": (["--model={model}"], ["{text}"]),
    "convert": (["-oout"], ["missing_model"]),
    "token-table": (["-oout.h5", "--model={model}"], ["{text}"]),
    "export": (["-oout.elmo"], ["missing_model"]),
    "neighbors": (["--model={model}"], ["bank", "{text}"]),
    "explore": (["-oout.html", "--model={model}"], ["bank", "{text}"]),
    "similarity": (["--model=missing_model"], ["a", "b"]),
    "vectors": (["-oout.vec", "--layers=mix", "--model={model}"], ["{text}"]),
    "anchors": (["-oout.anchors", "--model={model}"], ["{text}"]),
    "align": (["-oout.npz"], ["missing.npz", "missing.npz"]),
    "info": ([], ["missing_model"]),
    "init": (["-oout", "--preset=tiny"], []),
}


def actions(command):
    """What the command declares: flags and positional arguments."""
    parser = argparse.ArgumentParser()
    command_module(command).add_arguments(parser)
    return [action for action in parser._actions if action.dest != "help"]


def command_lines(command):
    """Argument lists of a command, each with one absurd value."""
    options, positionals = NEEDS[command]
    for model, text in MODELS if "{text}" in positionals else MODELS[:1]:
        base = [option.format(model=model) for option in options]
        rest = [positional.format(text=text) for positional in positionals]
        for action in actions(command):
            if not action.option_strings:
                continue
            flag = action.option_strings[-1]
            joined = f"{flag}=" if flag.startswith("--") else flag
            # argparse itself refuses what is not a choice, and takes a switch without a value.
            values = VALUES[:2] if action.choices or action.nargs == 0 else VALUES
            for value in values:
                yield [command, *base, f"{joined}{value}", "--", *rest]
            if action.nargs == 0:
                yield [command, *base, flag, "--", *rest]
        for i, value in itertools.product(range(len(rest)), VALUES):
            yield [command, *base, "--", *rest[:i], value, *rest[i + 1 :]]


def test_every_command_is_tried():
    assert NEEDS.keys() == COMMANDS.keys()


@pytest.fixture
def run(tmp_path, monkeypatch, make_model, capsys):
    """Runs a command in a folder of its own; gives its exit code and what stderr got."""
    make_model(3)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a file").write_text("text")
    for name in ("file", "text.txt"):
        (tmp_path / name).write_text("The bank .\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))

    def run(arguments):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"The bank .\n")))
        try:
            code = main(arguments)
        except SystemExit as left:
            code = left.code
        return code, capsys.readouterr().err

    return run


def campaign(run, lines):
    with Tally("a command with an absurd argument") as tally:
        for arguments in lines:
            try:
                code, errors = run(arguments)
            except BaseException as error:
                tally.wrong(f"{shown(arguments)}: {error!r}")
                continue
            last = errors.splitlines()[-1:] or [""]
            if code not in (0, 1, 2) or "fault of this program" in errors or "Traceback" in errors:
                tally.wrong(f"{shown(arguments)}: {code}: {last[0][:300]}")
            elif code == 0:
                tally.right()
            elif ": error: " not in last[0]:
                tally.wrong(f"{shown(arguments)}: {code}, but the last line is {last[0][:300]!r}")
            else:
                tally.refused()


def shown(arguments):
    return " ".join(argument[:40] for argument in arguments)


def test_absurd_arguments_end_in_one_clear_line(run):
    lines = [line for command in COMMANDS for line in command_lines(command)]
    campaign(run, random.Random(1).sample(lines, 250))


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_all_absurd_arguments_end_in_one_clear_line(run, command):
    campaign(run, command_lines(command))


def test_a_model_may_be_the_working_directory(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path / "model")
    assert run(["info", "."]) == run(["info", ""]) == (0, "")


def test_a_command_without_arguments_is_wrong_usage(run):
    for arguments in ([], [""], ["no-such-command"], ["embed"], ["embed", "--no-such-flag"]):
        code, errors = run(arguments)
        assert code == 2 and errors.splitlines()[-1].startswith("elmo-jax"), arguments


def test_no_command_has_written_outside_its_folder():
    assert not {"out", "out.h5", "out.html"} & {path.name for path in Path.cwd().iterdir()}
