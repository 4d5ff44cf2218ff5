"""AllenNLP's archives of trained models (model.tar.gz), and the folders that it trains in.

The ELMo of such a model may be fine-tuned, and comes with the mixes that the task has trained. Its
weights are in the state dict of the whole model. An HDF5 file in the archive has those from before
the training and is not read.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ...errors import ElmoError, shortened
from ...model.config import ElmoConfig, preset_names
from ...model.options import N_CHARACTERS, read_fields
from ...model.parameters import Path, unflatten
from ...pretrained.registry import MODELS
from ..containers.model_files import ModelFiles
from ..containers.torch_file import read_state_dict
from ..opened import Opened, config_from
from ..vocabulary import Words
from .torch_layers import (
    LayerNames,
    Tensor,
    ToParams,
    fields_from_shapes,
    lstm_tensors,
    read_tensors,
    token_tensors,
)

FORMAT = "AllenNLP archive"
EXPECTED = "weights.th or best.th"

_WEIGHT_FILES = ("weights.th", "best.th")
"""Of an archive, and of a folder that was trained in."""

_CONFIG_FILE, _OPTIONS_FILE = "config.json", "options.json"
_ARCHIVED_OPTIONS = re.compile(r"fta/(?P<key>.+)\.options_file(s\.(?P<language>[^.]+))?")
"""The options.json that ``key`` of config.json named, in archives of AllenNLP up to 0.9."""

_MOST_JSON = 10**6
"""Bytes of a JSON file. Real ones have a few kB."""

_TABLE = "_token_embedder._char_embedding_weights"
_BOUNDARIES = re.compile(r"_token_embedder\._(beginning|end)_of_sentence_characters")
_CACHED_WORDS = "_word_embedding.weight"

_ASSUMED = {"activation": "relu", "cell_clip": 3.0, "proj_clip": 3.0}
"""What tensors do not say; the values are those of all published models."""

_FIXED = {"max_characters_per_token": 50, "use_skip_connections": True}
"""What AllenNLP does, whatever the options say."""

_OPTIONS_URLS = {
    name: MODELS[name].files[_OPTIONS_FILE].url for name in preset_names() if name in MODELS
}
_PRESET_OF = {url.rpartition("/")[2]: name for name, url in _OPTIONS_URLS.items()}
"""Name of a published options file -> preset. People copy the file, but keep its name."""

_DEFAULT_OPTIONS = _OPTIONS_URLS["original"]
"""What AllenNLP takes from 1.0 on if config.json does not say."""

_LAYER_NORM = {"do_layer_norm"}

_IN_ANOTHER_NETWORK = {
    "_contextualizer._forward_transformer.": "a Transformer language model",
    "_contextualizer.": "a language model that AllenNLP trained itself",
}
"""Parts of the names of tensors, and what has them."""


def recognizes(files: ModelFiles) -> bool:
    """Whether there is a state dict under one of AllenNLP's names."""
    return any(name in files.names for name in _WEIGHT_FILES)


def read(files: ModelFiles, options: Mapping[str, Any], vocabulary: Words | None = None) -> Opened:
    """The ELMo of a model, with its scalar mixes, output projection and alignment.

    Sizes are those of the tensors. Activation and clips are those of ELMo's options file, if it is
    in the archive, or options.json in the same folder; or those of the published model that
    config.json names; else they are assumed.

    Args:
        files: of an archive or a folder.
        options: may have ``prefix``, a part of the name of one ELMo among several.
        vocabulary: not needed.

    Raises:
        ElmoError: if there is no ELMo, or several and none is chosen; or if its tensors have
            problems: all of them in one error.
    """
    weights = next(name for name in _WEIGHT_FILES if name in files.names)
    source = files.label(weights)
    files.paths([weights, *filter(_tells_options, files.names)])  # in one pass through the archive
    tensors = read_state_dict(files.path(weights), source)
    place = _place_of(_choose(_prefixes(tensors, source), options.get("prefix"), source))
    settings = _settings(files, place)

    sizes = _sizes(tensors, place, source)
    clips, origin = _clips(files, place, settings, sizes)
    fields = {**sizes, **_ASSUMED, **clips, **_FIXED}
    config, assumed = config_from(fields, () if clips else _ASSUMED, options, source)

    own = {name: array for name, array in tensors.items() if place.has(name)}
    left_out = []
    if _normalizes(settings, files):
        # The mean and variance of a layer would be those of a whole batch.
        own = {name: array for name, array in own.items() if place.is_of_elmo(name)}
        left_out.append(
            "the scalar mix and what follows it, because it normalizes layers (do_layer_norm)"
        )
    if place.prefix + _CACHED_WORDS in tensors:
        left_out.append(f"{_CACHED_WORDS}, vectors of a vocabulary: words are spelled instead")
    expected = [*_elmo_tensors(config, place), *_task_tensors(config, place, own)]
    params = _joined(read_tensors(own, expected, source), config)
    remarks = {
        "prefix": place.prefix.rstrip("."),
        "options_from": origin,
        "left_out": left_out,
        "other_tensors": len(tensors) - len(own),
    }
    remarks = {name: remark for name, remark in remarks.items() if remark}
    return Opened(config, unflatten(params), FORMAT, assumed, remarks=remarks)


# Finding the ELMo


def _prefixes(tensors: Mapping[str, np.ndarray], source: str) -> list[str]:
    """What the names of each ELMo's tensors start with, such as "_elmo._elmo_lstm."."""
    if prefixes := [name.removesuffix(_TABLE) for name in tensors if name.endswith(_TABLE)]:
        return prefixes
    for part, kind in _IN_ANOTHER_NETWORK.items():
        if any(part in name for name in tensors):
            raise ElmoError(
                f"{source} has no ELMo but {kind}, which is another network; it cannot be opened."
            )
    listed = ", ".join(list(tensors)[:4]) or "none"
    more = f" and {len(tensors) - 4:,} more" if len(tensors) > 4 else ""
    raise ElmoError(
        f"{source} has no ELMo: expected a tensor with a name that ends in {_TABLE}; found "
        f"{listed}{more}."
    )


def _choose(prefixes: Sequence[str], part: Any, source: str) -> str:
    """The only one, or the only one with this part, which is best a whole one between dots."""
    candidates = list(prefixes)
    if part is not None:
        wholes = f".{str(part).strip('.')}.", f".elmo_{part}."  # the second is that of a language
        for wanted in (*wholes, str(part)):
            candidates = [prefix for prefix in prefixes if wanted in f".{prefix}"]
            if candidates:
                break
    if len(candidates) == 1:
        return candidates[0]
    which = "" if part is None else f" with {part!r} in the name"
    listed = "".join(f"\n  {prefix.rstrip('.')}" for prefix in prefixes)
    example = _distinction(prefixes)
    raise ElmoError(
        f"{source} has {len(candidates) or 'no'} ELMos{which}, expected one. It has:{listed}\n"
        f"Choose one by a part of its name: options={{'prefix': {example!r}}}."
    )


def _distinction(prefixes: Sequence[str]) -> str:
    """A part of the first name that the others lack."""
    others = {part for prefix in prefixes[1:] for part in prefix.split(".")}
    parts = [part for part in prefixes[0].split(".") if part not in others]
    return parts[0] if parts else prefixes[0].rstrip(".")


@dataclasses.dataclass(frozen=True)
class _Place:
    """Where an ELMo and what belongs to it are in a model: what names of tensors start with."""

    prefix: str  # of the biLM
    mixes: str | None  # of the scalar mixes
    embedder: str | None  # of the embedder around it, which a model need not have
    name: str  # of that embedder, in config.json
    language: str  # of one ELMo among those of several languages; else ""

    @property
    def layers(self) -> LayerNames:
        """The names of its layers."""
        return LayerNames(
            convolution="_token_embedder.char_conv_{}",
            highway="_token_embedder._highways._layers.{}",
            projection="_token_embedder._projection",
            lstm="_elmo_lstm.{}_layer_{}",
            prefix=self.prefix,
        )

    def is_of_elmo(self, name: str) -> bool:
        """Whether the biLM has a tensor."""
        own = name.removeprefix(self.prefix)
        is_layer = own.startswith(("_token_embedder.", "_elmo_lstm."))
        return name.startswith(self.prefix) and is_layer and not _BOUNDARIES.fullmatch(own)

    def mix_number(self, name: str) -> str | None:
        """Which scalar mix has a tensor, if one has it."""
        match = re.match(r"scalar_mix_(\d+)\.", name.removeprefix(self.mixes or ""))
        return match[1] if match and self.mixes is not None else None

    @property
    def output_projection(self) -> str:
        """The layer after the mix."""
        return f"{self.embedder}_projection"

    @property
    def alignment(self) -> str:
        """The map from this language's vectors to those of all languages."""
        return f"{self.embedder}aligning_{self.language}.weight"

    def has(self, name: str) -> bool:
        """Whether a tensor is of the biLM or of what is applied to its layers."""
        after = [f"{self.output_projection}.weight", f"{self.output_projection}.bias"]
        if self.language:
            after.append(self.alignment)
        is_after = self.embedder is not None and name in after
        return self.is_of_elmo(name) or self.mix_number(name) is not None or is_after


def _place_of(prefix: str) -> _Place:
    """The place of an ELMo, ``...token_embedder_NAME._elmo._elmo_lstm.`` in the usual case."""
    if prefix and not f".{prefix}".endswith("._elmo_lstm."):
        return _Place(prefix, None, None, "", "")
    mixes = prefix.removesuffix("_elmo_lstm.")
    *around, module, _ = ["", *mixes.split(".")] if mixes else ["", "", ""]
    embedder = around[-1] if around else ""
    if not embedder.startswith("token_embedder_"):
        return _Place(prefix, mixes, None, "", "")
    language = module.removeprefix("elmo_") if module.startswith("elmo_") else ""
    name = embedder.removeprefix("token_embedder_")
    return _Place(prefix, mixes, mixes.removesuffix(f"{module}."), name, language)


# Its configuration


def _sizes(tensors: Mapping[str, np.ndarray], place: _Place, source: str) -> dict[str, Any]:
    shapes = {name: array.shape for name, array in tensors.items()}
    sizes = fields_from_shapes(shapes, place.layers, source)
    *_, sizes["char_embedding_dim"] = 0, *shapes[place.prefix + _TABLE]
    # AllenNLP always has both projections; a config has them by itself only if they shorten.
    n_filters = sum(number for _, number in sizes["filters"])
    sizes["forced_projections"] = (
        n_filters == sizes["projection_dim"] or sizes["cell_dim"] <= sizes["projection_dim"]
    )
    return sizes


def _tells_options(name: str) -> bool:
    is_archived = _ARCHIVED_OPTIONS.fullmatch(name) is not None
    return is_archived or name in (_CONFIG_FILE, _OPTIONS_FILE)


def _clips(
    files: ModelFiles,
    place: _Place,
    settings: Sequence[Mapping[str, Any]],
    sizes: Mapping[str, Any],
) -> tuple[dict[str, Any], str | None]:
    """Activation and clips, if any file says what they are, and which file that is."""
    archived = list(_archived_options(files, place, sizes))
    if archived and all(clips == archived[0][0] for clips, _ in archived):
        return archived[0]
    if _OPTIONS_FILE in files.names:
        fields = read_fields(files.read_json(_OPTIONS_FILE, _MOST_JSON), files.label(_OPTIONS_FILE))
        if different := [name for name in _compared(sizes) if fields.get(name) != sizes[name]]:
            listed = ", ".join(f"{name} {sizes[name]}" for name in different)
            raise ElmoError(
                f"{files.label(_OPTIONS_FILE)} is not that of the weights, which have {listed}. "
                "Replace it, or remove it."
            )
        return _without_sizes(fields), files.label(_OPTIONS_FILE)
    for url in filter(None, (_options_url(entry, place.language) for entry in settings)):
        preset = _PRESET_OF.get(re.split(r"[/\\]", url)[-1])
        published = ElmoConfig.preset(preset) if preset else None
        if published and all(getattr(published, name) == sizes[name] for name in _compared(sizes)):
            clips = {name: getattr(published, name) for name in _ASSUMED}
            return clips, f"{url}, which {files.label(_CONFIG_FILE)} names"
    return {}, None


def _archived_options(
    files: ModelFiles, place: _Place, sizes: Mapping[str, Any]
) -> Iterator[tuple[dict[str, Any], str]]:
    """What the options files in an archive say, as far as they may be this ELMo's."""
    matches = list(filter(None, map(_ARCHIVED_OPTIONS.fullmatch, files.names)))
    matches = [match for match in matches if (match["language"] or "") in ("", place.language)]
    named = [match for match in matches if match["key"].split(".")[-1] == place.name]
    for match in named or matches:
        fields = read_fields(files.read_json(match[0], _MOST_JSON), files.label(match[0]))
        if all(fields.get(name) == sizes[name] for name in _compared(sizes)):
            yield _without_sizes(fields), files.label(match[0])


def _compared(sizes: Mapping[str, Any]) -> list[str]:
    return [name for name in sizes if name != "forced_projections"]


def _without_sizes(fields: Mapping[str, Any]) -> dict[str, Any]:
    clips = {name: fields[name] for name in _ASSUMED}
    return {name: None if value == 0 else value for name, value in clips.items()}  # no clipping


def _settings(files: ModelFiles, place: _Place) -> list[dict[str, Any]]:
    """The entries of config.json that may be this ELMo's; those with its name, if there are any."""
    if _CONFIG_FILE not in files.names:
        return []
    entries = list(_entries(files.read_json(_CONFIG_FILE, _MOST_JSON)))
    named = [entry for key, entry in entries if key == place.name]
    return named or [entry for _, entry in entries]


def _entries(content: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects in config.json that describe an ELMo, with their keys."""
    left = [("", content)]
    while left:
        key, part = left.pop()
        if isinstance(part, Mapping):
            is_embedder = str(part.get("type")).startswith("elmo_token_embedder")
            if is_embedder or {"options_file", "options_files"} & part.keys():
                yield key, dict(part)
            left += [(str(name), value) for name, value in reversed([*part.items()])]
        elif isinstance(part, list):
            left += [(key, value) for value in reversed(part)]


def _normalizes(settings: Sequence[Mapping[str, Any]], files: ModelFiles) -> bool:
    """Whether an ELMo normalizes its layers before they are mixed."""
    for entry in settings:
        value = entry.get("do_layer_norm", False)
        others = difflib.get_close_matches("do_layer_norm", map(str, entry.keys() - _LAYER_NORM))
        if others or value not in (True, False, None):
            wrong = others[0] if others else "do_layer_norm"
            raise ElmoError(
                f"{files.label(_CONFIG_FILE)} has {wrong} {shortened(entry[wrong])} in an ELMo, "
                "expected do_layer_norm, true or false."
            )
    return any(entry.get("do_layer_norm") for entry in settings)


def _options_url(entry: Mapping[str, Any], language: str) -> str | None:
    by_language = entry.get("options_files")
    url = by_language.get(language) if isinstance(by_language, Mapping) else None
    default = _DEFAULT_OPTIONS if entry.get("type") == "elmo_token_embedder" else None
    url = url or entry.get("options_file", default)
    return url if isinstance(url, str) else None


# Its tensors


def _elmo_tensors(config: ElmoConfig, place: _Place) -> Iterator[Tensor]:
    # The first row is that of padding, zeros.
    shape, path = (N_CHARACTERS + 1, config.char_embedding_dim), ("char_encoder", "char_embedding")
    yield Tensor(place.prefix + _TABLE, shape, lambda table: {path: table[1:]})
    yield from token_tensors(config, place.layers, "char_encoder")
    yield from lstm_tensors(config, place.layers)


def _task_tensors(
    config: ElmoConfig, place: _Place, own: Mapping[str, np.ndarray]
) -> Iterator[Tensor]:
    """What is there beside the biLM."""
    for number in sorted(set(map(place.mix_number, own)) - {None}, key=str):
        mix = f"{place.mixes}scalar_mix_{number}"
        for layer in range(config.n_output_layers):
            path = ("scalar_mixes", str(number), "weights", str(layer))
            yield Tensor(f"{mix}.scalar_parameters.{layer}", (1,), _scalar(path))
        yield Tensor(f"{mix}.gamma", (1,), _scalar(("scalar_mixes", str(number), "gamma")))
    name, dim = place.output_projection, config.output_dim
    if f"{name}.weight" in own:
        shape = (*own[f"{name}.weight"].shape[:1], dim)
        kernel, bias = (("output_projection", kind) for kind in ("kernel", "bias"))
        yield Tensor(f"{name}.weight", shape, lambda array: {kernel: array})
        yield Tensor(f"{name}.bias", shape[:1], lambda array: {bias: array})
    if place.alignment in own:
        yield Tensor(place.alignment, (dim, dim), lambda array: {("alignment",): array})


def _scalar(path: Path) -> ToParams:
    return lambda array: {path: array[0]}


def _joined(flat: dict[Path, np.ndarray], config: ElmoConfig) -> dict[Path, np.ndarray]:
    """The parameters, with one array for the weights of each mix, and the alignment by layer."""
    numbers = {path[1] for path in flat if path[0] == "scalar_mixes"}
    for number in numbers:
        path = ("scalar_mixes", number, "weights")
        layers = range(config.n_output_layers)
        flat[path] = np.stack([flat.pop((*path, str(layer))) for layer in layers])
    matrix = flat.pop(("alignment",), None)
    # A language without a map of its own has the identity.
    if matrix is not None and not np.array_equal(matrix, np.eye(len(matrix))):
        flat |= {("alignment", f"layer_{layer}"): matrix for layer in _mixed_layers(flat)}
    return flat


def _mixed_layers(flat: Mapping[Path, np.ndarray]) -> list[int]:
    """The layers that have a part in the mix, which is what AllenNLP maps.

    Published matrices are those of layer 1, and mixes with them have that layer alone.
    """
    weights = flat.get(("scalar_mixes", "0", "weights"))
    if weights is None:
        return [1]
    return np.flatnonzero(np.exp(weights - weights.max())).tolist()
