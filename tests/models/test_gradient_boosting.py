"""The trees as arrays are the trees of scikit-learn."""

import sys

import jax
import numpy as np
import pytest

from qc_jax import models, testing
from qc_jax.errors import InputError
from qc_jax.models import gradient_boosting
from tests.models import structures

OPTIONS = {"n_estimators": 40, "max_depth": 4, "learning_rate": 0.2, "random_state": 0}


@pytest.fixture(scope="module")
def solved(small_table):
    pytest.importorskip("sklearn", reason="scikit-learn is not installed: nothing grows trees")
    model = models.create("gradient_boosting", trees=40, depth=4, learning_rate=0.2, outputs=2)
    batch = structures.pairs(small_table, slice(None))
    labels = small_table.columns(("e_homo_ev", "distance_ang")).astype(np.float32)
    return model, batch, labels, model.solve(batch, labels)


def test_predicts_what_scikit_learn_predicts(solved):
    from sklearn.ensemble import GradientBoostingRegressor

    model, batch, labels, variables = solved
    got = models.apply(model, variables, batch)
    facts = np.asarray(gradient_boosting.features(batch))
    for column in range(2):
        found = []
        for used in (gradient_boosting.OF_ELEMENTS, facts.shape[1]):
            reference = GradientBoostingRegressor(loss="absolute_error", **OPTIONS)
            reference.fit(facts[:, :used], labels[:, column])
            found.append(np.abs(got[:, column] - reference.predict(facts[:, :used])).max())
        assert min(found) < 1e-4 < max(found)


def test_the_order_of_the_atoms_changes_nothing(solved):
    model, batch, _, variables = solved
    expected = models.apply(model, variables, batch)
    for other in (testing.reorder(batch), testing.rotate(batch)):
        np.testing.assert_allclose(models.apply(model, variables, other), expected, rtol=1e-5)


def test_reads_elements_and_distance(solved):
    model, batch, _, variables = solved
    expected = models.apply(model, variables, batch)
    further = batch.replace(positions=1.5 * batch.positions)
    heavier = batch.replace(atomic_numbers=batch.atomic_numbers + 1)
    for other in (further, heavier):
        assert np.abs(models.apply(model, variables, other) - expected).max() > 1e-3
    features = batch.canvas_features
    undrawn = batch.replace(canvas_features=jax.numpy.zeros_like(features))
    np.testing.assert_array_equal(models.apply(model, variables, undrawn), expected)


def test_limits_are_rounded_to_the_side_that_keeps_the_answer():
    """A limit between two neighbouring float32 numbers rounds up to the upper one in float32."""
    low = np.float32(0.3)
    high = np.nextafter(low, np.float32(1))
    for limit in (np.float64(low), (np.float64(low) + high) / 2, np.nextafter(np.float64(high), 0)):
        rounded = gradient_boosting._round_down(limit)
        assert low <= rounded and not high <= rounded


def test_without_scikit_learn(solved, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    model, batch, labels, _ = solved
    with pytest.raises(InputError, match=r"needs scikit-learn .*qc-jax\[boosting\]"):
        model.solve(batch, labels)


def test_molecules_are_refused(solved):
    model, _, _, variables = solved
    with pytest.raises(InputError, match="expected 2 atoms"):
        models.apply(model, variables, structures.crowd())


def test_gaps_of_which_most_are_zero_are_learned(solved):
    """By a classifier of the zeros and a regressor of the others, as scikit-learn grows them."""
    from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

    model, batch, labels, _ = solved
    gaps = np.where(labels[:, :1] > np.quantile(labels[:, 0], 0.66), labels[:, :1] + 9, 0)
    gaps = gaps.astype(np.float32)
    there = gaps[:, 0] == 0
    assert np.mean(there) > 0.6
    got = models.apply(model.clone(outputs=1), model.clone(outputs=1).solve(batch, gaps), batch)
    facts = np.asarray(gradient_boosting.features(batch))
    found = []
    for used in (gradient_boosting.OF_ELEMENTS, facts.shape[1]):
        some = facts[:, :used]
        zero = GradientBoostingClassifier(**OPTIONS).fit(some, there).predict(some)
        others = GradientBoostingRegressor(**OPTIONS).fit(some[~there], gaps[~there, 0])
        expected = np.where(zero, 0, others.predict(some))
        found.append(np.abs(got[:, 0] - expected).max())
    assert min(found) < 1e-4
    assert np.abs(got - gaps).mean() < 0.2 * np.abs(gaps).mean()


@pytest.mark.parametrize(
    ("labels", "expected"),
    [([0, 0, 1, 2], 0), ([2, 1, 1, 1], 1), ([0, 1, 2, 3], None), ([1, 1, 1], None), ([1], None)],
)
def test_repeated_labels(labels, expected):
    assert gradient_boosting.repeated_label(np.array(labels, float)) == expected


def test_odd_electrons_are_told(small_table):
    batch = structures.pairs(small_table, slice(None))
    odd = np.asarray(gradient_boosting.features(batch))[:, -1]
    np.testing.assert_array_equal(odd, small_table.atomic_numbers.sum(axis=1) % 2)
