"""Pairs on tables of our own, beside DFTB+ on tables of the other program."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from qc_jax.chem.units import DFTBPLUS_BOHR_ANG as BOHR_ANG
from qc_jax.data.table import ORBITAL_L, ORBITAL_M
from qc_jax.dftb import convergence, solve, tables
from qc_jax.dftb.parameters import parameters
from qc_jax.dftb.parametrization import Parametrization
from qc_jax.engines.generate import create_engine
from qc_jax.engines.record import Record
from tests.dftb import reference

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not reference.SHARED.is_dir(), reason="needs ../shared/ptbp"),
]


@pytest.fixture(scope="module")
def runs() -> list[dict]:
    return json.loads((reference.SHARED / "pairs.json").read_text())["pairs"]


def rows_about(run: dict) -> Parametrization:
    """What `solve` loads of a pair, but of its tables the rows about the distance only."""
    pair = tuple(run["pair"].split("_"))
    found = convergence.load("ptbp", sorted(set(pair)), "published", run["max_l"], [pair], True)
    first = int(run["distance_ang"] / BOHR_ANG / tables.STEP) - 6
    some = tables.table_rows([pair], np.array([max(first, tables.FIRST_ROW)]), 14)
    padding = len(jax.tree.leaves(found.repulsion)[0])
    return dataclasses.replace(found, tables=jax.tree.map(lambda x: x.repeat(padding, 0), some))


def test_all_runs(runs):
    """Energies and levels within 2 meV, charges and populations 1e-3 e, dipole, forces."""
    assert len(runs) == 72
    for run in runs:
        label = f"{run['pair']} {run['max_l']} {run['distance_ang']}"
        found = solve(run["pair"].split("_"), run["distance_ang"], rows_about(run))
        keys = ["total_energy_ev", "mermin_free_energy_ev", "band_energy_ev"]
        for key in [*keys, "repulsive_energy_ev"]:
            assert getattr(found, key) == pytest.approx(run[key], abs=2e-3), (label, key)
        levels = np.array(run["eigenvalues_ev"])
        np.testing.assert_allclose(found.levels_ev, levels, atol=2e-3, err_msg=label)
        np.testing.assert_allclose(found.charges_e, run["charges_e"], atol=1e-3, err_msg=label)
        np.testing.assert_allclose(found.dipole_d, run["dipole_d"], atol=0.01, err_msg=label)
        forces = np.reshape(run["forces_ev_ang"], (2, 3))
        np.testing.assert_allclose(found.forces_ev_ang, forces, atol=0.01, err_msg=label)
        expected = np.zeros((2, 16))
        for atom, *lm, electrons in run["populations_atom_l_m"]:
            expected[atom - 1, (lm[0] == ORBITAL_L) & (lm[1] == ORBITAL_M)] = electrons
        np.testing.assert_allclose(found.populations, expected, atol=1e-3, err_msg=label)


@pytest.mark.parametrize("convention", ["all", "main_group_p"])
def test_relaxed_distances(runs, convention):
    """Of the engine, which computes rows of the tables about the minimum only."""
    engine = create_engine("dftb", max_l=(convention,))
    own = engine.provenance()["max_l"]
    some = {
        run["pair"]: run
        for run in runs
        if run["relaxed"]
        and run["converged"]
        and all(
            own.get(symbol, parameters(symbol).valence[-1][-1]) == letter
            for symbol, letter in run["max_l"].items()
        )
    }
    assert len(some) == 17
    found = dict(engine.compute_all(list(some), lambda done, total: None))
    for name, run in some.items():
        record = found[name]
        assert isinstance(record, Record), (name, record)
        assert record.distance == pytest.approx(run["distance_ang"], abs=2e-3), name
        total = record.targets["total_energy_ev"]
        assert total == pytest.approx(run["total_energy_ev"], abs=2e-3), name
        np.testing.assert_allclose(record.charges, run["charges_e"], atol=1e-3, err_msg=name)
