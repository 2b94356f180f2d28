"""Shells of GFN2-xTB against what the shipped table's orbitals hold, of PTBP against its own."""

import numpy as np

from qc_jax.data.table import ORBITAL_L, open_table
from qc_jax.models import _shells


def test_shells_and_electrons_of_gfn2_are_those_of_the_data():
    table, shells = open_table("gfn2_xtb"), _shells.of("gfn2_xtb")
    held = table.populations.sum(axis=(1, 2))
    np.testing.assert_allclose(shells.electrons[table.atomic_numbers].sum(axis=1), held, atol=1e-6)
    for number in np.unique(table.atomic_numbers):
        mine = np.abs(table.populations[table.atomic_numbers == number])
        found = [bool(mine[:, np.asarray(ORBITAL_L) == n].any()) for n in range(3)]
        assert found == shells.present[number].tolist(), number


def test_shells_of_ptbp():
    shells = _shells.of("ptbp")
    assert shells.electrons[[1, 6, 29]].tolist() == [1, 4, 11]
    assert shells.present[6].tolist() == [True, True, False]
    assert shells.present[29].tolist() == [True, True, True]
