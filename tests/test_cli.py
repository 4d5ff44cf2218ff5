"""The command line, run as a user runs it: in a process, or as main(argv)."""

import argparse
import gzip
import io
import json
import re
import subprocess
import sys

import h5py
import numpy as np
import pytest

import elmo_jax
from elmo_jax.cli import COMMANDS, command_module, main
from elmo_jax.cli.flags import FLAGS
from elmo_jax.model.bilm import init_params

TEXT = "The bank of the river .\n\n  She runs a bank / shop .  \nnaïve\nThe bank of the river .\n"
LINES = [line.strip() for line in TEXT.splitlines()]


@pytest.fixture
def folder(make_model):
    return make_model(3)[0]


@pytest.fixture
def text_file(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def embed(*arguments):
    return main(["embed", *map(str, arguments), "--quiet"])


def read(path):
    with h5py.File(path, "r") as file:
        listing = json.loads(file["sentence_to_index"][0]) if "sentence_to_index" in file else None
        return {key: file[key][()] for key in file if key != "sentence_to_index"}, listing


def test_embed_writes_what_allennlp_elmo_wrote(folder, text_file, tmp_path, capsys):
    out = tmp_path / "out.h5"
    assert embed(text_file, "-o", out, "--model", folder) == 0
    vectors, listing = read(out)
    expected = elmo_jax.Elmo(folder).embed([line.split() for line in LINES])
    assert sorted(vectors) == [str(i) for i in range(len(LINES))]
    for index, layers in enumerate(expected):
        assert vectors[str(index)].dtype == np.float32
        np.testing.assert_array_equal(vectors[str(index)], layers)
    assert listing == {LINES[1]: "1", LINES[2]: "2", LINES[3]: "3", LINES[0]: "4"}
    with h5py.File(out, "r") as file:
        assert file["sentence_to_index"].shape == (1,)
        assert h5py.check_string_dtype(file["sentence_to_index"].dtype).length is None
    assert "5 sentences (1 of them empty), " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        (["--layers", "top"], (6, 12)),
        (["--layers", "average"], (6, 12)),
        (["--layers", "0"], (6, 12)),
        (["--layers", "-1", "--dtype", "float16"], (6, 12)),
        (["--pooling", "mean"], (3, 12)),
        (["--pooling", "max", "--layers", "1"], (12,)),
    ],
)
def test_embed_keeps_what_is_asked_for(folder, text_file, tmp_path, options, shape):
    out = tmp_path / "out.h5"
    assert embed(text_file, "-o", out, "--model", folder, *options) == 0
    vectors, _ = read(out)
    assert vectors["0"].shape == shape
    assert vectors["0"].dtype == (np.float16 if "float16" in options else np.float32)


def test_embed_reads_standard_input_and_two_files(folder, tmp_path, monkeypatch, capsys):
    stdin = io.TextIOWrapper(io.BytesIO(TEXT.encode()))
    monkeypatch.setattr(sys, "stdin", stdin)
    out = tmp_path / "out.h5"
    model = ["--options-file", folder / "options.json", "--weight-file", folder / "weights.hdf5"]
    assert embed("-", "-o", out, *model, "--json", "--forget-sentences") == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["sentences"] == 5 and summary["tokens"] == 20 and summary["blank_lines"] == 1
    assert summary["bytes"] == out.stat().st_size
    assert read(out)[1] is None


def test_embed_reads_many_files_of_several_formats(folder, tmp_path, capsys):
    (tmp_path / "a.conllu").write_text("# sent_id = s1\n1\tHi" + "\t_" * 8 + "\n\n", "utf-8")
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(b"The bank .\n"))
    (tmp_path / "c.tokens").write_text('{"t": ["a", "b"]}\n', "utf-8")
    out = tmp_path / "out.npz"
    inputs = [tmp_path / "*.conllu", tmp_path / "b.txt.gz"]
    assert embed(*inputs, "-o", out, "--model", folder, "--layers", "0") == 0
    with np.load(out) as arrays:
        assert arrays["offsets"].tolist() == [0, 1, 4] and arrays["keys"].tolist() == ["s1", ""]
    pooled = ["--pooling", "mean", "--input-format", "jsonl", "--column", "t"]
    assert embed(tmp_path / "c.tokens", "-o", tmp_path / "o.npy", "--model", folder, *pooled) == 0
    assert np.load(tmp_path / "o.npy").shape == (1, 3, 12)
    capsys.readouterr()
    failing(["embed", *inputs, "-o", tmp_path / "x.npy"], capsys, "--pooling")
    failing(["embed", tmp_path / "c.tokens", "-o", "x.xlsx"], capsys, "Unknown format of x.xlsx")


def test_embed_takes_words_between_tabs_as_they_are(folder, tmp_path, capsys):
    text, out = tmp_path / "text.txt", tmp_path / "out.npz"
    text.write_text("New York\tis big\n\nYes\n", "utf-8")
    assert embed(text, "-o", out, "--model", folder, "--tokenizer", "tabs") == 0
    assert capsys.readouterr().err == ""
    words = [["New York", "is big"], [], ["Yes"]]
    with np.load(out) as arrays:
        assert arrays["offsets"].tolist() == [0, 2, 2, 3]
        with pytest.warns(elmo_jax.WhitespaceWarning):
            expected = elmo_jax.Elmo(folder).embed(words)
        vectors = np.concatenate(expected, axis=1).swapaxes(0, 1)
        np.testing.assert_array_equal(arrays["vectors"], vectors)
    text.write_text("fine\na\t\tb\n", "utf-8")
    arguments = ["embed", text, "-o", out, "--model", folder, "--tokenizer", "tabs", "--overwrite"]
    failing(arguments, capsys, "text.txt, line 2: Word 2 of the 3 between tabs is empty")


def test_embed_takes_a_column_of_conll(folder, tmp_path, capsys):
    text, out = tmp_path / "text.conll", tmp_path / "out.npz"
    text.write_text("-DOCSTART- O\n\nThe DT\nbank NN\n\nHi UH\n", "utf-8")
    arguments = [text, "-o", out, "--model", folder, "--pooling", "mean", "--overwrite"]
    for column, words in (
        ([], [["The", "bank"], ["Hi"]]),
        (["--column", 2], [["DT", "NN"], ["UH"]]),
    ):
        assert embed(*arguments, *column) == 0
        with np.load(out) as arrays:
            expected = elmo_jax.Elmo(folder).embed_sentences(words, layers="all")
            np.testing.assert_allclose(arrays["vectors"], expected, atol=1e-5)
    capsys.readouterr()
    failing(["embed", *arguments, "--column", 3], capsys, "line 3", "expected a number from 1 to 2")


def test_embed_names_datasets_by_their_sentences(folder, tmp_path, capsys):
    text, out = tmp_path / "text.txt", tmp_path / "out.h5"
    text.write_text("  The bank .\nnaïve\n", "utf-8")
    arguments = [text, "-o", out, "--model", folder, "--overwrite", "--use-sentence-keys"]
    assert embed(*arguments) == 0
    vectors, listing = read(out)
    assert sorted(vectors) == ["The bank .", "naïve"] and listing is None
    (expected,) = elmo_jax.Elmo(folder).embed([["naïve"]])
    np.testing.assert_allclose(vectors["naïve"], expected, atol=1e-5)
    assert embed(*arguments, "words", "--escape-keys") == 0
    assert sorted(read(out)[0]) == ["The\tbank\t$period$", "naïve"]
    text.write_text("The bank .\na / b\n", "utf-8")
    capsys.readouterr()
    failing(["embed", *arguments], capsys, "text.txt, line 2: the key is 'a / b'", "--escape-keys")
    text.write_text("Hi\nThe\n Hi\n", "utf-8")
    failing(["embed", *arguments], capsys, "line 3: the key 'Hi' is also that of", "line 1")


def test_no_command_writes_over_what_it_reads(folder, text_file, tmp_path, capsys):
    options, weights = folder / "options.json", folder / "weights.hdf5"
    files = ["--options-file", options, "--weight-file", weights, "--overwrite"]
    before = {path: path.read_bytes() for path in (options, weights, text_file)}
    for name in ("page.html", "link.npz"):
        (tmp_path / name).symlink_to(text_file)
    (tmp_path / "weights.npz").symlink_to(weights)
    page, link, linked = (tmp_path / name for name in ("page.html", "link.npz", "weights.npz"))
    for arguments in (
        ["embed", text_file, "-o", link, "--model", folder, "--overwrite"],
        ["embed", text_file, "-o", weights, *files],
        ["embed", text_file, "-o", weights, "--model", folder, "--overwrite"],
        ["explore", "bank", text_file, "-o", page, "--overwrite"],
        ["explore", "bank", tmp_path / "*.txt", "-o", page, "--overwrite"],
        ["explore", "bank", options, "--labels", text_file, "-o", page, "--overwrite"],
        ["similarity", "--input", text_file, "-o", page, "--overwrite"],
        ["convert", folder, "-o", folder, "--format", "hdf5", "--overwrite"],
        ["convert", *files, "-o", folder, "--format", "hdf5"],
        ["export", folder, "-o", linked, "--overwrite"],
    ):
        failing(list(map(str, arguments)), capsys, "would be lost")
    assert before == {path: path.read_bytes() for path in before}


def test_shards_are_made_and_merged_to_what_one_run_writes(folder, text_file, tmp_path, capsys):
    out, one = tmp_path / "out.h5", tmp_path / "one.h5"
    options = ["--model", folder, "--part-tokens", "7"]
    assert embed(text_file, "-o", one, *options) == 0
    for shard in ("2/2", "1/2"):
        capsys.readouterr()
        assert embed(text_file, "-o", out, *options, "--shard", shard) == 0
        assert f"shard {shard} is finished" in (out_text := capsys.readouterr().out)
        assert f"elmo-jax merge {out}" in out_text and not out.exists()
    failing(["embed", text_file, "-o", out, *options, "--layers", "0"], capsys, "--restart")
    assert main(["merge", str(out), "--json"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["parts"] == 3 and "3 parts" in shown.err
    assert out.read_bytes() == one.read_bytes()
    failing(["merge", tmp_path / "no.h5"], capsys, "There are no parts")


def test_the_estimate_is_close_to_the_size(folder, tmp_path, capsys):
    text = tmp_path / "text.txt"
    text.write_text("a few words a line .\n" * 3000, encoding="utf-8")
    out = tmp_path / "out.h5"
    assert (
        main(["embed", str(text), "-o", str(out), "--model", str(folder), "--layers", "top"]) == 0
    )
    err = capsys.readouterr().err
    estimate = float(err.split("about ")[1].split(" MB")[0]) * 1e6
    assert 0.85 < estimate / out.stat().st_size < 1.2


def failing(arguments, capsys, *parts):
    """The command fails with one line that has these parts, and no traceback."""
    assert main(list(map(str, arguments))) == 1
    shown = capsys.readouterr()
    errors = [line for line in shown.err.splitlines() if "error:" in line]
    assert len(errors) == 1 and "Traceback" not in shown.err and shown.out == ""
    for part in parts:
        assert part in errors[0]


def test_errors_are_one_line(folder, text_file, tmp_path, capsys):
    out = tmp_path / "out.h5"
    to = ["-o", out, "--quiet"]
    failing(["embed", text_file, *to, "--model", "nosuch"], capsys, "no model 'nosuch'")
    failing(["embed", tmp_path / "no", *to, "--model", folder], capsys, "No such file")
    failing(["embed", text_file, *to, "--model", folder, "--strict"], capsys, "blank lines: 2")
    failing(["embed", text_file, *to, "--model", folder, "--layers", "9"], capsys, "--layers 9:")
    failing(["embed", text_file, "-o", tmp_path / "no" / "x", "--model", folder], capsys, "folder")
    (tmp_path / "empty").write_text("")
    failing(["embed", tmp_path / "empty", *to, "--model", folder], capsys, "is empty")
    (tmp_path / "latin").write_bytes(b"fine\ncaf\xe9\n")
    failing(["embed", tmp_path / "latin", *to, "--model", folder], capsys, "line 2", "0xe9")
    (folder / "weights.hdf5").write_bytes(b"<html>")
    failing(["embed", text_file, *to, "--model", folder], capsys, "weights.hdf5", "not an HDF5")
    assert not out.exists()


def test_an_existing_output_is_kept_without_overwrite(folder, text_file, tmp_path, capsys):
    out = tmp_path / "out.h5"
    out.write_bytes(b"precious")
    arguments = ["embed", text_file, "-o", out, "--model", folder, "--quiet"]
    failing(arguments, capsys, "exists already")
    assert out.read_bytes() == b"precious"
    assert main([*map(str, arguments), "--overwrite"]) == 0
    assert "0" in read(out)[0]


def test_a_failure_in_the_middle_leaves_the_old_file_and_no_other(
    folder, text_file, tmp_path, monkeypatch, capsys
):
    def broken(self, sentences, *args, **kwargs):
        next(iter(sentences))
        yield np.zeros((3, 6, 12), np.float32)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(elmo_jax.Elmo, "stream", broken)
    out = tmp_path / "out.h5"
    out.write_bytes(b"precious")
    before = sorted(tmp_path.iterdir())
    arguments = ["embed", text_file, "-o", out, "--model", folder, "--overwrite"]
    failing(arguments, capsys, "No space left")
    assert out.read_bytes() == b"precious" and sorted(tmp_path.iterdir()) == before


def test_a_disk_that_cannot_hold_the_output_is_refused_before_the_start(
    folder, text_file, tmp_path, monkeypatch, capsys
):
    import shutil

    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    out = tmp_path / "out.h5"
    failing(["embed", text_file, "-o", out, "--model", folder], capsys, "GB free", "--dtype")
    assert not out.exists()


def test_debug_shows_where(folder, tmp_path):
    missing = tmp_path / "missing.txt"
    with pytest.raises(elmo_jax.ElmoError, match=r"missing\.txt"):
        main(["embed", str(missing), "-o", "x", "--model", str(folder), "--debug"])


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nosuch"],
        ["embed"],
        ["embed", "x"],
        ["embed", "x", "-o", "y", "--dtype", "int8"],
        ["embed", "x", "-o", "y", "--shard", "5/4"],
        ["embed", "x", "-o", "y", "--shard", "0/0"],
        ["embed", "x", "-o", "y", "--shard", "²/²"],
        ["embed", "x", "-o", "y", "--shard", "1/2\n"],
        ["embed", "x", "-o", "y", "--shard", "1/" + "9" * 5000],
        ["embed", "x", "-o", "y", "--part-tokens", "many"],
        ["merge"],
    ],
)
def test_wrong_usage_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as leaving:
        main(arguments)
    assert leaving.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize("command", list(COMMANDS))
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as leaving:
        main([command, "--help"])
    assert leaving.value.code == 0
    assert "usage: elmo-jax " + command in capsys.readouterr().out


@pytest.fixture(scope="module")
def flags_of_commands():
    """{flag: {command: its argparse action}} of all commands."""
    commands = {}
    for command in COMMANDS:
        parser = argparse.ArgumentParser(add_help=False)
        command_module(command).add_arguments(parser)
        for action in parser._actions:
            for flag in action.option_strings[-1:] or [action.metavar]:
                commands.setdefault(flag.replace("--no-", "--"), {})[command] = action
    return commands


def test_a_flag_of_several_commands_is_declared_once(flags_of_commands):
    several = {flag for flag, commands in flags_of_commands.items() if len(commands) > 1}
    assert several - FLAGS.keys() == {"INPUT", "MODEL", "WORD"}
    assert FLAGS.keys() <= flags_of_commands.keys()


def shape(action):
    return type(action), action.dest, action.metavar, action.nargs, action.const


def test_a_flag_means_the_same_in_every_command(flags_of_commands):
    for flag, commands in flags_of_commands.items():
        first, *others = commands.values()
        for action in commands.values() if flag in FLAGS else ():
            assert action.help.startswith(FLAGS[flag]["help"]), flag
            choices = set(action.choices or ())
            assert choices <= set(FLAGS[flag].get("choices", choices)), flag
        for action in others:
            assert shape(action) == shape(first), flag
            types = (getattr(each.type, "func", each.type) for each in (action, first))
            assert len({*types}) == 1, flag
    formats = flags_of_commands["--format"]
    assert {*formats["train"].choices} - {*formats["convert"].choices} == {"both"}


def test_info_describes_a_model(folder, capsys):
    assert main(["info", str(folder), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    config, _ = elmo_jax.load(folder)
    assert summary["format"] == "hdf5"
    assert summary["config"]["cell_dim"] == config.cell_dim
    assert summary["parameters"] == sum(summary["parameters_by_part"].values())
    assert summary["files"]["weights.hdf5"] == (folder / "weights.hdf5").stat().st_size
    assert main(["info", str(folder)]) == 0
    shown = capsys.readouterr().out
    assert f"{summary['parameters']:,}" in shown and "projection_dim" in shown


def test_info_gives_each_part_of_a_remark_a_row(capsys):
    assert main(["info"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"^training$\n^  reset_state +True$", shown, re.M)
    assert re.search(r"^    2$\n^      steps +3600$", shown, re.M)
    assert max(map(len, shown.splitlines()[1:])) < 100


def test_info_rounds_the_numbers_of_a_training_run(tmp_path, capsys):
    config = elmo_jax.ElmoConfig.preset("tiny")
    remarks = {"training": {"loss": 3.6880259275436402, "steps": 30799360}}
    params = init_params(config, seed=0)
    elmo_jax.save(tmp_path / "model", config, params, format="native", metadata=remarks)
    assert main(["info", str(tmp_path / "model")]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"^  loss +3.68803$\n^  steps +30799360$", shown, re.M)


def test_init_makes_a_random_model_and_embed_says_that_it_is(text_file, tmp_path, capsys):
    made = tmp_path / "random"
    assert main(["init", "-o", str(made), "--seed", "5"]) == 0
    assert "random weights, seed 5" in capsys.readouterr().out
    out = tmp_path / "out.h5"
    assert main(["embed", str(text_file), "-o", str(out), "--model", str(made)]) == 0
    assert "weights of" in (err := capsys.readouterr().err) and "are random" in err
    assert main(["init", "-o", str(made)]) == 1
    assert main(["init", "-o", str(made), "--overwrite"]) == 0
    capsys.readouterr()
    assert main(["info", str(made)]) == 0
    assert "random weights, seed 0" in capsys.readouterr().out


def test_init_takes_the_shape_of_an_options_file(folder, tmp_path):
    made = tmp_path / "new"
    options = str(folder / "options.json")
    assert main(["init", "-o", str(made), "--options-file", options]) == 0
    assert elmo_jax.load(made)[0] == elmo_jax.load(folder)[0]


def test_the_command_writes_notes_to_stderr_and_its_summary_to_stdout(folder, text_file, tmp_path):
    command = [sys.executable, "-c", "import sys; from elmo_jax.cli import main; sys.exit(main())"]
    arguments = ["embed", text_file, "-o", tmp_path / "out.h5", "--model", folder, "--json"]
    run = subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, check=True
    )
    assert json.loads(run.stdout)["sentences"] == 5
    assert "will take about" in run.stderr


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [(["--version"], 0), (["--help"], 0), (["info", "no-such-model"], 1), (["info", "--no"], 2)],
)
def test_the_package_can_be_run_as_the_command(arguments, exit_code):
    programs = (
        ["-m", "elmo_jax"],
        ["-c", "import sys; from elmo_jax.cli import main; sys.exit(main())"],
    )
    package, command = (
        subprocess.run([sys.executable, *program, *arguments], capture_output=True, text=True)
        for program in programs
    )
    said = [(run.returncode, run.stdout, run.stderr) for run in (package, command)]
    assert said[0] == said[1] and package.returncode == exit_code
    assert "elmo-jax" in package.stdout + package.stderr


def test_help_needs_no_jax():
    program = (
        "import sys; from elmo_jax.cli import main\n"
        "try: main(['embed', '--help'])\n"
        "except SystemExit: assert 'jax' not in sys.modules, 'jax was imported'"
    )
    subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["lstm=3", "lstm.cell_clip=3"], "--option lstm.cell_clip=3: lstm has a value of its own"),
        (["=3"], "expected KEY=VALUE"),
        (["lstm.cell_clip=" + "9" * 5000], "cell_clip"),
        (["lstm.cell_clip=" + "[" * 99_999], "cell_clip"),
    ],
)
def test_a_wrong_option_is_an_error_on_one_line(
    capsys, folder, text_file, tmp_path, options, problem
):
    flags = [flag for option in options for flag in ("--option", option)]
    arguments = ["embed", text_file, "-o", tmp_path / "a.npz", "--model", folder, *flags]
    failing(arguments, capsys, problem)
