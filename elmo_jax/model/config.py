"""ElmoConfig: everything that decides the shapes and the arithmetic of an ELMo."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import ElmoError, did_you_mean, number_problem, shortened
from . import options as options_json
from .alphabet import Alphabet

# What users choose from, here because the command line must not import JAX to print its help.
PRECISIONS = ("float32", "tf32", "bfloat16")
"""How matrix products are computed, see ``model.precision``."""

POOLINGS = ("mean", "max")
SENTENCE_POOLINGS = (*POOLINGS, "sif")
"""What ``Elmo`` can do as well: "sif" needs the words, which functions over arrays do not have."""
"""How the vectors of a sentence's tokens become one."""

DTYPES = ("float32", "float16")
"""How numbers are stored: vectors, and the parameters of a native model."""

TOKEN_LAYERS = ("bytes", "lexicon", "table")
"""How a word becomes a vector, see ``ElmoConfig.token_layer``."""

_ACTIVATIONS = ("relu", "tanh")

_MOST_SIZE = 10**6
_MOST_LAYERS = 1_000
_MOST_CHARACTERS = 10**5
_MOST_PARAMETERS = 10**12
_MOST_CLIP = 1e38  # in float32
"""Far more than any model has. What is beyond them comes from a file that is damaged or was made to
do harm, and would take all memory or all time."""

_MARKS: dict[str, dict[str, tuple[str, ...]]] = {
    "lexicon": {"words": ("<bos>", "<eos>", "<oov>"), "characters": ("<bos>", "<eos>", "<oov>")},
    "table": {"words": ("<S>", "</S>", "<UNK>"), "characters": ()},
}
_WORD_MARKS = ("<bow>", "<eow>", "<pad>")  # among the characters of a lexicon, too


@dataclasses.dataclass(frozen=True)
class ElmoConfig:
    """The architecture of one ELMo. Frozen and hashable, so it can be a static jit argument.

    Attributes:
        filters: (width, number of filters) for each character convolution, in file order; empty
            if the token layer does not read characters.
        char_embedding_dim: E, size of a character's vector.
        n_highway: number of highway layers after the convolutions; may be 0.
        activation: "relu" or "tanh", applied after the maximum over positions.
        max_characters_per_token: width of a spelled-out word, both word markers included.
        projection_dim: P, size of a token's vector and of each LSTM layer's output.
        cell_dim: H, size of an LSTM cell ("dim" in options.json).
        n_layers: number of LSTM layers per direction, without the token layer.
        cell_clip: limit on the absolute cell state, or None.
        proj_clip: limit on the absolute LSTM output, or None. It applies only if the LSTM has a
            projection.
        use_skip_connections: whether every layer but the first adds its input to its output.
        token_layer: what a word's vector is made of. "bytes": convolutions over its UTF-8 bytes
            (bilm-tf, AllenNLP). "lexicon": convolutions over the characters of an alphabet, and
            the word's own vector, or one of these (ELMoForManyLangs). "table": the word's own
            vector alone (bilm-tf without ``char_cnn``).
        word_dim: size of a word's own vector in a "lexicon"; 0 if it has none.
        forced_projections: whether token layer and LSTMs have their projections, with
            ``proj_clip``, even if the sizes before and after are the same.
        alphabet: the words and characters of a "lexicon" or a "table". Without one, you can only
            train the architecture; training makes an alphabet from the text.

    Raises:
        ElmoError: if a value cannot describe an ELMo; the message lists all such values.
    """

    filters: tuple[tuple[int, int], ...]
    projection_dim: int
    cell_dim: int
    char_embedding_dim: int = 16
    n_highway: int = 1
    activation: str = "relu"
    max_characters_per_token: int = 50
    n_layers: int = 2
    cell_clip: float | None = 3.0
    proj_clip: float | None = 3.0
    use_skip_connections: bool = True
    token_layer: str = "bytes"
    word_dim: int = 0
    forced_projections: bool = False
    alphabet: Alphabet | None = None

    def __post_init__(self) -> None:
        if isinstance(self.filters, list | tuple):  # lists are accepted, but not hashable
            pairs = tuple(tuple(p) if isinstance(p, list) else p for p in self.filters)
            object.__setattr__(self, "filters", pairs)
        for name in ("cell_clip", "proj_clip"):
            clip = getattr(self, name)
            if type(clip) is int and 2**31 <= clip < _MOST_CLIP:  # JAX takes no such integers
                object.__setattr__(self, name, float(clip))
        if self.token_layer in ("lexicon", "table") and self.filters == ():
            # What belongs to characters: equal models have equal configurations.
            object.__setattr__(self, "char_embedding_dim", 0)
            object.__setattr__(self, "n_highway", 0)
        problems = list(_problems(self))
        if problems:
            raise ElmoError("This ELMo configuration cannot be built: " + "; ".join(problems))

    @property
    def n_filters(self) -> int:
        """F, the size of a word's vector after the convolutions."""
        return sum(number for _, number in self.filters)

    @property
    def max_filter_width(self) -> int:
        """The characters that the widest convolution sees at once; 0 without convolutions."""
        return max((width for width, _ in self.filters), default=0)

    @property
    def word_columns(self) -> int:
        """How many of the C ids of a word are its row in a table of words: 1 or 0."""
        return int(self.token_layer == "table" or self.word_dim > 0)

    @property
    def spelling_width(self) -> int:
        """C, the ids that spell a word: its row in a table of words, then its characters."""
        return self.word_columns + (self.max_characters_per_token if self.filters else 0)

    @property
    def has_token_projection(self) -> bool:
        """Whether the F filters, and a word's own vector before them, are projected to P.

        bilm-tf leaves the projection out if F = P, and has none after a table.
        """
        if self.token_layer == "table":
            return False
        return self.forced_projections or self.word_dim + self.n_filters != self.projection_dim

    @property
    def has_lstm_projection(self) -> bool:
        """Whether H cell units are projected to P; bilm-tf leaves that out if H = P."""
        return self.forced_projections or self.cell_dim != self.projection_dim

    @property
    def output_dim(self) -> int:
        """D = 2P, the size of a contextual vector: forward and backward side by side."""
        return 2 * self.projection_dim

    @property
    def n_output_layers(self) -> int:
        """L, the number of layers in a result: the token layer and the LSTM layers."""
        return self.n_layers + 1

    @classmethod
    def preset(cls, name: str) -> ElmoConfig:
        """The configuration of a published model: "small", "medium", "original", "original_5p5b".

        "tiny" is not published; it is for trying things out.
        """
        try:
            return cls(**_PRESETS[name])
        except KeyError:
            raise ElmoError(
                f"Unknown preset {shortened(name)}: expected one of {', '.join(_PRESETS)}."
                f"{did_you_mean(name, _PRESETS)}"
            ) from None

    @classmethod
    def from_options(cls, options: Mapping[str, Any], source: str = "options") -> ElmoConfig:
        """The configuration in a published ``options.json`` (bilm-tf, AllenNLP), as parsed.

        Keys that only training needs are ignored; ``n_characters`` may be 261 or 262. Options
        without ``char_cnn`` describe a model with a table of words. The configuration of an
        ELMoForManyLangs model is accepted, too. ``alphabet`` is None in both cases.

        Raises:
            ElmoError: naming ``source`` and every key that is missing or has a wrong value.
        """
        fields = options_json.read_fields(options, source)
        try:
            return cls(**fields)
        except ElmoError as error:
            raise ElmoError(f"{source}: {error}") from None

    def to_options(self) -> dict[str, Any]:
        """The published ``options.json`` of this model, as a JSON-ready dictionary.

        ``n_characters`` is 262, which the published tools expect for inference.

        Raises:
            ElmoError: if the published format cannot describe such a model.
        """
        return options_json.from_fields(self.to_dict(), self.alphabet)

    def to_dict(self) -> dict[str, Any]:
        """The fields, JSON-ready, without the alphabet."""
        names = [field.name for field in dataclasses.fields(self) if field.name != "alphabet"]
        fields = {name: getattr(self, name) for name in names}
        return {**fields, "filters": [list(pair) for pair in self.filters]}

    def with_alphabet(self, alphabet: Alphabet) -> ElmoConfig:
        """The same architecture with an alphabet."""
        return dataclasses.replace(self, alphabet=alphabet)


def dtype_name(dtype: Any) -> str:
    """The name of the dtype of a result: ``np.float16``, ``jnp.float16`` and dtypes have one, too.

    Raises:
        ElmoError: unless it is one of DTYPES.
    """
    name = getattr(dtype, "__name__", getattr(dtype, "name", dtype))
    if not (isinstance(name, str) and name in DTYPES):
        raise ElmoError(
            f"Unknown dtype {shortened(name)}: expected one of {', '.join(DTYPES)}."
            f"{did_you_mean(name, DTYPES)}"
        )
    return name


def preset_names() -> tuple[str, ...]:
    """The names that ``ElmoConfig.preset`` accepts, smallest model first."""
    return tuple(_PRESETS)


def _problems(config: ElmoConfig) -> Iterator[str]:
    """Every reason why ``config`` cannot be built."""
    if config.token_layer not in TOKEN_LAYERS:
        known = ", ".join(TOKEN_LAYERS)
        yield f"token_layer is {shortened(config.token_layer)}, expected one of {known}"
        return
    yield from _token_layer_problems(config)
    for name in ("projection_dim", "cell_dim", "n_layers"):
        if not _is_count(value := getattr(config, name)):
            yield f"{name} is {shortened(value)}, expected a positive integer"
    for name in ("cell_clip", "proj_clip"):
        if not _is_bound(clip := getattr(config, name)):
            expected = "expected a positive number, or None for no clipping"
            yield f"{name} is {shortened(clip)}, {expected}"
    for name in ("use_skip_connections", "forced_projections"):
        if not isinstance(value := getattr(config, name), bool):
            yield f"{name} is {shortened(value)}, expected true or false"
    yield from _size_problems(config)
    # bilm-tf has a projection only if the sizes differ, and it only ever makes vectors shorter.
    dims = config.cell_dim, config.projection_dim
    is_longer = all(map(_is_count, dims)) and config.cell_dim < config.projection_dim
    if is_longer and config.forced_projections is not True:
        sizes = shortened(config.cell_dim), shortened(config.projection_dim)
        yield "cell_dim {} is smaller than projection_dim {}".format(*sizes)


def _token_layer_problems(config: ElmoConfig) -> Iterator[str]:
    has_words = config.token_layer == "lexicon" and config.word_dim != 0
    if not _is_count(config.word_dim, least=0) or (config.word_dim and not has_words):
        expected = "0 or a positive integer" if config.token_layer == "lexicon" else "0"
        yield f"word_dim is {shortened(config.word_dim)}, expected {expected}"
    if config.token_layer == "table":
        if config.filters != ():
            filters = shortened(config.filters)
            yield f"filters is {filters}, but a table of words reads no characters"
    elif config.filters != () or not has_words:
        yield from _character_problems(config)
    if config.activation not in _ACTIVATIONS:
        activation = shortened(config.activation)
        yield f"activation is {activation}, expected one of {', '.join(_ACTIVATIONS)}"
    if not _is_count(config.max_characters_per_token, least=3):
        yield (
            f"max_characters_per_token is {shortened(config.max_characters_per_token)}, expected "
            "at least 3: two word markers and a character"
        )
    yield from _alphabet_problems(config)


def _character_problems(config: ElmoConfig) -> Iterator[str]:
    pairs = config.filters if isinstance(config.filters, tuple) else ()
    if not pairs:
        filters = shortened(config.filters)
        yield f"filters is {filters}, expected at least one (width, number) pair"
    for pair in pairs:
        if not isinstance(pair, tuple) or len(pair) != 2 or not all(map(_is_count, pair)):
            yield (
                f"filters holds {shortened(pair)}, expected (width, number), both positive integers"
            )
        elif _is_count(longest := config.max_characters_per_token) and pair[0] > longest:
            yield (
                f"a filter is {shortened(pair[0])} characters wide, but words have only {longest} "
                "(max_characters_per_token)"
            )
    if not _is_count(config.char_embedding_dim):
        dim = shortened(config.char_embedding_dim)
        yield f"char_embedding_dim is {dim}, expected a positive integer"
    if not _is_count(config.n_highway, least=0):
        yield f"n_highway is {shortened(config.n_highway)}, expected 0 or a positive integer"


def _alphabet_problems(config: ElmoConfig) -> Iterator[str]:
    alphabet = config.alphabet
    if alphabet is None or not _is_count(config.word_dim, least=0):
        return
    if config.token_layer == "bytes" or not isinstance(alphabet, Alphabet):
        expected = "None" if config.token_layer == "bytes" else "an Alphabet"
        yield f"alphabet is {alphabet!r:.60}, expected {expected}"
        return
    for name, marks in _MARKS[config.token_layer].items():
        rows = alphabet.word_rows if name == "words" else alphabet.character_rows
        if name == "words" and not config.word_columns:
            marks = ()
        if name == "characters":
            marks = (*marks, *_WORD_MARKS) if config.filters else ()
        if missing := [mark for mark in marks if mark not in rows]:
            yield f"the alphabet's {name} lack {', '.join(missing)}"


def _is_count(value: object, least: int = 1) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_bound(value: object) -> bool:
    return value is None or (
        isinstance(value, int | float)
        and number_problem(value, "", positive=True, below=_MOST_CLIP) is None
    )


def _size_problems(config: ElmoConfig) -> Iterator[str]:
    """Sizes that no model has. Values that are no counts at all are reported elsewhere."""
    filters = config.filters if isinstance(config.filters, tuple) else ()
    numbers = [pair[1] for pair in filters if isinstance(pair, tuple) and len(pair) == 2]
    limits: list[tuple[str, Any, int]] = [
        ("projection_dim", config.projection_dim, _MOST_SIZE),
        ("cell_dim", config.cell_dim, _MOST_SIZE),
        ("char_embedding_dim", config.char_embedding_dim, _MOST_SIZE),
        ("word_dim", config.word_dim, _MOST_SIZE),
        ("n_layers", config.n_layers, _MOST_LAYERS),
        ("n_highway", config.n_highway, _MOST_LAYERS),
        ("max_characters_per_token", config.max_characters_per_token, _MOST_CHARACTERS),
        ("the number of filters", sum(filter(_is_count, numbers)), _MOST_SIZE),
        ("the number of (width, number) pairs in filters", len(filters), _MOST_LAYERS),
    ]
    problems = [
        f"{name} is {shortened(value)}, expected at most {most:,}"
        for name, value, most in limits
        if _is_count(value) and value > most
    ]
    yield from problems
    counts = (value for _, value, _ in limits)
    if not problems and all(_is_count(value, least=0) for value in counts):
        n_parameters = _count_parameters(config, [n for n in numbers if _is_count(n)])
        if n_parameters > _MOST_PARAMETERS:
            yield (
                f"it would have {n_parameters:,} parameters, expected at most {_MOST_PARAMETERS:,}"
            )


def _count_parameters(config: ElmoConfig, numbers: list[int]) -> int:
    """About how many numbers the convolutions, highway layers and LSTMs have, but for biases."""
    n_filters, n_out, n_cell = sum(numbers), config.projection_dim, config.cell_dim
    highway = 2 * n_filters**2
    token_layer = config.n_highway * highway + (n_filters + config.word_dim) * n_out
    lstm = 2 * n_out * 4 * n_cell + n_cell * n_out
    return token_layer + 2 * config.n_layers * lstm


# The published English models: 2,048 filters over words of up to 50 characters. "original" is that
# of section 3.4 of Peters et al. 2018.
_FILTERS = ((1, 32), (2, 32), (3, 64), (4, 128), (5, 256), (6, 512), (7, 1024))
_ORIGINAL = {"filters": _FILTERS, "cell_dim": 4096, "projection_dim": 512, "n_highway": 2}
_PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {
        "filters": ((1, 8), (2, 16), (3, 32)),
        "char_embedding_dim": 8,
        "cell_dim": 64,
        "projection_dim": 32,
    },
    "small": {"filters": _FILTERS, "cell_dim": 1024, "projection_dim": 128},
    "medium": {"filters": _FILTERS, "cell_dim": 2048, "projection_dim": 256},
    "original": _ORIGINAL,
    "original_5p5b": _ORIGINAL,
}


def check_config(config: Any) -> None:
    """Raise ElmoError unless this is an ElmoConfig."""
    if not isinstance(config, ElmoConfig):
        raise ElmoError(f"Expected config as an ElmoConfig, got {shortened(config)}.")
