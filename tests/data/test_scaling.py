"""Label scaling: fitted where it is told, and back again."""

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


def test_nothing_to_learn():
    with pytest.raises(InputError, match=r"e_g_ev: all 3 training labels are 0\.0"):
        scaling.fit(np.zeros((3, 1)), ("e_g_ev",))


def test_a_logarithm_needs_positive_labels():
    with pytest.raises(InputError, match="softness_evinv: expected positive labels"):
        scaling.fit(np.array([[1.0], [-1.0]]), ("softness_evinv",))
