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


def test_classes_by_hand():
    probability = np.array([0.9, 0.4, 0.5, 0.2, 0.6])
    true = np.array([1.0, 1.0, 1.0, 0.0, 0.0])
    got = metrics.classification(probability, true)
    # Wrong: the second and the last; of six couples 0.4 and 0.5 are below 0.6.
    certain = [0.9, 0.4, 0.5, 0.8, 0.4]
    assert got == pytest.approx(
        {
            **{"mae": 0.4, "accuracy": 0.6, "balanced_accuracy": (2 / 3 + 1 / 2) / 2},
            **{"auroc": 4 / 6, "cross_entropy": -np.log(certain).mean()},
        }
    )
    assert metrics.of_target("metal_like", probability, true) == got
    assert "rmse" in metrics.of_target("e_homo_ev", probability, true)


def test_auroc_counts_couples_and_equal_ones_by_half():
    random = np.random.default_rng(0)
    probability, true = random.integers(0, 5, 60) / 5, random.integers(0, 2, 60)
    ones, zeros = probability[true == 1][:, None], probability[true == 0][None]
    expected = ((ones > zeros) + (ones == zeros) / 2).mean()
    assert metrics.auroc(probability, true) == pytest.approx(expected)
    assert metrics.auroc(np.full(60, 0.7), true) == 0.5


def test_one_class_alone_has_an_accuracy_only():
    got = metrics.classification(np.array([0.0, 1.0]), np.array([1.0, 1.0]))
    assert got["accuracy"] == 0.5 and math.isnan(got["auroc"])
    assert math.isnan(got["balanced_accuracy"]) and got["cross_entropy"] < 10
