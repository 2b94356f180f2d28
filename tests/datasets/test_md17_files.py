"""Trajectory files: both layouts, units, and what is said of files that are wrong."""

import pathlib

import numpy as np
import pytest

from qc_jax.chem.units import KCAL_PER_MOL_EV
from qc_jax.datasets import md17
from qc_jax.errors import InputError

FIXTURE = pathlib.Path(__file__).parents[1] / "fixtures" / "md17_ethanol.npz"


@pytest.fixture(scope="module")
def content():
    with np.load(FIXTURE) as file:
        return dict(file)


def test_a_file_in_ev(content):
    frames = md17.read(FIXTURE)
    assert (frames.formula, frames.layout, len(frames)) == ("C2H6O", "original", 100)
    np.testing.assert_array_equal(frames.atomic_numbers, content["z"])
    np.testing.assert_allclose(frames.energies, content["E"] * KCAL_PER_MOL_EV, rtol=1e-12)
    np.testing.assert_allclose(frames.forces, content["F"] * KCAL_PER_MOL_EV, rtol=1e-6)
    np.testing.assert_array_equal(frames.positions, content["R"])
    assert frames.energies.dtype == np.float64


def test_fixture_forces_are_those_of_its_energies():
    """GFN2-xTB itself, at a frame of the file."""
    tblite = pytest.importorskip("tblite.interface")
    from qc_jax.chem.units import BOHR_ANG, HARTREE_EV

    frames = md17.read(FIXTURE)
    calculator = tblite.Calculator(
        "GFN2-xTB", frames.atomic_numbers, frames.positions[7] / BOHR_ANG
    )
    calculator.set("verbosity", 0)
    found = calculator.singlepoint()
    assert frames.energies[7] == pytest.approx(found.get("energy") * HARTREE_EV, abs=1e-4)
    forces = -found.get("gradient") * HARTREE_EV / BOHR_ANG
    np.testing.assert_allclose(frames.forces[7], forces, atol=1e-3)


@pytest.mark.parametrize("layout", md17.LAYOUTS)
def test_write_and_read(tmp_path, content, layout):
    frames = md17.read(FIXTURE)
    path = tmp_path / "again.npz"
    md17.write(path, md17.Trajectory(**{**vars(frames), "layout": layout}))
    again = md17.read(path, layout)
    np.testing.assert_allclose(again.energies, frames.energies, rtol=1e-14)
    np.testing.assert_allclose(again.forces, frames.forces, rtol=1e-6)
    np.testing.assert_array_equal(again.positions, frames.positions)
    other = {"original": "revised", "revised": "original"}[layout]
    with pytest.raises(InputError, match=rf"again\.npz: expected arrays .* \({other}\), got "):
        md17.read(path, other)


def test_energies_may_have_a_second_axis(tmp_path, content):
    path = tmp_path / "column.npz"
    np.savez(path, **{**content, "E": content["E"][:, None]})
    np.testing.assert_array_equal(md17.read(path).energies, md17.read(FIXTURE).energies)


def _together(positions):
    positions = positions.copy()
    positions[7, 5] = positions[7, 2]
    return positions


def _nan(array, row):
    array = array.copy()
    array[row] = np.nan
    return array


@pytest.mark.parametrize(
    ("key", "change", "message"),
    [
        ("F", lambda a: None, r"expected arrays E, F, R, z \(original\) or energies.*got E, R,"),
        ("F", lambda a: a[:-1], r"F: expected \(100, 9, 3\), got \(99, 9, 3\)"),
        ("E", lambda a: a[:-1], r"E: expected \(100,\), got \(99,\)"),
        ("E", lambda a: _nan(a, 42), r"E: frame 42 is not finite \(1 of 100\)"),
        ("R", lambda a: _nan(a, slice(3, 5)), r"R: frame 3 is not finite \(2 of 100\)"),
        ("R", lambda a: a[0], r"R: expected shape \(N, n, 3\), got \(9, 3\)"),
        ("z", lambda a: a[:-1], r"z: expected \(9,\), got \(8,\)"),
        ("z", lambda a: a * 0, r"z: expected whole numbers from 1 to 96, got"),
        ("z", lambda a: a + 0.5, r"z: expected whole numbers from 1 to 96, got"),
        ("R", lambda a: _together(a), r"R: frame 7: atoms 2 and 5 stand at one place"),
        ("z", lambda a: a.astype(str), r"z: expected numbers, got <U"),
        ("e_unit", lambda a: np.array("Hartree"), r"expected e_unit kcal/mol, got .*Hartree"),
    ],
)  # fmt: skip
def test_wrong_files(tmp_path, content, key, change, message):
    changed = {**content, key: change(content[key])}
    if changed[key] is None:
        del changed[key]
    np.savez(tmp_path / "wrong.npz", **changed)
    with pytest.raises(InputError, match=r"wrong\.npz: " + message):
        md17.read(tmp_path / "wrong.npz")


def test_damaged_files(tmp_path, content):
    whole = FIXTURE.read_bytes()
    npy = tmp_path / "one.npy"
    np.save(npy, content["R"])
    pickled = tmp_path / "pickled.npz"
    np.savez(pickled, **{**content, "R": np.array([{}], dtype=object)}, allow_pickle=True)
    for name, data in {
        "cut.npz": whole[:5000],
        "text.npz": b"hello",
        "empty.npz": b"",
        "array.npz": npy.read_bytes(),
        "object.npz": pickled.read_bytes(),
    }.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=rf"{name}: (not|expected) an .npz of a trajectory, "):
            md17.read(tmp_path / name)
    with pytest.raises(InputError, match=r"none\.npz: no such file"):
        md17.read(tmp_path / "none.npz")


@pytest.mark.parametrize("kind", ["S", "U"])
def test_units_are_text_or_bytes(tmp_path, kind):
    with np.load(FIXTURE) as file:
        arrays = dict(file)
    arrays |= {"e_unit": np.array("kcal/mol", kind), "r_unit": np.array("Ang", kind)}
    np.savez(tmp_path / "units.npz", **arrays)
    assert len(md17.read(tmp_path / "units.npz")) == 100
    arrays["e_unit"] = np.array("eV", kind)
    np.savez(tmp_path / "units.npz", **arrays)
    with pytest.raises(InputError, match=r"units\.npz: expected e_unit kcal/mol, got 'eV'$"):
        md17.read(tmp_path / "units.npz")
