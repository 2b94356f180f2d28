"""The table of targets: the published names, a unit and a definition each, and what leaks."""

import pytest

from qc_jax.data.targets import (
    BENCHMARK_TARGETS,
    CLASS_TARGETS,
    INPUTS,
    STRUCTURE_TARGETS,
    TARGETS,
    leaking_inputs,
    target,
)
from qc_jax.errors import InputError

# The published benchmark's target columns.
PUBLISHED = (
    "e_g_ev",
    "e_homo_ev",
    "e_lumo_ev",
    "band_energy_ev",
    "repulsive_energy_ev",
    "mermin_free_energy_ev",
    "total_energy_ev",
    "i_ev",
    "a_ev",
    "chi_ev",
    "mu_ev",
    "eta_ev",
    "softness_evinv",
    "electrophilicity_ev",
    "dipole_mag_d",
    "dipole_z_d",
    "distance_ang",
    "q_maxabs",
    "q_absmean",
    "q_std",
)


def test_the_twenty_published_targets_and_the_fermi_level():
    assert set(BENCHMARK_TARGETS) == set(PUBLISHED) and len(BENCHMARK_TARGETS) == 20
    assert set(TARGETS) == {*PUBLISHED, "fermi_level_ev"}


@pytest.mark.parametrize("name", TARGETS)
def test_each_has_its_name_unit_and_definition(name):
    entry = target(name)
    assert entry.name == name
    assert entry.definition.strip()
    suffix_units = {"_ev": "eV", "_evinv": "1/eV", "_d": "Debye", "_ang": "Å"}
    expected = [unit for suffix, unit in suffix_units.items() if name.endswith(suffix)]
    assert [entry.unit] == (expected or ["e"])
    assert set(entry.leaked_by) <= set(INPUTS)


def test_the_published_class_is_a_target_beside_the_twenty():
    assert list(CLASS_TARGETS) == ["metal_like"] and not set(CLASS_TARGETS) & set(TARGETS)
    entry = target("metal_like")
    assert entry.is_class and entry.unit == "" and entry.error_unit == "error rate"
    assert not any(target(name).is_class for name in (*TARGETS, *STRUCTURE_TARGETS))
    assert target("e_g_ev").error_unit == "eV"


def test_those_of_larger_structures_are_found_by_name_too():
    assert not set(STRUCTURE_TARGETS) & set(TARGETS)
    for name, entry in STRUCTURE_TARGETS.items():
        assert target(name) is entry and entry.name == name and entry.definition and entry.unit
        assert not name.endswith("_ev") or entry.unit == "eV"
    assert leaking_inputs("bond_change_ang", ["positions"]) == ("positions",)


def test_an_unknown_target_names_the_choices():
    with pytest.raises(InputError, match=r"unknown target 'gap'; choose one of: .*e_g_ev"):
        target("gap")
    with pytest.raises(InputError, match="unknown target 'gap'"):
        leaking_inputs("gap", ["canvas"])


def test_what_leaks_a_target():
    assert leaking_inputs("distance_ang", ["atomic_numbers", "positions"]) == ("positions",)
    assert leaking_inputs("e_homo_ev", INPUTS) == ()
    assert leaking_inputs("distance_ang", ["canvas"]) == ()
    assert leaking_inputs("dipole_mag_d", ["canvas"]) == ("canvas",)
    assert leaking_inputs("dipole_z_d", ["canvas", "positions"]) == ("canvas",)
    for name in ("q_maxabs", "q_absmean", "q_std"):
        assert leaking_inputs(name, ["canvas"]) == ("canvas",)
        assert leaking_inputs(name, ["atomic_numbers", "positions"]) == ()


def test_inputs_may_come_from_an_iterator():
    assert leaking_inputs("q_std", iter(["charges", "canvas"])) == ("canvas", "charges")
