"""Job: what is embedded, with what, and how. Parts belong together if their jobs are equal."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

import jax
import numpy as np

from ..embedder import Elmo
from ..errors import ElmoError
from ..files import to_json
from ..model.layers import select_layers
from ..model.parameters import model_digest
from .survey import Part, Survey
from .writers import Layout

_VERSION = 2


@dataclasses.dataclass(frozen=True)
class Choice:
    """What is wanted of each sentence, as ``Elmo.stream`` takes it."""

    layers: Any
    pooling: str | None
    mix_weights: Any
    mix_gamma: Any
    dtype: str


@dataclasses.dataclass(frozen=True)
class Job:
    """One run over a corpus, in one process or in many.

    Attributes:
        identity: what decides on the results, by name, ready for JSON.
        layout: of the finished file.
        blank: records without a word.
        parts: the corpus, cut.
    """

    identity: dict[str, Any]
    layout: Layout
    blank: int
    parts: tuple[Part, ...]

    @classmethod
    def of(
        cls, elmo: Elmo, found: Survey, choice: Choice, part_tokens: int, with_text: bool
    ) -> Job:
        """The job of embedding what a survey found.

        Raises:
            ElmoError: for layers that the model does not have.
        """
        from .. import __version__

        config = elmo.config
        selection, _ = select_layers(choice.layers, config, choice.mix_weights, choice.mix_gamma)
        shape: tuple[int, ...] = (config.output_dim,)
        if selection.n_result_layers:
            shape = (selection.n_result_layers, *shape)
        text = hashlib.sha256("".join(part.digest for part in found.parts).encode())
        identity = {
            "text": text.hexdigest(),
            "model": model_digest(config, elmo.params),
            "precision": elmo.precision,
            "layers": str(choice.layers),
            "mix_weights": None if choice.mix_weights is None else _numbers(choice.mix_weights),
            "mix_gamma": None if choice.mix_weights is None else _numbers(choice.mix_gamma),
            "pooling": choice.pooling,
            "dtype": choice.dtype,
            "sentences": with_text,
            "part_tokens": part_tokens,
            # Each of these may change the last bits.
            "elmo-jax": __version__,
            "jax": jax.__version__,
            "platform": jax.default_backend(),
        }
        layout = Layout(
            shape,
            choice.pooling is not None,
            choice.dtype,
            found.sentences,
            found.tokens,
            found.text_bytes,
            found.longest_key,
            with_text,
        )
        return cls(identity, layout, found.blank, found.parts)

    @property
    def name(self) -> str:
        """A short name that no other job has."""
        return hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode()).hexdigest()

    def shard(self, shard: tuple[int, int] | None) -> range:
        """The numbers of a shard's parts: every n-th; all for None.

        Raises:
            ElmoError: unless 1 <= i <= n for the shard (i, n).
        """
        i, n = shard or (1, 1)
        if not 1 <= i <= n:
            raise ElmoError(f"There is no shard {i} of {n}: expected 1 to {n}, as in 1/4.")
        return range(i - 1, len(self.parts), n)

    def manifest(self) -> str:
        """The job as JSON."""
        fields = {"version": _VERSION, **dataclasses.asdict(self)}
        return to_json(fields, indent=1) + "\n"

    @classmethod
    def of_manifest(cls, manifest: str) -> Job:
        """The job that ``manifest`` gave.

        Raises:
            ValueError: for another text, a TypeError or KeyError for other JSON.
        """
        fields = json.loads(manifest)
        if fields["version"] != _VERSION:
            raise ValueError(f"version {fields['version']}, expected {_VERSION}")
        layout = fields["layout"]
        layout["shape"] = tuple(layout["shape"])
        parts = tuple(Part(*part) for part in fields["parts"])
        return cls(fields["identity"], Layout(**layout), fields["blank"], parts)

    def differences(self, other: Job) -> str:
        """In words, what tells the other job from this one; "" if nothing does."""
        names = {**self.identity, **other.identity}
        return ", ".join(
            _difference(name, self.identity.get(name), other.identity.get(name))
            for name in names
            if self.identity.get(name) != other.identity.get(name)
        )


def _difference(name: str, mine: Any, theirs: Any) -> str:
    if name in ("text", "model"):  # nobody reads a digest
        return f"another {name}"
    return f"{name} {theirs} instead of {mine}"


def _numbers(values: Any) -> Any:
    return np.asarray(values, np.float64).tolist()
