import numpy as np
import pytest
from ase.io.cube import read_cube

from qc_jax.canvas import cubes, densities
from qc_jax.errors import InputError


@pytest.fixture(scope="module")
def hydrogen():
    return cubes.cube("H_H", size=60, distance=0.75, window=9.0)


def test_electrons_and_sections(hydrogen):
    """All electrons are in it; half way between two of its planes lies the image's."""
    assert hydrogen.integral == pytest.approx(2, abs=2e-3) and hydrogen.electrons == 2
    values = hydrogen.values
    for other in (values[::-1], values[:, ::-1], values[:, :, ::-1], values.swapaxes(0, 1)):
        np.testing.assert_allclose(values, other, rtol=1e-4, atol=1e-8)
    radial, orbitals = densities.solve(["H_H"], [0.75])
    x, y, z = (np.array([hydrogen.origin[k] + 31 * hydrogen.spacing]) for k in range(3))
    unit = 0.529177211**3
    point = densities.at_points(orbitals, radial, z, x, y, ["density"])[0, 0, 0] * unit
    assert values[31, 31, 31] == pytest.approx(float(point), rel=1e-5)


def test_orbitals_are_normalised():
    """π of C–O lies across the bond; its square integrates to 1."""
    found = cubes.cube("C_O", "lumo_amplitude", size=72, distance=1.13, window=11.0)
    assert np.sum(found.values.astype(float) ** 2) * found.spacing**3 == pytest.approx(1, abs=0.01)
    np.testing.assert_allclose(found.values, -found.values[::-1], atol=1e-6)
    np.testing.assert_allclose(found.values, found.values[:, ::-1], atol=1e-6)


def test_the_file_is_read_by_ase(hydrogen, tmp_path):
    path = tmp_path / "h2.cube"
    cubes.write(path, hydrogen)
    with open(path) as file:
        found = read_cube(file)
    np.testing.assert_allclose(found["data"], hydrogen.values, rtol=2e-5, atol=1e-10)
    atoms = found["atoms"]
    assert atoms.get_chemical_formula() == "H2"
    assert atoms.get_distance(0, 1) == pytest.approx(0.75, abs=1e-4)
    volume = np.linalg.det(atoms.cell) / 0.529177211**3
    assert found["data"].sum() * volume / 60**3 == pytest.approx(2, abs=2e-3)
    np.testing.assert_allclose(found["origin"], hydrogen.origin * 0.529177211, atol=1e-5)


def test_the_comment_names_the_method(hydrogen, tmp_path):
    for parameters, words in (("ptbp", "PTBP"), ("gfn2_xtb", "GFN2-xTB")):
        cubes.write(tmp_path / "h2.cube", hydrogen._replace(parameters=parameters))
        comment = (tmp_path / "h2.cube").read_text().splitlines()[0]
        assert comment == f"density of H2 by tight binding with {words}, atomic units"


def test_cubes_of_another_method():
    pytest.importorskip("tblite", reason="tblite is not installed")
    assert cubes.cube("H_H", size=8, distance=0.75, parameters="gfn2_xtb").parameters == "gfn2_xtb"


def test_bad_input(tmp_path, hydrogen):
    for words, arguments in {
        "unknown channel 'x'": {"channel": "x"},
        "size: expected a whole number from 2 to 256, got 1000": {"size": 1000},
        "window: expected a length above 0": {"window": -1.0},
        "expected 0.21 Å, where its tables begin": {"distance": 0.1},
    }.items():
        with pytest.raises(InputError, match=words):
            cubes.cube("H_H", **arguments)
    with pytest.raises(InputError, match="pairs: expected names like C_O, got 'CO'"):
        cubes.cube("CO")
    with pytest.raises(InputError, match="lumo of He_He: the basis has no empty level"):
        cubes.cube("He_He", "lumo", distance=2.0)
    with pytest.raises(InputError, match="cannot be written"):
        cubes.write(tmp_path / "nowhere" / "h2.cube", hydrogen)
