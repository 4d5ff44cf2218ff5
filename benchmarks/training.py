"""How fast is training, against a PyTorch trainer of the same model?

The text is made up (``texts.write_made_up_text``) unless --corpus names one. elmo-jax runs
``elmo_jax.training.train``, reading, shuffling, spelling and sampling included; the peer is a
trainer as a PyTorch user could write it, ``torch.nn.LSTM`` with AdamW. Both take the same number of
steps in turn, with windows, negative samples and a vocabulary of the same sizes; the losses of both
must fall, or they would not be trainers. The first round compiles and does not count. A token
counts once, though both directions predict one. The host's share is that of the time in which
Python's own thread is busy: near 100%, a faster device would not help.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from elmo_jax import ElmoError
from elmo_jax.model.config import PRECISIONS
from elmo_jax.training import Corpus, TrainingSettings, Vocabulary, survey, train

from .calls import TRAIN_STEP, replaced
from .measure import PAUSE, compare_rates
from .models import open_model
from .peers import open_peer
from .peers.environments import TORCH_TRAINING
from .systems import add_peers, source
from .tables import markdown
from .texts import corpus_file, write_made_up_text

MODEL = "small"

OWN, PEER = "elmo-jax", "PyTorch trainer"
PEERS = ("torch_lstm",)
_DEFAULTS: dict[str, tuple[Any, Any]] = {  # usual, quick
    "batch_size": ([128, 1024], [8]),
    "tokens": (2_000_000, 4_000),
    "vocabulary_size": (100_000, 200),
    "n_negative_samples": (8192, 50),
    "n_steps": (50, 8),
    "rounds": (5, 2),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--batch-size", type=int, nargs="+", metavar="N", help="rows (default: 128 and 1024)")
    add("--unroll-steps", type=int, default=20, metavar="T", help="of a window (default: 20)")
    add("--vocabulary-size", type=int, metavar="V", help="default: 100000")
    add("--n-negative-samples", type=int, metavar="K", help="default: 8192")
    add("--precision", choices=PRECISIONS, help="default: bfloat16; on a CPU float32")
    add("--n-steps", type=int, metavar="N", help="of each round (default: 50)")
    add("--rounds", type=int, metavar="N", help="samples of each (default: 5)")
    add_peers(parser, PEERS)
    add("--peers-here", action="store_true", help="run PyTorch with this Python")


def measure(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    for name, defaults in _DEFAULTS.items():
        if getattr(args, name) is None:
            setattr(args, name, defaults[args.quick])
    if args.precision is None:
        args.precision = "float32" if jax.default_backend() == "cpu" else "bfloat16"
    model = open_model(args.model)
    with tempfile.TemporaryDirectory() as folder:
        text = corpus_file(args.corpus) if args.corpus else Path(folder) / "text.txt"
        if not args.corpus:
            write_made_up_text(text, args.tokens, args.vocabulary_size)
        words = Vocabulary.from_counts(survey(Corpus.of(text)).counts, args.vocabulary_size)
        vocabulary = Path(folder) / "vocabulary.txt"
        words.write(vocabulary)
        what: dict[str, Any] = {
            "model": model.name,
            "corpus": text.name if args.corpus else "made up",
        }
        what |= {"words": len(words), "window": args.unroll_steps, "precision": args.precision}
        what |= {"negatives": args.n_negative_samples}
        result: dict[str, Any] = {"setting": what, "batches": []}
        for n_rows in args.batch_size:
            settings = _settings(args, n_rows)
            with contextlib.ExitStack() as stack:
                peer = None
                if args.peers:
                    here = {"here": args.peers_here, "worker": TORCH_TRAINING}
                    peer = stack.enter_context(open_peer(args.peers[0], **here))
                    files = {"options": source(args.peers[0], model)["options"]}
                    _open(peer, settings, {**files, "text": text, "vocabulary": vocabulary})
                turns = Turns(peer, args.n_steps)
                stack.enter_context(replaced(TRAIN_STEP, turns.watch))
                choices: Any = {"vocabulary": vocabulary, "settings": settings}
                train(Path(folder) / f"run-{n_rows}", text, config=model.config, **choices)
            result["batches"].append(_batch(turns, settings))
            yield result


def _settings(args: argparse.Namespace, n_rows: int) -> TrainingSettings:
    n_steps = args.n_steps * (args.rounds + 1)
    return TrainingSettings(
        batch_size=n_rows,
        unroll_steps=args.unroll_steps,
        n_steps=n_steps,
        n_negative_samples=args.n_negative_samples,
        learning_rate=1e-3,
        reset_state=False,  # torch.nn.LSTM cannot start anew within a row
        precision=args.precision,
        checkpoint_every=n_steps,
    )


class Turns:
    """Lets the peer train after every ``n_steps`` steps of elmo-jax, and keeps what both report."""

    def __init__(self, peer: Any, n_steps: int) -> None:
        self.peer, self.n_steps = peer, n_steps
        self.seconds: dict[str, list[float]] = {OWN: []}
        self.losses: dict[str, list[float]] = {OWN: []}
        self.host_seconds: list[float] = []
        self._own_losses: list[jax.Array] = []
        self._start()

    def _start(self) -> None:
        self._started, self._thread_started = time.perf_counter(), time.thread_time()

    def watch(self, train_step: Any) -> Any:
        def step(*arguments: Any) -> Any:
            state, metrics = train_step(*arguments)
            self._own_losses.append(metrics.loss)
            if len(self._own_losses) == self.n_steps:
                self._let_peer_train()
            return state, metrics

        return step

    def _let_peer_train(self) -> None:
        # Reading the losses waits for the steps of elmo-jax.
        self.losses[OWN] += map(float, self._own_losses)
        self.seconds[OWN].append(time.perf_counter() - self._started)
        self.host_seconds.append(time.thread_time() - self._thread_started)
        self._own_losses = []
        if self.peer is not None:
            time.sleep(PAUSE)
            reply = self.peer.ask("train", n_steps=self.n_steps)
            self.seconds.setdefault(PEER, []).append(reply["seconds"])
            self.losses.setdefault(PEER, []).extend(reply["losses"])
            time.sleep(PAUSE)
        self._start()


def _open(peer: Any, settings: TrainingSettings, files: dict[str, Path]) -> None:
    choices = {
        "batch_size": settings.batch_size,
        "unroll_steps": settings.unroll_steps,
        "n_samples": settings.n_negative_samples,
        "precision": settings.precision,
        "learning_rate": settings.learning_rate,
        "rate": settings.dropout,
    }
    peer.ask("open", settings=choices, **files)


def _batch(turns: Turns, settings: TrainingSettings) -> dict[str, Any]:
    for name, losses in turns.losses.items():
        _check_falls(name, losses)
    n_tokens = turns.n_steps * settings.tokens_per_step
    seconds = {name: samples[1:] for name, samples in turns.seconds.items()}
    rates = compare_rates(seconds, dict.fromkeys(seconds, n_tokens))
    return {
        "rows": settings.batch_size,
        "tokens_per_step": settings.tokens_per_step,
        "host_per_cent": round(100 * sum(turns.host_seconds[1:]) / sum(seconds[OWN]), 1),
        "systems": [
            {
                "system": name,
                "first_steps_seconds": round(turns.seconds[name][0], 3),
                **row,
                "losses": _ends(turns.losses[name]),
            }
            for name, row in rates.items()
        ],
    }


def _ends(losses: list[float]) -> dict[str, float]:
    """The mean of the first tenth of the losses, and of the last."""
    n = max(1, len(losses) // 10)
    means = {"first": np.mean(losses[:n]), "last": np.mean(losses[-n:])}
    return {name: round(float(mean), 4) for name, mean in means.items()}


def _check_falls(name: str, losses: list[float]) -> None:
    ends = _ends(losses)
    if not ends["last"] < ends["first"]:  # NaN is not below anything
        raise ElmoError(
            f"{name} does not learn: its loss was {ends['first']} at first and {ends['last']} "
            f"after {len(losses)} steps. Its speed would say nothing."
        )


def table(result: dict[str, Any]) -> str:
    what = result["setting"]
    rows = (
        {
            "trainer": f"{row['system']}, {batch['rows']} rows",
            "tokens/s (p10 – p90)": row["tokens_per_second"],
            "elmo-jax is … times faster": row["elmo_jax_times_faster"],
            "loss": f"{row['losses']['first']:.2f} → {row['losses']['last']:.2f}",
        }
        for batch in result["batches"]
        for row in batch["systems"]
    )
    shares = ", ".join(
        f"{batch['host_per_cent']:.0f}% with {batch['rows']} rows"
        for batch in result["batches"]
        if "host_per_cent" in batch
    )
    return (
        f"Model {what['model']}, windows of {what['window']} steps, {what['precision']}, "
        f"{what['negatives']:,} negatives of {what['words']:,} words; text: {what['corpus']}.\n\n"
        f"{markdown(rows)}" + (f"\n\nelmo-jax's host is busy {shares}." if shares else "")
    )
