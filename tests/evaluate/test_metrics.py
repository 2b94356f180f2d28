"""Metrics against numbers worked out by hand."""

import math

import numpy as np
import pytest

from qc_jax.evaluate import metrics


def test_by_hand():
    got = metrics.regression(np.array([1.0, 2.0, 6.0, 3.0]), np.array([1.0, 3.0, 3.0, 5.0]))
    # Errors 0, −1, 3, −2; labels have mean 3 and squared deviations 4, 0, 0, 4.
    assert got == pytest.approx(
        {"mae": 1.5, "rmse": math.sqrt(3.5), "median_ae": 1.5, "r2": 1 - 14 / 8}
    )


def test_equal_labels_have_no_r2():
    assert math.isnan(metrics.regression(np.array([1.0, 2.0]), np.array([3.0, 3.0]))["r2"])
