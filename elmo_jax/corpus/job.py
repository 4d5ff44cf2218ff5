"""Job: what is embedded, with which model, and how. Parts belong together if their jobs agree."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from typing import Any

import jax
import numpy as np

from ..embedder import Elmo
from ..errors import ElmoError
from ..json_text import to_json
from ..model.layers import output_dim, select_layers
from ..model.parameters import model_digest
from .survey import Part, Survey
from .writers import FileLayout

_MANIFEST_VERSION = 3


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
    """One run over a corpus, in one process or in many."""

    # Manifests hold these names, and those of FileLayout: a change needs another version.
    identity: dict[str, Any]  # everything that decides the results, by name, ready for JSON
    layout: FileLayout
    blank: int  # number of records without words
    parts: tuple[Part, ...]

    @classmethod
    def from_survey(
        cls,
        elmo: Elmo,
        survey: Survey,
        options: EmbedOptions,
        part_tokens: int | None,
        *,
        carry_state: int | None,
        with_text: bool,
        sentence_keys: str | None,
        escape_keys: bool,
    ) -> Job:
        """The job of embedding a surveyed corpus."""
        from .. import __version__

        config = elmo.config
        choice = options.layers, config, options.mix_weights, options.mix_gamma, elmo.params
        selection, _ = select_layers(*choice)
        n_layers, dim = selection.n_result_layers, output_dim(selection, config, elmo.params)
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
            "carry_state": carry_state,
            "sentences": with_text,
            "sentence_keys": sentence_keys,
            "escape_keys": escape_keys,
            "part_tokens": part_tokens,
            # Another version or platform may change the last bits.
            "elmo-jax": __version__,
            "jax": jax.__version__,
            "platform": jax.default_backend(),
        }
        layout = FileLayout(
            shape=(n_layers, dim) if n_layers else (dim,),
            pooled=options.pooling is not None,
            dtype=options.dtype,
            sentences=survey.sentences,
            tokens=survey.tokens,
            text_bytes=survey.text_bytes,
            longest_key=survey.longest_key,
            with_text=with_text,
            sentence_keys=sentence_keys,
            escape_keys=escape_keys,
        )
        return cls(identity, layout, survey.blank, survey.parts)

    @property
    def name(self) -> str:
        """A digest of the identity."""
        return hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode()).hexdigest()

    def parts_of_shard(self, shard: tuple[int, int] | None) -> range:
        """Numbers of a shard's parts: for (i, n), every n-th from i - 1 on; for None, all."""
        i, n = shard or (1, 1)
        if not 1 <= i <= n:
            raise ElmoError(f"There is no shard {i} of {n}: expected 1 to {n}, as in 1/4.")
        return range(i - 1, len(self.parts), n)

    def count_tokens(self, numbers: Iterable[int]) -> int:
        """The tokens of some parts."""
        return sum(self.parts[number].tokens for number in numbers)

    def bytes_of_parts(self, numbers: Iterable[int]) -> int:
        """The size of the vectors of some parts."""
        parts = [self.parts[number] for number in numbers]
        n_rows = sum(part.sentences if self.layout.pooled else part.tokens for part in parts)
        return n_rows * self.layout.row_bytes

    def to_manifest(self) -> str:
        """The job as JSON."""
        fields = {"version": _MANIFEST_VERSION, **dataclasses.asdict(self)}
        return to_json(fields, indent=1) + "\n"

    @classmethod
    def from_manifest(cls, manifest: str) -> Job:
        """Read a manifest; raises ValueError, TypeError or KeyError for any other text."""
        fields = json.loads(manifest)
        if fields["version"] != _MANIFEST_VERSION:
            raise ValueError(f"version {fields['version']}, expected {_MANIFEST_VERSION}")
        layout = fields["layout"]
        layout["shape"] = tuple(layout["shape"])
        parts = tuple(Part(*part) for part in fields["parts"])
        return cls(fields["identity"], FileLayout(**layout), fields["blank"], parts)

    def differences(self, other: Job) -> str:
        """In words, how the other job differs from this one; "" if they agree."""
        differences = []
        for name in {**self.identity, **other.identity}:
            mine, theirs = self.identity.get(name), other.identity.get(name)
            if mine != theirs and name in ("text", "model"):  # digests mean nothing to a reader
                differences.append(f"another {name}")
            elif mine != theirs:
                differences.append(f"{name} {theirs} instead of {mine}")
        return ", ".join(differences)


def _as_floats(values: Any) -> Any:
    return np.asarray(values, np.float64).tolist()
