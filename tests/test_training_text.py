"""The text of a run may change, break or vanish: the run notices, or ends as if nothing was."""

import dataclasses
import gzip
import json
import logging
import os
import shutil

import pytest
from checkpoint_files import message_of
from fake_training import make_inputs, model_of, text_lines, train_cheaply
from tally import Tally

from elmo_jax import ElmoError
from elmo_jax.text.readers import BrokenFile
from elmo_jax.training import Corpus, survey, text_contents
from elmo_jax.training.text_contents import TextContents

N_STEPS = 20


@pytest.fixture
def inputs(tmp_path):
    make_inputs(tmp_path)
    return tmp_path


def edited(content):
    return content.replace(b"a", b"c", 1)


def edited_at_the_end(content):
    return content[:-2] + (b"d" if content[-2:-1] != b"d" else b"a") + b"\n"


def keep_time(path, content):
    """Write other bytes and set the time of change back, as some tools do."""
    status = path.stat()
    path.write_bytes(edited(content))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def put_in_place(path, content):
    """As editors save: a new file under the old name."""
    path.with_name("new").write_bytes(edited(content))
    path.with_name("new").replace(path)


CHANGES = {
    "edited": lambda path, content: path.write_bytes(edited(content)),
    "edited at the end": lambda path, content: path.write_bytes(edited_at_the_end(content)),
    "cut": lambda path, content: path.write_bytes(content[: len(content) // 2]),
    "emptied": lambda path, content: path.write_bytes(b""),
    "made binary": lambda path, content: path.write_bytes(bytes(range(256)) * 9),
    "appended to": lambda path, content: path.write_bytes(content + b"a b c\n"),
    "replaced": put_in_place,
    "edited, with its old time": keep_time,
    "removed": lambda path, content: path.unlink(),
    "made a folder": lambda path, content: (path.unlink(), path.mkdir()),
}


def put_back(path, content):
    if path.is_dir():
        path.rmdir()
    path.write_bytes(content)


def change_during_a_run(inputs, steps, **choices):
    """Change the text before each of these steps in each way; then put it back, and resume."""
    path = inputs / "text.txt"
    content = path.read_bytes()
    train_cheaply(inputs, "whole", n_steps=N_STEPS)
    whole = model_of(inputs / "whole")
    with Tally("the text of a training run changed while it is read") as tally:
        for number, (what, change) in enumerate(CHANGES.items()):
            for step in steps:
                output = inputs / f"run-{number}-{step}"

                def before_step(n, change=change, step=step):
                    if n == step:
                        change(path, content)

                try:
                    train_cheaply(inputs, output, before_step, n_steps=N_STEPS, **choices)
                    ended = "right" if what == "removed" else "not noticed"
                except ElmoError as error:
                    ended = "refused" if str(path) in str(error) else str(error)
                put_back(path, content)
                train_cheaply(inputs, output, n_steps=N_STEPS)
                if ended in ("right", "refused") and model_of(output) == whole:
                    (tally.right if ended == "right" else tally.refused)()
                else:
                    tally.wrong(f"{what} before step {step}: {ended}")
                shutil.rmtree(output)


def test_a_text_that_changes_during_a_run_is_noticed_before_the_next_checkpoint(inputs):
    change_during_a_run(inputs, [3], strict=True)


@pytest.mark.slow
def test_a_text_that_changes_before_any_step_is_noticed(inputs):
    change_during_a_run(inputs, range(0, N_STEPS, 3))


def test_a_run_is_not_resumed_with_a_text_that_has_changed(inputs):
    path, output = inputs / "text.txt", inputs / "run"
    content = path.read_bytes()
    train_cheaply(inputs, n_steps=4)
    with Tally("the text of a training run changed before it is resumed") as tally:
        for what, change in CHANGES.items():
            change(path, content)
            try:
                train_cheaply(inputs, n_steps=6)
            except ElmoError as error:
                gone = what in ("removed", "made a folder")
                said = "text.txt has changed since the run was started"
                good = gone or (said in str(error) and "Resume it with what" in str(error))
                (tally.refused if good else lambda e=error, w=what: tally.wrong(f"{w}: {e}"))()
            else:
                tally.wrong(what)
            put_back(path, content)
    assert train_cheaply(inputs, n_steps=6)["step"] == 6
    train_cheaply(inputs, "whole", n_steps=6)
    assert model_of(output) == model_of(inputs / "whole")


def test_a_text_that_is_only_touched_or_moved_is_the_same(inputs):
    train_cheaply(inputs, n_steps=4)
    os.utime(inputs / "text.txt", (0, 0))
    (inputs / "elsewhere").mkdir()
    moved = (inputs / "text.txt").rename(inputs / "elsewhere" / "text.txt")
    assert train_cheaply(inputs, text=moved, n_steps=6)["finished"]
    message = message_of(train_cheaply, inputs, text=[moved, moved], n_steps=8)
    assert "the text files were text.txt, and now are text.txt, text.txt" in message


def test_a_run_that_is_resumed_reads_a_file_again_only_if_it_was_touched(inputs, monkeypatch):
    hashed = []
    original = text_contents._read_content
    monkeypatch.setattr(
        text_contents, "_read_content", lambda *a: (hashed.append(a[0].name), original(*a))[1]
    )
    train_cheaply(inputs, n_steps=4)
    train_cheaply(inputs, n_steps=6)
    assert hashed == []
    os.utime(inputs / "text.txt", (0, 0))
    train_cheaply(inputs, n_steps=9)
    assert hashed == ["text.txt"]


def watched(*paths, **choices):
    return dataclasses.replace(Corpus.of(paths, **choices), contents=TextContents())


def test_other_contents_are_noticed_at_the_end_of_a_file_even_if_its_times_say_nothing(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(text_contents, "_stamp", lambda path: (1, 2, 3))
    content = "".join(f"{line}\n" for line in text_lines(9000)).encode()
    paths = [tmp_path / "a.txt", tmp_path / "b.txt.gz"]
    for path in paths:
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    corpus = watched(*paths)
    survey(corpus)
    for path in paths:
        for skip in (0, 5):
            assert len(list(corpus.lines(path, skip))) == 9000 - skip
        changed = edited_at_the_end(content)
        path.write_bytes(gzip.compress(changed) if path.suffix == ".gz" else changed)
        for skip in (0, 5):
            with pytest.raises(ElmoError, match=rf"{path.name} has changed since the run"):
                list(corpus.lines(path, skip))


def test_a_text_that_is_changed_while_it_is_counted_is_refused(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("a b\n" * 10)
    lines = watched(path).lines(path)
    next(lines)
    path.write_text("a b\n" * 11)
    with pytest.raises(ElmoError, match=r"a\.txt was changed while it was read"):
        list(lines)


def test_a_held_out_text_that_changes_is_noticed(inputs):
    valid = inputs / "valid.txt"
    valid.write_text("a b c\n" * 5)

    def before_step(step):
        if step == 3:
            valid.write_text("c b a\n" * 5)

    message = message_of(
        train_cheaply, inputs, before_step=before_step, valid_files=valid, eval_every=2
    )
    assert f"{valid} has changed since the run was started (the same size" in message


def broken_gzip(path):
    """A compressed file that breaks off, and how many lines come before."""
    whole = gzip.compress("".join(f"{line}\n" for line in text_lines(5000)).encode())
    path.write_bytes(whole[: len(whole) // 2])
    return path


def test_a_run_says_which_file_it_could_not_read_to_its_end(inputs, caplog):
    path = broken_gzip(inputs / "cut.txt.gz")
    with caplog.at_level(logging.WARNING):
        summary = train_cheaply(inputs, text=[inputs / "text.txt", path], n_steps=4)
    (broken,) = summary["broken_files"]
    assert broken["file"] == str(path)
    assert broken["breaks_off"].startswith("after line ") and "bytes: " in broken["breaks_off"]
    record = json.loads((inputs / "run" / "run.json").read_text())
    assert [file["breaks_off"] for file in record["files"]] == [None, broken["breaks_off"]]
    told = json.loads((inputs / "run" / "summary.json").read_text())["broken_files"]
    assert told == [broken]
    assert broken["breaks_off"] in caplog.text
    again = train_cheaply(inputs, text=[inputs / "text.txt", path], n_steps=6)
    assert again["broken_files"] == [broken]
    with pytest.raises(ElmoError, match=r"cut\.txt\.gz breaks off after line .*Without strict"):
        train_cheaply(inputs, text=[inputs / "text.txt", path], n_steps=8, strict=True)


def test_bytes_that_are_not_utf8_are_remembered_for_a_strict_call(inputs):
    with (inputs / "text.txt").open("ab") as file:
        file.write(b"a b\xff c\n")
    train_cheaply(inputs, n_steps=4)
    with pytest.raises(ElmoError, match="has 1 line with bytes that are not UTF-8"):
        train_cheaply(inputs, n_steps=6, strict=True)


def test_a_file_that_breaks_off_only_later_is_not_a_changed_text(tmp_path, monkeypatch):
    """As on a network drive that fails for a moment."""
    path = tmp_path / "a.txt"
    path.write_text("a b c\n" * 90_000)
    corpus = watched(path)
    survey(corpus)
    original = text_contents._Hashing.readinto

    def failing(self, buffer):
        if self.n_bytes > 200_000:
            raise BrokenFile(str(path), "Input/output error", self.n_bytes)
        return original(self, buffer)

    monkeypatch.setattr(text_contents._Hashing, "readinto", failing)
    with pytest.raises(ElmoError, match=r"could be read to its end .* breaks off after line 4"):
        list(corpus.without_reports().lines(path))


def test_damaged_compressed_files_read_alike_however_they_are_read(tmp_path):
    """Their hash is that of what can be read: with and without lines to skip, or only hashed."""
    from damage import damaged

    content = "".join(f"{line}\n" for line in text_lines(9000)).encode()
    path = tmp_path / "a.txt.gz"
    with Tally("a damaged compressed text, read again") as tally:
        for what, changed in damaged(gzip.compress(content, mtime=0), 40):
            path.write_bytes(changed)
            corpus = watched(path)
            try:
                lines = list(corpus.lines(path))
            except ElmoError:
                tally.refused()
                continue
            os.utime(path, (0, 0))  # so that it is hashed again
            again = list(corpus.without_reports().lines(path, 3))
            same = [line for line in lines if line[0] > 3] == again
            (tally.right if same else lambda w=what: tally.wrong(w))()
