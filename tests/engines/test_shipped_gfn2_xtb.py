"""The table that ships with the package: whole, consistent, and what its own settings say."""

import importlib.resources
import json

import numpy as np
import pytest

from qc_jax.chem import elements
from qc_jax.data.table import ORBITAL_L, ORBITAL_M, open_table
from qc_jax.data.targets import TARGETS
from qc_jax.engines.sanity import SanityChecks
from qc_jax.engines.tblite import TbliteEngine


@pytest.fixture(scope="module")
def table():
    return open_table("gfn2_xtb")


def test_every_pair_is_in_or_listed(table):
    every = elements.pair_names(elements.GFN2_SYMBOLS)
    assert len(every) == 2701
    assert sorted([*table.names, *table.left_out]) == every
    assert list(table.names) == sorted(table.names)
    assert len(table) >= 2640
    assert all(reason.split(":")[0] and len(reason) > 20 for reason in table.left_out.values())


def test_size():
    path = importlib.resources.files("qc_jax.data") / "gfn2_xtb.npz"
    assert len(path.read_bytes()) <= 3_000_000


def test_made_with_the_settings_in_this_package(table):
    engine = TbliteEngine()
    expected = json.loads(json.dumps(engine.provenance()))
    del expected["version"]  # a newer tblite may be installed than the one that made the table
    assert {key: table.provenance[key] for key in expected} == expected


def test_every_target_is_filled(table):
    assert set(table.targets) == set(TARGETS)
    gap = table.targets["e_g_ev"]
    for name, column in table.targets.items():
        if name in ("softness_evinv", "electrophilicity_ev"):
            assert (np.isnan(column) == ~(gap > 0)).all()
        else:
            assert np.isfinite(column).all(), name  # GFN2 has a virtual orbital in every pair
    assert (gap >= 0).all()


def test_geometry_charges_and_populations(table):
    assert (table.positions[:, 0] == 0).all() and (table.positions[:, 1, :2] == 0).all()
    assert (table.positions[:, 1, 2] > 0.5).all()
    assert np.abs(table.charges.sum(axis=1)).max() < 1e-6
    valence = table.populations.sum(axis=2) + table.charges
    assert np.abs(valence - valence.round()).max() < 1e-5
    for number in np.unique(table.atomic_numbers):  # the same in every pair of an element
        assert len(np.unique(valence.round()[table.atomic_numbers == number])) == 1
    same = table.atomic_numbers[:, 0] == table.atomic_numbers[:, 1]
    assert same.sum() > 60
    assert np.abs(table.charges[same]).max() < 1e-4
    assert np.abs(table.dipole[same]).max() < 1e-3


def test_axial_symmetry(table):
    mirrored = np.lexsort((-ORBITAL_M, ORBITAL_L))
    assert np.abs(table.populations - table.populations[..., mirrored]).max() < 1e-4
    assert np.abs(table.dipole[:, :2]).max() < 1e-5


def test_energies(table):
    targets = table.targets
    heat = targets["total_energy_ev"] - targets["mermin_free_energy_ev"]
    assert (heat > -1e-9).all() and heat.max() < 2.0
    assert (targets["repulsive_energy_ev"] >= 0).all()


def test_gates_hold_on_the_rows(table):
    gates = SanityChecks()
    assert np.abs(table.charges).max() <= gates.max_charge_e
    for name, distance in zip(table.names, table.targets["distance_ang"], strict=True):
        assert gates.length(str(name), float(distance)) is None
    electron = 4.80320 * table.targets["distance_ang"]  # Debye
    assert (table.targets["dipole_mag_d"] <= gates.max_dipole * electron).all()
