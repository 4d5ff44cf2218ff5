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

import numpy as np
import torch
from torch import nn
from torch.nn.functional import relu
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

PACKAGES = ("torch", "h5py", "numpy")
BATCH_SIZE = 64
BOS, EOS = "<S>", "</S>"


class CharacterCNN(nn.Module):
    """Words, spelled out, to token vectors; its weights are random."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__()
        cnn, out = options["char_cnn"], options["lstm"]["projection_dim"]
        dim, filters = cnn["embedding"]["dim"], cnn["filters"]
        size = sum(n for _, n in filters)
        self.activation = getattr(torch, cnn["activation"])
        self.embedding = nn.Embedding(262, dim, padding_idx=0)
        self.convolutions = nn.ModuleList(nn.Conv1d(dim, n, span) for span, n in filters)
        depth = cnn.get("n_highway") or 0
        self.highways = nn.ModuleList(nn.Linear(size, 2 * size) for _ in range(depth))
        for highway in self.highways:
            nn.init.constant_(highway.bias[:size], -2)  # carries at first, as bilm-tf's does
        self.projection = nn.Linear(size, out) if size != out else nn.Identity()

    def forward(self, characters: torch.Tensor) -> torch.Tensor:
        """[U, C] to [U, P]."""
        embedded = self.embedding(characters).transpose(1, 2)
        pooled = [convolution(embedded).amax(dim=2) for convolution in self.convolutions]
        x = self.activation(torch.cat(pooled, dim=1))
        for highway in self.highways:
            gate, new = highway(x).chunk(2, dim=1)
            gate = torch.sigmoid(gate)
            x = gate * relu(new) + (1 - gate) * x
        return self.projection(x)

    def fill(self, weights: Any) -> None:
        """Take the weights from an HDF5 file."""
        characters = _tensor(weights["char_embed"])
        nothing = torch.zeros(1, characters.shape[1])  # the file has no row for id 0
        _fill(self.embedding, weight=torch.cat([nothing, characters]))
        for i, convolution in enumerate(self.convolutions):
            kernel = _tensor(weights[f"CNN/W_cnn_{i}"])[0].permute(2, 1, 0)
            _fill(convolution, weight=kernel, bias=_tensor(weights[f"CNN/b_cnn_{i}"]))
        for k, highway in enumerate(self.highways):
            _fill_linear(highway, weights[f"CNN_high_{k}"], "carry", "transform")
        if isinstance(self.projection, nn.Linear):
            _fill_linear(self.projection, weights["CNN_proj"], "proj")


def lstm_layers(options: dict[str, Any]) -> nn.ModuleList:
    """The LSTM layers of one direction, with random weights."""
    size, cell = options["lstm"]["projection_dim"], options["lstm"]["dim"]
    choices = {"proj_size": size if cell != size else 0, "batch_first": True}
    return nn.ModuleList(nn.LSTM(size, cell, **choices) for _ in range(options["lstm"]["n_layers"]))


def spell(word: str, width: int) -> np.ndarray:
    """The ids of a word's characters: int64 [width], from 1; 0 is no character."""
    boundary = {BOS: [256], EOS: [257]}
    spelling = boundary.get(word, list(word.encode("utf-8", "ignore")[: width - 2]))
    spelled = np.full(width, 260, np.int64)
    spelled[: len(spelling) + 2] = [258, *spelling, 259]
    return spelled + 1


def choose_device(precision: str) -> torch.device:
    """A GPU where PyTorch sees one, otherwise the CPU; "tf32" is set for all of its products."""
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Model:
    """Character CNN, forward and backward layers.

    ``precision`` is "float32", "tf32" (of a GPU's products), or "bfloat16" for all arithmetic;
    ``dtype``, "float32" or "float16", is that of what is copied to the host.
    """

    def __init__(
        self, options: str, weights: str, precision: str = "float32", dtype: str = "float32"
    ) -> None:
        import h5py

        parsed = json.loads(Path(options).read_text("utf-8"))
        self._device, self._dtype = choose_device(precision), getattr(torch, dtype)
        self._width = parsed["char_cnn"]["max_characters_per_token"]
        self._skips = parsed["lstm"]["use_skip_connections"]
        self._cnn, self._directions = CharacterCNN(parsed), [lstm_layers(parsed) for _ in range(2)]
        with h5py.File(weights) as file:
            self._cnn.fill(file)
            for direction, layers in enumerate(self._directions):
                cells = file[f"RNN_{direction}/RNN/MultiRNNCell"]
                for k, layer in enumerate(layers):
                    _fill_lstm(layer, cells[f"Cell{k}/LSTMCell"])
        inner = torch.bfloat16 if precision == "bfloat16" else torch.float32
        for part in (self._cnn, *self._directions):
            part.to(self._device, inner).eval()

    def embed(self, batch: list[list[str]], output: str) -> Iterator[Any]:
        """Of sentences, the mean over layers and words, in float32."""
        with torch.no_grad():
            layers, lengths = self._layers(batch)
            if output == "sentences":
                steps = torch.arange(layers.shape[2], device=self._device)
                words = (steps > 0) & (steps < lengths[:, None].to(self._device) - 1)
                summed = (layers.float().mean(dim=1) * words[:, :, None]).sum(dim=1)
                yield from self._to_host(summed / words.sum(dim=1, keepdim=True))
                return
            vectors = self._to_host(layers)
        for sentence, array in zip(batch, vectors, strict=True):
            yield array[:, 1 : len(sentence) + 1]  # without boundaries

    def _to_host(self, result: torch.Tensor) -> np.ndarray:
        return result.to(self._dtype).cpu().numpy()

    def _layers(self, batch: list[list[str]]) -> tuple[torch.Tensor, torch.Tensor]:
        """All layers [B, L, T + 2, 2P], boundaries included, and lengths; padding is not zeros."""
        bounded = [[BOS, *words, EOS] for words in batch]
        rows = {word: i for i, word in enumerate(dict.fromkeys(w for s in bounded for w in s))}
        characters = np.stack([spell(word, self._width) for word in rows])
        vectors = self._cnn(torch.from_numpy(characters).to(self._device))
        lengths = torch.tensor([len(words) for words in bounded])  # packing wants them on the host
        ids = nn.utils.rnn.pad_sequence(
            [torch.tensor([rows[word] for word in words]) for words in bounded], batch_first=True
        )
        steps = torch.arange(ids.shape[1])
        reverse = (lengths[:, None] - 1 - steps).clamp(min=0)  # its own inverse within a sentence
        turned = ids.gather(1, reverse)
        ids, turned, reverse = (tensor.to(self._device) for tensor in (ids, turned, reverse))
        forward = self._stack(self._directions[0], vectors[ids], lengths)
        backward = self._stack(self._directions[1], vectors[turned], lengths)
        index = reverse[:, :, None].expand(-1, -1, vectors.shape[1])
        pairs = zip(forward, backward, strict=True)
        layers = [torch.cat([f, b.gather(1, index)], dim=2) for f, b in pairs]
        return torch.stack(layers, dim=1), lengths

    def _stack(
        self, layers: nn.ModuleList, tokens: torch.Tensor, lengths: torch.Tensor
    ) -> list[torch.Tensor]:
        """The padded outputs [B, T, P] of each layer, the tokens first."""
        outputs: list[PackedSequence] = [
            pack_padded_sequence(tokens, lengths, batch_first=True, enforce_sorted=False)
        ]
        for k, layer in enumerate(layers):
            output = layer(outputs[-1])[0]
            if k and self._skips:
                output = output._replace(data=output.data + outputs[-1].data)
            outputs.append(output)
        return [pad_packed_sequence(output, batch_first=True)[0] for output in outputs]


def _fill_lstm(layer: nn.LSTM, group: Any) -> None:
    """TensorFlow's gates i, j, f, o put in PyTorch's order i, f, j, o."""
    i, j, f, o = _tensor(group["W_0"]).T.chunk(4)
    kernel = torch.cat([i, f, j, o])
    i, j, f, o = _tensor(group["B"]).chunk(4)
    bias = torch.cat([i, f + 1, j, o])  # the forget gate's 1 is not in the file
    size = layer.input_size
    inputs, states = kernel[:, :size], kernel[:, size:]
    zeros = torch.zeros_like(bias)
    _fill(layer, weight_ih_l0=inputs, weight_hh_l0=states, bias_ih_l0=bias, bias_hh_l0=zeros)
    if layer.proj_size:
        _fill(layer, weight_hr_l0=_tensor(group["W_P_0"]).T)


def _fill_linear(layer: nn.Linear, group: Any, *parts: str) -> None:
    """One product for the parts that have the same input."""
    weight = torch.cat([_tensor(group[f"W_{part}"]).T for part in parts])
    _fill(layer, weight=weight, bias=torch.cat([_tensor(group[f"b_{part}"]) for part in parts]))


def _tensor(dataset: Any) -> torch.Tensor:
    return torch.from_numpy(dataset[...])


def _fill(module: nn.Module, **values: torch.Tensor) -> None:
    with torch.no_grad():
        for name, value in values.items():
            getattr(module, name).copy_(value)
