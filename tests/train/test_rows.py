"""Rows in batches, and their order."""

import jax
import numpy as np
import pytest

from qc_jax.train import rows as of


@pytest.mark.parametrize("count", [1, 9, 64, 1625, 1626, 2280])
def test_the_order_is_that_of_jax(count):
    """Whatever is filled up; JAX sorts up to 1,625 rows once, more of them twice."""
    rows, key = 3 * np.arange(count), jax.random.key(count)
    filled = jax.tree.map(lambda leaf: leaf[0], of.filled([rows], 100))
    assert filled.numbers.shape == (-(-count // 100) * 100,)
    got = of.shuffled(key, filled)
    roomy = jax.tree.map(lambda leaf: leaf[0], of.filled([rows], 100, room=40))
    assert roomy.numbers.shape == (4000,)
    np.testing.assert_array_equal(of.shuffled(key, roomy).numbers[:count], got.numbers[:count])
    np.testing.assert_array_equal(got.numbers[:count], jax.random.permutation(key, rows))
    assert (got.numbers[count:] == rows[-1]).all() and got.count == count
