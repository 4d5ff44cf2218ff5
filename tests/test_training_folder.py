"""The folder of a run in bad company: damaged records, other processes, links, full disks."""

import concurrent.futures
import contextlib
import errno
import json
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from checkpoint_files import files_of, message_of
from commands import failing
from damage import damaged, flipped
from fake_training import WORDS, make_inputs, model_of, train_cheaply
from tally import Tally, attempts

import elmo_jax
from elmo_jax import ElmoError, ElmoWarning
from elmo_jax.training import Vocabulary, plotting
from elmo_jax.training.checkpoints import steps_in
from elmo_jax.training.reporting import read_metrics
from elmo_jax.training.run_folder import RunFolder
from elmo_jax.training.run_lock import only_process_in
from elmo_jax.training.sealed_json import hash_of


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a text, a model to start from, and runs of 4 and 6 steps."""
    folder = tmp_path_factory.mktemp("trained")
    make_inputs(folder)
    train_cheaply(folder, "run", n_steps=4)
    train_cheaply(folder, "whole", n_steps=4)
    train_cheaply(folder, "whole", n_steps=6)
    return folder


@pytest.fixture
def inputs(trained, tmp_path):
    """A copy of that folder."""
    return shutil.copytree(trained, tmp_path / "copy")


# Records that were damaged or edited


def attack(folder, n_copies, seed=0):
    """Damage run.json and summary.json, and compare what a run takes from them."""
    run = RunFolder(folder / "run")
    expected = run.read_record(), run.finished_summary(4)
    with Tally("damage to run.json or summary.json of a training run") as tally:
        for name in ("run.json", "summary.json"):
            path = run.path / name
            whole = path.read_bytes()
            for what, content in damaged(whole, n_copies, seed):
                path.write_bytes(content)
                try:
                    same = (run.read_record(), run.finished_summary(4)) == expected
                except ElmoError as error:
                    is_told = str(path) in str(error) and "\n" not in str(error)
                    (tally.refused if is_told else lambda e=error: tally.wrong(str(e)))()
                else:
                    (tally.right if same else lambda w=what: tally.wrong(w))()
            path.write_bytes(whole)


def test_a_damaged_record_is_refused(inputs):
    attack(inputs, 150)


@pytest.mark.slow
def test_a_damaged_record_is_refused_however_it_is_damaged(inputs):
    attack(inputs, attempts(5000), seed=1)


DEEP = "[" * 100_000 + "]" * 100_000
NOT_OBJECTS = [
    "",
    "x",
    "[]",
    "5",
    "null",
    '"x"',
    "\udcff",
    DEEP,
    f'{{"a": {DEEP}}}',
    "9" * 5000,
    "{",
]


def test_records_that_are_not_even_json_are_refused_in_one_line(inputs):
    with Tally("a record of a training run that is no JSON object") as tally:
        for name, remedy in (("run.json", "start another run"), ("summary.json", "Remove it")):
            path = inputs / "run" / name
            whole = path.read_bytes()
            for text in NOT_OBJECTS:
                path.write_bytes(text.encode("utf-8", "surrogateescape"))
                message = message_of(train_cheaply, inputs, n_steps=6)
                assert message.startswith(str(path)) and "\n" not in message
                assert remedy in message
                tally.refused()
            path.write_bytes(whole)
    for name in ("run.json", "summary.json"):
        (inputs / "run" / name).unlink()
        (inputs / "run" / name).mkdir()
        assert "Is a directory" in message_of(train_cheaply, inputs, n_steps=6)
        (inputs / "run" / name).rmdir()
        shutil.copy(inputs / "whole" / name, inputs / "run")


WRONG = [None, 5, -1, 2**70, "x", True, [], {}, [5], {"a": 1}, 1e300, [[]], [{"name": 5}]]


def test_a_sealed_record_of_wrong_types_is_refused(inputs):
    """Somebody may write a right hash over anything."""
    with Tally("a record of a training run sealed over wrong types") as tally:
        for name in ("run.json", "summary.json"):
            path = inputs / "run" / name
            whole = path.read_bytes()
            record = json.loads(whole)
            del record["sha256"]
            cases = [(key, value) for key in record for value in WRONG if value != record[key]]
            for key, value in [*cases, *((key, "missing") for key in record)]:
                changed = {**record, key: value}
                if value == "missing":
                    del changed[key]
                path.write_text(json.dumps({**changed, "sha256": hash_of(changed)}))
                try:
                    run = RunFolder(inputs / "run")
                    record_now = run.read_record()
                    run.finished_summary(4)
                    if name == "run.json":  # what is compared with the arguments of the call
                        message_of(train_cheaply, inputs, n_steps=6)
                except ElmoError as error:
                    named = str(path.parent) in str(error)
                    (tally.refused if named else lambda k=key: tally.wrong(k))()
                except Exception as error:
                    tally.wrong(f"{name} {key}={value!r:.30}: {error!r:.80}")
                else:
                    assert record_now is not None
                    tally.right()
            path.write_bytes(whole)


def test_lines_of_the_metrics_that_are_damaged_do_not_disturb_a_run(inputs):
    path = inputs / "run" / "metrics.jsonl"
    good = path.read_bytes()
    bad = [text.encode("utf-8", "surrogateescape") for text in NOT_OBJECTS]
    bad += [b'{"step": "x"}', b'{"step": -1}', b'{"step": true}', b'{"a": 1}', b"\0", b"\xff\xfe"]
    bad += [b'{"step": 1, "train_full_loss": "x", "valid_perplexity": [5]}']
    path.write_bytes(b"\n".join([*bad, good, good[:20]]))
    summary = train_cheaply(inputs, n_steps=6)
    assert model_of(inputs / "run") == model_of(inputs / "whole")
    whole = read_metrics(inputs / "whole" / "metrics.jsonl")
    lines = [line for line in read_metrics(path) if "learning_rate" in line]
    losses = [(line["step"], line["train_full_loss"]) for line in lines]
    assert losses == [(line["step"], line["train_full_loss"]) for line in whole]
    assert summary["train_full_loss"] == whole[-1]["train_full_loss"]
    plotting._draw(read_metrics(path), inputs / "loss.png")


def test_a_run_with_a_damaged_checkpoint_ends_with_the_same_model(inputs):
    path = inputs / "run" / "checkpoints" / "4" / "state.npz"
    content = path.read_bytes()
    path.write_bytes(flipped(content, len(content) // 2))
    with pytest.warns(ElmoWarning, match=r"4/state.npz has another SHA-256.*of step 2") as warned:
        summary = train_cheaply(inputs, n_steps=6)
    assert len(warned) == 1 and summary["tokens"] == 4 * 8  # steps 3 to 6
    assert model_of(inputs / "run") == model_of(inputs / "whole")


def test_a_checkpoint_of_another_run_or_vocabulary_is_not_resumed_from(inputs):
    train_cheaply(inputs, "other", n_steps=8, seed=5)
    shutil.copytree(inputs / "other/checkpoints/8", inputs / "run/checkpoints/8")
    message = message_of(train_cheaply, inputs, n_steps=9)
    assert f"{inputs / 'run/checkpoints/8'} is a checkpoint of another run" in message


def test_words_in_another_order_are_refused_when_a_model_is_evaluated(inputs, capsys):
    model, words = inputs / "run" / "model", list(WORDS.words)
    Vocabulary([*words[:-2], words[-1], words[-2]]).write(inputs / "other.txt")
    command = ["evaluate", inputs / "text.txt", "--model", model]
    error = failing(capsys, *command, "--vocabulary", inputs / "other.txt")
    assert "is not the one of this model" in error and error.count("\n") == 1
    shutil.copy(inputs / "other.txt", model / "vocab.txt")
    assert "is not the one of this model" in failing(capsys, *command)


# Order of importance


def test_a_picture_that_cannot_be_drawn_costs_only_a_warning(inputs, monkeypatch):
    def fail(*_):
        raise RuntimeError("no fonts")

    (inputs / "run" / "loss.png").mkdir(exist_ok=True)
    picture = inputs / "run" / "loss.png"
    metrics = inputs / "run" / "metrics.jsonl"
    pytest.importorskip("matplotlib")
    with pytest.warns(ElmoWarning, match=r"There is no picture of the loss, .*loss\.png"):
        plotting.plot_metrics(metrics, picture)
    monkeypatch.setattr(plotting, "_draw", fail)
    with pytest.warns(ElmoWarning, match="no fonts"):
        plotting.plot_metrics(metrics, inputs / "loss.png")


def test_metrics_that_cannot_be_written_cost_only_a_warning(inputs):
    path = inputs / "run" / "metrics.jsonl"
    path.unlink()
    path.mkdir()
    with pytest.warns(ElmoWarning, match=r"metrics\.jsonl.*Training goes on without") as warned:
        summary = train_cheaply(inputs, n_steps=6)
    assert len(warned) == 1 and summary["finished"]
    assert model_of(inputs / "run") == model_of(inputs / "whole")


@contextlib.contextmanager
def no_room_for(monkeypatch, name):
    """Opening a file of this name to write fails, as on a full disk."""
    original = os.open

    def full(path, flags, *args, **kwargs):
        if Path(os.fspath(path)).name == name and flags & os.O_APPEND:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return original(path, flags, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", full)
        yield


def test_a_disk_that_fills_up_at_a_line_of_metrics_costs_only_a_warning(inputs, monkeypatch):
    with (
        no_room_for(monkeypatch, "metrics.jsonl"),
        pytest.warns(ElmoWarning, match="No space left on device. Training goes on") as warned,
    ):
        train_cheaply(inputs, n_steps=6)
    assert len(warned) == 1
    assert model_of(inputs / "run") == model_of(inputs / "whole")


@contextlib.contextmanager
def full_at_step(step):
    """No checkpoint of this step can be written."""
    from elmo_jax.training.checkpoints import Checkpoints

    original = Checkpoints._write

    def write(self, folder, checkpoint):
        if checkpoint.step == step:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        original(self, folder, checkpoint)

    Checkpoints._write = write
    try:
        yield
    finally:
        Checkpoints._write = original


def test_a_disk_that_is_full_at_a_checkpoint_ends_in_one_line_and_the_run_resumes(inputs):
    with full_at_step(6):
        message = message_of(train_cheaply, inputs, "new", n_steps=8)
    assert message == (
        f"Cannot write the checkpoint of step 6 in {inputs / 'new' / 'checkpoints'}: No space left "
        "on device. The last whole checkpoint is that of step 4; when the cause is removed, the "
        "same command resumes."
    )
    train_cheaply(inputs, "new", n_steps=8)
    train_cheaply(inputs, "unbroken", n_steps=8)
    assert model_of(inputs / "new") == model_of(inputs / "unbroken")


def test_the_model_is_written_even_if_its_last_checkpoint_cannot_be(inputs):
    with (
        full_at_step(6),
        pytest.warns(ElmoWarning, match=r"step 6 .*No space left.*is written all the same"),
    ):
        summary = train_cheaply(inputs, n_steps=6)
    assert summary["finished"] and model_of(inputs / "run") == model_of(inputs / "whole")
    train_cheaply(inputs, n_steps=6)
    assert steps_in(inputs / "run" / "checkpoints")[-1] == 6
    assert model_of(inputs / "run") == model_of(inputs / "whole")


def test_a_run_without_a_format_is_refused_before_it_begins(inputs):
    assert "formats is ()" in message_of(train_cheaply, inputs, "new", formats=())
    assert not (inputs / "new").exists()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounts a small disk")
def test_a_full_disk_never_ends_in_more_than_one_line(inputs):
    disk = inputs / "disk"
    disk.mkdir()
    with Tally("a training run on a disk that is full") as tally:
        for size in range(4, 200, 12):
            mount = ["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(disk)]
            if subprocess.run(mount, capture_output=True).returncode:
                pytest.skip("no disk can be mounted here")
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    train_cheaply(inputs, disk / "run", n_steps=6)
                same = model_of(disk / "run") == model_of(inputs / "whole")
                (tally.right if same else lambda n=size: tally.wrong(n))()
            except ElmoError as error:
                is_told = "\n" not in str(error) and "No space left" in str(error)
                (tally.refused if is_told else lambda e=error: tally.wrong(str(e)))()
            finally:
                subprocess.run(["umount", str(disk)], check=True)
    assert tally.n_refused


# Other processes, and links


def test_a_second_process_is_refused_and_told_who_trains(inputs):
    refusals = []

    def before_step(step):
        if step == 5:
            refusals.append(message_of(train_cheaply, inputs, n_steps=6))

    train_cheaply(inputs, before_step=before_step, n_steps=6)
    (message,) = refusals
    assert f"Another process is training in {inputs / 'run'} (process {os.getpid()} on " in message
    assert model_of(inputs / "run") == model_of(inputs / "whole")
    assert not (inputs / "run" / "lock").exists()


def test_a_lock_of_a_process_that_is_gone_does_not_matter(inputs):
    (inputs / "run" / "lock").write_text("process 1 on elsewhere")
    assert train_cheaply(inputs, n_steps=6)["finished"]


def test_of_many_that_come_at_once_one_at_a_time_has_the_lock(tmp_path):
    """Its file is removed in the end, which must not let two in."""

    def enter(_):
        entered = 0
        for _ in range(300):
            with contextlib.suppress(ElmoError), only_process_in(tmp_path):
                (tmp_path / "inside").mkdir()  # fails if another one is inside
                (tmp_path / "inside").rmdir()
                entered += 1
        return entered

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(enter, range(6))) > 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
def test_planted_links_lead_no_byte_of_a_run_into_files_of_others(inputs):
    others = inputs / "others"
    others.mkdir()
    (others / "checkpoint").mkdir()
    (others / "checkpoint" / "file").write_text("x")
    names = ("metrics.jsonl", "summary.json", "loss.png", "vocab.txt", "lock", "run.json")
    for name in names:
        (others / name).write_text("x")
    before = files_of(others)
    for name in names[:4]:
        (inputs / "run" / name).unlink(missing_ok=True)
        (inputs / "run" / name).symlink_to(others / name)
    (inputs / "run" / "summary.json").unlink()
    (inputs / "run" / "vocab.txt").unlink()
    WORDS.write(inputs / "run" / "vocab.txt")
    (inputs / "run" / "checkpoints" / "5").symlink_to(others / "checkpoint")
    train_cheaply(inputs, n_steps=6)
    assert files_of(others) == before
    (inputs / "run" / "lock").symlink_to(others / "lock")
    assert "Cannot lock" in message_of(train_cheaply, inputs, n_steps=8)
    assert files_of(others) == before


def test_a_folder_with_files_of_others_is_left_alone(inputs):
    (inputs / "mine").mkdir()
    (inputs / "mine" / "vocab.txt").write_text("my words")
    before = files_of(inputs / "mine")
    assert "has files (vocab.txt) but no run.json" in message_of(train_cheaply, inputs, "mine")
    assert files_of(inputs / "mine") == before
    (inputs / "empty").mkdir()
    assert "expected one of" in message_of(train_cheaply, inputs, "empty", formats=("x",))
    (inputs / "text.txt").write_text("\n")
    assert "No sentence" in message_of(train_cheaply, inputs, "a/b/c")
    assert not (inputs / "a").exists() and (inputs / "empty").exists()


def test_files_of_others_stay_when_a_run_goes_on(inputs):
    for name in ("notes.txt", ".hidden.tmp", "checkpoints/notes.txt", "checkpoints/.mine.tmp"):
        (inputs / "run" / name).write_text("x")
    (inputs / "run" / "checkpoints" / "old").mkdir()
    train_cheaply(inputs, n_steps=9, keep_checkpoints=1)
    for name in ("notes.txt", ".hidden.tmp", "checkpoints/notes.txt", "checkpoints/.mine.tmp"):
        assert (inputs / "run" / name).read_text() == "x"
    assert (inputs / "run" / "checkpoints" / "old").is_dir()
    assert steps_in(inputs / "run" / "checkpoints") == [9]


@pytest.mark.parametrize("linked", [False, True])
def test_a_file_that_is_no_lock_is_never_written_into(tmp_path, linked):
    victim = tmp_path / "victim"
    victim.write_bytes(b"" if linked else b"my notes")
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "lock").hardlink_to(victim)
    if not linked:
        victim.unlink()
    with (
        pytest.raises(ElmoError, match="needed as a lock, but is another file"),
        only_process_in(folder),
    ):
        pass
    assert (folder / "lock").read_bytes() == (b"" if linked else b"my notes")


def test_the_folder_of_a_run_names_the_model_in_it(inputs, capsys):
    run = inputs / "run"
    said = f"{run} is the folder of a training run; its model is {run / 'model'}."
    assert message_of(elmo_jax.Elmo, run) == said
    assert failing(capsys, "info", run) == f"elmo-jax info: error: {said}\n"
    shutil.rmtree(run / "model")
    assert message_of(elmo_jax.load, run) == (
        f"{run} is the folder of a training run that is not finished: it has no model yet. Run the "
        "command that started it again, which resumes it."
    )
