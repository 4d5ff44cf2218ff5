"""How fast is training, against a PyTorch trainer of the same model, and what bounds it?

Run from a checkout::

    python -m benchmarks training
    python -m benchmarks training --batch 1024 --precision bfloat16 --peers-here

The text is made up (``synthetic.py``) unless --corpus names one. elmo-jax takes its own steps over
its own windows: read, shuffle, spell, sample, step. The peer is a trainer as a PyTorch user could
write it, ``torch.nn.LSTM`` with AdamW (``peers/workers/torch_training_worker.py``). Both take the
same number of steps in turn, with windows, negatives and vocabulary of the same sizes; the losses
of both must fall, or they would not be trainers. A token counts once, though both directions
predict one. Below it, what the host can prepare while no device computes, and what the device can
compute of one window over and over: the lower of the two bounds the whole.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from elmo_jax import ElmoError
from elmo_jax.model.config import PRECISIONS
from elmo_jax.training import Corpus, TrainingSettings, Vocabulary, survey

from .corpus import corpus_file
from .measure import Spread, interleave, ratios
from .models import open_model
from .own_training import OwnTraining
from .peers import open_peer
from .peers.catalogue import TORCH_TRAINING
from .synthetic import write_text
from .tables import markdown, number, spread

HELP = "Tokens a second of training, of elmo-jax and of a PyTorch trainer of the same model."
MODEL = "small"

OWN, PEER = "elmo-jax", "PyTorch trainer"
PEERS = ("torch_lstm",)
_USUAL = {
    "batch": [128, 1024],
    "tokens": 2_000_000,
    "words": 100_000,
    "negatives": 8192,
    "steps": 50,
    "rounds": 5,
    "learning_rate": 1e-3,
}
_QUICK = {
    "batch": [8],
    "tokens": 4_000,
    "words": 200,
    "negatives": 50,
    "steps": 8,
    "rounds": 2,
    "learning_rate": 1e-3,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``measure`` reads from the command line."""
    add = parser.add_argument
    add("--batch", type=int, nargs="+", metavar="N", help="rows (default: 128 and 1024)")
    add("--window", type=int, default=20, metavar="T", help="steps of a window (default: 20)")
    add("--words", type=int, metavar="V", help="size of the vocabulary (default: 100000)")
    add("--negatives", type=int, metavar="K", help="of the sampled softmax (default: 8192)")
    add("--precision", choices=PRECISIONS, help="default: bfloat16; on a CPU float32")
    add("--steps", type=int, metavar="N", help="of each round (default: 50)")
    add("--rounds", type=int, metavar="N", help="samples of each (default: 5)")
    add("--peers", nargs="*", default=list(PEERS), metavar="NAME", help=f"of {', '.join(PEERS)}")
    add("--peers-here", action="store_true", help="run PyTorch with this Python")


def measure(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Train with each number of rows.

    Raises:
        ElmoError: if the peer is missing, or a loss does not fall.
    """
    chosen = _choices(args)
    model = open_model(args.model)
    with tempfile.TemporaryDirectory() as folder:
        text = _text(args, Path(folder), chosen)
        vocabulary = Vocabulary.from_counts(survey(Corpus.of(text)).counts, chosen["words"])
        words = Path(folder) / "vocabulary.txt"
        vocabulary.write(words)
        found: dict[str, Any] = {
            "setting": {
                "model": model.name,
                "corpus": "made up" if args.corpus is None else text.name,
                "words": len(vocabulary),
                "window": args.window,
                "negatives": chosen["negatives"],
                "precision": chosen["precision"],
            },
            "batches": [],
        }
        for n_rows in chosen["batch"]:
            settings = TrainingSettings(
                batch_size=n_rows,
                unroll_steps=args.window,
                n_steps=chosen["steps"] * (chosen["rounds"] + 1),
                n_negative_samples=chosen["negatives"],
                learning_rate=chosen["learning_rate"],
                reset_state=False,  # torch.nn.LSTM cannot start anew within a row
                precision=chosen["precision"],
            )
            source = {"options": model.options_file, "text": text, "vocabulary": words}
            own = OwnTraining(model.config, settings, text, vocabulary)
            with _peer(args, settings, source) as peer:
                found["batches"].append(_batch(own, peer, chosen))
            yield found


def _choices(args: argparse.Namespace) -> dict[str, Any]:
    """What was asked for, or else the default."""
    defaults: dict[str, Any] = dict(_QUICK if args.quick else _USUAL)
    on_cpu = jax.default_backend() == "cpu"
    defaults["precision"] = "float32" if on_cpu else "bfloat16"
    return {name: getattr(args, name, None) or default for name, default in defaults.items()}


def _text(args: argparse.Namespace, folder: Path, chosen: dict[str, Any]) -> Path:
    if args.corpus is not None:
        return corpus_file(args.corpus)
    return write_text(folder / "text.txt", chosen["tokens"], chosen["words"])


@contextlib.contextmanager
def _peer(
    args: argparse.Namespace, settings: TrainingSettings, source: dict[str, Path]
) -> Iterator[Any]:
    """The opened trainer, or None."""
    if not args.peers:
        yield None
        return
    if unknown := sorted(set(args.peers) - set(PEERS)):
        raise ElmoError(f"Unknown peers {', '.join(unknown)}: expected {', '.join(PEERS)}.")
    with open_peer(PEERS[0], here=args.peers_here, worker=TORCH_TRAINING) as peer:
        choice = {
            "batch_size": settings.batch_size,
            "unroll_steps": settings.unroll_steps,
            "n_samples": settings.n_negative_samples,
            "precision": settings.precision,
            "learning_rate": settings.learning_rate,
            "rate": settings.dropout,
        }
        peer.ask("open", settings=choice, **source)
        yield peer


def _batch(own: OwnTraining, peer: Any, chosen: dict[str, Any]) -> dict[str, Any]:
    """Both trainers in turn; the first steps compile, and are not counted."""
    n_steps, n_tokens = chosen["steps"], chosen["steps"] * own.tokens_per_step
    losses: dict[str, list[float]] = {}

    def take(name: str) -> float:
        if name == OWN:
            seconds, new = own.run(n_steps)
        else:
            reply = peer.ask("train", n_steps=n_steps)
            seconds, new = reply["seconds"], reply["losses"]
        losses.setdefault(name, []).extend(new)
        return float(seconds)

    names = [OWN, PEER] if peer else [OWN]
    calls = {name: functools.partial(take, name) for name in names}
    first = {name: call() for name, call in calls.items()}
    seconds = interleave(calls, chosen["rounds"])
    for name, all_losses in losses.items():
        _check_falls(name, all_losses)
    rates = {name: [n_tokens / sample for sample in seconds[name]] for name in calls}
    return {
        "rows": own.tokens_per_step // own.window,
        "tokens_per_step": own.tokens_per_step,
        "systems": [
            {
                "system": name,
                "first_steps_seconds": round(first[name], 3),
                "tokens_per_second": Spread.of(rates[name]).json(),
                "elmo_jax_times_faster": ratios(rates[OWN], rates[name]).json(),
                "losses": _few(losses[name]),
            }
            for name in calls
        ],
        "host_tokens_per_second": round(n_tokens / own.host_seconds(n_steps), 1),
        "device_tokens_per_second": round(n_tokens / own.device_seconds(n_steps), 1),
    }


def _few(losses: list[float]) -> dict[str, float]:
    """The mean of the first tenth of them, and of the last."""
    n = max(1, len(losses) // 10)
    first, last = (round(float(np.mean(part)), 4) for part in (losses[:n], losses[-n:]))
    return {"first": first, "last": last}


def _check_falls(name: str, losses: list[float]) -> None:
    few = _few(losses)
    if not few["last"] < few["first"]:  # NaN is not below anything
        raise ElmoError(
            f"{name} does not learn: its loss was {few['first']} at first and {few['last']} after "
            f"{len(losses)} steps. Its speed would say nothing."
        )


def table(summary: dict[str, Any]) -> str:
    """A row for each number of rows and each trainer, and what bounds elmo-jax."""
    what = summary["setting"]
    rows = [
        [
            f"{row['system']}, {batch['rows']} rows",
            spread(row["tokens_per_second"]),
            "1" if row["system"] == OWN else spread(row["elmo_jax_times_faster"]),
            f"{row['losses']['first']:.2f} → {row['losses']['last']:.2f}",
        ]
        for batch in summary["batches"]
        for row in batch["systems"]
    ]
    bounds = [
        [
            str(batch["rows"]),
            number(batch["host_tokens_per_second"]),
            number(batch["device_tokens_per_second"]),
        ]
        for batch in summary["batches"]
    ]
    heads = ["trainer", "tokens/s (p10 – p90)", "elmo-jax is … times faster", "loss"]
    return "\n\n".join(
        [
            f"Model {what['model']}, windows of {what['window']} steps, {what['precision']}, "
            f"{what['negatives']:,} negatives of {what['words']:,} words; text: {what['corpus']}.",
            markdown(heads, rows),
            "What elmo-jax could do if the other side took no time, tokens/s:",
            markdown(["rows", "host alone", "device alone"], bounds),
        ]
    )
