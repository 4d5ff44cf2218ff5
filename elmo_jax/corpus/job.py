"""Job: what is embedded, with which model, and how. Parts belong together if their jobs agree."""

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
from .writers import FileLayout

_MANIFEST_VERSION = 2


@dataclasses.dataclass(frozen=True)
class EmbedOptions:
    """The options of ``Elmo.stream``, by the names that they have there."""

    layers: Any
    pooling: str | None
    mix_weights: Any
    mix_gamma: Any
    dtype: str


@dataclasses.dataclass(frozen=True)
class Job:
    """One run over a corpus, in one process or in many.

    Attributes:
        identity: everything that decides the results, by name, ready for JSON.
        layout: of the finished file.
        blank: number of records without words.
        parts: the corpus, cut.
    """

    # Manifests hold these names, and those of FileLayout: a change needs another version.
    identity: dict[str, Any]
    layout: FileLayout
    blank: int
    parts: tuple[Part, ...]

    @classmethod
    def from_survey(
        cls, elmo: Elmo, survey: Survey, options: EmbedOptions, part_tokens: int, with_text: bool
    ) -> Job:
        """The job of embedding a surveyed corpus.

        Raises:
            ElmoError: for layers that the model does not have.
        """
        from .. import __version__

        config = elmo.config
        selection, _ = select_layers(options.layers, config, options.mix_weights, options.mix_gamma)
        shape: tuple[int, ...] = (config.output_dim,)
        if selection.n_result_layers:
            shape = (selection.n_result_layers, *shape)
        text = hashlib.sha256("".join(part.digest for part in survey.parts).encode())
        is_mix = options.mix_weights is not None
        identity = {
            "text": text.hexdigest(),
            "model": model_digest(config, elmo.params),
            "precision": elmo.precision,
            "layers": str(options.layers),
            "mix_weights": _as_floats(options.mix_weights) if is_mix else None,
            "mix_gamma": _as_floats(options.mix_gamma) if is_mix else None,
            "pooling": options.pooling,
            "dtype": options.dtype,
            "sentences": with_text,
            "part_tokens": part_tokens,
            # Another version or platform may change the last bits.
            "elmo-jax": __version__,
            "jax": jax.__version__,
            "platform": jax.default_backend(),
        }
        layout = FileLayout(
            shape=shape,
            pooled=options.pooling is not None,
            dtype=options.dtype,
            sentences=survey.sentences,
            tokens=survey.tokens,
            text_bytes=survey.text_bytes,
            longest_key=survey.longest_key,
            with_text=with_text,
        )
        return cls(identity, layout, survey.blank, survey.parts)

    @property
    def name(self) -> str:
        """A digest of the identity."""
        return hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode()).hexdigest()

    def parts_of_shard(self, shard: tuple[int, int] | None) -> range:
        """The numbers of a shard's parts: for (i, n), every n-th part from i - 1 on; None has all.

        Raises:
            ElmoError: unless 1 <= i <= n.
        """
        i, n = shard or (1, 1)
        if not 1 <= i <= n:
            raise ElmoError(f"There is no shard {i} of {n}: expected 1 to {n}, as in 1/4.")
        return range(i - 1, len(self.parts), n)

    def to_manifest(self) -> str:
        """The job as JSON."""
        fields = {"version": _MANIFEST_VERSION, **dataclasses.asdict(self)}
        return to_json(fields, indent=1) + "\n"

    @classmethod
    def from_manifest(cls, manifest: str) -> Job:
        """Read what ``to_manifest`` wrote.

        Raises:
            ValueError: for text that is not JSON, or another version of the manifest.
            TypeError: for other JSON; or a KeyError.
        """
        fields = json.loads(manifest)
        if fields["version"] != _MANIFEST_VERSION:
            raise ValueError(f"version {fields['version']}, expected {_MANIFEST_VERSION}")
        layout = fields["layout"]
        layout["shape"] = tuple(layout["shape"])
        parts = tuple(Part(*part) for part in fields["parts"])
        return cls(fields["identity"], FileLayout(**layout), fields["blank"], parts)

    def differences(self, other: Job) -> str:
        """In words, how the other job differs from this one; "" if they agree."""
        names = {**self.identity, **other.identity}
        return ", ".join(
            _difference(name, self.identity.get(name), other.identity.get(name))
            for name in names
            if self.identity.get(name) != other.identity.get(name)
        )


def _difference(name: str, mine: Any, theirs: Any) -> str:
    if name in ("text", "model"):  # their digests mean nothing to a reader
        return f"another {name}"
    return f"{name} {theirs} instead of {mine}"


def _as_floats(values: Any) -> Any:
    return np.asarray(values, np.float64).tolist()
