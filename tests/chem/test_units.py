"""Units against ASE's CODATA 2018 tables, and against each other."""

import pytest

from qc_jax.chem import units


def test_units_are_those_of_ase():
    ase_units = pytest.importorskip("ase.units")
    codata = ase_units.create_units("2018")
    assert pytest.approx(codata["Hartree"], rel=1e-11) == units.HARTREE_EV
    assert pytest.approx(codata["Bohr"], rel=1e-10) == units.BOHR_ANG
    assert pytest.approx(codata["Bohr"] / codata["Debye"], rel=1e-9) == units.EBOHR_DEBYE
    assert pytest.approx(codata["kB"] / codata["Hartree"], rel=1e-10) == units.KELVIN_HARTREE
    assert pytest.approx(codata["kB"], rel=1e-9) == units.KELVIN_EV
    assert pytest.approx(codata["fs"], rel=1e-9) == units.FS
    assert pytest.approx(codata["_c"] * 1e-13, rel=1e-12) == units.LIGHT_CM_FS


def test_units_agree_with_exact_constants():
    # The 2019 SI fixes e, k_B and c: k_B/e in eV/K, and 1 D = 1e-21/c C·m.
    kelvin_ev = 1.380649e-23 / 1.602176634e-19
    assert pytest.approx(kelvin_ev, rel=1e-10) == units.KELVIN_HARTREE * units.HARTREE_EV
    debye_e_ang = 1e-21 / 299792458 / 1.602176634e-19 * 1e10
    assert pytest.approx(units.BOHR_ANG / debye_e_ang, rel=1e-9) == units.EBOHR_DEBYE
    kcal_ev = 4184 / 6.02214076e23 / 1.602176634e-19
    assert pytest.approx(kcal_ev, rel=1e-11) == units.KCAL_PER_MOL_EV
