"""The systems that are compared, opened and found to compute the same before they are timed."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from elmo_jax import ElmoError

from .arguments import Setting
from .corpus import Sentence, even_sample, write_sentences
from .measure import SUMS, Tolerance, assert_equal
from .peers import open_peer

ELMO_JAX = "elmo-jax"
MINILM = "minilm"

SAME_VECTORS = ("allennlp", "simple_elmo", "torch_lstm")
"""Peers that compute an ELMo's layers."""

UNCLIPPED = Tolerance(
    "nn.LSTM has no clips",
    largest=1e-4,
    share=0.9,
    reason="PyTorch's LSTM cannot clip its states: where a clip of the model bites, its numbers "
    "and those that follow in the sentence differ. Elsewhere SUMS holds.",
)

TOLERANCES = {"allennlp": SUMS, "simple_elmo": SUMS, "torch_lstm": UNCLIPPED}

_CHECKED_TOKENS = 200


@dataclasses.dataclass(frozen=True)
class System:
    """One way to run a peer.

    Attributes:
        label: for tables.
        peer: its name among the peers.
        batch_size: sentences a batch; None is the peer's own choice.
        order: in which it reads, "given" or "sorted".
    """

    label: str
    peer: str
    batch_size: int | None = None
    order: str = "given"


SYSTEMS = (
    System("elmo-jax", ELMO_JAX),
    System("AllenNLP as documented (32, as given)", "allennlp", 32),
    System("AllenNLP sorted, 64", "allennlp", 64, "sorted"),
    System("AllenNLP sorted, 128", "allennlp", 128, "sorted"),
    System("simple_elmo", "simple_elmo"),
    System("PyTorch nn.LSTM sorted, 64", "torch_lstm", 64, "sorted"),
    System("PyTorch nn.LSTM sorted, 128", "torch_lstm", 128, "sorted"),
)
"""The ways in which tokens are embedded, elmo-jax first."""


def check_peers(names: Sequence[str], known: Sequence[str]) -> list[str]:
    """The peers to compare with, in the order of ``known``.

    Raises:
        ElmoError: for a name that is not among them.
    """
    if unknown := sorted(set(names) - set(known)):
        raise ElmoError(f"Unknown peers {', '.join(unknown)}: expected some of {', '.join(known)}.")
    return [name for name in known if name in names]


def source(name: str, setting: Setting, *, native: bool = False) -> dict[str, Path]:
    """What a peer is asked to open: the published files, or elmo-jax its own format."""
    if name == MINILM:
        return {}
    if native and name == ELMO_JAX:
        return {"folder": setting.model.native}
    return {"options": setting.model.options_file, "weights": setting.model.weight_file}


@contextlib.contextmanager
def opened(
    names: Sequence[str], setting: Setting
) -> Iterator[tuple[dict[str, Any], dict[str, dict[str, str]]]]:
    """Peers with the model open, each in its process, and the versions of their packages.

    Raises:
        ElmoError: if one is not installed, or cannot open the model.
    """
    with contextlib.ExitStack() as stack:
        peers = {name: stack.enter_context(open_peer(name)) for name in names}
        versions = {
            name: peer.ask("open", **source(name, setting))["versions"]
            for name, peer in peers.items()
        }
        yield peers, versions


def check_same(peers: Mapping[str, Any], sentences: Sequence[Sentence]) -> dict[str, float]:
    """Hold each peer's vectors against those of elmo-jax; gives the largest differences.

    Args:
        peers: opened, elmo-jax among them.
        sentences: a text of which an even sample is embedded by all.

    Raises:
        ElmoError: if a peer computes something else.
    """
    sample = even_sample(sentences, _CHECKED_TOKENS)
    with tempfile.TemporaryDirectory() as folder:
        text = write_sentences(Path(folder) / "sample.txt", sample)
        expected = _vectors(peers[ELMO_JAX], text)
        found = {name: _vectors(peers[name], text) for name in peers if name in TOLERANCES}
    return {
        name: float(f"{assert_equal(name, vectors, expected, TOLERANCES[name]):.3g}")
        for name, vectors in found.items()
    }


def _vectors(peer: Any, text: Path) -> list[np.ndarray]:
    output = text.with_name("vectors.npz")
    peer.ask("vectors", sentences=text, output=output)
    with np.load(output) as arrays:
        return [arrays[str(index)] for index in range(len(arrays))]
