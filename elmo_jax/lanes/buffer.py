"""LaneBuffer: what the lanes hold that is not yet read."""

from __future__ import annotations

import numpy as np


class LaneBuffer:
    """One number per step of each lane. Positions count from the next step to be read."""

    def __init__(self, n_lanes: int, filler: int) -> None:
        self._filler = filler  # what a lane holds where no sentence was written
        self.values_WN = np.zeros((0, n_lanes), np.int32)  # W grows when sentences are written

    def write(
        self,
        lanes_S: np.ndarray,
        starts_S: np.ndarray,
        lengths_S: np.ndarray,
        values: np.ndarray,
        *,
        backward: bool = False,
    ) -> None:
        """Write the tokens of sentences, none of them empty; ``values`` has them end to end.

        If ``backward``, each sentence is written from its last position to its first.
        """
        self.lengthen(int((starts_S + lengths_S).max(initial=0)))
        step = self.values_WN.shape[1]  # from one position of a lane to its next, in memory
        firsts_S = starts_S * step + lanes_S
        if backward:
            firsts_S, step = firsts_S + (lengths_S - 1) * step, -step
        np.put(self.values_WN, flat_positions(firsts_S, lengths_S, step), values)

    def take(self, n_steps: int) -> np.ndarray:
        """Cut off the next steps, int32 [T, N]."""
        self.lengthen(n_steps)
        taken_TN, self.values_WN = self.values_WN[:n_steps], self.values_WN[n_steps:]
        return taken_TN

    def resize(self, former_N: np.ndarray) -> None:
        """Rearrange the lanes: ``former_N`` says which each was; a new one has the former N."""
        values_WN = np.pad(self.values_WN, ((0, 0), (0, 1)), constant_values=self._filler)
        self.values_WN = np.ascontiguousarray(values_WN[:, former_N])  # np.put needs it

    def lengthen(self, n_steps: int) -> None:
        """Make all lanes at least this long."""
        missing = n_steps - len(self.values_WN)
        if missing > 0:
            # Not np.pad, which takes much longer for a few rows: this is done for each window.
            filled_MN = np.full((missing, self.values_WN.shape[1]), self._filler, np.int32)
            self.values_WN = np.concatenate([self.values_WN, filled_MN])


def flat_positions(firsts_S: np.ndarray, lengths_S: np.ndarray, step: int) -> np.ndarray:
    """Where the tokens of sentences lie in a flat array, sentence by sentence; int64.

    ``step`` leads from one token to the next; it is negative for sentences written backwards.
    """
    # The k-th token of all is the (k - n_before)-th of its sentence.
    n_before_S = np.cumsum(lengths_S) - lengths_S
    return np.repeat(firsts_S - n_before_S * step, lengths_S) + np.arange(lengths_S.sum()) * step
