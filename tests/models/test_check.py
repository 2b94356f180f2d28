"""Structures that a model cannot take are named before anything runs."""

import numpy as np
import pytest

from qc_jax import models, testing
from qc_jax.errors import InputError
from tests.models import structures

NAMES = np.array([f"pair_{row}" for row in range(8)])


class Reader:
    """Stands for a model: what `check` asks of one."""

    def __init__(self, *inputs, max_atomic_number=86):
        self.inputs = inputs
        self.max_atomic_number = max_atomic_number
        self.known_elements = None
        self.as_pairs = False


def changed(array, where, value):
    """A copy of `array` that JAX has not made: it would refuse a NaN here."""
    copy = np.array(array)
    copy[where] = value
    return copy


def test_what_a_model_can_take_passes():
    models.check(models.create("schnet"), structures.crowd())
    models.check(models.create("egnn"), structures.littered(structures.crowd()), NAMES)


def test_elements_beyond_the_table():
    numbers = structures.crowd().atomic_numbers.at[2, 1].set(99).at[3, 0].set(90)
    batch = structures.crowd().replace(atomic_numbers=numbers)
    words = r"pair_2: expected atomic numbers up to 86, got 99 \(1 more like it\)"
    with pytest.raises(InputError, match=words):
        models.check(Reader("atomic_numbers"), batch, NAMES)
    with pytest.raises(InputError, match=r"row 2: expected atomic numbers up to 94, got 99$"):
        models.check(models.create("egnn", max_atomic_number=94), batch)
    models.check(Reader("positions"), batch)


@pytest.mark.parametrize("name", ["tight_binding", "gradient_boosting"])
def test_an_atom_alone_is_no_pair(name):
    """Of two atoms' width; in a wider batch one model sees atoms alone, too."""
    batch = testing._eight_pairs()[0]
    alone = batch.replace(atomic_numbers=batch.atomic_numbers.at[3, 1].set(0))
    words = "pair_3: expected two atoms in a batch of pairs, got 1$"
    with pytest.raises(InputError, match=words):
        models.check(models.create(name), alone, NAMES)
    models.check(models.create("schnet"), alone, NAMES)
    models.check(models.create(name), testing.pad(alone, 1, 1), NAMES)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_positions_that_are_not_finite(value):
    batch = structures.crowd()
    broken = batch.replace(positions=changed(batch.positions, (4, 1, 2), value))
    with pytest.raises(InputError, match="pair_4: expected finite positions, got 1 atoms without"):
        models.check(Reader("positions"), broken, NAMES)
    models.check(models.create("gcn"), broken)  # which reads none
    # Where no atom is, nothing is asked of the position.
    padding = changed(batch.positions, (0, -1), value)
    models.check(Reader("positions"), batch.replace(positions=padding))


def test_canvases(small_table):
    batch = structures.pairs(small_table, slice(8))
    reader = Reader("canvas")
    models.check(reader, batch)
    with pytest.raises(InputError, match="the model reads the canvas, and these structures have"):
        models.check(reader, structures.crowd())
    broken = batch.replace(canvas_features=changed(batch.canvas_features, (1, 3), np.nan))
    with pytest.raises(InputError, match="pair_1: expected finite canvas features, got 1 features"):
        models.check(reader, broken, NAMES)
