"""The shipped PTBP table: every pair, DFTB+'s numbers, and what was published of the dataset."""

import importlib.resources
import json

import numpy as np
import pytest

from qc_jax.chem import elements
from qc_jax.data.table import ORBITAL_L, ORBITAL_M, open_table
from qc_jax.data.targets import TARGETS
from qc_jax.dftb.parameters import covered_symbols
from qc_jax.engines.dftb import Options
from qc_jax.engines.generate import made_by
from tests.dftb import reference

NOBLE = ("He", "Ne", "Ar", "Kr")  # without a virtual orbital: Xe and Rn keep their d shell


@pytest.fixture(scope="module")
def table():
    return open_table("ptbp")


def test_every_pair_is_in(table):
    assert list(table.names) == sorted(elements.pair_names(covered_symbols()))
    assert len(table) == 2850 and not table.left_out
    path = importlib.resources.files("qc_jax.data") / "ptbp.npz"
    assert len(path.read_bytes()) <= 3_000_000


def test_made_with_the_settings_in_this_package(table):
    expected = json.loads(json.dumps(made_by(Options().create())))
    del expected["version"]
    assert {key: table.provenance[key] for key in expected} == expected


def test_published_numbers(table):
    """`shared/published` and the paper: of single pairs exactly, of all within the conventions."""
    gap, energy = table.targets["e_g_ev"], table.targets["total_energy_ev"]
    held = table.populations[table.row("Ag_Al")].sum(axis=1)
    assert held.round(2).tolist() == [11.07, 2.93]
    assert energy.min().round(1) == -305.6 and table.names[energy.argmin()] == "Ne_Ne"
    assert round(float(np.nanmax(gap)), 1) in (19.4, 19.5)
    assert table.names[np.nanargmax(gap)] == "F_H"
    full = table.names[table.extras["no_virtual_in_basis"] == 1]
    assert sorted(full) == elements.pair_names(NOBLE)
    assert np.nanmean(gap) == pytest.approx(0.47, abs=0.03)
    assert np.nanstd(gap) == pytest.approx(1.19, abs=0.03)
    assert np.mean(gap == 0) == pytest.approx(0.74, abs=0.02)
    assert energy.mean() == pytest.approx(-90.5, abs=0.2)
    assert energy.std() == pytest.approx(48.1, abs=0.1)
    assert table.targets["distance_ang"].std() == pytest.approx(0.66, abs=0.03)


def test_undefined_targets(table):
    assert set(table.targets) == set(TARGETS)
    full = table.extras["no_virtual_in_basis"] == 1
    for name, column in table.targets.items():
        over_gap = name in ("softness_evinv", "electrophilicity_ev")
        of_lumo = name in ("e_g_ev", "e_lumo_ev", "a_ev", "chi_ev", "mu_ev", "eta_ev")
        undefined = full if of_lumo or name == "fermi_level_ev" else np.zeros(len(table), bool)
        if over_gap:
            undefined = ~(table.targets["e_g_ev"] > 0)
        assert (np.isnan(column) == undefined).all(), name


def test_populations_are_whole_and_symmetric(table):
    valence = table.populations.sum(axis=2) + table.charges
    assert np.abs(valence - valence.round()).max() < 1e-5
    mirrored = np.lexsort((-ORBITAL_M, ORBITAL_L))
    assert np.abs(table.populations - table.populations[..., mirrored]).max() < 1e-6


def agree(table, runs):
    for run in runs:
        name = elements.pair_name(*run["pair"].split("_"))
        row = table.row(name)
        ours = {key: float(column[row]) for key, column in table.targets.items()}
        assert ours["distance_ang"] == pytest.approx(run["distance_ang"], abs=2e-3), name
        for key in ("total_energy_ev", "mermin_free_energy_ev", "fermi_level_ev"):
            assert ours[key] == pytest.approx(run[key], abs=2e-3), (name, key)


def test_as_dftbplus(table):
    runs = [run for run in reference.of_fixture()[1] if run["relaxed"]]
    assert len({run["pair"] for run in runs}) == 3
    agree(table, runs)


@pytest.mark.skipif(not reference.SHARED.exists(), reason="needs ../shared/ptbp")
def test_as_the_sample_by_dftbplus(table):
    """Of 500 pairs, on tables that are good to about 1 meV."""
    sample = np.load(reference.SHARED / "dataset_sample.npz")
    rows = np.array([table.row(name) for name in sample["pair"]])
    relaxed = sample["r34_relaxed"]
    assert (table.extras["geom_converged"][rows][relaxed] == 1).all()
    for name, median, largest in (
        ("total_energy_ev", 5e-4, 0.011),
        ("e_homo_ev", 1e-3, 0.03),
        ("e_lumo_ev", 1e-3, 0.03),
        ("e_g_ev", 1e-4, 0.011),
        ("distance_ang", 2e-3, 0.012),
        ("q_absmean", 2e-4, 0.011),
    ):
        ours, theirs = table.targets[name][rows][relaxed], sample[f"r34_{name}"][relaxed]
        assert (np.isnan(ours) == np.isnan(theirs)).all(), name
        off = np.abs(ours - theirs)
        assert np.nanmedian(off) < median and np.nanmax(off) < largest, name


def test_every_orbital_of_its_convention_is_there(table):
    held = np.abs(table.populations).max(axis=0)
    assert (held[:, ORBITAL_L == 3] == 0).all()
    aluminium = (table.atomic_numbers == 13).any(axis=1) & (table.atomic_numbers[:, 0] == 13)
    assert (table.populations[aluminium, 0][:, ORBITAL_L == 2] == 0).all()


def test_the_exact_form_beside_it(table):
    """The same pairs with the same options but for the form; few of them differ by much."""
    exact = open_table("ptbp_exact")
    expected = json.loads(json.dumps(made_by(Options(form="exact").create())))
    del expected["version"]
    assert {key: exact.provenance[key] for key in expected} == expected
    assert list(exact.names) == list(table.names) and not exact.left_out
    off = {
        name: np.nanquantile(np.abs(exact.targets[name] - table.targets[name]), (0.5, 0.95))
        for name in ("e_homo_ev", "total_energy_ev", "distance_ang", "q_absmean")
    }
    assert off["e_homo_ev"] == pytest.approx((0.0054, 0.045), rel=0.05)
    assert off["total_energy_ev"] == pytest.approx((0.0165, 0.184), rel=0.05)
    assert off["distance_ang"] == pytest.approx((0.0027, 0.027), rel=0.05)
    assert off["q_absmean"] == pytest.approx((0.0014, 0.0084), rel=0.05)
