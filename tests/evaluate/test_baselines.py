"""Baselines on data where the answer is known."""

import numpy as np

from qc_jax.evaluate import baselines


def test_training_median():
    got = baselines.training_median(np.array([[1.0, 5.0], [2.0, 7.0], [9.0, 6.0]]), rows=2)
    np.testing.assert_array_equal(got, [[2, 6], [2, 6]])


def test_pair_mean_finds_planted_constants():
    """Exact on unseen pairs of seen elements, in either order."""
    rng = np.random.default_rng(0)
    constants = rng.normal(size=(10, 2))
    numbers = rng.integers(1, 10, size=(60, 2))
    labels = constants[numbers].sum(axis=1) + 5
    others = rng.integers(1, 10, size=(20, 2))
    expected = constants[others].sum(axis=1) + 5
    got = baselines.pair_mean(numbers, labels, others)
    np.testing.assert_allclose(got, expected, atol=1e-9)
    np.testing.assert_allclose(
        baselines.pair_mean(numbers, labels, others[:, ::-1]), expected, atol=1e-9
    )


def test_pair_mean_of_an_element_never_seen_is_finite():
    got = baselines.pair_mean(
        np.array([[1, 1], [1, 2]]), np.array([[1.0], [2.0]]), np.array([[3, 3]])
    )
    assert np.isfinite(got).all()
