"""A trainer of the same biLM as a PyTorch user could write it: ``torch.nn.LSTM`` and AdamW.

It runs in the environment of ``torch_lstm``. Rows of running text, windows of a fixed length, the
state carried on from window to window; each distinct word of a window is spelled once; a sampled
softmax shares its negatives among all tokens of a direction. In bfloat16 the forward pass runs
under ``torch.autocast``, the usual way; parameters and optimiser stay float32. ``torch.nn.LSTM``
cannot clip. Inputs of layers are dropped as elmo-jax drops them.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import dropout, relu

PACKAGES = ("torch", "numpy")
_BOS, _EOS, _UNKNOWN = "<S>", "</S>", "<UNK>"
_CLIP = 1.0


class CharacterCNN(nn.Module):
    """Words, spelled out, to token vectors."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__()
        cnn, out = options["char_cnn"], options["lstm"]["projection_dim"]
        self.activation = getattr(torch, cnn["activation"])
        self.embedding = nn.Embedding(262, cnn["embedding"]["dim"], padding_idx=0)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(cnn["embedding"]["dim"], n, span) for span, n in cnn["filters"]
        )
        size = sum(n for _, n in cnn["filters"])
        depth = cnn.get("n_highway") or 0
        self.highways = nn.ModuleList(nn.Linear(size, 2 * size) for _ in range(depth))
        self.projection = nn.Linear(size, out) if size != out else nn.Identity()

    def forward(self, characters: torch.Tensor) -> torch.Tensor:
        """[U, C] to [U, P]."""
        embedded = self.embedding(characters).transpose(1, 2)
        pooled = [convolution(embedded).amax(dim=2) for convolution in self.convolutions]
        x = self.activation(torch.cat(pooled, dim=1))
        for highway in self.highways:
            gate, new = highway(x).chunk(2, dim=1)
            gate = torch.sigmoid(gate - 2)
            x = gate * relu(new) + (1 - gate) * x
        return self.projection(x)


class Stack(nn.Module):
    """The LSTM layers of one direction, and the state in which the last window left them."""

    def __init__(self, options: dict[str, Any], rate: float) -> None:
        super().__init__()
        lstm = options["lstm"]
        size, cell = lstm["projection_dim"], lstm["dim"]
        proj_size = size if cell != size else 0
        self.skips, self.rate = lstm["use_skip_connections"], rate
        self.layers = nn.ModuleList(
            nn.LSTM(size, cell, proj_size=proj_size, batch_first=True)
            for _ in range(lstm["n_layers"])
        )
        self.state: list[Any] = [None] * lstm["n_layers"]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, T, P] to [N, T, P]."""
        for k, layer in enumerate(self.layers):
            x = dropout(x, self.rate)
            output, state = layer(x, self.state[k])
            self.state[k] = tuple(part.detach() for part in state)
            x = output + x if k and self.skips else output
        return dropout(x, self.rate)


class BiLM(nn.Module):
    """Both directions, and the softmax that they share."""

    def __init__(self, options: dict[str, Any], n_words: int, rate: float) -> None:
        super().__init__()
        size = options["lstm"]["projection_dim"]
        self.cnn = CharacterCNN(options)
        self.stacks = nn.ModuleList(Stack(options, rate) for _ in range(2))
        self.kernel = nn.Parameter(torch.randn(n_words, size) * size**-0.5)
        self.bias = nn.Parameter(torch.zeros(n_words))

    def forward(
        self, characters: torch.Tensor, slots: torch.Tensor, targets: torch.Tensor, n_samples: int
    ) -> torch.Tensor:
        """The mean loss of a window: slots and targets are [2, N, T], in reading order."""
        tokens = self.cnn(characters)[slots]
        losses = [
            self._loss(stack(tokens[d]).flatten(0, 1), targets[d].flatten(), n_samples)
            for d, stack in enumerate(self.stacks)
        ]
        return (losses[0] + losses[1]) / 2

    def _loss(self, outputs: torch.Tensor, targets: torch.Tensor, n_samples: int) -> torch.Tensor:
        """Sampled softmax, its negatives drawn with a probability that falls with the rank."""
        n_words = len(self.bias)
        if n_samples >= n_words:
            return nn.functional.cross_entropy(outputs @ self.kernel.T + self.bias, targets)
        scale = float(np.log(n_words + 1))
        draws = torch.rand(n_samples, device=outputs.device, dtype=torch.float32)
        negatives = (torch.exp(draws * scale).long() - 1).clamp(0, n_words - 1)

        def log_count(classes: torch.Tensor) -> torch.Tensor:
            return torch.log(n_samples * torch.log1p(1 / (classes + 1)) / scale)

        others = outputs @ self.kernel[negatives].T + self.bias[negatives] - log_count(negatives)
        others = others.masked_fill(targets[:, None] == negatives, -torch.inf)
        true = (outputs * self.kernel[targets]).sum(dim=1) + self.bias[targets]
        logits = torch.cat([(true - log_count(targets))[:, None], others], dim=1)
        return nn.functional.cross_entropy(logits.float(), torch.zeros_like(targets))


class Model:
    """A training run.

    Args:
        options: options.json of the architecture.
        text: the file to train on, one sentence a line.
        vocabulary: the file of the words to predict.
        batch_size: N, rows of a window.
        unroll_steps: T.
        n_samples: negatives of a direction; the full softmax if there are not more words.
        precision: "float32", "tf32" or "bfloat16".
        learning_rate: of AdamW.
        rate: share of the inputs that are dropped.
        device: of PyTorch; a GPU if it sees one, otherwise the CPU.
    """

    def __init__(
        self,
        options: str,
        text: str,
        vocabulary: str,
        batch_size: int,
        unroll_steps: int,
        n_samples: int,
        precision: str = "float32",
        learning_rate: float = 1e-3,
        rate: float = 0.1,
        device: str | None = None,
    ) -> None:
        torch.manual_seed(0)
        torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
        torch.backends.cudnn.allow_tf32 = precision == "tf32"
        parsed = json.loads(Path(options).read_text("utf-8"))
        words = Path(vocabulary).read_text("utf-8").split()
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._n_samples, self._half = n_samples, precision == "bfloat16"
        self._bilm = BiLM(parsed, len(words), rate).to(self._device)
        self._optimizer = torch.optim.AdamW(
            self._bilm.parameters(), lr=learning_rate, betas=(0.9, 0.99)
        )
        self._width = parsed["char_cnn"]["max_characters_per_token"]
        self._windows = self._read(text, words, batch_size, unroll_steps)

    def train(self, n_steps: int) -> list[float]:
        """Take some steps; their losses."""
        losses = []
        for characters, slots, targets in itertools.islice(self._windows, n_steps):
            arrays = (torch.from_numpy(array) for array in (characters, slots, targets))
            window = [array.to(self._device, non_blocking=True) for array in arrays]
            with torch.autocast(self._device.type, torch.bfloat16, enabled=self._half):
                loss = self._bilm(*window, self._n_samples)
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(self._bilm.parameters(), _CLIP)
            self._optimizer.step()
            losses.append(loss.detach())
        return torch.stack(losses).tolist()  # waits for all of them

    def _read(
        self, text: str, words: list[str], n_rows: int, n_steps: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Windows without end: the text in numbers, in rows that go on from window to window."""
        place = {word: i for i, word in enumerate(words)}
        known = dict(place)  # of all words, what is not in the vocabulary after it
        targets, inputs = [], []
        for line in Path(text).read_text("utf-8").splitlines():
            bounded = [_BOS, *line.split(), _EOS]
            inputs += [known.setdefault(word, len(known)) for word in bounded]
            targets += [place.get(word, place[_UNKNOWN]) for word in bounded]
        spelled = np.stack([self._spell(word) for word in known])
        read, predicted = (np.array(found) for found in (inputs, targets))
        length = n_rows * n_steps
        while len(read) < 2 * length:
            read, predicted = np.tile(read, 2), np.tile(predicted, 2)
        read, predicted = (
            x[: len(x) // n_rows * n_rows].reshape(n_rows, -1) for x in (read, predicted)
        )
        for start in itertools.cycle(range(0, read.shape[1] - n_steps - 1, n_steps)):
            now, after = slice(start, start + n_steps), slice(start + 1, start + n_steps + 1)
            # Backward, what is read follows what is predicted.
            ids = np.stack([read[:, now], read[:, ::-1][:, now]])
            labels = np.stack([predicted[:, after], predicted[:, ::-1][:, after]])
            distinct, slots = np.unique(ids, return_inverse=True)
            yield spelled[distinct], slots.reshape(ids.shape), labels

    def _spell(self, word: str) -> np.ndarray:
        """Ids from 1; 0 is no character."""
        begin = {_BOS: [256], _EOS: [257]}
        spelling = begin.get(word, list(word.encode("utf-8", "ignore")[: self._width - 2]))
        spelled = np.full(self._width, 260, np.int64)
        spelled[: len(spelling) + 2] = [258, *spelling, 259]
        return spelled + 1
