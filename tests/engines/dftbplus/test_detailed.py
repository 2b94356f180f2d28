"""detailed.out: what it says, and every way in which it can't be trusted."""

import dataclasses

import pytest

from qc_jax.engines.dftbplus import detailed
from qc_jax.engines.engine import EngineError
from tests.fixtures.dftbplus import make

UNPOLARISED = (make.TREE / "Cl_Mg" / "detailed.out").read_text()
POLARISED = (make.TREE / "N_O_spin" / "detailed.out").read_text()
HARTREE_EV = 27.211386245988


def test_unpolarised():
    """'(up)' in the headings, and no '(down)': the total."""
    out = detailed.parse(UNPOLARISED)
    assert "Orbital populations (up)" in UNPOLARISED and "(down)" not in UNPOLARISED
    assert out.step == 6
    assert out.scc_iteration == 3
    assert out.scc_total_hartree == -3.38
    assert out.scc_difference_hartree == -2.5e-8
    assert out.scc_error == 1.5e-6
    assert out.total_charge == 0
    assert out.charges == [-0.34, 0.34]
    assert out.atom_populations == [7.34, 1.66]
    assert out.electrons == [9]
    assert out.orbitals == 13
    # s; p y, z, x; d xy, yz, z2, xz, x2-y2, some of them below zero; f
    d = [0.01, -0.005, -0.02, -0.007, 0.012]
    assert out.populations[0] == [1.9, 1.86, 1.75, 1.84, *d, *[0.0] * 7]
    assert out.populations[1] == [1.1, 0.18, 0.2, 0.18, *[0.0] * 12]
    # 2·(−20.5 − 8.25 − 7.9 − 7.9) − 3.125
    assert out.band_energies_ev == pytest.approx([-92.225], abs=1e-8)
    assert out.fermi_levels_ev == pytest.approx([-3.125], abs=1e-8)
    assert out.repulsive_ev == pytest.approx(0.0375 * HARTREE_EV, rel=1e-12)
    assert out.total_ev == pytest.approx(-3.3425 * HARTREE_EV, rel=1e-12)
    assert out.mermin_ev == pytest.approx((-3.3425 - 0.0013170415) * HARTREE_EV, rel=1e-12)
    # 0.34 e · 2.2 Å in Debye, one e·Å being 4.80320 of them
    assert out.dipole == pytest.approx([0, 0, 0.748 * 4.80320], abs=1e-4)


def test_polarised():
    out = detailed.parse(POLARISED)
    assert out.electrons == [6, 5]
    assert out.orbitals == 8
    assert out.atom_populations == pytest.approx([4.9, 6.1], abs=1e-12)
    assert out.populations[0][:4] == pytest.approx([1.75, 1.05, 1.05, 1.05], abs=1e-12)
    assert out.populations[1][:4] == pytest.approx([1.85, 1.35, 1.55, 1.35], abs=1e-12)
    assert out.band_energies_ev == pytest.approx([-90.5, -80.5], abs=1e-8)
    assert out.fermi_levels_ev == pytest.approx([-5.25, -8.5], abs=1e-8)
    assert out.total_ev - out.mermin_ev == pytest.approx(0.003 * HARTREE_EV, rel=1e-9)


def test_shells_of_one_l_add_up():
    out = detailed.parse((make.TREE / "H_H" / "detailed.out").read_text())
    assert out.orbitals == 4
    assert [row[0] for row in out.populations] == [1.0, 1.0]


def test_line_ends_and_the_blanks_behind_them_mean_nothing():
    assert detailed.parse(UNPOLARISED.replace("\n", "\r\n")) == detailed.parse(UNPOLARISED)
    assert detailed.parse(UNPOLARISED.rstrip()) == detailed.parse(UNPOLARISED)


def test_dispersion_is_part_of_the_total():
    line = make.energy("Repulsive energy", 0.0375)
    parts = make.energy("Repulsive energy", 0.0275) + "\n" + make.energy("Dispersion energy", 0.01)
    out = detailed.parse(UNPOLARISED.replace(line, parts))
    assert out.repulsive_ev == pytest.approx(0.0275 * HARTREE_EV)
    assert out.total_ev == detailed.parse(UNPOLARISED).total_ev


def test_an_exponent_without_its_e():
    error = f"{'0.15000000E-05':>18}"
    out = detailed.parse(UNPOLARISED.replace(error, f"{'0.15000000-104':>18}"))
    assert out == dataclasses.replace(detailed.parse(UNPOLARISED), scc_error=0.15e-104)


REASONS = [
    # Not converged.
    ("SCC converged\n", "", "SCC: no line 'SCC converged' in detailed.out"),
    (
        "SCC converged",
        "SCC is NOT converged, maximal SCC iterations exceeded",
        "SCC: 'SCC is NOT converged, maximal SCC iterations exceeded' in detailed.out",
    ),
    ("Geometry converged", "", "geometry: no line 'Geometry converged' in detailed.out"),
    (
        "Geometry converged",
        "!!! Geometry did NOT converge!",
        "geometry: '!!! Geometry did NOT converge!' in detailed.out",
    ),
    (
        "Geometry optimization step: 6",
        "Calculation with static geometry",
        "geometry: 'Calculation with static geometry' in detailed.out, expected a relaxed one",
    ),
    ("0.15000000E-05", "1.4463634+102", "SCC: converged in detailed.out, but with an error of"),
    # Periodic.
    ("step: 6", "step: 6, Lattice step: 2", "periodic: "),
    ("Non-constrained", "Volume:    0.2E+04 au^3\n\nNon-constrained", "periodic: 'Volume:"),
    # Numbers.
    ("step: 6", "step: ******", "numbers: 'Geometry optimization step' in detailed.out"),
    (
        "1.86000000",
        "*" * 16,
        "numbers: the population of p_y of atom 1 in detailed.out is too wide",
    ),
    ("7.34000000", "NaN", "numbers: atom population (up) of atom 1 in detailed.out is NaN"),
    (
        make.fixed(-3.3425, 18, 10),
        "*" * 18,
        "numbers: 'Total energy' in detailed.out is too wide for its column: ******************",
    ),
    ("-0.33800000E+01", "0.1446363+102", "energy: 1.446363e+101 H after the last SCC iteration"),
    ("   -0.25000000E-07", "", "SCC: unexpected iteration '3 -0.33800000E+01 0.15000000E-05'"),
    # Missing.
    ("Orbital populations (up)", "", "populations: no 'Orbital populations' in detailed.out"),
    ("Atom populations (up)", "", "files: no 'Atom populations (up)' in detailed.out, expected 1"),
    ("Nr. of electrons (up)", "", "files: no 'Nr. of electrons (up)' in detailed.out"),
    ("Repulsive energy:", "", "files: no 'Repulsive energy' in H and eV in detailed.out"),
    ("Total charge:", "", "files: no 'Total charge' in detailed.out, expected 1"),
    (" iSCC ", " ", "SCC: no iterations in detailed.out, expected 1"),
    ("Fermi level:", "Spin  up\nFermi energy:", "files: no 'Fermi level' in H and eV"),
    (" Debye", " D", "dipole: no 'Dipole moment' in au and Debye in detailed.out"),
    ("Dipole moment:", "Dipole:", "dipole: no 'Dipole moment' in au and Debye in detailed.out"),
    ("0.00000000    0.00000000    3.59", "0.00000000*" + 27 * "*" + "3.59", "dipole: unexpected"),
    # Something else.
    (" (up)", " (q)", "populations: of q in detailed.out, expected up, or up and down"),
    ("1   3   2   2 ", "1   3   4   4 ", "populations: row '1 3 4 4 0.01200000 d_x2-y2'"),
    ("    2   1   0   0 ", "    3   1   0   0 ", "populations: row '3 1 0 0 1.10000000 s'"),
    (
        "    2       1.66000000\n",
        "    2       0.66000000\n    3       1.00000000\n",
        "populations: atom population (up) of 3 atoms in detailed.out, expected 2",
    ),
    ("Total energy:", "Total energy:  1.0 H 27.2114 eV\nTotal energy:", "files: 2 'Total energy'"),
    # Contradictions.
    ("charge:    -0.0", "charge:    -9.0", "charges: they sum to 0.00000000, the total charge in"),
    ("    1      -0.34", "    1      -0.43", "charges: they sum to -0.09000000, the total charge"),
    ("1.86000000", "1.68000000", "populations: shell 2 (l = 1) of atom 1 has 5.45000000 elec"),
    ("(up):      9.0", "(up):      8.0", "atoms sum to 9.00000000, the number of electrons"),
    (
        "          1.0204 eV",
        "          1.2004 eV",
        "is 0.0375000000 H and 1.2004 eV, which are not",
    ),
    (
        make.energy("TS", 0.0013170415),
        make.energy("TS", 0.002),
        "energy: 'Total Mermin free energy' in detailed.out is -3.3438170415 H, its parts sum to",
    ),
    (
        make.energy("Repulsive energy", 0.0375),
        make.energy("Repulsive energy", 0.0385),
        "energy: 'Total energy' in detailed.out is -3.3425000000 H, its parts sum to -3.3415",
    ),
    ("3.59279712 Debye", "3.95279712 Debye", "au and 3.95279712 Debye in detailed.out"),
]


@pytest.mark.parametrize(("old", "new", "reason"), REASONS)
def test_reasons(old, new, reason):
    assert old in UNPOLARISED
    with pytest.raises(EngineError) as raised:
        detailed.parse(UNPOLARISED.replace(old, new))
    assert reason in str(raised.value)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("Fermi level:                        -0.3", "F: -0.3", "files: 1 'Fermi level' in H and"),
        ("Orbital populations (down)", "", "files: 2 'Fermi level' in H and eV in detailed.out"),
        ("Atom populations (down)", "", "files: no 'Atom populations (down)' in detailed.out"),
        ("(down):      5.0", "(down):      4.0", "the number of electrons in detailed.out is 10.0"),
    ],
)
def test_reasons_of_two_channels(old, new, reason):
    assert old in POLARISED
    with pytest.raises(EngineError) as raised:
        detailed.parse(POLARISED.replace(old, new))
    assert reason in str(raised.value)
