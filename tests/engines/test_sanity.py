"""Each gate rejects a record that is spoilt in one way and lets the sound one pass."""

import dataclasses
import math

import pytest

from qc_jax.engines.record import Record
from qc_jax.engines.sanity import NEED_DIAGNOSTICS, SanityChecks
from qc_jax.engines.tblite import TbliteEngine

GATES = SanityChecks()


@pytest.fixture(scope="module")
def sound() -> Record:
    return TbliteEngine().compute("H_O")


@pytest.fixture(scope="module")
def helium() -> Record:
    return TbliteEngine().compute("He_He")


def spoil(record: Record, **changes) -> Record:
    """The record with fields replaced; those of its evidence and targets by their own names."""
    of_evidence = {field.name for field in dataclasses.fields(record.diagnostics)}
    evidence = {key: changes.pop(key) for key in list(changes) if key in of_evidence}
    targets = {key: changes.pop(key) for key in list(changes) if key.endswith("_ev")}
    return dataclasses.replace(
        record,
        diagnostics=dataclasses.replace(record.diagnostics, **evidence),
        targets=record.targets | targets,
        **changes,
    )


def test_sound_records_pass(sound, helium):
    assert GATES.failure(sound) is None
    # The softest pair of all: a minimum 5.5 times the covalent radii out, 0.5 meV deep.
    assert GATES.failure(helium) is None
    assert GATES.failure(spoil(helium, e_lumo_ev=math.nan, fermi_level_ev=math.nan)) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"charges": [1.2, -1.2]}, "charge: +1.20 e, expected at most 1 e"),
        ({"charges": [19.0, -19.0]}, "charge: +19.00 e"),
        ({"mermin_free_energy_ev": -8700.0}, "energy: "),
        ({"atoms_energy_ev": -1000.0}, "energy: "),
        ({"distance": 0.5}, "bond length: 0.50 Å, expected at least 0.65 times"),
        ({"distance": 4.6}, "bond length: 4.60 Å, expected at most 3.5 Å more"),
        ({"searched_ang": (0.9, 6.9)}, "edge: the minimum, 0.96 Å"),
        ({"searched_ang": (0.5, 1.0)}, "edge: the minimum, 0.96 Å"),
        ({"gradient_ev_ang": 2e-4}, "gradient: +2.0e-04 eV/Å"),
        ({"gradient_ev_ang": -2e-4}, "gradient: -2.0e-04 eV/Å"),
        ({"beside_ev": (0.01, -0.01)}, "minimum: the energy falls by 1.0e-02 eV"),
        ({"beside_ev": (0.01, 2.5)}, "continuity: the energy jumps by 2.50 eV"),
        ({"dipole": [0.0, 0.0, -6.0]}, "dipole: 6.0 Debye, expected at most 1.2 times"),
        ({"charges": [0.33, -0.32]}, "charges: they sum to +1.0e-02 e"),
        ({"charges": [0.1, -0.1]}, "populations: population + charge is"),
        ({"populations": [[1.0] * 9] * 2}, "populations: shape (2, 9)"),
        ({"populations": [[math.nan] * 16] * 2}, "numbers: populations is not finite"),
        ({"distance": math.inf}, "numbers: distance is not finite"),
        ({"total_energy_ev": math.nan}, "numbers: total_energy_ev is not finite"),
        ({"beside_ev": (0.01, math.inf)}, "numbers: diagnostics is not finite"),
    ],
)
def test_each_gate_rejects(sound, changes, reason):
    failure = str(GATES.failure(spoil(sound, **changes)))
    assert failure is not None and failure.startswith(reason)


def test_noble_gases_do_not_bond(helium):
    """Kr2 has a second minimum, 1.7 Å and 39 eV deep, in GFN2-xTB: 0.72 times the radii."""
    krypton = spoil(helium, name="Kr_Kr", distance=1.67)
    assert str(GATES.failure(krypton)) == (
        "bond length: 1.67 Å, expected at least 1.2 times the sum of the covalent radii, 2.32 Å"
    )


def test_noble_gases_bond_at_covalent_distance_at_best():
    """GFN2-xTB lets neon fall into barium."""
    assert str(GATES.length("Ba_Ne", 1.86)).startswith(
        "bond length: 1.86 Å, expected at least 0.85"
    )
    assert GATES.length("O_Xe", 1.76) is None  # as in XeO3
    assert GATES.length("Kr_O", 1.67) is None
    assert GATES.length("Ba_O", 1.86) is None


def test_two_metals_may_come_closer_than_others():
    assert GATES.length("Cr_Cr", 1.68) is None  # measured
    assert str(GATES.length("Br_Mg", 1.61)).startswith(
        "bond length: 1.61 Å, expected at least 0.65"
    )
    assert GATES.length("N_N", 1.098) is None


def test_thresholds_can_be_set(sound):
    assert str(SanityChecks(max_charge_e=0.3).failure(sound)).startswith("charge")
    assert str(SanityChecks(max_binding_ev=5.0).failure(sound)).startswith("energy")


def test_without_diagnostics_the_gates_that_weigh_them_are_left_out(sound):
    bare = dataclasses.replace(sound, diagnostics=None)
    assert GATES.failure(bare) is None
    assert (
        str(GATES.failure(spoil(sound, atoms_energy_ev=-1000.0))).split(":")[0] in NEED_DIAGNOSTICS
    )
    collapsed = dataclasses.replace(bare, distance=0.5)
    assert str(GATES.failure(collapsed)).startswith("bond length: 0.50 Å")
    assert str(GATES.failure(dataclasses.replace(bare, charges=[1.2, -1.2]))).startswith("charge")


def test_a_point_of_a_scan_may_be_shorter_than_a_bond(sound):
    point = dataclasses.replace(sound, diagnostics=None, distance=0.5)
    assert str(GATES.failure(point)).startswith("bond length")
    assert GATES.failure(point, at_minimum=False) is None
    assert str(GATES.failure(spoil(sound, charges=[1.2, -1.2]), at_minimum=False)).startswith(
        "charge"
    )
