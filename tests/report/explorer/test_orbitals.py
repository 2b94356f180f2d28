"""Levels, orbitals and curves of the explorer."""

import numpy as np
import pytest

from qc_jax.canvas import densities
from qc_jax.report.explorer import orbitals
from qc_jax.runs import sources
from tests.report.explorer import made


@pytest.fixture(scope="module")
def table():
    return made.table(["H", "O", "He"])


@pytest.fixture(scope="module")
def found(table):
    return orbitals.compute(table, made.silent)


@pytest.mark.slow
def test_levels_are_those_of_the_table(table, found):
    there = np.isfinite(found["levels"])
    copies = np.where(orbitals.BLOCK_M == 0, 1, 2)
    assert (np.sum(there * copies, axis=1) == table.extras["n_levels"]).all()
    held = np.sum(found["held"] * copies, axis=1)
    electrons = (table.populations.sum(axis=(1, 2)) + table.charges.sum(axis=1)).round()
    np.testing.assert_allclose(held, electrons, atol=1e-6)
    homo = np.where(found["held"] > 1e-3, found["levels"], -np.inf).max(axis=1)
    np.testing.assert_allclose(homo, table.targets["e_homo_ev"], atol=5e-3)
    band = np.nansum(found["levels"] * found["held"] * copies, axis=1)
    np.testing.assert_allclose(band, table.targets["band_energy_ev"], atol=0.02)
    # The shares of the electrons are the populations.
    of_first = np.sum(found["share"] * found["held"] * copies, axis=1)
    np.testing.assert_allclose(of_first, table.populations[:, 0].sum(axis=1), atol=2e-3)


@pytest.mark.slow
def test_curves_have_their_minimum_at_the_bond_length(table, found):
    bound = table.extras["geom_converged"] == 1
    here = np.argmin(np.abs(orbitals.RATIOS - 1))
    assert orbitals.RATIOS[here] == 1 and bound.sum() >= 3
    np.testing.assert_array_equal(found["curve"][:, here], 0)
    near = found["curve"][bound][:, [here - 1, here + 1]]
    assert (near > 0).all()
    np.testing.assert_allclose(found["charges"], table.charges, atol=1e-3)


@pytest.mark.slow
def test_what_is_kept_is_found_again(table, found, monkeypatch):
    monkeypatch.setattr(orbitals, "_of_batch", lambda *_: pytest.fail("computed again"))
    for name, values in orbitals.compute(table, made.silent).items():
        np.testing.assert_array_equal(values, found[name])


def test_which_tables_have_orbitals():
    table = made.table()
    assert orbitals.why_not(table) == ""
    assert "tblite" in orbitals.why_not(sources.open_table("gfn2_xtb"))
    assert "other options" in orbitals.why_not(sources.open_table("ptbp_exact"))
    other = table.take(np.arange(len(table)))
    object.__setattr__(other, "provenance", {**table.provenance, "max_l": {}})
    assert "other options" in orbitals.why_not(other)
    assert {"homo", "lumo", "density"} <= set(densities.CHANNELS)
