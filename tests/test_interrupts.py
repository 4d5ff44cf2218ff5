"""After Ctrl-C, a command says what resumes it, where anything does."""

import functools
import os
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest
from fake_elmo import FakeElmo, sentences
from fake_training import make_inputs, train_cheaply

from elmo_jax.cli import run_command
from elmo_jax.corpus import embed_corpus, merge_parts, pipeline

RECORDS = list(sentences(40))


def interrupt(*_, **__):
    raise KeyboardInterrupt


class Interrupted(FakeElmo):
    """Is interrupted in its n-th part."""

    def __init__(self, n):
        super().__init__()
        self.n = n

    def stream(self, *arguments, **choices):
        if self.streams == self.n:
            raise KeyboardInterrupt
        return super().stream(*arguments, **choices)


def embed(out, n=None, **choices):
    elmo = FakeElmo() if n is None else Interrupted(n)
    return embed_corpus(elmo, RECORDS, out, part_tokens=12, **choices)


def last_line(capsys, function, *arguments, **choices):
    """What a command prints in the end that does this."""
    module = types.SimpleNamespace(
        add_arguments=lambda parser: None, run=lambda args: function(*arguments, **choices)
    )
    assert run_command("prog", "A command.", module, []) == 130
    return capsys.readouterr().err.splitlines()[-1]


def test_an_embedding_with_finished_parts_is_resumed(tmp_path, capsys):
    out = tmp_path / "out.h5"
    n_parts = embed(tmp_path / "whole.h5")["parts"]
    assert last_line(capsys, embed, out, n=0) == "prog: interrupted"
    assert last_line(capsys, embed, out, n=1) == (
        f"prog: interrupted; 1 of {n_parts} parts is finished, and the same command resumes it"
    )
    assert last_line(capsys, embed, out, n=2) == (
        f"prog: interrupted; 3 of {n_parts} parts are finished, and the same command resumes it"
    )
    assert last_line(capsys, embed, out, n=2, restart=True) == (
        f"prog: interrupted; 2 of {n_parts} parts are finished, and the same command, without "
        "--restart, resumes it"
    )
    assert embed(out)["parts_found"] == 2


@pytest.mark.parametrize("choices", [{"carry_state": 1}, {"part_tokens": 10**6}])
def test_an_embedding_in_one_piece_promises_nothing(tmp_path, capsys, monkeypatch, choices):
    monkeypatch.setattr(pipeline, "_embed_part", interrupt)
    choices = {"part_tokens": 12, **choices}
    run = functools.partial(embed_corpus, FakeElmo(), RECORDS, tmp_path / "out.h5", **choices)
    assert last_line(capsys, run) == "prog: interrupted"


def test_an_interrupted_merge_has_its_parts(tmp_path, capsys, monkeypatch):
    out = tmp_path / "out.h5"
    for shard in ((1, 2), (2, 2)):
        embed(out, shard=shard)
    with monkeypatch.context() as patch:
        patch.setattr("elmo_jax.corpus.merging._merge", interrupt)
        assert last_line(capsys, merge_parts, out) == (
            "prog: interrupted; the parts are kept, and the same command joins them"
        )
    assert merge_parts(out)["finished"]


def test_training_is_resumed_from_its_checkpoints(tmp_path, capsys):
    make_inputs(tmp_path)

    def stop_at(last):
        def before_step(step):
            if step == last:
                raise KeyboardInterrupt

        return {"before_step": before_step, "n_steps": 4, "checkpoint_every": 2}

    assert last_line(capsys, train_cheaply, tmp_path, **stop_at(1)) == "prog: interrupted"
    assert last_line(capsys, train_cheaply, tmp_path, **stop_at(3)) == (
        "prog: interrupted; the same command resumes it from the checkpoint of step 2"
    )
    summary = train_cheaply(tmp_path, n_steps=4, checkpoint_every=2)
    assert summary["finished"] and summary["step"] == 4


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
def test_the_command_itself_says_it(tmp_path):
    text, out = tmp_path / "text.txt", tmp_path / "out.npz"
    text.write_text("The bank of the river .\n" * 3000)
    program = "import sys; from elmo_jax.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "embed", text, "-o", out, "--part-tokens", "100"]
    process = subprocess.Popen(
        list(map(str, command)),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
        start_new_session=True,
    )
    try:
        for _ in range(6000):
            n_parts = len(list(tmp_path.glob("out.npz.parts/part-*.zip")))
            if n_parts > 1 or process.poll() is not None:
                break
            time.sleep(0.01)
        process.send_signal(2)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert err.splitlines()[-1].startswith("elmo-jax embed: interrupted; ")
    assert err.endswith(" of 188 parts are finished, and the same command resumes it\n")
