"""Messages name arguments as Python does, and in a command as the command line does."""

import argparse
import ast
import dataclasses
import inspect
import re
from pathlib import Path

import pytest

import elmo_jax
from elmo_jax.cli import COMMANDS, command_module, main
from elmo_jax.cli.flag_names import FLAGS_OF_ARGUMENTS, PHRASES, with_flags
from elmo_jax.text.readers import Records
from elmo_jax.training import TrainingSettings

ROOT = Path(elmo_jax.__file__).resolve().parent

# What no command has.
ONLY_PYTHON = {
    "convert_to_numpy", "devices", "multiprocessing_context", "n_process", "output",
    "output_value", "pad_to", "return_tokens", "token_layer", "verify", "with_text",
}  # fmt: skip


def shown(part):
    """A part of an f-string as it may look."""
    if isinstance(part, ast.Constant):
        return part.value
    return "'x'" if part.conversion == ord("r") else "x"


def messages(path):
    """The texts in a module that are not documentation, with placeholders for their values."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    passed_over = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            passed_over.add(node.value)  # a docstring
        if isinstance(node, ast.JoinedStr):
            passed_over.update(node.values)
    for node in ast.walk(tree):
        if node in passed_over:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        elif isinstance(node, ast.JoinedStr):
            text = "".join(map(shown, node.values))
        else:
            continue
        if " " in text and not text.startswith("<"):  # not the markup of a page
            yield f"{path.relative_to(ROOT)}:{node.lineno}", text


MESSAGES = [pair for path in sorted(ROOT.rglob("*.py")) for pair in messages(path)]
OF_COMMANDS = [pair for pair in MESSAGES if pair[0].startswith("cli/")]
# The calls of other libraries are made in Python only.
OF_OTHERS = ("checkpoint/other_signatures", "embedder/other_names")
OF_LIBRARY = [pair for pair in MESSAGES if not pair[0].startswith(("cli/", *OF_OTHERS))]


def arguments_in(text):
    return {name for name in re.findall(r"(?<![\w'\"./-])([a-z]\w*)=(?!=)", text)}


def test_the_reader_of_messages_sees_all_kinds():
    """It is the measure of the tests below, so it is measured too."""
    texts = [text for _, text in MESSAGES]
    assert len(OF_LIBRARY) > 500 and len(OF_COMMANDS) > 50
    assert any("replace it: overwrite=True." in text for text in texts)
    assert not any("Raise ElmoError" in text for text in texts)
    assert arguments_in("choose dtype='float32', or layers= or strict=True (x == 3)") == {
        "dtype", "layers", "strict",
    }  # fmt: skip


def test_no_message_of_the_library_names_a_flag():
    # A command as a whole is one in Python, too; --array belongs to SLURM.
    rests = [(where, re.sub(r"`elmo-jax [^`]*`|--array=", "", text)) for where, text in OF_LIBRARY]
    flag = re.compile(r"(?<![\w-])--[a-z]|in a command").search
    assert [(where, text) for where, text in rests if flag(text)] == []


def test_a_command_names_every_argument_by_its_flag():
    for where, text in OF_LIBRARY:
        in_flags = re.sub(r"--option \S+=", "", with_flags(text))  # its value has a = as well
        left = arguments_in(in_flags) - ONLY_PYTHON - {"x"}
        assert not left, f"{where}: {text}\nAdd {left} to cli/flag_names.py, or to ONLY_PYTHON."


def test_no_message_of_a_command_names_an_argument_of_python():
    for where, text in OF_COMMANDS:
        if not where.startswith(("cli/flag_names", "cli/joining")):
            assert not arguments_in(text) - {"x"}, f"{where}: {text}"


@pytest.mark.parametrize(
    "function",
    [
        elmo_jax.load,
        Records.of,
        elmo_jax.corpus.embed_corpus,
        elmo_jax.corpus.merge_parts,
        elmo_jax.training.train,
        elmo_jax.training.evaluate,
        TrainingSettings,
    ],
)
def test_every_argument_with_an_underscore_is_known_by_its_flag(function):
    """Messages name them as they are: "batch_size is 0, expected …"."""
    for name in inspect.signature(function).parameters:
        if "_" in name and name not in ONLY_PYTHON:
            assert with_flags(f"{name} is 0.") == f"{FLAGS_OF_ARGUMENTS[name]} is 0."
    for field in dataclasses.fields(TrainingSettings):
        assert FLAGS_OF_ARGUMENTS.get(field.name, f"--{field.name}").startswith("--")


def test_the_flags_of_arguments_exist():
    flags = set()
    for command in COMMANDS:
        parser = argparse.ArgumentParser()
        command_module(command).add_arguments(parser)
        flags |= parser._option_string_actions.keys()
    assert set(FLAGS_OF_ARGUMENTS.values()) <= flags
    assert {flag.split()[0] for flag in PHRASES.values() if flag.startswith("--")} <= flags


@pytest.mark.parametrize(
    ("message", "in_a_command"),
    [
        ("replace it: overwrite=True.", "replace it: --overwrite."),
        ("choose dtype='float32'.", "choose --dtype float32."),
        ("options={'prefix': 'elmo_en'}.", "--option prefix=elmo_en."),
        ("options_file= and weight_file=.", "--options-file and --weight-file."),
        ("Unknown layers=-9: expected", "Unknown --layers -9: expected"),
        ("seed is -1, expected 0; n is 0, expected", "--seed is -1, expected 0; -n is 0, expected"),
        ("the seed is what it is, as expected", "the seed is what it is, as expected"),
        ("Take a smaller batch_size.", "Take a smaller --batch-size."),
        ("Unknown layers=9: expected", "Unknown --layers 9: expected"),
        ("got source='x' and weight_file='y'.", "got MODEL 'x' and --weight-file y."),
        ("open it with verify=False and save", "open it in Python with verify=False and save"),
        ("Name the shard: shard=(i, n).", "Name the shard: --shard I/N."),
        # What is not ours stays.
        ("No such file: 'overwrite=True'.", "No such file: 'overwrite=True'."),
        ("The word 'batch_size' of a/batch_size.txt", "The word 'batch_size' of a/batch_size.txt"),
        ("batch_size.txt, line 3", "batch_size.txt, line 3"),
        ("n_negative_samples_batch is 'x'", "n_negative_samples_batch is 'x'"),
    ],
)
def test_messages_in_the_words_of_the_command_line(message, in_a_command):
    assert with_flags(message) == in_a_command


# As a stranger types them

EMBED = ["embed", "text.txt", "-o", "out.h5"]


@pytest.mark.parametrize(
    ("arguments", "end"),
    [
        (["embbed"], "argument COMMAND: invalid choice: 'embbed' (*). Did you mean 'embed'?"),
        (["nonsense"], "argument COMMAND: invalid choice: 'nonsense' (*)."),
        ([*EMBED, "--layer", "all"], "unknown flag --layer. Did you mean --layers?"),
        ([*EMBED, "--layer=all"], "unknown flag --layer. Did you mean --layers?"),
        ([*EMBED, "--overwite"], "unknown flag --overwite. Did you mean --overwrite?"),
        ([*EMBED, "--batch_size", "3"], "unknown flag --batch_size. *"),
        (["embed", "text.txt", "-output", "x"], "unknown flag -output. Did you mean --output?"),
        (["embed", "a.txt", "--outptu", "x"], "unknown flag --outptu. Did you mean --output?"),
        ([*EMBED, "--zzzz"], "unknown flag --zzzz. elmo-jax embed --help lists them."),
        (["info", "mini", "small"], "unexpected after the other arguments: small"),
        (["--versoin"], "unknown flag --versoin. Did you mean --version?"),
        ([*EMBED, "--layers", "averge"], "argument --layers: * Did you mean 'average'?"),
        ([*EMBED, "--precision", "bfloat"], "(choose from float32, tf32, bfloat16). Did *"),
        ([*EMBED, "--dtype", "flaot16"], "Did you mean 'float16'?"),
        ([*EMBED, "--dtype", "float64"], "(choose from float32, float16)."),
        ([*EMBED, "--pooling", "maen"], "Did you mean 'mean'?"),
        ([*EMBED, "--input-format", "josnl"], "Did you mean 'jsonl'?"),
        (["train", "a.txt", "-o", "x", "--preset", "smal"], "Did you mean 'small'?"),
        (["convert", "x", "-o", "y", "--format", "natve"], "Did you mean 'native'?"),
    ],
)
def test_a_misspelled_name_is_answered_with_the_one_that_was_meant(arguments, end, capsys):
    with pytest.raises(SystemExit) as exit:
        main(arguments)
    last = capsys.readouterr().err.splitlines()[-1]
    pattern = re.escape(end).replace(r"\*", ".*")
    assert exit.value.code == 2 and re.search(rf"{pattern}$", last), last


def test_the_usage_in_an_error_names_only_what_is_needed(capsys):
    for arguments, lines in (
        (["embed", "a.txt"], ["elmo-jax embed -o OUT INPUT [INPUT ...]", "all flags"]),
        (["convert", "mini"], ["elmo-jax convert -o OUT [MODEL]", "all flags"]),
        ([], ["elmo-jax COMMAND ...", "the commands"]),
    ):
        with pytest.raises(SystemExit):
            main(arguments)
        usage, hint, error = capsys.readouterr().err.splitlines()
        assert usage == f"usage: {lines[0]}" and hint.endswith(f" --help lists {lines[1]}")
        assert "error: the following arguments are required: " in error


def test_a_choice_that_is_required_stands_in_the_usage(capsys):
    with pytest.raises(SystemExit):
        main(["train", "a.txt", "-o", "run"])
    shown = capsys.readouterr().err
    assert "--start-from MODEL)" in shown and "--epochs" not in shown


def test_what_follows_two_hyphens_or_has_spaces_is_no_flag(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for text in (["--", "--layer"], ["-- a dash"]):
        assert main(["embed", "-o", "out.h5", *text]) == 1
        assert "No such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--tokenizer", "wrods"], "Unknown tokenizer 'wrods': * Did you mean 'words'?"),
        (["--model", "orignal"], "* Did you mean 'original' or 'original_5p5b'?"),
        (["--column", "txet", "--input-format", "jsonl"], "* are: 'text'. Did you mean 'text'?"),
        (["--input-format", "tsv"], "* which column holds the sentences? Name it with --column. *"),
        (["--shard", "1/2", "--carry-state", "3"], "* Leave out --carry-state or --shard."),
        (["--escape-keys"], "--escape-keys is for --use-sentence-keys: *"),
        (["--merge"], "--merge is for shards: leave it out, or choose one with --shard."),
    ],
)
def test_errors_of_a_command_in_its_own_words(arguments, message, tmp_path, capsys):
    text, out = tmp_path / "text.txt", tmp_path / "out.h5"
    text.write_text('{"text": "The bank ."}\n')
    assert main(["embed", str(text), "-o", str(out), "--quiet", *arguments]) == 1
    error = capsys.readouterr().err
    pattern = re.escape(message).replace(r"\*", ".*")
    assert re.fullmatch(f"elmo-jax embed: error: {pattern}\n", error), error


def test_an_output_with_a_misspelled_suffix(tmp_path, capsys):
    (tmp_path / "a.txt").write_text("a\n")
    assert main(["embed", str(tmp_path / "a.txt"), "-o", str(tmp_path / "out.hdf")]) == 1
    assert capsys.readouterr().err.endswith(". Did you mean '.hdf5'?\n")
