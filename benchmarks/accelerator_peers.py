"""The part of ``accelerator`` that compares: PyTorch on the same device, in turn with elmo-jax."""

from __future__ import annotations

import dataclasses
import functools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from elmo_jax import ElmoError

from . import corpus
from .accelerator_job import Job
from .accelerator_parts import BOUNDS
from .measure import Spread, assert_equal, interleave, ratios, timed
from .peers import open_peer
from .precision import compare_layers
from .systems import TOLERANCES, source

PEERS = ("torch_lstm", "allennlp")

_PEER_TOKENS, _QUICK_PEER_TOKENS = 60_000, 100
_OWN_TOKENS = 500_000
_CHECKED_TOKENS = 200
OUTPUTS = ("sentences", "layers")


@dataclasses.dataclass(frozen=True)
class Variant:
    """One way to run a peer.

    Attributes:
        label: for tables.
        peer: its name among the peers.
        precision: of its arithmetic.
        batch_sizes: sentences a batch; they are sorted by length.
    """

    label: str
    peer: str
    precision: str
    batch_sizes: tuple[int, ...]


VARIANTS = (
    Variant("PyTorch nn.LSTM, bfloat16", "torch_lstm", "bfloat16", (256, 1024)),
    Variant("PyTorch nn.LSTM, TF32", "torch_lstm", "tf32", (256, 1024)),
    Variant("AllenNLP, float32", "allennlp", "float32", (64, 256)),
    Variant("AllenNLP, TF32", "allennlp", "tf32", (256, 512)),
)


def compare(job: Job) -> Iterator[list[dict[str, Any]]]:
    """Each variant in turn with elmo-jax; one that is not there, or fails, is noted and left out.

    All results come to the host, those of all layers in float16.
    """
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for variant in VARIANTS:
            if variant.peer not in job.args.peers or job.is_over:
                continue
            try:
                with open_peer(variant.peer, here=job.args.peers_here) as peer:
                    for row in _rows(job, variant, peer, Path(folder)):
                        rows.append(row)
                        yield rows
            except ElmoError as error:
                said = str(error).splitlines()
                rows.append({"peer": variant.label, "error": " ".join(said[:1] + said[-1:])})
                yield rows


def _rows(job: Job, variant: Variant, peer: Any, folder: Path) -> Iterator[dict[str, Any]]:
    settings = {"precision": variant.precision, "dtype": "float16"}
    exact = {"precision": variant.precision}
    opened = source(variant.peer, job.setup)
    versions = peer.ask("open", settings=exact, **opened)["versions"]
    difference = _check(job, variant, peer, folder)
    peer.ask("open", settings=settings, **opened)
    own = job.text if job.args.quick else corpus.even_sample(job.text, _OWN_TOKENS)
    n_tokens = job.args.peer_tokens or (_QUICK_PEER_TOKENS if job.args.quick else _PEER_TOKENS)
    for size in variant.batch_sizes:
        part = corpus.even_batches(job.text, n_tokens, size, "sorted")
        text = corpus.write_sentences(folder / "text.txt", part)
        for output in OUTPUTS:
            if job.is_over:
                return
            asked = {"sentences": text, "output": output, "batch_size": size, "order": "sorted"}
            calls: dict[str, Callable[[], float]] = {
                "own": functools.partial(_own, job, own, output),
                "peer": functools.partial(_asked, peer, asked),
            }
            for call in calls.values():
                call()  # compiles, and lets the peer choose its kernels
            seconds = interleave(calls, job.args.rounds)
            counts = {"own": corpus.count_tokens(own), "peer": corpus.count_tokens(part)}
            rates = {name: [counts[name] / s for s in seconds[name]] for name in calls}
            yield {
                "peer": f"{variant.label}, batches of {size}",
                "output": output,
                "versions": versions,
                "error_against_float32": difference,
                "tokens": counts["peer"],
                "elmo_jax_tokens": counts["own"],
                "tokens_per_second": Spread.of(rates["peer"]).json(),
                "elmo_jax_tokens_per_second": Spread.of(rates["own"]).json(),
                "elmo_jax_times_faster": ratios(rates["own"], rates["peer"]).json(),
            }


def _asked(peer: Any, asked: dict[str, Any]) -> float:
    return float(peer.ask("embed", **asked)["seconds"][0])


def _own(job: Job, text: list[corpus.Sentence], output: str) -> float:
    """Seconds of elmo-jax for the same, from an empty word table."""
    elmo = job.elmo()
    if output == "sentences":
        return timed(lambda: elmo.embed_sentences(text))
    return timed(lambda: [None for _ in elmo.stream(text, dtype="float16")])


def _check(job: Job, variant: Variant, peer: Any, folder: Path) -> float:
    """The largest relative error of a layer of the peer against elmo-jax in float32.

    Raises:
        ElmoError: if the peer computes something else. It is not timed then.
    """
    sample = corpus.even_sample(job.setup.sentences, _CHECKED_TOKENS)
    text, output = corpus.write_sentences(folder / "sample.txt", sample), folder / "vectors.npz"
    peer.ask("vectors", sentences=text, output=output)
    with np.load(output) as arrays:
        found = [arrays[str(index)] for index in range(len(arrays))]
    exact = job.elmo("float32").embed(sample)
    if variant.precision == "float32":
        assert_equal(variant.label, found, exact, TOLERANCES[variant.peer])
    worst = max(row["relative_error"] for row in compare_layers(found, exact))
    bound = BOUNDS.get(variant.precision, 1e-3)
    if not worst <= bound:
        raise ElmoError(
            f"{variant.label} does not compute the same: a layer's relative error is {worst:.2g}, "
            f"expected at most {bound}. It was not timed."
        )
    return worst
