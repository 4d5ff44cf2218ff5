"""A trainer of the same biLM as a PyTorch user could write it: ``torch.nn.LSTM`` and AdamW.

It runs in the environment of ``torch_lstm``. Rows of running text, windows of a fixed length, the
state carried on from window to window; each distinct word of a window is spelled once; a sampled
softmax shares its negatives among all tokens of a direction. In bfloat16 the forward pass runs
under ``torch.autocast``, the usual way; parameters and optimizer stay float32. ``torch.nn.LSTM``
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
from torch.nn.functional import dropout
from torch_lstm_worker import BOS, EOS, CharacterCNN, choose_device, lstm_layers, spell

PACKAGES = ("torch", "numpy")
_UNKNOWN = "<UNK>"
_CLIP = 1.0


class Stack(nn.Module):
    """The LSTM layers of one direction, and the state in which the last window left them."""

    def __init__(self, options: dict[str, Any], rate: float) -> None:
        super().__init__()
        self.skips, self.rate = options["lstm"]["use_skip_connections"], rate
        self.layers = lstm_layers(options)
        self.state: list[Any] = [None] * len(self.layers)

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
    """A training run on a text with one sentence per line.

    ``n_samples`` negatives of a direction are drawn, or the full softmax is taken if there are no
    more words than that; ``rate`` is the share of the inputs that are dropped.
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
    ) -> None:
        torch.manual_seed(0)
        parsed = json.loads(Path(options).read_text("utf-8"))
        words = Path(vocabulary).read_text("utf-8").split()
        self._device = choose_device(precision)
        self._n_samples, self._half = n_samples, precision == "bfloat16"
        self._bilm = BiLM(parsed, len(words), rate).to(self._device)
        parameters, betas = self._bilm.parameters(), (0.9, 0.99)
        self._optimizer = torch.optim.AdamW(parameters, lr=learning_rate, betas=betas)
        width = parsed["char_cnn"]["max_characters_per_token"]
        self._windows = _windows(text, words, width, batch_size, unroll_steps)

    def train(self, n_steps: int) -> list[float]:
        """Take some steps; their losses."""
        losses = []
        for window in itertools.islice(self._windows, n_steps):
            inputs = [torch.from_numpy(x).to(self._device, non_blocking=True) for x in window]
            with torch.autocast(self._device.type, torch.bfloat16, enabled=self._half):
                loss = self._bilm(*inputs, self._n_samples)
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(self._bilm.parameters(), _CLIP)
            self._optimizer.step()
            losses.append(loss.detach())
        return torch.stack(losses).tolist()  # waits for all of them


def _windows(
    text: str, words: list[str], width: int, n_rows: int, n_steps: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Windows without end: the text in numbers, in rows that go on from window to window."""
    classes = {word: i for i, word in enumerate(words)}
    numbers = dict(classes)  # of all words, those outside the vocabulary after it
    inputs, targets = [], []
    for line in Path(text).read_text("utf-8").splitlines():
        bounded = [BOS, *line.split(), EOS]
        inputs += [numbers.setdefault(word, len(numbers)) for word in bounded]
        targets += [classes.get(word, classes[_UNKNOWN]) for word in bounded]
    spelled = np.stack([spell(word, width) for word in numbers])
    stream = np.array([inputs, targets])
    while stream.shape[1] < 2 * n_rows * n_steps:
        stream = np.tile(stream, 2)
    length = stream.shape[1] // n_rows
    inputs_NT, targets_NT = stream[:, : length * n_rows].reshape(2, n_rows, length)
    for start in itertools.cycle(range(0, length - n_steps - 1, n_steps)):
        now, after = slice(start, start + n_steps), slice(start + 1, start + n_steps + 1)
        # Backward, the inputs follow what they predict.
        ids = np.stack([inputs_NT[:, now], inputs_NT[:, ::-1][:, now]])
        labels = np.stack([targets_NT[:, after], targets_NT[:, ::-1][:, after]])
        distinct, slots = np.unique(ids, return_inverse=True)
        yield spelled[distinct], slots.reshape(ids.shape), labels
