"""What is around every command: printing, warnings, interrupts and exit codes."""

import contextlib
import importlib
import io
import json
import logging
import math
import os
import signal
import sys
import time
import types
import warnings
from pathlib import Path

import pytest

import elmo_jax
from elmo_jax import UnknownWordsWarning
from elmo_jax.cli import main, run_command

WORD = "日本語"


def command(run, text=lambda summary: WORD):
    return types.SimpleNamespace(add_arguments=lambda parser: None, run=run, text=text)


def call(run, *arguments):
    return run_command("prog", "A command.", command(run), arguments)


def stream(raw, encoding="utf-8"):
    return io.TextIOWrapper(raw, encoding=encoding, errors="strict")


@pytest.fixture
def broken_pipe():
    """A pipe that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    with contextlib.suppress(BrokenPipeError), os.fdopen(writer, "wb") as raw:
        yield stream(raw)


@pytest.fixture
def full_disk():
    path = Path("/dev/full")
    if not path.exists():
        pytest.skip("of Linux")
    with contextlib.suppress(OSError), path.open("wb") as raw:
        yield stream(raw)


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "latin-1"])
@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_characters_that_an_encoding_lacks_are_printed_as_escapes(monkeypatch, encoding, name):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, name, stream(raw, encoding))

    def run(args):
        if name == "stderr":
            raise elmo_jax.ElmoError(WORD)

    assert call(run) == int(name == "stderr")
    assert rb"\u65e5\u672c\u8a9e" in raw.getvalue()
    assert getattr(sys, name).errors == "strict", "it is as before"


def test_a_lone_surrogate_can_be_printed(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", stream(raw))
    module = command(lambda args: {}, lambda summary: "a\ud800")
    assert run_command("prog", "", module, []) == 0
    assert raw.getvalue() == b"a\\ud800\n"


@pytest.mark.parametrize("arguments", [[], ["--json"], ["--help"]])
def test_a_reader_that_has_gone_away_is_not_an_error(monkeypatch, capsys, broken_pipe, arguments):
    monkeypatch.setattr(sys, "stdout", broken_pipe)
    assert call(lambda args: {}, *arguments) == 141
    assert capsys.readouterr().err == ""
    broken_pipe.close()  # what it still held is gone, without another error


def test_a_reader_of_stderr_that_has_gone_away_breaks_no_run(monkeypatch, capsys, broken_pipe):
    monkeypatch.setattr(sys, "stderr", broken_pipe)

    def run(args):
        warnings.warn("something", UnknownWordsWarning, stacklevel=1)

    assert call(run) == 0
    assert capsys.readouterr().out == WORD + "\n"


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_a_full_disk_under_stdout_is_an_error(monkeypatch, capsys, full_disk, arguments):
    monkeypatch.setattr(sys, "stdout", full_disk)
    assert call(lambda args: {}, *arguments) == 1
    message = "prog: error: cannot write to standard output: No space left on device\n"
    assert capsys.readouterr().err == message
    full_disk.close()  # what it still held is gone, without another error


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["info", "--help"]])
def test_a_help_that_an_unbuffered_stdout_cannot_take_is_an_error(
    monkeypatch, capsys, full_disk, arguments
):
    with Path("/dev/full").open("wb", buffering=0) as raw:
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, write_through=True))
        assert main(arguments) == 1
    assert capsys.readouterr().err.startswith("elmo-jax: error: cannot write to standard output")


def test_a_full_disk_under_stderr_breaks_no_run(monkeypatch, full_disk):
    monkeypatch.setattr(sys, "stderr", full_disk)
    assert call(lambda args: {}) == 0
    assert call(lambda args: 1 / 0) == 1


def test_numbers_that_json_lacks_are_printed_as_null(capsys):
    summary = {"perplexity": math.inf, "layers": [{"loss": math.nan}, (1.5, -math.inf)]}
    assert call(lambda args: summary, "--json") == 0
    expected = {"perplexity": None, "layers": [{"loss": None}, [1.5, None]]}
    assert capsys.readouterr().out == json.dumps(expected) + "\n"


def test_a_closed_stdout_is_an_error(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", None)  # as Python has it where the shell closed it
    assert call(lambda args: {}) == 1
    assert capsys.readouterr().err.endswith("cannot write to standard output: it is closed\n")


def test_what_cannot_go_to_stderr_does_not_go_to_stdout(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", None)
    assert call(lambda args: 1 / 0) == 1
    assert capsys.readouterr().out == ""


# Ctrl-C


def interrupted(*_, **__):
    raise KeyboardInterrupt


def masked(*_, **__):
    """What an import may make of it."""
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        raise ImportError("numpy.core.multiarray failed to import") from None


def dropped(*_, **__):
    """As in a callback of the garbage collector."""
    sys.unraisablehook(types.SimpleNamespace(exc_value=KeyboardInterrupt()))
    for _ in range(6000):  # it comes again at once
        time.sleep(0.01)


def pressed(*_, **__):
    signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("how", [interrupted, masked, dropped, pressed])
def test_an_interrupted_command_says_so(capsys, how):
    assert call(how) == 130
    assert capsys.readouterr() == ("", "prog: interrupted\n")


@pytest.mark.parametrize("how", [interrupted, masked])
def test_an_interrupt_while_a_command_is_imported_says_so(monkeypatch, capsys, how):
    monkeypatch.setattr(importlib, "import_module", how)
    assert main(["info"]) == 130
    assert capsys.readouterr() == ("", "elmo-jax: interrupted\n")


def test_an_interrupt_inside_an_import_ends_the_process_at_once(tmp_path, monkeypatch, capsys):
    """Some extension modules abort it otherwise, with a page of C++."""
    (tmp_path / "interrupted_module.py").write_text(
        "import signal\nsignal.raise_signal(signal.SIGINT)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    exits = exits_at_once(monkeypatch, capsys)
    call(lambda args: importlib.import_module("interrupted_module"))
    assert exits == [(130, "prog: interrupted\n")]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def exits_at_once(monkeypatch, capsys):
    """A list of the calls of os._exit, each with what was printed before."""
    exits = []

    def leave(code):
        exits.append((code, capsys.readouterr().err))
        raise SystemExit(code)

    monkeypatch.setattr(os, "_exit", leave)
    return exits


def test_an_interrupt_while_printing_says_so(capsys):
    module = command(lambda args: {}, interrupted)
    assert run_command("prog", "", module, []) == 130
    assert capsys.readouterr() == ("", "prog: interrupted\n")


# Other signals

posix = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
ENDS = [("SIGTERM", 143, "terminated"), ("SIGHUP", 129, "hung up"), ("SIGINT", 130, "interrupted")]


@posix
@pytest.mark.usefixtures("heeds_signals")
@pytest.mark.parametrize(("name", "exit_code", "ending"), ENDS)
@pytest.mark.parametrize("how", ["at once", "in a callback", "while it is imported"])
def test_a_signal_unwinds_the_command(capsys, name, exit_code, ending, how):
    unwound = []
    number = signal.Signals[name]

    class Dying:
        def __del__(self):
            signal.raise_signal(number)

    def run(args):
        try:
            if how == "at once":
                signal.raise_signal(number)
            elif how == "in a callback":
                Dying()
            else:
                try:
                    signal.raise_signal(number)
                except KeyboardInterrupt:
                    raise ImportError("failed to import") from None
            for _ in range(6000):
                time.sleep(0.01)
        finally:
            unwound.append(True)

    before = signal.getsignal(number)
    assert call(run) == exit_code
    assert capsys.readouterr() == ("", f"prog: {ending}\n")
    assert unwound == [True]
    assert signal.getsignal(number) is before


@posix
@pytest.mark.parametrize("second", ["SIGTERM", "SIGINT"])
def test_a_second_signal_ends_the_process_at_once(monkeypatch, capsys, second):
    exits = exits_at_once(monkeypatch, capsys)

    def run(args):
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.Signals[second])

    call(run)
    assert exits == [(143, "prog: terminated\n")]


@posix
@pytest.mark.parametrize("handler", [signal.SIG_IGN, lambda *_: None])
def test_a_signal_that_is_handled_or_ignored_already_stays_so(handler):
    before = signal.signal(signal.SIGTERM, handler)
    try:
        assert call(lambda args: signal.raise_signal(signal.SIGTERM) or {}) == 0
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, before)


@posix
def test_a_program_in_the_background_of_a_script_is_terminated_in_order(capsys):
    """The shell has it ignore Ctrl-C, which is for the script."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert call(lambda args: signal.raise_signal(signal.SIGTERM)) == 143
        assert call(lambda args: signal.raise_signal(signal.SIGINT)) == 0
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err == "prog: terminated\n"


@posix
def test_a_process_with_a_handler_for_interrupts_keeps_its_others_too():
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        assert call(lambda args: str(signal.getsignal(signal.SIGTERM))) == 0
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGINT, before)


# Errors that are no fault of this program, and what others print about them


class Panic(BaseException):
    """As extensions in Rust raise it."""


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (MemoryError(), "there is not enough memory"),
        (MemoryError("Unable to allocate 8 GiB"), "not enough memory: Unable to allocate 8 GiB"),
        (RecursionError("maximum recursion depth exceeded"), "nested too deep to be read"),
        (OSError(28, "No space left", "a\udcff"), "No space left: 'a\\udcff'"),
        (elmo_jax.ElmoError("a\nb\udcff"), "a; b\\udcff"),
        (Panic("called `Option::unwrap()`"), "Panic: called `Option::unwrap()` (a fault"),
    ],
)
def test_an_error_is_one_line(monkeypatch, error, shown):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", stream(raw))

    def run(args):
        raise error

    assert call(run) == 1
    printed = raw.getvalue().decode()
    assert printed.startswith("prog: error: ") and printed.count("\n") == 1
    assert shown in printed


@pytest.mark.parametrize("quiet", [False, True])
def test_logs_of_libraries_are_one_line_each(monkeypatch, capsys, quiet):
    monkeypatch.setattr(logging.root, "handlers", [])

    def run(args):
        try:
            raise ValueError("inner")
        except ValueError:
            logging.getLogger("jax").warning("No GPU\nwas found.", exc_info=True)
            logging.getLogger("jax").info("not shown")
            logging.error("at the root")
        return {}

    module = command(run)
    module.add_arguments = lambda parser: parser.add_argument("--quiet", action="store_true")
    assert run_command("prog", "", module, ["--quiet"] if quiet else []) == 0
    shown = "" if quiet else "prog: warning: No GPU was found.\nprog: error: at the root\n"
    assert capsys.readouterr().err == shown
    assert logging.root.handlers == []


# Warnings


class Foreign(UserWarning):
    """Of another library."""


def warns(args):
    for _ in range(2):
        warnings.warn("Words are\n  not known.", UnknownWordsWarning, stacklevel=1)
    return {}


def test_a_warning_is_one_line_without_its_place(capsys):
    assert call(warns) == 0
    assert capsys.readouterr().err == "prog: warning: Words are not known.\n" * 2


@pytest.mark.parametrize(("quiet", "n_shown"), [(True, 1), (False, 2)])
def test_warnings_of_other_libraries_are_left_out_when_quiet(capsys, quiet, n_shown):
    def run(args):
        warnings.warn("ours", UnknownWordsWarning, stacklevel=1)
        warnings.warn("theirs", Foreign, stacklevel=1)

    module = types.SimpleNamespace(
        add_arguments=lambda parser: parser.add_argument("--quiet", action="store_true"),
        run=run,
        text=lambda summary: "",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert run_command("prog", "", module, ["--quiet"] if quiet else []) == 0
    shown = ["prog: warning: ours", "prog: warning: theirs"][:n_shown]
    assert capsys.readouterr().err.splitlines() == shown
