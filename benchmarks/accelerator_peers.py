"""The part of ``accelerator`` that compares: PyTorch on the same device, in turn with elmo-jax."""

from __future__ import annotations

import dataclasses
import functools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elmo_jax import ElmoError

from .measure import Spread, assert_equal, interleave, ratios, timed
from .peers import open_peer
from .precision import BOUNDS, largest_error
from .systems import TOLERANCES, peer_vectors, source
from .texts import Sentence, count_tokens, even_batches, even_sample, write_sentences

if TYPE_CHECKING:
    from .accelerator import Job

PEERS = ("torch_lstm", "allennlp")
_PEER_TOKENS, _QUICK_PEER_TOKENS, _OWN_TOKENS, _CHECKED_TOKENS = 60_000, 100, 500_000, 200


@dataclasses.dataclass(frozen=True)
class Variant:
    """One way to run a peer, over sentences sorted by length, in batches of several sizes."""

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


def compare_with_peers(job: Job) -> Iterator[dict[str, Any]]:
    """A row for each variant, batch size and output.

    A variant that is not there, or fails, gets a row with the error. All results come to the host,
    those of all layers in float16.
    """
    for variant in VARIANTS:
        if variant.peer in job.args.peers:
            try:
                with open_peer(variant.peer, here=job.args.peers_here) as peer:
                    yield from _rows(job, variant, peer)
            except ElmoError as error:
                lines = str(error).splitlines()
                yield {"peer": variant.label, "error": " ".join(lines[:1] + lines[-1:])}


def _rows(job: Job, variant: Variant, peer: Any) -> Iterator[dict[str, Any]]:
    files = source(variant.peer, job.setup)
    settings = {"precision": variant.precision}
    peer.ask("open", settings=settings, **files)
    error = _check(job, variant, peer)
    peer.ask("open", settings={**settings, "dtype": "float16"}, **files)
    own = even_sample(job.text, _OWN_TOKENS)
    n_tokens = job.args.peer_tokens or (_QUICK_PEER_TOKENS if job.args.quick else _PEER_TOKENS)
    for size in variant.batch_sizes:
        part = even_batches(job.text, n_tokens, size, "sorted")
        for output in ("sentences", "layers"):
            with tempfile.TemporaryDirectory() as folder:
                text = write_sentences(Path(folder) / "text.txt", part)
                ask = {"sentences": text, "output": output, "batch_size": size, "order": "sorted"}
                calls: dict[str, Callable[[], float]] = {
                    "own": functools.partial(_embed, job, own, output),
                    "peer": functools.partial(_ask, peer, ask),
                }
                for call in calls.values():
                    call()  # compiles, and lets the peer choose its kernels
                seconds = interleave(calls, job.args.rounds)
            own_rates = [count_tokens(own) / sample for sample in seconds["own"]]
            peer_rates = [count_tokens(part) / sample for sample in seconds["peer"]]
            yield {
                "peer": f"{variant.label}, batches of {size}",
                "output": output,
                "error_against_float32": error,
                "tokens": count_tokens(part),
                "elmo_jax_tokens": count_tokens(own),
                "tokens_per_second": Spread.of(peer_rates).json(),
                "elmo_jax_tokens_per_second": Spread.of(own_rates).json(),
                "elmo_jax_times_faster": ratios(own_rates, peer_rates).json(),
            }


def _ask(peer: Any, arguments: dict[str, Any]) -> float:
    return float(peer.ask("embed", **arguments)["seconds"][0])


def _embed(job: Job, text: list[Sentence], output: str) -> float:
    """Seconds of elmo-jax for the same, from an empty word table."""
    elmo = job.elmo()
    if output == "sentences":
        return timed(lambda: elmo.embed_sentences(text))
    return timed(lambda: [None for _ in elmo.stream(text, dtype="float16")])


def _check(job: Job, variant: Variant, peer: Any) -> float:
    """The largest relative error of a layer of the peer against elmo-jax in float32.

    Raises:
        ElmoError: if the peer computes something else.
    """
    sample = even_sample(job.setup.text, _CHECKED_TOKENS)
    vectors, exact = peer_vectors(peer, sample), job.elmo("float32").embed(sample)
    if variant.precision == "float32":
        assert_equal(variant.label, vectors, exact, TOLERANCES[variant.peer])
    # PyTorch's LSTM cannot clip, so that its float32 may be off by more than the order of sums.
    return largest_error(variant.label, vectors, exact, max(BOUNDS[variant.precision], 1e-3))
