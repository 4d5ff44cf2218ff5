"""Merging shards that are not finished: what the error says, and waiting for them."""

import os

import pytest
from fake_elmo import FakeElmo, sentences

from elmo_jax import ElmoError
from elmo_jax.cli import main
from elmo_jax.corpus import embed_corpus, merge_parts, waiting
from elmo_jax.corpus.parts import PartsFolder

RECORDS = list(sentences(40))
needs_locks = pytest.mark.skipif(os.name == "nt", reason="shards share no lock there")


def embed(out, elmo=None, **options):
    return embed_corpus(elmo or FakeElmo(), RECORDS, out, part_tokens=12, **options)


@pytest.fixture
def expected(tmp_path):
    """The bytes of a run without shards."""
    embed(tmp_path / "whole.h5")
    return (tmp_path / "whole.h5").read_bytes()


def instead_of_sleeping(monkeypatch, *actions):
    """Nothing sleeps: while it would, the next action happens. Returns those that have not."""
    left = list(actions)
    monkeypatch.setattr(waiting, "sleep", lambda _: left and left.pop(0)())
    return left


class Merging(FakeElmo):
    """While it embeds a shard, it tries to merge, and keeps the error."""

    def __init__(self, out, **options):
        super().__init__()
        self.out, self.options, self.error = out, options, ""

    def stream(self, *args, **kwargs):
        if not self.error:
            with pytest.raises(ElmoError) as raised:
                merge_parts(self.out, **self.options)
            self.error = str(raised.value)
        return super().stream(*args, **kwargs)


# Without waiting


def test_an_error_names_the_shards_of_missing_parts(tmp_path):
    out = tmp_path / "out.h5"
    embed(out, shard=(1, 3))
    with pytest.raises(ElmoError, match="of shard 2/3, 3/3, and no process is seen at work"):
        merge_parts(out)
    embed(out, shard=(1, 4))  # of 3 or of 4? Nothing says it
    with pytest.raises(ElmoError, match=r"missing: 1, 2, .*\(shard I/N makes the parts I-1"):
        merge_parts(out)


@needs_locks
def test_it_names_those_that_are_at_work(tmp_path):
    out = tmp_path / "out.h5"
    elmo = Merging(out)
    embed(out, elmo, shard=(2, 3))
    assert "of shard 1/3, 2/3, 3/3; at work now: 2/3. Wait for these" in elmo.error
    assert "run the commands of the others again" in elmo.error
    embed(out, shard=(1, 3))
    elmo = Merging(out)
    embed(out, elmo, shard=(3, 3))
    assert "of shard 3/3; at work now: 3/3. Wait for these" in elmo.error
    assert "the others" not in elmo.error


def test_looking_who_is_at_work_stops_nobody(tmp_path, monkeypatch):
    """A shard that begins just when its lock is looked at tries again."""
    out = tmp_path / "out.h5"
    embed(out, shard=(1, 2))
    tries = []

    def try_lock(descriptor, *, shared=False):
        tries.append(shared)
        return len(tries) > 2

    monkeypatch.setattr("elmo_jax.corpus.parts.try_lock", try_lock)
    embed(out, shard=(2, 2))
    assert tries == [False] * 3


# Waiting


def test_it_waits_for_shards_and_says_how_many_parts_there_are(tmp_path, expected, monkeypatch):
    out, notes = tmp_path / "out.h5", []
    left = instead_of_sleeping(
        monkeypatch, *[lambda i=i: embed(out, shard=(i, 3)) for i in (2, 1, 3)]
    )
    merge_parts(out, wait=True, note=notes.append)
    assert out.read_bytes() == expected and not left
    assert notes[0] == "waiting for the first shard"
    assert not PartsFolder.beside(out).path.exists()


@needs_locks
def test_it_waits_as_long_as_a_shard_is_at_work(tmp_path, expected, monkeypatch):
    """The lock of shard 2/2 is held for many looks while no part arrives."""
    out, notes = tmp_path / "out.h5", []
    embed(out, shard=(1, 2))
    job = PartsFolder.beside(out).job()
    held = PartsFolder.beside(out).opened(job, (2, 2))
    held.__enter__()

    def finish():
        held.__exit__(None, None, None)
        embed(out, shard=(2, 2))

    wait = [lambda: None] * (3 * waiting._LOOKS_WITHOUT_WORK)
    assert instead_of_sleeping(monkeypatch, *wait, finish) is not None
    merge_parts(out, wait=True, note=notes.append)
    assert out.read_bytes() == expected
    n_parts = len(job.parts)
    assert notes[0] == f"waiting: {-(-n_parts // 2)} of {n_parts} parts finished; " + (
        "shards at work: 2/2"
    )


def test_it_gives_up_when_a_shard_has_died(tmp_path, monkeypatch):
    out = tmp_path / "out.h5"
    embed(out, shard=(1, 2))
    n_looks = 1 + waiting._LOOKS_WITHOUT_WORK  # the first finds the parts of shard 1/2
    left = instead_of_sleeping(monkeypatch, *[lambda: None] * (n_looks + 5))
    with pytest.raises(ElmoError, match=r"^Waited .* missing: 1, .* shard 2/2, and no process is"):
        merge_parts(out, wait=True)
    assert len(left) == 5 and PartsFolder.beside(out).path.exists()
    with pytest.raises(ElmoError, match="No shard has begun"):
        merge_parts(tmp_path / "none.h5", wait=True)


def test_a_limit_counts_whatever_the_locks_show(tmp_path, expected, monkeypatch):
    out, clock = tmp_path / "out.h5", [0.0]

    def tick():
        clock[0] += 60

    monkeypatch.setattr(waiting, "monotonic", lambda: clock[0])
    embed(out, shard=(1, 2))
    left = instead_of_sleeping(monkeypatch, *[tick] * 100)
    with pytest.raises(ElmoError, match=r"^Waited 3,600 seconds\. .* shard 2/2"):
        merge_parts(out, wait=3600)
    assert len(left) == 40
    quiet = [tick] * (waiting._LOOKS_WITHOUT_WORK + 5)
    instead_of_sleeping(monkeypatch, *quiet, lambda: embed(out, shard=(2, 2)))
    merge_parts(out, wait=3600)
    assert out.read_bytes() == expected


def test_it_does_not_wait_for_what_another_process_has_merged(tmp_path, monkeypatch):
    out = tmp_path / "out.h5"
    embed(out, shard=(1, 2))

    def finish():
        embed(out, shard=(2, 2))
        merge_parts(out)

    instead_of_sleeping(monkeypatch, finish)
    with pytest.raises(ElmoError, match="exists already"):
        merge_parts(out, wait=True)


@pytest.mark.parametrize("wait", [0, -1, float("nan"), "5", None])
def test_a_wait_that_is_no_time_is_refused(tmp_path, wait):
    with pytest.raises(ElmoError, match=r"wait is .* or True"):
        merge_parts(tmp_path / "out.h5", wait=wait)


def test_the_command_waits_too(tmp_path, expected, monkeypatch, capsys):
    out = tmp_path / "out.h5"
    embed(out, shard=(1, 2))
    instead_of_sleeping(monkeypatch, lambda: embed(out, shard=(2, 2)))
    assert main(["merge", str(out), "--wait", "60"]) == 0
    assert out.read_bytes() == expected
    assert "parts finished; shards at work: none is seen" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["merge", "--wait", str(out)])
    assert "if it is SHARD, put it before --wait" in capsys.readouterr().err


# The last shard merges


@pytest.mark.parametrize("overwrite", [False, True])
def test_the_last_shard_to_finish_merges(tmp_path, expected, overwrite):
    out = tmp_path / "out.h5"
    if overwrite:
        out.write_bytes(b"old")
    for i, is_finished in ((3, False), (1, False), (2, True)):
        summary = embed(out, shard=(i, 3), merge=True, overwrite=overwrite)
        assert summary["finished"] == is_finished
    assert out.read_bytes() == expected and summary["bytes"] == len(expected)
    assert not PartsFolder.beside(out).path.exists()


@needs_locks
def test_a_shard_leaves_the_merge_to_one_that_still_ends(tmp_path, expected):
    out = tmp_path / "out.h5"
    embed(out, shard=(1, 2))
    with PartsFolder.beside(out).locked(shared=True):  # the other has made its last part
        assert not embed(out, shard=(2, 2), merge=True)["finished"]
    assert embed(out, shard=(1, 2), merge=True)["finished"]
    assert out.read_bytes() == expected


def test_a_shard_that_comes_second_to_merge_is_content(tmp_path, expected, monkeypatch):
    """Another process merges just after it has found all parts."""
    out = tmp_path / "out.h5"
    embed(out, shard=(1, 2))

    def missing_parts(folders, job):
        assert waiting.missing_parts(folders, job) == []
        merge_parts(out)
        return []

    monkeypatch.setattr("elmo_jax.corpus.merging.missing_parts", missing_parts)
    assert not embed(out, shard=(2, 2), merge=True)["finished"]
    assert out.read_bytes() == expected


def test_a_merge_that_fails_is_an_error_of_the_last_shard(tmp_path):
    out = tmp_path / "out.h5"
    embed(out, shard=(1, 2))
    part = PartsFolder.beside(out).path / "part-000000.zip"
    content = bytearray(part.read_bytes())
    content[len(content) // 3] ^= 1
    part.write_bytes(content)
    with pytest.raises(ElmoError, match=r"part-000000\.zip is damaged"):
        embed(out, shard=(2, 2), merge=True)
    assert not out.exists()


def test_only_shards_merge(tmp_path):
    with pytest.raises(ElmoError, match="merge=True is for shards"):
        embed(tmp_path / "out.h5", merge=True)
