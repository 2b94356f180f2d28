"""Shells of each method against what its shipped table's orbitals hold."""

import numpy as np
import pytest

from qc_jax.data.table import ORBITAL_L, SHIPPED, open_table
from qc_jax.models import _shells


@pytest.mark.parametrize("method", SHIPPED)
def test_shells_and_electrons_are_those_of_the_data(method):
    table, shells = open_table(method), _shells.of(method)
    held = table.populations.sum(axis=(1, 2))
    np.testing.assert_allclose(shells.electrons[table.atomic_numbers].sum(axis=1), held, atol=1e-6)
    for number in np.unique(table.atomic_numbers):
        mine = np.abs(table.populations[table.atomic_numbers == number])
        found = [bool(mine[:, np.asarray(ORBITAL_L) == n].any()) for n in range(3)]
        assert found == shells.present[number].tolist(), number
