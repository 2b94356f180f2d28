"""Densities of molecules: as of pairs, turned, integrated, and against the tables' overlaps."""

import numpy as np
import pytest
from ase.build import molecule
from ase.io.cube import read_cube
from scipy.spatial.transform import Rotation

from qc_jax.canvas import cubes, densities, molecular_densities
from qc_jax.canvas.molecular_densities import Plane, cube, plane_of, quadrature, render
from qc_jax.canvas.molecular_orbitals import AMPLITUDES, basis_at, solve
from qc_jax.canvas.orbitals import FORMS
from qc_jax.errors import InputError

WATER = molecule("H2O")
FEW = ["density", "deformation", "p", "homo_amplitude", "lumo", "potential"]


@pytest.fixture(scope="module")
def water():
    return solve(WATER.get_chemical_symbols(), WATER.positions)


@pytest.mark.parametrize(
    ("pair", "distance", "channels"),
    [
        ("H_H", 0.75, 10),
        ("C_O", 1.2, 9),
        pytest.param("Ti_O", 1.7, 8, marks=pytest.mark.slow),  # has d orbitals
        pytest.param("O_Ti", 1.7, 8, marks=pytest.mark.slow),
    ],
)
def test_a_pair_as_a_molecule_is_the_pair(pair, distance, channels):
    size = 24
    expected = np.asarray(densities.render([pair], [distance], size))[0]
    found = solve(pair.split("_"), distance)
    middle = Plane([0, 0, distance / 2], [0, 0, 1], [1, 0, 0])
    image = render(found, middle, size, window=densities.WINDOW_ANG)
    compared = 0
    for column, name in enumerate(densities.CHANNELS):
        ours, theirs = image.values[..., column], expected[..., column]
        if name.endswith("amplitude"):
            which = AMPLITUDES.index(name)
            alone = np.outer(found.amplitudes[which], found.amplitudes[which])
            if np.abs(alone - found.forms[FORMS.index(name[:4])]).max() > 1e-4:
                continue  # one of several of the same level: which one, is open
            ours = np.sign(np.vdot(ours, theirs)) * ours
        np.testing.assert_allclose(ours, theirs, atol=1e-5 * np.abs(theirs).max(), err_msg=name)
        compared += 1
    assert compared == channels


def test_the_molecule_and_its_plane_turn_together(water):
    plane = Plane([0.2, 0.1, 0.0], [0.1, 1, 0], [0.3, 0, 1])
    before = render(water, plane, 20, FEW, window=11.0)
    turn = Rotation.from_rotvec([0.4, -1.1, 0.7])
    symbols = WATER.get_chemical_symbols()
    moved = solve(symbols, turn.apply(WATER.positions) + 2)
    turned = Plane(turn.apply(plane.center) + 2, turn.apply(plane.right), turn.apply(plane.down))
    after = render(moved, turned, 20, FEW, window=11.0)
    for column, name in enumerate(FEW):
        one, other = before.values[..., column], after.values[..., column]
        if name.endswith("amplitude") and np.vdot(one, other) < 0:
            other = -other
        np.testing.assert_allclose(other, one, atol=2e-5 * np.abs(one).max(), err_msg=name)
    assert after.outside == pytest.approx(before.outside, abs=1e-3)


def test_overlaps_of_orbitals_are_those_of_the_tables(water):
    _check_overlaps(water)


_SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("symbols", "positions"),
    [
        (["C", "O"], 1.2),
        pytest.param(["O", "Ti", "O"], [[1.5, 0.6, 0.1], [0, 0, 0], [-1.3, 0.8, 0.5]], marks=_SLOW),
        pytest.param(["Ag", "Al"], 2.6, marks=_SLOW),
        pytest.param(["Cs", "F"], 2.9, marks=_SLOW),
    ],
)
def test_overlaps_with_d_orbitals_and_of_pairs(symbols, positions):
    _check_overlaps(solve(symbols, positions))


def _check_overlaps(state):
    points, weights = quadrature(state.positions, radial=80, polar=24)
    functions = np.asarray(basis_at(state, points), np.float64)
    found = (functions * weights) @ functions.T
    np.testing.assert_allclose(found, state.overlap, atol=1e-4)


def test_electrons_of_water(water):
    assert water.electrons == 8
    assert molecular_densities.electrons_outside(
        water, np.zeros(3), [np.array([0, 0, 1.0])], 1e-9
    ) == pytest.approx(8, abs=1e-2)
    # Near the oxygen's nucleus points must lie within 0.07 Å of each other.
    found = cube(water, size=120, window=8.0)
    assert found.electrons == 8 and found.integral == pytest.approx(8, abs=1e-2)
    flat = cube(water, "deformation", size=120, window=8.0)
    assert flat.integral == pytest.approx(0, abs=1e-2)
    shadow = render(water, size=120, channels=["density"], window=8.0, projection=True)
    assert shadow.values.sum() * (8 / 120) ** 2 == pytest.approx(8, abs=1e-2)


def test_a_cube_file_has_all_atoms(water, tmp_path):
    found = cube(water, "homo_amplitude", size=30)
    cubes.write(tmp_path / "water.cube", found)
    with open(tmp_path / "water.cube") as file:
        read = read_cube(file)
    assert read["atoms"].get_chemical_formula() == "H2O"
    vectors = read["atoms"].positions - read["atoms"].positions[0]
    np.testing.assert_allclose(vectors, WATER.positions - WATER.positions[0], atol=1e-4)
    # The lone pair of the HOMO changes its sign across the plane of the atoms, x = 0.
    np.testing.assert_allclose(found.values, -found.values[::-1], atol=1e-4)


def test_planes():
    plane = plane_of(WATER.positions)
    assert np.abs(np.cross(plane.right, plane.down)) == pytest.approx([1, 0, 0])
    chosen = plane_of(WATER.positions, (0, 1, 2))
    np.testing.assert_allclose(chosen.center, WATER.positions[0])
    bond = WATER.positions[1] - WATER.positions[0]
    np.testing.assert_allclose(chosen.right, bond / np.linalg.norm(bond))
    assert np.dot(chosen.right, chosen.down) == pytest.approx(0, abs=1e-12)
    line = plane_of([[0, 0, 0], [0, 0, 1.0]])
    np.testing.assert_allclose(np.abs(line.right), [0, 0, 1], atol=1e-12)
    plane_of([[1, 2, 3.0]])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"plane": Plane([5, 0, 0], [0, 1, 0], [0, 0, 1])}, "with an atom within 2 Å of it"),
        ({"plane": Plane([0, 9, 0], [0, 1, 0], [0, 0, 1]), "window": 6.0}, "window of 6 Å"),
        ({"plane": Plane([0, 0, 0], [0, 1, 0], [0, 2, 0])}, "two directions, not in one line"),
        ({"plane": Plane([0, 0], [0, 1, 0], [0, 2, 0])}, "three vectors of three numbers"),
        ({"window": 2.0}, r"window: 0\.\d\d of 8 electrons are outside of 2 Å"),
        ({"window": -1.0}, "window: expected a length above 0"),
        ({"size": 2}, "canvas size: expected a whole number from 3 up, got 2"),
        ({"size": 5000}, "size: expected at most 1024 pixels, got 5000"),
        ({"channels": ["f"]}, "unknown channel 'f'"),
        ({"channels": []}, "channels: expected a list of names"),
    ],
)
def test_wrong_pictures_are_told(water, given, message):
    with pytest.raises(InputError, match=message):
        render(water, **given)


def test_wrong_molecules_and_cubes_are_told(water):
    with pytest.raises(InputError, match="size: expected a whole number from 2 to 256, got 1"):
        cube(water, size=1)
    with pytest.raises(InputError, match=r"electrons are outside of 1\.5 Å"):
        cube(water, window=1.5)
    assert cube(water, size=40, window=1.5, cut=True).integral < 7.5
    with pytest.raises(InputError, match="expected one atom or more"):
        solve([], np.zeros((0, 3)))
    with pytest.raises(InputError, match=r"atoms 0 \(H\) and 1 \(H\) are 0.100 Å apart"):
        solve(["H", "H"], 0.1)
    with pytest.raises(InputError, match=r"atoms: expected three from 0 to 2, got \[0, 1, 7\]"):
        plane_of(WATER.positions, (0, 1, 7))
    with pytest.raises(InputError, match="molecule: expected what `solve` returns"):
        render("H2O")
