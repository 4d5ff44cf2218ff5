"""An ELMo as a PyTorch user could write it by hand: a character CNN and ``torch.nn.LSTM``.

Each distinct word of a batch is spelled out once; sentences are packed sequences with their
boundaries, so nothing is computed for padding. ``torch.nn.LSTM`` cannot clip, neither cells nor
projections: outputs differ from an ELMo's for every sentence in which a clip bites, from there on.
There is no state between batches. On a GPU, where PyTorch sees one, the LSTM is that of cuDNN.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import nn
from torch.nn.functional import relu
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

PACKAGES = ("torch", "h5py", "numpy")
_BATCH_SIZE = 64
_BOS, _EOS = "<S>", "</S>"
_BEGIN_SENTENCE, _END_SENTENCE, _BEGIN_WORD, _END_WORD, _PADDING = 256, 257, 258, 259, 260


class CharacterCNN(nn.Module):
    """Words, spelled out, to token vectors."""

    def __init__(self, options: dict[str, Any], weights: h5py.File) -> None:
        super().__init__()
        cnn = options["char_cnn"]
        self.width = cnn["max_characters_per_token"]
        self.activation = getattr(torch, cnn["activation"])
        self.embedding = nn.Embedding.from_pretrained(_tensor(weights["char_embed"]))
        self.convolutions = nn.ModuleList()
        for i, (span, n) in enumerate(cnn["filters"]):
            convolution = nn.Conv1d(self.embedding.embedding_dim, n, span)
            kernel = _tensor(weights[f"CNN/W_cnn_{i}"])[0].permute(2, 1, 0)
            _fill(convolution, weight=kernel, bias=_tensor(weights[f"CNN/b_cnn_{i}"]))
            self.convolutions.append(convolution)
        self.highways = nn.ModuleList()
        for k in range(cnn.get("n_highway") or 0):
            group = weights[f"CNN_high_{k}"]
            gates = [_linear(group, part) for part in ("carry", "transform")]
            self.highways.append(nn.ModuleList(gates))
        self.projection = _linear(weights["CNN_proj"], "proj") if "CNN_proj" in weights else None

    def forward(self, words: list[str]) -> torch.Tensor:
        """The vectors [U, P] of distinct words."""
        characters = torch.from_numpy(np.stack([self._spell(word) for word in words]))
        embedded = self.embedding(characters.to(self.embedding.weight.device)).transpose(1, 2)
        pooled = [convolution(embedded).amax(dim=2) for convolution in self.convolutions]
        x = self.activation(torch.cat(pooled, dim=1))
        for carry, transform in self.highways:
            gate = torch.sigmoid(carry(x))
            x = gate * relu(transform(x)) + (1 - gate) * x
        return x if self.projection is None else self.projection(x)

    def _spell(self, word: str) -> np.ndarray:
        if word in (_BOS, _EOS):
            spelling = [_BEGIN_SENTENCE if word == _BOS else _END_SENTENCE]
        else:
            spelling = list(word.encode("utf-8", "ignore")[: self.width - 2])
        spelled = np.full(self.width, _PADDING, np.int64)
        spelled[: len(spelling) + 2] = [_BEGIN_WORD, *spelling, _END_WORD]
        return spelled


class Stack(nn.Module):
    """The LSTM layers of one direction."""

    def __init__(self, options: dict[str, Any], weights: h5py.File, direction: int) -> None:
        super().__init__()
        lstm = options["lstm"]
        self.skips = lstm["use_skip_connections"]
        cells = weights[f"RNN_{direction}/RNN/MultiRNNCell"]
        self.layers = nn.ModuleList(
            _lstm(lstm["projection_dim"], lstm["dim"], cells[f"Cell{k}/LSTMCell"])
            for k in range(lstm["n_layers"])
        )

    def forward(self, tokens: PackedSequence) -> list[torch.Tensor]:
        """The padded outputs [B, T, P] of each layer, the tokens first."""
        outputs = [tokens]
        for k, layer in enumerate(self.layers):
            output = layer(outputs[-1])[0]
            if k and self.skips:
                output = output._replace(data=output.data + outputs[-1].data)
            outputs.append(output)
        return [pad_packed_sequence(output, batch_first=True)[0] for output in outputs]


class Model:
    """Character CNN, forward and backward stack.

    Args:
        options: options.json.
        weights: the HDF5 file.
        precision: "float32", "tf32" (of a GPU's products), or "bfloat16" for all arithmetic.
        dtype: of what is copied to the host: "float32" or "float16".
        device: of PyTorch; a GPU if it sees one, otherwise the CPU.
    """

    def __init__(
        self,
        options: str,
        weights: str,
        precision: str = "float32",
        dtype: str = "float32",
        device: str | None = None,
    ) -> None:
        parsed = json.loads(Path(options).read_text("utf-8"))
        torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
        torch.backends.cudnn.allow_tf32 = precision == "tf32"
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._dtype = getattr(torch, dtype)
        inner = torch.bfloat16 if precision == "bfloat16" else torch.float32
        with h5py.File(weights) as file:
            self._cnn = CharacterCNN(parsed, file)
            self._forward, self._backward = (Stack(parsed, file, d) for d in range(2))
        for part in (self._cnn, self._forward, self._backward):
            part.to(self._device, inner).eval()

    def embed(
        self, sentences: list[list[str]], batch_size: int | None, output: str
    ) -> Iterator[Any]:
        """Batch after batch; 64 sentences a batch unless told."""
        size = batch_size or _BATCH_SIZE
        for start in range(0, len(sentences), size):
            batch = sentences[start : start + size]
            with torch.no_grad():
                layers, lengths = self._layers(batch)
                if output == "sentences":
                    yield from self._to_host(self._mean(layers, lengths))
                    continue
                found = self._to_host(layers)
            for words, vectors in zip(batch, found, strict=True):
                yield vectors[:, 1 : len(words) + 1]  # without boundaries

    def vectors(self, sentences: list[list[str]]) -> Iterator[Any]:
        """The same: every sentence starts from a fresh state."""
        return self.embed(sentences, None, "layers")

    def _to_host(self, result: torch.Tensor) -> np.ndarray:
        return result.to(self._dtype).cpu().numpy()

    def _mean(self, layers: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Over all layers and over each sentence's words: [B, 2P]."""
        steps = torch.arange(layers.shape[2], device=self._device)
        words = (steps > 0) & (steps < lengths[:, None].to(self._device) - 1)
        summed = (layers.float().mean(dim=1) * words[:, :, None]).sum(dim=1)
        return summed / words.sum(dim=1, keepdim=True)

    def _layers(self, batch: list[list[str]]) -> tuple[torch.Tensor, torch.Tensor]:
        """All layers [B, L, T + 2, 2P], boundaries included, and lengths; padding is no zeros."""
        bounded = [[_BOS, *words, _EOS] for words in batch]
        places = {word: i for i, word in enumerate(dict.fromkeys(w for s in bounded for w in s))}
        vectors = self._cnn(list(places))
        lengths = torch.tensor([len(words) for words in bounded])  # packing wants them on the host
        ids = nn.utils.rnn.pad_sequence(
            [torch.tensor([places[word] for word in words]) for words in bounded], batch_first=True
        )
        steps = torch.arange(ids.shape[1])
        reverse = (lengths[:, None] - 1 - steps).clamp(min=0)  # its own inverse within a sentence
        turned = ids.gather(1, reverse)
        ids, turned, reverse = (tensor.to(self._device) for tensor in (ids, turned, reverse))
        forward = self._forward(_pack(vectors[ids], lengths))
        backward = self._backward(_pack(vectors[turned], lengths))
        index = reverse[:, :, None].expand(-1, -1, vectors.shape[1])
        pairs = zip(forward, backward, strict=True)
        layers = [torch.cat([f, b.gather(1, index)], dim=2) for f, b in pairs]
        return torch.stack(layers, dim=1), lengths


def _pack(tokens: torch.Tensor, lengths: torch.Tensor) -> PackedSequence:
    return pack_padded_sequence(tokens, lengths, batch_first=True, enforce_sorted=False)


def _lstm(projection_dim: int, cell_dim: int, group: h5py.Group) -> nn.LSTM:
    """One layer: TensorFlow's gates i, j, f, o put in PyTorch's order i, f, j, o."""
    projects = cell_dim != projection_dim
    layer = nn.LSTM(projection_dim, cell_dim, proj_size=projection_dim if projects else 0)
    i, j, f, o = _tensor(group["W_0"]).T.chunk(4)
    kernel = torch.cat([i, f, j, o])
    i, j, f, o = _tensor(group["B"]).chunk(4)
    bias = torch.cat([i, f + 1, j, o])  # the forget gate's 1 is not in the file
    parts = {
        "weight_ih_l0": kernel[:, :projection_dim],
        "weight_hh_l0": kernel[:, projection_dim:],
        "bias_ih_l0": bias,
        "bias_hh_l0": torch.zeros_like(bias),
    }
    if projects:
        parts["weight_hr_l0"] = _tensor(group["W_P_0"]).T
    _fill(layer, **parts)
    return layer


def _linear(group: h5py.Group, part: str) -> nn.Linear:
    kernel, bias = _tensor(group[f"W_{part}"]), _tensor(group[f"b_{part}"])
    layer = nn.Linear(*kernel.shape)
    _fill(layer, weight=kernel.T, bias=bias)
    return layer


def _tensor(dataset: h5py.Dataset) -> torch.Tensor:
    return torch.from_numpy(dataset[...])


def _fill(module: nn.Module, **values: torch.Tensor) -> None:
    with torch.no_grad():
        for name, value in values.items():
            getattr(module, name).copy_(value)
