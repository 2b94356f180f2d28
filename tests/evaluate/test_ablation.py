"""Changes of the atomic numbers, asked of models whose use of them is known."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qc_jax import models
from qc_jax.data import dataset
from qc_jax.data.batch import Batch
from qc_jax.data.table import open_table
from qc_jax.errors import InputError
from qc_jax.evaluate import ablation
from qc_jax.evaluate.predict import predict
from tests import planted


@pytest.fixture(scope="module")
def table():
    return planted.plant(open_table("gfn2_xtb").take(np.arange(0, 2671, 2)))


def solved(table, name, target, **fields):
    """(predict, test structures, their labels, model) of a model that is solved at once."""
    task = dataset.prepare(table, (target,), 42)
    model = models.create(name, **fields)
    train = task.dataset.take(task.split.train)
    variables = model.solve(train.structures, np.asarray(task.scaler.scale(train.labels)))
    test = task.dataset.take(task.split.test)
    ask = functools.partial(predict, model, variables, task.scaler)
    return ask, test.structures, np.asarray(test.labels), model


def maes(ask, structures, labels, model, repeats=3):
    found = ablation.errors(ask, structures, labels, ablation.of_elements(model), repeats)
    assert [len(each.mae) for each in found.values()] == [1, repeats, 1, 1, repeats, 1]
    assert not any(each.not_finite for each in found.values())
    return {name: each.mae.mean() for name, each in found.items()}


def test_a_model_that_uses_elements_is_hurt(table):
    got = maes(*solved(table, "pair_mean", planted.ELEMENTS))
    assert got["normal"] < 0.2
    for change in ("shuffle", "mask", "random", "constant"):
        assert got[change] > 5 * got["normal"], change
    # A sum over both atoms has no order.
    assert got["swap"] == pytest.approx(got["normal"], rel=1e-5)


def test_a_model_that_does_not_use_them_is_not(table):
    """It reads them, but what it learned follows from the bond length."""
    got = maes(*solved(table, "gradient_boosting", planted.DISTANCE, trees=60, depth=3))
    for change, mae in got.items():
        assert mae < 1.1 * got["normal"], change


def test_of_noise_nothing_can_be_taken(table):
    ask, structures, labels, model = solved(table, "pair_mean", planted.NOISE)
    got = maes(ask, structures, labels, model, repeats=10)
    assert abs(got["shuffle"] - got["normal"]) < 0.1 * got["normal"]
    # It has no skill either: the median of the training labels is about zero.
    assert got["normal"] > 0.95 * np.abs(labels).mean()


def test_the_changes():
    numbers = jnp.array([[1, 8], [6, 7], [3, 0]], jnp.int32)  # the last has padding
    batch = Batch(numbers, jnp.zeros((3, 2, 3)), jnp.array([[[1], [0]]] * 3, jnp.int32))
    changes = ablation.of_elements(models.create("dimenet"))
    made = {
        name: np.asarray(change.apply(batch, np.random.default_rng(0)).atomic_numbers)
        for name, change in changes.items()
    }
    np.testing.assert_array_equal(made["normal"], numbers)
    np.testing.assert_array_equal(made["swap"][:2], [[8, 1], [7, 6]])
    np.testing.assert_array_equal(made["mask"], 0)
    np.testing.assert_array_equal(made["constant"], [[6, 6], [6, 6], [6, 0]])
    assert made["shuffle"][2, 1] == 0
    assert made["random"][:2].min() >= 1 and made["random"].max() <= 94


def test_random_elements_stay_within_the_tables():
    """Nothing is clipped: what has no row is not drawn, and what is drawn reaches the last row."""
    model = models.create("dimenet")
    assert ablation.random_elements(model).tolist() == list(range(1, 95))
    assert ablation.random_elements(models.create("faenet"))[-1] == 103
    assert len(ablation.random_elements(models.create("quantumshellnet"))) == 103  # it has no table
    numbers = jnp.ones((3000, 2), jnp.int32)
    batch = Batch(numbers, jnp.zeros((3000, 2, 3)), jnp.zeros((3000, 2, 1), jnp.int32))
    change = ablation.of_elements(model)["random"]
    drawn = change.apply(batch, np.random.default_rng(0))
    assert set(np.unique(drawn.atomic_numbers)) == set(range(1, 95))
    models.check(model, drawn)


def test_random_elements_are_those_that_the_model_takes():
    """Tight binding has none for elements without parameters, which lie between others."""
    model = models.create("tight_binding")
    elements = ablation.random_elements(model)
    assert 58 not in elements and set(elements) <= model.known_elements
    places = np.broadcast_to(np.eye(3)[:2], (500, 2, 3))
    batch = Batch(jnp.ones((500, 2), jnp.int32), jnp.asarray(places), jnp.zeros((500, 2, 1), int))
    drawn = ablation.of_elements(model)["random"].apply(batch, np.random.default_rng(0))
    models.check(model, drawn)


def test_what_has_no_label_counts_for_nothing_and_classes_by_what_is_wrong():
    def ask(structures):
        numbers = np.asarray(structures.atomic_numbers)
        return np.stack([numbers[:, 0], numbers[:, 0] == 1], axis=1) * [1.0, 0.6]

    batch = Batch(
        jnp.array([[1, 8], [6, 8], [7, 8]]), jnp.zeros((3, 2, 3)), jnp.zeros((3, 2, 1), jnp.int32)
    )
    labels = np.array([[2.0, 1.0], [np.nan, 0.0], [9.0, 1.0]])
    names = ("e_homo_ev", "metal_like")
    changes = {"normal": ablation.Change(ablation.unchanged, random=False)}
    got = ablation.errors(ask, batch, labels, changes, 1, targets=names)["normal"]
    assert got.mae.tolist() == [[1.5, pytest.approx(1 / 3)]]


def test_a_model_without_elements():
    with pytest.raises(InputError, match="reads no elements"):
        ablation.of_elements(models.create("vision_only"))


def test_predictions_that_are_not_finite_are_counted():
    batch = Batch(
        jnp.array([[1, 8]] * 4), jnp.zeros((4, 2, 3)), jnp.array([[[1], [0]]] * 4, jnp.int32)
    )

    def ask(structures):
        masked = np.asarray(structures.atomic_numbers).max(axis=1) == 0
        return np.where(masked, np.nan, 1.0)[:, None]

    with jax.debug_nans(False):
        changes = ablation.of_elements(models.create("gcn"))
        got = ablation.errors(ask, batch, np.zeros((4, 1)), changes, 2)
    assert got["mask"].not_finite == 4 and got["normal"].not_finite == 0
    assert np.isnan(got["mask"].mae).all() and got["random"].mae.tolist() == [[1.0], [1.0]]
