"""Intervals and tests on errors whose truth is known."""

import math

import numpy as np
import pytest
from scipy import stats

from qc_jax.evaluate import metrics, statistics


def test_intervals_hold_the_true_mean_as_often_as_they_say():
    rng = np.random.default_rng(0)
    held = 0
    for draw in range(200):
        low, high = statistics.interval(rng.exponential(2.0, size=250), seed=draw)
        held += low <= 2.0 <= high
    assert 0.89 <= held / 200 <= 0.99


def test_interval_is_that_of_the_normal_distribution_for_many_rows():
    errors = np.abs(np.random.default_rng(1).normal(size=5000))
    low, high = statistics.interval(errors)
    half = 1.96 * errors.std() / math.sqrt(len(errors))
    assert (low, high) == pytest.approx((errors.mean() - half, errors.mean() + half), abs=2e-3)
    assert statistics.interval(errors) == (low, high)
    assert statistics.interval(np.array([0.5])) == (0.5, 0.5)
    assert statistics.interval(np.full(9, 0.5)) == (0.5, 0.5)


def by_name(errors):
    return {f"pair{index}": error for index, error in enumerate(errors.tolist())}


def test_a_difference_on_the_same_pairs_is_found_where_an_unpaired_test_finds_none():
    rng = np.random.default_rng(2)
    hard = rng.exponential(1.0, size=200)  # some pairs are hard for all models
    first, second = hard + rng.normal(0, 0.02, 200), hard + 0.02 + rng.normal(0, 0.02, 200)
    assert statistics.paired_test(by_name(first), by_name(second)) < 0.01
    assert stats.ttest_ind(first, second).pvalue > 0.5


def test_models_that_are_equally_good_differ_as_seldom_as_they_should():
    rng = np.random.default_rng(3)
    values = [
        statistics.paired_test(*(by_name(rng.exponential(1.0, size=40)) for _ in range(2)))
        for _ in range(200)
    ]
    assert 0.01 <= np.mean(np.array(values) < 0.05) <= 0.1


def test_only_common_pairs_count():
    first, second = {"a": 0.1, "b": 0.2, "x": 9.0}, {"a": 0.1, "b": 0.2, "y": 0.0}
    assert statistics.paired_test(first, second) == 1
    assert statistics.paired_test({"x": 1.0}, {"y": 0.0}) == 1


def test_holm():
    """The worked example: of 0.01, 0.04, 0.03, 0.005 the corrected ones are known."""
    got = statistics.holm(np.array([0.01, 0.04, 0.03, 0.005]))
    assert got == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert statistics.holm(np.array([0.9, 0.8])) == pytest.approx([1, 1])
    assert len(statistics.holm(np.array([]))) == 0


def test_skill():
    assert statistics.skill(0.25, 1.0) == 0.75
    assert statistics.skill(2.0, 1.0) == -1.0
    assert math.isnan(statistics.skill(0.0, 0.0))


def test_an_interval_of_a_metric_holds_it_and_narrows_with_rows():
    widths = []
    for rows in (50, 800):
        random = np.random.default_rng(1)
        true = (random.uniform(size=rows) < 0.3) * 1.0
        probability = np.clip(true * 0.3 + random.uniform(size=rows) * 0.7, 0, 1)
        low, high = statistics.interval_of(metrics.auroc, probability, true)
        assert low < metrics.auroc(probability, true) < high <= 1
        assert (low, high) == statistics.interval_of(metrics.auroc, probability, true)
        widths.append(high - low)
    assert widths[1] < widths[0] / 2
    ones = np.ones(5)
    assert all(map(math.isnan, statistics.interval_of(metrics.auroc, ones, ones)))
