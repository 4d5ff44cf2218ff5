"""What the reader of a format returns, and a config where the files of a model say too little."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import ElmoError
from ..model.config import ElmoConfig
from ..model.options import KEYS, check_options, override_fields
from ..text.tokenizers import DEFAULT, is_plain_name
from .formats import FORMATS
from .vocabulary import Vocabulary


@dataclasses.dataclass(frozen=True)
class Opened:
    """A model, and what is known about where it comes from."""

    config: ElmoConfig
    params: dict[str, Any]  # float32 NumPy arrays
    format: str  # what users call it
    assumed: tuple[str, ...] = ()  # fields of the config that neither the files nor the user tell
    vocabulary: Vocabulary | None = None  # the words of the softmax, where the format has them
    # For people: options of the training, what was left out, and the like; ready for JSON.
    remarks: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    # Of a native model: "size" and "sha256" of the words of its softmax.
    words_record: Mapping[str, Any] | None = None
    # Files whose digests were compared, and what was compared of each.
    compared: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def tokenizer(self) -> str:
        """The name of the tokenizer that splits raw text as the training text was split."""
        return self.recorded_tokenizer or DEFAULT

    @property
    def recorded_tokenizer(self) -> str | None:
        """The same, as far as it is known and not assumed."""
        name = self.remarks.get("tokenizer")
        return name if isinstance(name, str) and is_plain_name(name) else None

    @property
    def assumed_options(self) -> dict[str, Any]:
        """What is assumed, by the keys of options.json with which users can say otherwise."""
        return {KEYS[name][0]: getattr(self.config, name) for name in self.assumed}

    @property
    def metadata(self) -> dict[str, Any]:
        """What a native model that is made from this one says of its origin."""
        if self.format in FORMATS:
            return dict(self.remarks)
        origin: dict[str, Any] = {"origin": self.format}
        if self.assumed:
            origin["assumed"] = self.assumed_options
        return {**origin, **self.remarks}


def config_from(
    fields: Mapping[str, Any], assumed: Iterable[str], options: Mapping[str, Any], source: str
) -> tuple[ElmoConfig, tuple[str, ...]]:
    """The config of these ``fields`` under the user's ``options``, and what is still assumed.

    ``options`` are nested as in options.json, whole or in part. ``assumed`` names the fields that
    the files do not tell.

    Raises:
        ElmoError: for unknown options, or if there is no such ELMo.
    """
    check_options(options, source)
    final = override_fields(fields, options)
    with_all = override_fields(dict.fromkeys(fields, _UNTOLD), options)
    still = tuple(name for name in final if name in {*assumed} and with_all[name] is _UNTOLD)
    try:
        return ElmoConfig(**final), still
    except ElmoError as error:
        raise ElmoError(f"{source}: {error}") from None


_UNTOLD = object()
