"""The distances that were trained on, and what is told of others."""

import numpy as np
import pytest

from qc_jax.data.batch import from_arrays
from qc_jax.dynamics import seen
from qc_jax.dynamics.potential import Potential
from qc_jax.errors import InputError
from tests.dynamics import toys


@pytest.fixture(scope="module")
def known():
    """C–O from 1.0 to 2.0 Å and O–O at 1.5 Å."""
    places = [[[0, 0, 0], [0, 0, far]] for far in (1.0, 2.0, 1.5)]
    return seen.of_structures(from_arrays(np.array([[6, 8], [8, 6], [8, 8]]), np.array(places)))


def test_ranges(known):
    assert known.range_of(6, 8) == known.range_of(8, 6) == (1.0, 2.0)
    assert known.range_of(8, 8) == (1.5, 1.5)
    with pytest.raises(InputError, match="not trained on C_C"):
        known.range_of(6, 6)


@pytest.mark.parametrize(
    ("distance", "told"),
    [
        (1.5, []),
        (2.0, []),
        (2.3, ["C-O at 2.30 Å, trained on 1.00 to 2.00 Å"]),
        (0.9, ["C-O at 0.90 Å, trained on 1.00 to 2.00 Å"]),
    ],
)
def test_a_pair(known, distance, told):
    potential = Potential(toys.trained(toys.Morse()), toys.pair(1.0), seen=known)
    positions = toys.pair(distance).positions
    assert potential.tell_outside(positions) == told
    assert potential.outside(positions, potential.links(positions)) == len(told)


@pytest.mark.slow
def test_of_each_two_elements_the_worst_is_told(known):
    numbers = np.array([6, 6, 8])
    positions = np.array([[0, 0, 0], [0, 0, 3.2], [0, 0, 2.7]])
    structure = toys.Structure(numbers, positions)
    potential = Potential(toys.trained(toys.Morse()), structure, seen=known)
    assert potential.tell_outside(positions) == [
        "C-C at 3.20 Å, never trained on together",
        "C-O at 2.70 Å, trained on 1.00 to 2.00 Å",
    ]
    assert potential.outside(positions, potential.links(positions)) == 3
    # What a model does not see cannot mislead it.
    near = Potential(toys.trained(toys.Soft(cutoff=2.2)), structure, seen=known)
    assert near.tell_outside(positions) == ["C-O at 0.50 Å, trained on 1.00 to 2.00 Å"]


def test_only_training_rows_count(small_table):
    some = toys.trained(toys.Morse())
    config = {"data": "x", "split": "random", "train_fraction": 1.0}
    config["data_fingerprint"] = small_table.fingerprint()
    found = seen.of_training(some._replace(config=config), small_table)
    pairs = int(np.isfinite(found.low)[np.triu_indices(len(found.low))].sum())
    assert pairs == int(0.8 * len(small_table))
    with pytest.raises(InputError, match="x has changed since the model was trained"):
        seen.of_training(some._replace(config=config), small_table.take(np.arange(20)))
