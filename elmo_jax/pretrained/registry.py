"""The published models, by name."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from ..errors import ElmoError, did_you_mean
from .remote_files import PublishedModel, RemoteFile, ZipMember

_ALLENNLP = "https://allennlp.s3.amazonaws.com/models/elmo"
_DEEPPAVLOV = "http://files.deeppavlov.ai/deeppavlov_data"
_NLPL = "http://vectors.nlpl.eu/repository"
_SMALL = "2x1024_128_2048cnn_1xhighway"
_MEDIUM = "2x2048_256_2048cnn_1xhighway"
_ORIGINAL = "2x4096_512_2048cnn_2xhighway"


# How the training texts were split, as far as our tokenizers come to it: English as in the Penn
# Treebank; other languages at punctuation; a protein into its residues.
_TREEBANK, _WORDS, _CHARACTERS = "treebank", "words", "characters"


def _two_files(
    name: str,
    options: str,
    weights: str,
    size: int | None = None,
    sha256: str | None = None,
    *,
    tokenizer: str = _TREEBANK,
) -> PublishedModel:
    """An options file, whose size and hash nobody published, and a weight file."""
    files = {
        "options.json": RemoteFile(f"{_ALLENNLP}/{options}"),
        "weights.hdf5": RemoteFile(f"{_ALLENNLP}/{weights}", size, sha256),
    }
    return PublishedModel(name, files, tokenizer=tokenizer)


def _english(name: str, shape: str, size: int, sha256: str | None = None) -> PublishedModel:
    start = f"{shape}/elmo_{shape}"
    return _two_files(name, f"{start}_options.json", f"{start}_weights.hdf5", size, sha256)


def _checkpoint(name: str, folder: str, step: int, size: int | None = None) -> PublishedModel:
    """What bilm-tf's training left, with the LM head; its vocabulary lies elsewhere."""
    data = f"model.ckpt-{step}.data-00000-of-00001"
    names = ("checkpoint", "options.json", f"model.ckpt-{step}.index")
    files = {file_name: RemoteFile(f"{_ALLENNLP}/{folder}/{file_name}") for file_name in names}
    files[data] = RemoteFile(f"{_ALLENNLP}/{folder}/{data}", size)
    files["vocab.txt"] = RemoteFile(f"{_ALLENNLP}/vocab-2016-09-10.txt")
    return PublishedModel(name, files, tokenizer=_TREEBANK)


def _archive(
    name: str, url: str, member: ZipMember | None = None, tokenizer: str | None = _WORDS
) -> PublishedModel:
    files = {url.rpartition("/")[2]: RemoteFile(url, member=member)}
    return PublishedModel(name, files, tokenizer=tokenizer)


_SMALL_SHA256 = "747ba97abce8a5f446558369e10bb0f7931437a46867476fdd156f5d7f576229"
# This one comes from a single source.
_ORIGINAL_SHA256 = "a6b92b9ccbb13fe489faacd2221c795d4bebe84b75f8aded9d85ea464fa5c994"

_MODELS = (
    _english("small", _SMALL, 54_402_456, _SMALL_SHA256),
    # The size follows from the parameter shapes and the layout of the file above.
    _english("medium", _MEDIUM, 112_140_184),
    _english("original", _ORIGINAL, 374_434_792, _ORIGINAL_SHA256),
    # The same shapes as "original", so the same size.
    _english("original_5p5b", f"{_ORIGINAL}_5.5B", 374_434_792),
    _checkpoint("small_checkpoint", f"{_SMALL}/tf_checkpoint", 1501260),
    # The size follows from the shapes: biLM, LM head, and Adagrad's slot for every parameter.
    _checkpoint("original_checkpoint", f"{_ORIGINAL}_tf_checkpoint", 935588, 4_005_211_776),
    _two_files(
        "pubmed",
        f"contributed/pubmed/elmo_{_ORIGINAL}_options.json",
        f"contributed/pubmed/elmo_{_ORIGINAL}_weights_PubMed_only.hdf5",
    ),
    _two_files(
        "portuguese_wikipedia",
        "contributed/pt/wikipedia/options.json",
        "contributed/pt/wikipedia/elmo_pt_weights.hdf5",
        tokenizer=_WORDS,
    ),
    _two_files(
        "portuguese_brwac",
        "contributed/pt/brwac/options.json",
        "contributed/pt/brwac/elmo_pt_weights_dgx1.hdf5",
        tokenizer=_WORDS,
    ),
    _archive("russian_wiki", f"{_DEEPPAVLOV}/elmo_ru-wiki_600k_steps.tar.gz"),
    _archive("russian_news", f"{_DEEPPAVLOV}/elmo_ru-news_wmt11-16_1.5M_steps.tar.gz"),
    _archive("russian_twitter", f"{_DEEPPAVLOV}/elmo_ru-twitter_2013-01_2018-04_600k_steps.tar.gz"),
    _archive("seqvec", "https://rostlab.org/~deepppi/seqvec.zip", tokenizer=_CHARACTERS),
)

BUNDLED = "mini"
"""The model that comes with the package, in a folder of this name here; see its README.md."""

MODELS: Mapping[str, PublishedModel] = MappingProxyType({model.name: model for model in _MODELS})
"""The published models with a name of their own: English ones, smallest first, then others."""

PATTERNS = ("nlpl:ID", "manylangs:LANGUAGE")
"""Names that stand for many models."""

LANGUAGES: Mapping[str, int] = MappingProxyType({"chinese": 179, "english": 144, "german": 142})
"""The models of ELMoForManyLangs whose language is known here, and their ids at NLPL."""

_MANYLANGS_IDS = range(136, 180)
_COHA_ID = 225  # English, of the Corpus of Historical American English
_OTHER_IDS = (210, 211, 217, 218, _COHA_ID)  # the others are Norwegian
_COHA_WEIGHTS = ZipMember(
    "model.hdf5",
    223_308_760,
    "02247353a237541a5a2351d781f8d28c5d1110e72aea7a96eca0d2bcec3df2eb",
)


def is_name(source: str) -> bool:
    """Whether a model is named in one of the known ways, which does not mean that it exists."""
    return source == BUNDLED or source in MODELS or source.startswith(("nlpl:", "manylangs:"))


def name_of_addresses(addresses: Iterable[str]) -> str | None:
    """The name of the published model that has these files, on any of AllenNLP's servers.

    Example:
        >>> files = (f"{_SMALL}/elmo_{_SMALL}_{name}" for name in ("options.json", "weights.hdf5"))
        >>> start = "https://s3-us-west-2.amazonaws.com/allennlp/models/elmo"
        >>> name_of_addresses(f"{start}/{file}" for file in files)
        'small'
    """
    wanted = {_path_at_allennlp(address) for address in addresses}
    for name, model in MODELS.items():
        if wanted == {_path_at_allennlp(file.url) for file in model.files.values()}:
            return name
    return None


def _path_at_allennlp(address: str) -> str:
    return address.rpartition("/models/elmo/")[2]


def model_named(name: str) -> PublishedModel:
    """The files of a published model; raises ElmoError if there is none of this name."""
    family, _, rest = name.partition(":")
    if family == "nlpl":
        return _nlpl(rest)
    if family == "manylangs":
        return _manylangs(rest)
    if name not in MODELS:
        raise ElmoError(f"Unknown pretrained model {name!r}. {names_like(name)}")
    return MODELS[name]


def model_in(folder_name: str) -> PublishedModel:
    """The model that has a folder of this name in the cache; one without files if none has."""
    if folder_name in MODELS:
        return MODELS[folder_name]
    if re.fullmatch("nlpl-[1-9][0-9]{0,8}", folder_name):
        return _nlpl(folder_name.removeprefix("nlpl-"))
    return PublishedModel(folder_name, {})


def tokenizer_of(name: str) -> str | None:
    """The tokenizer that goes with a published model; None for others, which may say it in files.

    Example:
        >>> tokenizer_of("original"), tokenizer_of("nlpl:142"), tokenizer_of("seqvec")
        ('treebank', 'words', 'characters')
    """
    return model_named(name).tokenizer if is_name(name) and name != BUNDLED else None


def names_like(name: str) -> str:
    """A sentence with the names that resemble an unknown one, or else with all names."""
    known = [BUNDLED, *MODELS]
    languages = [f"manylangs:{language}" for language in LANGUAGES]
    if meant := did_you_mean(name, known + languages, 3):
        return meant.lstrip()
    return f"The names are {', '.join(known)}, {' and '.join(PATTERNS)}."


def _nlpl(number: str) -> PublishedModel:
    """A model of the NLPL repository, whether or not its number is known."""
    if re.fullmatch("[1-9][0-9]{0,8}", number) is None:
        raise ElmoError(
            f"'nlpl:{number}' is not the name of a model. Expected nlpl: and its number in the "
            "NLPL repository, http://vectors.nlpl.eu/repository; for example nlpl:144."
        )
    id_ = int(number)
    url = f"{_NLPL}/{11 if id_ in _MANYLANGS_IDS else 20}/{id_}.zip"
    if id_ == _COHA_ID:
        return _archive(f"nlpl-{id_}", url, _COHA_WEIGHTS, _TREEBANK)
    model = _archive(f"nlpl-{id_}", url)
    if id_ in (*_MANYLANGS_IDS, *_OTHER_IDS):
        return model
    remark = (
        f"elmo-jax does not know a model with the number {id_}, so the address is a guess. Known "
        f"are {_MANYLANGS_IDS[0]} to {_MANYLANGS_IDS[-1]}, {', '.join(map(str, _OTHER_IDS))}; "
        "http://vectors.nlpl.eu/repository lists all."
    )
    return dataclasses.replace(model, remark=remark, tokenizer=None)


def _manylangs(language: str) -> PublishedModel:
    """A model of ELMoForManyLangs. All of them are in the NLPL repository."""
    if language.lower() not in LANGUAGES:
        raise ElmoError(
            f"elmo-jax does not know the number of 'manylangs:{language}'. It knows "
            f"{', '.join(f'manylangs:{known}' for known in LANGUAGES)}. The other languages are "
            f"nlpl:{_MANYLANGS_IDS[0]} to nlpl:{_MANYLANGS_IDS[-1]}; `elmo-jax info nlpl:ID` shows "
            "the language of one."
        )
    return _nlpl(str(LANGUAGES[language.lower()]))
