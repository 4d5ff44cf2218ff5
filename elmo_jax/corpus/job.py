"""Job: what is embedded, with which model, and how. Parts belong together if their jobs agree."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Iterable
from typing import Any

import jax
import numpy as np

from ..embedder import Elmo
from ..errors import ElmoError, check_count, shortened
from ..json_text import parse_json_object, to_json
from ..model.layers import output_dim, select_layers
from ..model.parameters import model_digest
from .survey import Part, Survey
from .writers import FileLayout

_MANIFEST_VERSION = 4


@dataclasses.dataclass(frozen=True)
class EmbedOptions:
    """The options of ``Elmo.stream``, by the names that they have there."""

    layers: Any
    pooling: str | None
    mix_weights: Any
    mix_gamma: Any
    dtype: str


def row_shape(elmo: Elmo, options: EmbedOptions) -> tuple[int, ...]:
    """The shape of one row of the output: (D,), or (L, D) with all layers.

    Raises:
        ElmoError: for layers or a mix that the model does not have.
    """
    choice = options.layers, elmo.config, options.mix_weights, options.mix_gamma, elmo.params
    selection, _ = select_layers(*choice)
    n_layers, dim = selection.n_result_layers, output_dim(selection, elmo.config, elmo.params)
    return (n_layers, dim) if n_layers else (dim,)


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

        is_mix, mix_weights = str(options.layers) == "mix", options.mix_weights
        identity = {
            "text": _text_digest(survey.parts),
            "model": model_digest(elmo.config, elmo.params),
            "precision": elmo.precision,
            "layers": str(options.layers),
            "mix_weights": None if mix_weights is None else _as_floats(mix_weights),
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
            shape=row_shape(elmo, options),
            pooled=options.pooling is not None,
            dtype=options.dtype,
            sentences=survey.sentences,
            tokens=survey.tokens,
            text_bytes=survey.text_bytes,
            longest_key=survey.longest_key,
            longest_key_at=survey.longest_key_at,
            repeated_key=survey.repeated_key,
            repeated_key_at=survey.repeated_key_at,
            with_text=with_text,
            sentence_keys=sentence_keys,
            escape_keys=escape_keys,
        )
        return cls(identity, layout, survey.blank, survey.parts)

    @functools.cached_property
    def name(self) -> str:
        """A digest of the job. It is in every part, so parts belong to one manifest only."""
        fields = json.dumps(dataclasses.asdict(self), sort_keys=True)
        return hashlib.sha256(fields.encode()).hexdigest()

    def parts_of_shard(self, shard: tuple[int, int] | None) -> range:
        """Numbers of a shard's parts: for (i, n), every n-th from i - 1 on; for None, all."""
        i, n = (1, 1) if shard is None else shard
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
        """The job as JSON, with its name, which serves as a checksum."""
        fields = {"version": _MANIFEST_VERSION, **dataclasses.asdict(self)}
        return to_json({**fields, "name": self.name}, indent=1) + "\n"

    @classmethod
    def from_manifest(cls, manifest: str | bytes) -> Job:
        """Read a manifest; raises ElmoError for any other text."""
        fields = parse_json_object(manifest, "the manifest")
        if (version := fields.get("version")) != _MANIFEST_VERSION:
            raise ElmoError(f"its version is {shortened(version)}, expected {_MANIFEST_VERSION}")
        try:
            job = cls(
                fields["identity"],
                FileLayout.from_json(fields["layout"]),
                fields["blank"],
                tuple(Part.from_json(part) for part in fields["parts"]),
            )
            job._check()
            if fields["name"] != job.name:
                raise ElmoError("its name is not that of what it describes")
        except (TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ElmoError(f"it has other fields ({error})") from None
        return job

    def _check(self) -> None:
        """Raise ElmoError, or what Python raises for a wrong type, if numbers do not agree."""
        layout, identity = self.layout, self.identity
        check_count(self.blank, "blank", 0)
        n_sentences = sum(part.sentences for part in self.parts)
        agreements = {
            "parts": (_text_digest(self.parts), identity["text"]),
            "sentences": (layout.sentences, n_sentences),
            "tokens": (layout.tokens, self.count_tokens(range(len(self.parts)))),
            "layers": (str(identity["layers"]), identity["layers"]),
            "pooling": (layout.pooled, identity["pooling"] is not None),
            "dtype": (layout.dtype, identity["dtype"]),
            "texts": (layout.with_text, identity["sentences"]),
            "sentence keys": (layout.sentence_keys, identity["sentence_keys"]),
            "escaped keys": (layout.escape_keys, identity["escape_keys"]),
        }
        if wrong := [name for name, (first, second) in agreements.items() if first != second]:
            raise ElmoError(f"its {wrong[0]} do not agree")
        if not self.parts:
            raise ElmoError("it has no parts")
        check_count(layout.value_bytes, "the size of the vectors", 0)

    def differences(self, other: Job) -> str:
        """In words, how the other job differs from this one; "" if they agree."""
        if self.identity == other.identity and self != other:
            return "the same job with other numbers: a manifest is damaged"
        differences = []
        for name in {**self.identity, **other.identity}:
            mine, theirs = self.identity.get(name), other.identity.get(name)
            if mine != theirs and name in ("text", "model"):  # digests mean nothing to a reader
                differences.append(f"another {name}")
            elif mine != theirs:
                differences.append(f"{name} {theirs} instead of {mine}")
        return ", ".join(differences)


def _text_digest(parts: Iterable[Part]) -> str:
    return hashlib.sha256("".join(part.digest for part in parts).encode()).hexdigest()


def _as_floats(values: Any) -> Any:
    return np.asarray(values, np.float64).tolist()
