"""Orbitals of GFN2-xTB as images: against tblite's own matrices, and integrals."""

import dataclasses
import sys

import jax
import numpy as np
import pytest
from scipy.special import sph_harm_y

from qc_jax.canvas import coefficients, densities, orbitals, xtb_orbitals
from qc_jax.chem.elements import element
from qc_jax.chem.units import BOHR_ANG
from qc_jax.data.table import open_table
from qc_jax.dftb import NotConverged
from qc_jax.errors import InputError
from qc_jax.runs import cli
from qc_jax.xtb import basis, solutions
from tests.canvas.test_densities import PIXEL, points_about

PAIRS = {"H_H": 2, "C_O": 10, "Ag_Al": 14, "Cs_F": 8, "O_O": 12, "La_V": 8}  # valence electrons


@pytest.fixture(scope="module")
def real() -> tuple[jax.Array, orbitals.Orbitals]:
    return densities.solve(list(PAIRS), parameters="gfn2_xtb")


class Program:
    """What tblite itself says of a pair at its bond length."""

    def __init__(self, name: str):
        table = open_table("gfn2_xtb")
        row = table.row(name)
        self.distance = float(np.linalg.norm(np.diff(table.positions[row], axis=0)))
        self.numbers = [element(symbol).atomic_number for symbol in name.split("_")]
        energy = table.targets["mermin_free_energy_ev"][row]
        config = solutions.XTBConfig()
        calculator = solutions.new_calculator(self.numbers, config)
        calculator.set("accuracy", config.final_accuracy)
        calculator.set("save-integrals", 1)
        known = xtb_orbitals.known_of(table.take(np.array([row])))
        charges = basis.shipped().electrons[np.array(self.numbers) - 1] - known.populations[0]
        self.result = xtb_orbitals._as_known(calculator, self.distance, energy, charges, name)
        shells = calculator.get("orbital-map")
        self.atoms = calculator.get("shell-map")[shells]
        self.momenta = calculator.get("angular-momenta")[shells]
        first = np.array([list(shells).index(shell) for shell in shells])
        self.m = np.arange(len(shells)) - first - self.momenta

    def functions(self, points: np.ndarray) -> np.ndarray:
        """Return tblite's basis functions at points (bohr), SciPy's harmonics, [orbitals, N]."""
        made = []
        for atom, k, m in zip(self.atoms, self.momenta, self.m, strict=True):
            at = points - np.array([0, 0, (atom - 0.5) * self.distance / BOHR_ANG])
            r = np.linalg.norm(at, axis=1)
            theta, phi = np.arccos(at[:, 2] / r), np.arctan2(at[:, 1], at[:, 0])
            harmonic = sph_harm_y(k, abs(m), theta, phi) * (-1) ** abs(m)
            angular = harmonic.real if m >= 0 else harmonic.imag
            angular = angular * (np.sqrt(2) if m else 1)
            made.append(basis.radial(self.numbers[atom], r)[:, k] * angular)
        return np.stack(made)


@pytest.mark.parametrize("row", range(len(PAIRS)))
def test_images_are_those_of_the_programs_matrices(real, row):
    """Density, HOMO and LUMO from tblite's density matrix and orbitals, in float64."""
    radial, every = real
    program = Program(list(PAIRS)[row])
    state = jax.tree.map(lambda x: x[row : row + 1], every)
    size = 8
    names = ["density", "homo", "lumo", "homo_amplitude", "lumo_amplitude"]
    image = np.asarray(densities.draw(state, radial, size, names)[0], np.float64)
    at = (np.arange(size) + 0.5 - size / 2) * PIXEL / size
    x, z = (v.ravel() for v in np.meshgrid(at, at, indexing="ij"))
    # Degenerate pairs of cos mφ and sin mφ add up to what is the same all around.
    functions = program.functions(np.stack([x, 0 * x, z], axis=1))
    p = program.result.get("density-matrix")
    expected = {"density": np.einsum("ij,ip,jp->p", p, functions, functions)}
    levels = program.result.get("orbital-energies")
    occupied = program.result.get("orbital-occupations")
    amplitudes = program.result.get("orbital-coefficients").T @ functions
    count = round(occupied.sum())
    homo, lumo = levels[(count + 1) // 2 - 1], levels[count // 2]
    for name, level in {"homo": homo, "lumo": lumo}.items():
        same = np.abs(levels - level) < 1e-6
        expected[name] = np.mean(amplitudes[same] ** 2, axis=0)
        if same.sum() == 1:
            one = amplitudes[same][0]
            drawn = image[..., names.index(f"{name}_amplitude")].ravel()
            one *= np.sign(one @ drawn)
            np.testing.assert_allclose(drawn, one / BOHR_ANG**1.5, atol=2e-5 * np.abs(drawn).max())
    for name, values in expected.items():
        values = values / BOHR_ANG**3
        drawn = image[..., names.index(name)].ravel()
        assert np.abs(drawn - values).max() < 2e-5 * np.abs(values).max(), name


def test_a_level_that_is_half_full_is_both(real):
    """The π* of oxygen, with two electrons, at 1000 K."""
    _, every = real
    row = list(PAIRS).index("O_O")
    homo, lumo = (every.forms[row, orbitals.FORMS.index(name)] for name in ("homo", "lumo"))
    np.testing.assert_array_equal(homo, lumo)
    np.testing.assert_array_equal(every.sides[row], [-1, -1])


def test_equal_atoms_have_images_with_mirrors(real):
    radial, every = real
    for row in (0, 4):
        state = jax.tree.map(lambda x, row=row: x[row : row + 1], every)
        image = np.asarray(densities.draw(state, radial, 16, ["density", "homo", "lumo"])[0])
        for one in np.moveaxis(image, -1, 0):
            np.testing.assert_allclose(one[:, ::-1], one, atol=1e-5 * one.max())


def test_the_other_order_is_the_mirror_image():
    both = [
        np.asarray(densities.render([name], size=12, channels=["density", "lumo"],
                                    parameters="gfn2_xtb"))
        for name in ("C_O", "O_C")
    ]  # fmt: skip
    np.testing.assert_allclose(both[0], both[1][:, :, ::-1], atol=1e-5 * both[0].max())


@pytest.mark.slow
@pytest.mark.parametrize("row", range(len(PAIRS)))
def test_integrals_and_overlaps(real, row):
    radial, every = real
    program = Program(list(PAIRS)[row])
    state = jax.tree.map(lambda x: x[row : row + 1], every)
    z, x, w = points_about(float(state.distance[0]))
    names = list(orbitals.FORMS)
    values = np.asarray(densities.at_points(state, radial, z, x, channels=names)[0], float)
    found = dict(zip(names, w @ values * BOHR_ANG**3, strict=True))
    assert found["density"] == pytest.approx(list(PAIRS.values())[row], abs=1e-3)
    assert found["deformation"] == pytest.approx(0, abs=1e-3)
    assert found["homo"] == pytest.approx(1, abs=1e-3)
    assert found["lumo"] == pytest.approx(1, abs=1e-3)
    functions = np.asarray(densities.basis_at(state, radial, z, x)[0][0], float)
    mean = np.where(orbitals.M == 0, 1.0, 0.5)  # of cos² mφ
    overlap = np.einsum("ip,jp,p->ij", functions, functions, w) * mean
    place = {
        (a, k, m): one
        for one, (a, k, m) in enumerate(zip(program.atoms, program.momenta, program.m, strict=True))
    }
    expected = program.result.get("overlap-matrix")
    compared = [k for k, orbital in enumerate(orbitals.ORBITALS) if orbital in place]
    assert len(compared) == len([one for one in place if one[2] >= 0])
    for i in compared:
        for j in compared:
            if orbitals.M[i] == orbitals.M[j]:
                at = place[orbitals.ORBITALS[i]], place[orbitals.ORBITALS[j]]
                assert overlap[i, j] == pytest.approx(expected[at], abs=1e-4)


def test_solutions_that_no_guess_leads_to_are_found():
    """Mo_Ti converges from its charges alone, Ne_Si from a neighbour."""
    table = open_table("gfn2_xtb")
    some = table.take(np.flatnonzero(np.isin(table.names, ["Mo_Ti", "Ne_Si", "C_O"])))
    rows = coefficients.of_table(some)
    np.testing.assert_array_equal(rows[:, :2], some.atomic_numbers + 1000)
    np.testing.assert_allclose(coefficients.fields(rows)["charges"], some.charges, atol=1e-5)
    assert coefficients.method_of(rows) == "gfn2_xtb"


def test_rows_are_drawn_with_their_own_radial_functions():
    rows = coefficients.of_pairs(["C_O"], [1.2], "gfn2_xtb")
    drawn = np.asarray(coefficients.draw(rows, 12, scale="linear"))
    direct = np.asarray(densities.render(["C_O"], [1.2], 12, parameters="gfn2_xtb"))
    largest = np.abs(direct).max(axis=(0, 1, 2))
    assert (np.abs(drawn - direct).max(axis=(0, 1, 2)) <= 1e-5 * largest).all()
    with pytest.raises(InputError, match="expected rows of one method, got"):
        mixed = np.concatenate([rows, rows - np.eye(1, rows.shape[1]) * 1000])
        coefficients.method_of(mixed)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"pairs": ["Ra_H"]}, "unknown element of GFN2-xTB 'Ra'; choose one of: Ag, Al"),
        ({"pairs": ["As_Lu"]}, "As_Lu"),  # which the table leaves out
        ({"pairs": ["H_H"], "distances": [0.1]}, "expected 0.30 Å, the shortest, to 12 Å, got 0.1"),
        ({"pairs": ["CO"]}, "pairs: expected names like C_O, got 'CO'"),
    ],
)
def test_bad_input_is_one_line(given, message):
    with pytest.raises(InputError) as error:
        densities.render(**given, parameters="gfn2_xtb")
    assert message in str(error.value) and "\n" not in str(error.value)
    if given["pairs"] == ["As_Lu"]:
        assert str(error.value).endswith("; give its distance")


def test_atoms_that_nearly_coincide():
    """La_Lu at 0.6 Å has an empty level at 15 hartree."""
    _, state = xtb_orbitals.solve(["La_Lu"], [0.6])
    density = state.forms[0, orbitals.FORMS.index("density")]
    assert np.isfinite(state.forms).all() and np.abs(density).max() > 0.1


def test_charges_that_do_not_settle_are_one_line(monkeypatch):
    monkeypatch.setattr(xtb_orbitals, "all_solutions", lambda calculator: iter(()))
    with pytest.raises(NotConverged) as error:
        xtb_orbitals.solve(["C_O"], [1.2])
    assert cli.explain(error.value) == "C_O at 1.200 Å: no charges settle"


def test_data_whose_energy_tblite_does_not_find():
    table = open_table("gfn2_xtb")
    one = table.take(np.flatnonzero(table.names == "H_H"))
    energies = one.targets["mermin_free_energy_ev"] + 0.5
    other = dataclasses.replace(one, targets={**one.targets, "mermin_free_energy_ev": energies})
    with pytest.raises(InputError, match="expected a solution of GFN2-xTB with the data's energy"):
        coefficients.of_table(other)


def test_without_tblite_there_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "tblite.interface", None)
    words = r"GFN2-xTB cannot be had \(.*\); try: pip install 'qc-jax\[engines\]'"
    with pytest.raises(InputError, match=words):
        densities.render(["H_H"], parameters="gfn2_xtb")
    with pytest.raises(InputError, match=f"images=densities of {words}"):
        coefficients.check(open_table("gfn2_xtb"))
    with pytest.warns(UserWarning, match="left out: images=densities"):
        assert not coefficients.available(open_table("gfn2_xtb"))
