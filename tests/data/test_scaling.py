"""Label scaling: fitted where it is told, and back again."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qc_jax.data import scaling
from qc_jax.errors import InputError

NAMES = ("total_energy_ev", "softness_evinv")
LABELS = np.array([[-100.0, 0.1], [-20.0, 10.0], [-60.0, 1.0]])


def test_training_labels_span_minus_one_to_one():
    scaler = scaling.fit(LABELS, NAMES)
    # The softness spans decades and is scaled by its logarithm: 1 is half way from 0.1 to 10.
    np.testing.assert_allclose(scaler.scale(LABELS), [[-1, -1], [1, 1], [0, 0]], atol=1e-6)


def test_round_trip_reaches_beyond_the_training_labels():
    scaler = scaling.fit(LABELS, NAMES)
    others = np.array([[-300.0, 0.001], [50.0, 1000.0]])
    assert np.abs(scaler.scale(others)).min() > 1
    np.testing.assert_allclose(scaler.unscale(scaler.scale(others)), others, rtol=1e-5)


def test_a_logarithm_far_off_is_a_number_still():
    """One that is no float32 would make errors infinite, which no table of results takes."""
    scaler = scaling.fit(np.array([[1.0], [2.0]]), ("softness_evinv",))
    labels = scaler.unscale(np.float32([[0.0], [1e4]]))
    assert np.isfinite(labels).all() and labels[1, 0] > 1e30
    assert np.isfinite(np.sum(np.full(2880, labels[1, 0], np.float32)))


def test_nothing_to_learn():
    with pytest.raises(InputError, match=r"e_g_ev: all 3 training labels are 0\.0"):
        scaling.fit(np.zeros((3, 1)), ("e_g_ev",))


def test_a_logarithm_needs_positive_labels():
    with pytest.raises(InputError, match="softness_evinv: expected positive labels"):
        scaling.fit(np.array([[1.0], [-1.0]]), ("softness_evinv",))


def test_a_class_is_learned_as_a_logit_beside_other_targets():
    labels = np.array([[0.0, 10.0], [1.0, 30.0], [1.0, 20.0]])
    scaler = scaling.fit(labels, ("metal_like", "e_homo_ev"))
    assert scaler.binary == (True, False)
    scaled = np.array([[0.0, -1.0], [2.0, 0.0], [-3.0, 1.0]])
    probability = 1 / (1 + np.exp([0.0, -2.0, 3.0]))
    expected = np.stack([probability, [10, 20, 30]], axis=1)
    np.testing.assert_allclose(scaler.unscale(scaled), expected, rtol=1e-5)
    np.testing.assert_allclose(scaler.predict(scaled), [[1, 10], [1, 20], [0, 30]], rtol=1e-5)
    cross_entropy = -np.log([1 - probability[0], probability[1], probability[2]])
    expected = np.stack([cross_entropy, [0, 1, 1]], axis=1)
    np.testing.assert_allclose(scaler.loss(scaled, labels, np.abs), expected, rtol=1e-5)
    # Far off it neither overflows nor stops telling the way.
    far = jax.grad(lambda z: scaler.loss(z, labels[:1], jnp.abs)[0, 0])(jnp.array([[300.0, 0.0]]))
    assert far[0, 0] == 1 and not jnp.isnan(far).any()
    numbers = np.array([[1, 1], [6, 8], [1, 8]])
    fitted = scaling.fit(labels, ("metal_like", "e_homo_ev"), numbers)
    assert (fitted.low[0], fitted.high[0]) == (0, 1)


def test_other_classes_are_none():
    with pytest.raises(InputError, match=r"metal_like: expected classes 0 and 1, got 2\.0"):
        scaling.fit(np.array([[0.0], [2.0]]), ("metal_like",))
    assert scaling.fit(np.array([[0.0], [2.0]]), ("e_homo_ev",)).binary == ()
