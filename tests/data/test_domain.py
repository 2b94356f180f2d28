"""The domain of training structures, and what is told of structures outside of it."""

import json

import jax
import numpy as np
import pytest

from qc_jax.data.batch import from_arrays
from qc_jax.data.dataset import Dataset, prepare
from qc_jax.data.domain import TrainingDomain, describe_outside, is_outside, warn_outside
from qc_jax.errors import InputError


def batch(numbers, *places):
    return from_arrays(np.array([numbers]), np.array([places], float))


def line(numbers, *heights):
    return batch(numbers, *([0, 0, height] for height in heights))


@pytest.fixture(scope="module")
def domain():
    """C–O from 1.0 to 2.0 Å and O–O at 1.5 Å."""
    places = [[[0, 0, 0], [0, 0, far]] for far in (1.0, 2.0, 1.5)]
    numbers = np.array([[6, 8], [8, 6], [8, 8]])
    return TrainingDomain.of_structures(from_arrays(numbers, np.array(places)))


def test_what_it_spans(domain):
    assert domain.range_of(6, 8) == domain.range_of(8, 6) == (1.0, 2.0)
    assert domain.range_of(8, 8) == (1.5, 1.5)
    assert domain.elements == ("C", "O")
    assert (domain.atoms, domain.free, domain.periodic) == ((2, 2), True, False)
    with pytest.raises(InputError, match="not trained on C_C"):
        domain.range_of(6, 6)


@pytest.mark.parametrize(
    ("structure", "cutoff", "told"),
    [
        (line([6, 8], 0, 1.5), None, []),
        (line([6, 8], 0, 2.0), 5.0, []),
        (line([6, 8], 0, 2.3), 5.0, ["C-O at 2.300 Å, trained on 1.000 to 2.000 Å"]),
        (line([8, 6], 0, 0.9), None, ["C-O at 0.900 Å, trained on 1.000 to 2.000 Å"]),
        (
            line([6, 8], 0, 9.9),
            5.0,
            [
                f"{symbol} without a neighbour within the model's cutoff of 5 Å, trained with one "
                "at 2.00 Å at most"
                for symbol in ("C", "O")
            ],
        ),
        (
            line([8], 0),
            None,
            [
                "1 atom, trained on structures of 2",
                "O without a neighbour, trained with one at 2.00 Å at most",
            ],
        ),
        (line([6, 54], 0, 1.5), None, ["Xe is in no training structure"]),
        (
            line([6, 6, 8], 0, 3.2, 2.7),
            None,
            [
                "3 atoms, trained on structures of 2",
                "C-C at 3.200 Å, never trained on together",
                "C-O at 2.700 Å, trained on 1.000 to 2.000 Å",
            ],
        ),
    ],
)
def test_what_is_told(domain, structure, cutoff, told):
    assert describe_outside(domain, structure, cutoff) == told


def test_a_cell_where_none_was_trained(domain):
    periodic = line([6, 8], 0, 1.5).replace(shifts=np.zeros((1, 2, 1, 3)))
    with pytest.warns(UserWarning, match="was trained on: a cell, trained on structures without"):
        assert len(warn_outside(domain, periodic)) == 1
    crystals = TrainingDomain.of_structures(periodic)
    assert describe_outside(crystals, periodic) == []
    free = describe_outside(crystals, line([6, 8], 0, 1.5))
    assert free == ["no cell, trained on periodic structures"]


def test_a_batch_of_free_and_periodic_structures():
    """Which of them have a cell, the batch does not say where no neighbour is an image."""
    places = np.array([[[0, 0, 0], [0, 0, 1.5]]] * 3)
    shifts = np.zeros((3, 2, 1, 3))
    shifts[0, 0, 0, 2] = 4.0
    mixed = from_arrays(np.array([[6, 8]] * 3), places).replace(shifts=shifts)
    dataset, rows = Dataset(mixed, np.zeros((3, 1))), np.arange(3)
    asked = []

    def has_cell(row):
        asked.append(row)
        return row < 2

    found = TrainingDomain.of_dataset(dataset, rows, has_cell)
    assert (found.free, found.periodic) == (True, True) and asked == [1, 2]
    assert describe_outside(found, line([6, 8], 0, 1.5)) == []
    found = TrainingDomain.of_dataset(dataset, rows[:2], has_cell)
    assert (found.free, found.periodic) == (False, True)
    found = TrainingDomain.of_dataset(dataset, rows[2:], has_cell)
    assert (found.free, found.periodic) == (True, False)


def test_padding_is_not_there(domain):
    padded = from_arrays(np.array([[6, 8, 0]]), np.array([[[0, 0, 0], [0, 0, 1.5], [0, 0, 9.0]]]))
    assert describe_outside(domain, padded) == []
    assert TrainingDomain.of_structures(padded).elements == ("C", "O")


def test_inside_jit(domain):
    found = jax.jit(lambda far: is_outside(domain, np.array([[6]]), np.array([[8]]), far))
    assert not found(np.array([[1.5]])).any()
    assert found(np.array([[2.5]])).all()


def test_json(domain):
    lone = TrainingDomain.of_structures(line([2], 0))
    for each in (domain, lone):
        text = json.dumps(each.to_json(), allow_nan=False)
        again = TrainingDomain.from_json(json.loads(text))
        assert again.to_json() == each.to_json()
        for field in ("low", "high", "isolation"):
            np.testing.assert_array_equal(getattr(again, field), getattr(each, field))


@pytest.mark.parametrize("value", [[], None, {}, {"atoms": [1, 2]}, "x"])
def test_other_json(value):
    with pytest.raises(InputError, match="not a training domain"):
        TrainingDomain.from_json(value)


def test_only_training_rows_count(small_table):
    task = prepare(small_table, ("e_homo_ev",), 42)
    found = TrainingDomain.of_dataset(task.dataset, task.split.train)
    pairs = int((found.low < np.inf)[np.triu_indices(len(found.low))].sum())
    assert pairs == len(task.split.train) == int(0.8 * len(task.names))
