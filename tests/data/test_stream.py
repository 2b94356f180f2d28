"""Structures from disk: what is read, and what is told of what cannot be."""

import jax
import numpy as np
import pytest

from qc_jax.data.stream import Stream
from qc_jax.errors import InputError

RNG = np.random.default_rng(0)
MOLECULES = [
    {"atomic_numbers": RNG.integers(1, 9, n), "positions": RNG.normal(size=(n, 3))}
    for n in (2, 5, 3, 1, 4)
]
LABELS = RNG.normal(size=(5, 2))


def stream(source=MOLECULES, **changes):
    return Stream(source, **{"read": dict, "labels": LABELS, "atoms": 5} | changes)


def test_take():
    got = stream().take(np.array([3, 0]))
    assert got.structures.atomic_numbers.shape == (2, 5)
    np.testing.assert_array_equal(
        got.structures.atomic_numbers[1, :2], MOLECULES[0]["atomic_numbers"]
    )
    np.testing.assert_array_equal(got.structures.atom_mask.sum(axis=1), [1, 2])
    np.testing.assert_array_equal(got.structures.neighbor_mask.sum(axis=(1, 2)), [0, 2])
    np.testing.assert_allclose(got.labels, LABELS[[3, 0]], rtol=1e-6)


def test_batches_come_in_the_order_that_is_asked_for():
    rows = np.array([[4, 4, 1], [0, 2, 3]])
    some = stream()
    got = list(some.batches(rows))
    assert len(got) == 2
    for batch, chosen in zip(got, rows, strict=True):
        jax.tree.map(np.testing.assert_array_equal, batch, some.take(chosen).structures)


class Damaged(list):
    def __getitem__(self, row):
        if row == 2:
            raise ValueError("crc does not match")
        return super().__getitem__(row)


def test_what_cannot_be_read_is_named():
    with pytest.raises(InputError, match="row 2 cannot be read: crc does not match"):
        stream(Damaged(MOLECULES)).take(np.array([0, 2]))
    with pytest.raises(InputError, match="row 2 cannot be read: crc does not match"):
        list(stream(Damaged(MOLECULES)).batches(np.array([[0], [2]])))
    with pytest.raises(InputError, match="row 1: expected at most 4 atoms, got 5"):
        stream(atoms=4).take(np.array([1]))
    with pytest.raises(InputError, match="expected a row of labels a record, 4, got 5"):
        stream(MOLECULES[:4])
