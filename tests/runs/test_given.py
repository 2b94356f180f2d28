"""Structures that a user asks about, as batches."""

import numpy as np
import pytest

from qc_jax.errors import InputError
from qc_jax.runs import given


def test_pairs_each_have_their_length():
    lengths = given.lengths([1.1, 2.5], 2)
    made = given.pairs_at(["C_O", "Ag_Al"], lengths)
    np.testing.assert_array_equal(made.atomic_numbers, [[6, 8], [47, 13]])
    np.testing.assert_allclose(made.positions[:, 1, 2], [1.1, 2.5])
    assert given.lengths(1.1, 3).tolist() == [1.1] * 3


@pytest.mark.parametrize(
    ("distance", "message"),
    [
        ([1.1, 2.0, 3.0], "expected a length in Å, or one a pair"),
        ([1.1, "2"], "expected a length in Å, or one a pair"),
        ("1", "expected a length in Å, or one a pair, got '1'"),
        ([1.1, -2.0], "expected a length above 0"),
        (np.nan, "expected a length above 0 Å, got nan"),
    ],
)
def test_wrong_lengths(distance, message):
    with pytest.raises(InputError, match=f"distance: {message}"):
        given.lengths(distance, 2)
