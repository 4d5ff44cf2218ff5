"""The parts of messages."""

import pytest

from elmo_jax.errors import counted


@pytest.mark.parametrize(
    ("n", "text"), [(0, "0 blank lines"), (1, "1 blank line"), (2000, "2,000 blank lines")]
)
def test_a_count_has_its_noun_in_the_right_number(n, text):
    assert counted(n, "blank line") == text
