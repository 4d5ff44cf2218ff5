"""Checkpoints of a training run: whole or not used, whatever happens to their files."""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import sys
import warnings

import jax
import numpy as np
import pytest
from checkpoint_files import files_of, message_of
from damage import damaged, flipped
from tally import Tally, attempts

from elmo_jax import ElmoError
from elmo_jax.training.checkpoints import Checkpoint, CheckpointNotWritten, Checkpoints, steps_in
from elmo_jax.training.reporting import Reported
from elmo_jax.training.sealed_json import hash_of
from elmo_jax.training.streams import StreamOffset, StreamPosition
from elmo_jax.training.train_step import TrainState

OWNER = {"run": "1", "vocabulary": "2"}
FILES = ("state.npz", "position.json", "checkpoint.json")


def checkpoint_of(step):
    """A small checkpoint; every number in it depends on the step."""
    rng = np.random.default_rng(step)
    arrays = {name: rng.standard_normal((5, 4), np.float32) for name in ("kernel", "bias")}
    state = TrainState(np.int32(step), arrays, ({"mu": arrays["bias"] + 1}, ()), (arrays["bias"],))
    words = [[[None, f"w{step}", "é"], ["a"]], [["b", None], []]]
    offsets = (StreamOffset(0, 1, step, 3), StreamOffset(1, 0, 0, step))
    position = StreamPosition(offsets, words)
    return Checkpoint(step, state, position, Reported(0.5, [step / 7], {"step": step}))


def checkpoints_in(folder, n_latest=3, owner=OWNER):
    return Checkpoints(folder, n_latest, owner)


def is_checkpoint_of(restored, step):
    """Whether a restored checkpoint is that of a step, bit for bit."""
    if restored is None or restored.step != step:
        return False
    expected = checkpoint_of(step)
    left, right = jax.tree.leaves(restored.state), jax.tree.leaves(expected.state)
    same = all(
        a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
        for a, b in zip(left, map(np.asarray, right), strict=True)
    )
    return same and restored[2:] == expected[2:]


def restored_from(folder, **choices):
    """What is restored, and the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        checkpoint = checkpoints_in(folder, **choices).restore(checkpoint_of(0).state)
    return checkpoint, [str(one.message) for one in caught]


@pytest.fixture
def folder(tmp_path):
    """The checkpoints of steps 4 and 8."""
    checkpoints = checkpoints_in(tmp_path / "checkpoints")
    for step in (4, 8):
        checkpoints.save(checkpoint_of(step))
    return checkpoints.folder


def test_the_latest_checkpoint_is_restored_bit_for_bit(folder):
    restored, warned = restored_from(folder)
    assert is_checkpoint_of(restored, 8) and not warned
    assert sorted(files_of(folder / "8")) == sorted(FILES)
    assert restored_from(folder / "nowhere") == (None, [])


def test_only_the_latest_checkpoints_are_kept(tmp_path):
    checkpoints = checkpoints_in(tmp_path, n_latest=2)
    for step in (1, 2, 3, 9, 10):
        checkpoints.save(checkpoint_of(step))
    assert steps_in(tmp_path) == [9, 10] == sorted(int(p.name) for p in tmp_path.iterdir())


def attack(folder, n_copies, seed=0):
    with Tally("damage to a file of a training checkpoint") as tally:
        for name in FILES:
            path = folder / "8" / name
            whole = path.read_bytes()
            for what, content in damaged(whole, n_copies, seed):
                path.write_bytes(content)
                try:
                    restored, warned = restored_from(folder)
                except ElmoError:
                    tally.wrong(f"{name}: {what}: no fall back")
                    continue
                fell_back = is_checkpoint_of(restored, 4) and len(warned) == 1
                if fell_back and str(folder / "8") in warned[0] and "of step 4" in warned[0]:
                    tally.refused()
                elif is_checkpoint_of(restored, 8) and not warned:  # a space in JSON, for instance
                    tally.right()
                else:
                    tally.wrong(f"{name}: {what}: {restored}")
            path.write_bytes(whole)


def test_a_damaged_checkpoint_is_never_used(folder):
    attack(folder, 40)


@pytest.mark.slow
def test_a_damaged_checkpoint_is_never_used_however_it_is_damaged(folder):
    attack(folder, attempts(1500), seed=1)


def test_a_missing_foreign_or_renamed_file_makes_a_checkpoint_unusable(folder):
    with Tally("a file of a training checkpoint missing, swapped or replaced") as tally:
        for change in (
            lambda path, name: (path / name).unlink(),
            lambda path, name: shutil.copy(folder / "4" / name, path / name),
            lambda path, name: ((path / name).unlink(), (path / name).mkdir()),
            lambda path, name: (path / name).write_bytes(b""),
        ):
            for name in FILES:
                shutil.copytree(folder / "8", folder / "12")
                shutil.rmtree(folder / "8")
                shutil.copytree(folder / "12", folder / "8")
                shutil.rmtree(folder / "12")
                before = files_of(folder / "8")
                change(folder / "8", name)
                restored, warned = restored_from(folder)
                good = is_checkpoint_of(restored, 4) and len(warned) == 1
                (tally.refused if good else lambda n=name: tally.wrong(n))()
                shutil.rmtree(folder / "8")
                (folder / "8").mkdir()
                for file, content in before.items():
                    (folder / "8" / file).write_bytes(content)
    shutil.copytree(folder / "4", folder / "16")  # another step's name
    restored, warned = restored_from(folder)
    assert (
        is_checkpoint_of(restored, 8) and "does not describe the checkpoint of step 16" in warned[0]
    )


def test_without_a_whole_checkpoint_nothing_is_resumed(folder):
    for step in (4, 8):
        path = folder / str(step) / "state.npz"
        path.write_bytes(flipped(path.read_bytes(), 100))
    before = files_of(folder)
    message = message_of(restored_from, folder)
    assert "No checkpoint in" in message and "8/state.npz has another SHA-256" in message
    assert "remove it to train from the start" in message and files_of(folder) == before
    (folder / "8" / "checkpoint.json").unlink()
    assert "or of an earlier version" in message_of(restored_from, folder)


def test_a_checkpoint_of_another_run_is_refused(folder):
    message = message_of(restored_from, folder, owner={**OWNER, "vocabulary": "3"})
    assert f"{folder / '8'} is a checkpoint of another run" in message


def test_a_sealed_checkpoint_with_wrong_contents_is_not_used(folder):
    """Somebody may write a right hash over anything."""
    path = folder / "8"
    position = (path / "position.json").read_text()
    record = json.loads((path / "checkpoint.json").read_text())
    deep = "[" * 100_000 + "]" * 100_000
    wrong = [
        ("position.json", text)
        for text in (
            "[]", "{}", deep, "\udcff", '{"places": [[0, 0, 0, 0]], "rows": []}',
            position.replace("[0, 1, 8, 3]", "[0, 1, 8]"), position.replace('"w8"', "5"),
            position.replace("[0, 1, 8, 3]", "[0, 1, 8, -3]"),
            position.replace("[0, 1, 8, 3]", '[0, 1, 8, "3"]'),
            position.replace("[0, 1, 8, 3]", f"[0, 1, {10**30}, 3]"), '{"places": 5, "rows": 5}',
        )
    ]  # fmt: skip
    assert all(text != position for _, text in wrong)
    reported = [None, [], {}, {"loss": "x", "losses": [], "validation": {}}]
    reported += [{"loss": None, "losses": 5, "validation": {}}]
    reported += [{"loss": None, "losses": [], "validation": 5}]
    with Tally("a training checkpoint sealed over wrong contents") as tally:
        for changed, text in [*wrong, *(("checkpoint.json", value) for value in reported)]:
            now = json.loads(json.dumps(record))
            if changed == "position.json":
                (path / changed).write_bytes(text.encode("utf-8", "surrogateescape"))
                digest = hashlib.sha256((path / changed).read_bytes()).hexdigest()
                now["files"][changed] = digest
            else:
                now["reported"] = text
            del now["sha256"]
            now["sha256"] = hash_of(now)
            (path / "checkpoint.json").write_text(json.dumps(now))
            restored, warned = restored_from(folder)
            good = is_checkpoint_of(restored, 4) and len(warned) == 1
            (tally.refused if good else lambda t=text: tally.wrong(f"{t!r:.60}"))()
            (path / "position.json").write_text(position)


# Writing


@contextlib.contextmanager
def file_limit(n_bytes):
    """No file may grow beyond ``n_bytes``, as on a disk that is full."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_write_that_fails_leaves_the_earlier_checkpoints(folder):
    checkpoints = checkpoints_in(folder)
    assert checkpoints.restore(checkpoint_of(0).state).step == 8
    before = files_of(folder)
    with Tally("no room for a training checkpoint") as tally:
        for limit in (0, 1, 30, 100, 500, 1000, 1500):
            with file_limit(limit):
                message = message_of(checkpoints.save, checkpoint_of(12))
            assert message == (
                f"Cannot write the checkpoint of step 12 in {folder}: File too large. The last "
                "whole checkpoint is that of step 8; when the cause is removed, the same command "
                "resumes."
            )
            same = files_of(folder) == before
            (tally.refused if same else lambda n=limit: tally.wrong(n))()
    checkpoints.save(checkpoint_of(12))
    assert is_checkpoint_of(restored_from(folder)[0], 12)


OPERATIONS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.listdir", "os.scandir"}


class FailingOperations:
    """Raises an OSError in place of one file operation below a folder."""

    def __init__(self, folder):
        self.folder, self.left, self.number = str(folder), None, errno.ENOSPC
        sys.addaudithook(self)

    def __call__(self, event, arguments):
        if self.left is None or event not in OPERATIONS or self.folder not in str(arguments[0]):
            return
        self.left -= 1
        if self.left == -1:
            raise OSError(self.number, os.strerror(self.number))

    @contextlib.contextmanager
    def at(self, n, number):
        self.left, self.number = n, number
        try:
            yield
        finally:
            self.left = None


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EMFILE, errno.EROFS])
def test_an_error_of_any_file_operation_ends_in_one_line(tmp_path, number):
    failing = FailingOperations(tmp_path)
    with Tally("an error of the disk while a training checkpoint is written") as tally:
        for n in range(1000):
            folder = tmp_path / str(n)
            checkpoints = checkpoints_in(folder, n_latest=1)
            checkpoints.save(checkpoint_of(4))
            failed = None
            with failing.at(n, number):
                try:
                    checkpoints.save(checkpoint_of(8))
                except CheckpointNotWritten as error:
                    failed = str(error)
                is_done = failing.left >= 0
            if failed is not None:
                assert os.strerror(number) in failed and "\n" not in failed
            restored, warned = restored_from(folder)
            wanted = (4, 8) if failed else (8,)
            if warned or not any(is_checkpoint_of(restored, step) for step in wanted):
                tally.wrong(n)
            else:
                (tally.refused if failed else tally.right)()
            if is_done:
                break
    assert tally.n_refused > 5


def test_links_are_neither_followed_nor_removed(folder, tmp_path):
    others = tmp_path / "others"
    others.mkdir()
    (others / "file").write_text("x")
    for name in ("2", "12"):
        (folder / name).symlink_to(others, target_is_directory=True)
    checkpoints = checkpoints_in(folder, n_latest=1)
    assert checkpoints.restore(checkpoint_of(0).state).step == 8
    with pytest.raises(CheckpointNotWritten, match="12 is a link"):
        checkpoints.save(checkpoint_of(12))
    checkpoints.save(checkpoint_of(16))
    assert (others / "file").read_text() == "x" and steps_in(folder) == [16]
    assert (folder / "2").is_symlink() and (folder / "12").is_symlink()


def test_an_interrupt_at_any_file_operation_leaves_a_whole_checkpoint(tmp_path):
    failing = FailingOperations(tmp_path)
    with Tally("Ctrl-C while a training checkpoint is written") as tally:
        for n in range(1000):
            folder = tmp_path / str(n)
            checkpoints = checkpoints_in(folder, n_latest=1)
            checkpoints.save(checkpoint_of(4))
            with failing.at(n, errno.EINTR), contextlib.suppress(KeyboardInterrupt):
                with interrupts_for_errors():
                    checkpoints.save(checkpoint_of(8))
                break
            restored, warned = restored_from(folder)
            whole = any(is_checkpoint_of(restored, step) for step in (4, 8)) and not warned
            (tally.right if whole else lambda n=n: tally.wrong(n))()
    assert tally.n_right > 5


@contextlib.contextmanager
def interrupts_for_errors():
    original = FailingOperations.__call__

    def interrupt(self, event, arguments):
        try:
            original(self, event, arguments)
        except OSError:
            raise KeyboardInterrupt from None

    FailingOperations.__call__ = interrupt
    try:
        yield
    finally:
        FailingOperations.__call__ = original
