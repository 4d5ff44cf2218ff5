"""How fast is an accelerator, how near to its limit, and against PyTorch on the same one?

Run from a checkout on a machine with a GPU::

    python -m benchmarks accelerator --save --peers-here
    python -m benchmarks accelerator --part steps pieces

Everything in one run, so that all numbers are of one card: its rates, the error of the precision
before anything is timed, sentence vectors and all layers of a large text from words to host memory,
how busy the device was, PyTorch peers in turn with elmo-jax, the compiled step alone by lanes and
length, in both its forms, and the kinds of work in it. The results are written after every part,
and no part begins once --budget seconds are over, so a machine that is lent for minutes is enough.

``--peers-here`` runs the peers with this Python, where PyTorch with CUDA, NumPy and h5py must be.
AllenNLP is pure Python: it runs beside any PyTorch if it, and three packages that it imports, lie
in a folder that PYTHONPATH names::

    pip install --no-deps --target FOLDER allennlp==2.10.1 base58 dill more-itertools

On a CPU, which is no accelerator, it reads a little text: that shows that it works.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import Any

import jax

import elmo_jax
from elmo_jax.model.config import PRECISIONS

from . import accelerator_parts as parts
from . import accelerator_steps as steps
from .accelerator_job import Job, repeated
from .accelerator_peers import PEERS, compare
from .accelerator_tables import table
from .arguments import setting
from .systems import check_peers

__all__ = ["HELP", "PARTS", "add_arguments", "measure", "table"]

HELP = "Throughput on a GPU, per cent of its limit, and PyTorch on the same one."

PARTS: dict[str, Callable[[Job], Iterator[Any]]] = {
    "limit": parts.limit,
    "error": parts.error,
    "sentences": parts.sentences,
    "layers": parts.layers,
    "busy": parts.busy,
    "peers": compare,
    "steps": steps.steps,
    "forms": steps.forms,
    "pieces": steps.kinds,
}
"""The parts in their order: the first are needed by others, and the dearest come last."""

_TOKENS, _CPU_TOKENS, _QUICK_TOKENS = 2_000_000, 5_000, 300


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``measure`` reads from the command line."""
    add = parser.add_argument
    add("--part", nargs="+", choices=PARTS, default=list(PARTS), help="which (default: all)")
    add("--precision", choices=PRECISIONS, default="bfloat16", help="default: bfloat16")
    add("--rounds", type=int, default=3, metavar="N", help="samples of each (default: 3)")
    add("--budget", type=float, default=480, metavar="SECONDS", help="in all (default: 480)")
    add("--peers", nargs="*", default=list(PEERS), metavar="NAME", help=f"of {', '.join(PEERS)}")
    add("--peers-here", action="store_true", help="run the peers with this Python")
    add("--peer-tokens", type=int, metavar="N", help="of the text, for a peer (default: 60000)")


def measure(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Measure part by part, as far as the time allows.

    Raises:
        ElmoError: if the precision gives something else than float32.
    """
    check_peers(args.peers, PEERS)
    setup = setting(args, _CPU_TOKENS)
    config, params = elmo_jax.load(setup.model.native)
    usual = _CPU_TOKENS if jax.default_backend() == "cpu" else _TOKENS
    n_tokens = args.tokens or (_QUICK_TOKENS if args.quick else usual)
    text, copies = repeated(setup, n_tokens)
    job = Job(args, setup, config, jax.device_put(params), text)
    found: dict[str, Any] = {
        "setting": setup.json() | {"tokens": job.n_tokens, "text_copies": copies},
        "precision": args.precision,
        "left_out": [],
    }
    for name, part in PARTS.items():
        if name not in args.part:
            continue
        if job.is_over:
            found["left_out"].append(name)
        else:
            for value in part(job):
                found[name] = value
                found["seconds"] = job.seconds
                yield found
    yield found
