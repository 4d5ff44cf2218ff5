"""How results are compared with the oracle's."""

import numpy as np

# float32 has 24 bits: 6e-8 of a value of order 1 is lost at every rounding, and a few tens of
# roundings lie between a word and its topmost vector.
FLOAT32_TOLERANCE = 2e-6


def assert_close(actual, expected, tolerance=FLOAT32_TOLERANCE):
    """The same shape, and nowhere further apart than ``tolerance`` times max(1, |expected|)."""
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    assert actual.shape == expected.shape, f"shape {actual.shape}, expected {expected.shape}"
    distance = np.abs(actual - expected) / np.maximum(1.0, np.abs(expected))
    worst = distance.max(initial=0.0)
    assert worst <= tolerance, f"{worst:.3g} apart, more than {tolerance:.3g}"


def padded(results, n_tokens):
    """The oracle's [L, n, D] of each sentence as one array [B, L, T, D], zeros at padding."""
    return np.stack(
        [np.pad(layers, ((0, 0), (0, n_tokens - layers.shape[1]), (0, 0))) for layers in results]
    )
