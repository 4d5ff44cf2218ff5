"""AllenNLP 2.10.1, the biLM of ``allennlp.modules.elmo``.

It was made for PyTorch below 1.13. On a present one its ELMo runs unchanged once the libraries are
there that other parts of AllenNLP import and ELMo does not use. Empty stand-ins take their place,
so the time of its import comes out shorter than where the real ones are loaded.

One run of the biLM gives all layers, from which boundaries are removed and each sentence's rows
taken, as AllenNLP's ``ElmoEmbedder`` did. AllenNLP carries the LSTM state from batch to batch, so
a sentence's vectors depend on the calls before. It runs on a GPU where PyTorch sees one.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Iterator, Sequence
from typing import Any

_ABSENT = {"cached_path", "fairscale", "huggingface_hub", "lmdb", "spacy"}
_ABSENT |= {"torchvision", "transformers"}


class _Anything:
    """Stands for any class of an absent library: it can be named and inherited from."""


class _StandIn(types.ModuleType):
    """Stands for an absent module."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (_Anything,), {})


class _StandInFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds a stand-in for each absent library and all its modules."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname.partition(".")[0] not in _ABSENT:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return _StandIn(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """Give ``cached_path`` its one function that ELMo calls: a local path is itself."""
        if module.__name__ == "cached_path":
            module.cached_path = lambda path, *_, **__: path  # type: ignore[attr-defined]


sys.meta_path.insert(0, _StandInFinder())

import torch  # noqa: E402
from allennlp.modules.elmo import _ElmoBiLm, batch_to_ids  # noqa: E402
from allennlp.nn.util import remove_sentence_boundaries  # noqa: E402

PACKAGES = ("allennlp", "torch", "numpy")
BATCH_SIZE = 32


class Model:
    """The biLM that is inside ``Elmo(options, weights, n)``.

    ``precision`` is "float32", or "tf32" of a GPU's products; ``dtype``, "float32" or "float16", is
    that of what is copied to the host.
    """

    def __init__(
        self, options: str, weights: str, precision: str = "float32", dtype: str = "float32"
    ) -> None:
        torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
        torch.backends.cudnn.allow_tf32 = precision == "tf32"
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._dtype = getattr(torch, dtype)
        self._bilm = _ElmoBiLm(options, weights).to(self._device).eval()

    def reset(self) -> None:
        """Forget the state of the last batch."""
        self._bilm._elmo_lstm.reset_states()

    def embed(self, batch: list[list[str]], output: str) -> Iterator[Any]:
        """Of sentences, the mean over layers and tokens: padding holds zeros."""
        with torch.no_grad():
            result = self._bilm(batch_to_ids(batch).to(self._device))
        parts = [remove_sentence_boundaries(x, result["mask"]) for x in result["activations"]]
        layers_BLTD, mask_BT = torch.stack([x for x, _ in parts], dim=1), parts[0][1]
        if output == "sentences":
            yield from self._to_host(layers_BLTD.mean(1).sum(1) / mask_BT.sum(1, keepdim=True))
            return
        for words, vectors in zip(batch, self._to_host(layers_BLTD), strict=True):
            yield vectors[:, : len(words)]

    def _to_host(self, result: Any) -> Any:
        return result.to(self._dtype).cpu().numpy()
