"""XYZ files: written and read, with and without a cell, and those that are wrong."""

import ase.io
import numpy as np
import pytest
from ase.build import bulk

from qc_jax.data import xyz
from qc_jax.errors import InputError

WATER = "3\nwater\nO 0 0 0\nH 0.9 0 0.1 extra columns\nH -0.3 0.9 -1e-1\n"


def test_read_and_write(tmp_path):
    path = tmp_path / "water.xyz"
    path.write_text(WATER + "\n")
    found = xyz.read(path)
    assert found.atomic_numbers.tolist() == [8, 1, 1] and found.cell is None
    np.testing.assert_array_equal(found.positions[2], [-0.3, 0.9, -0.1])
    xyz.write(path, found, "again")
    again = xyz.read(path)
    np.testing.assert_allclose(again.positions, found.positions, atol=1e-8)


def test_cells_as_ase_reads_and_writes_them(tmp_path):
    atoms = bulk("NaCl", "rocksalt", a=5.6)
    path = tmp_path / "salt.xyz"
    ase.io.write(path, atoms)
    found = xyz.read(path)
    np.testing.assert_allclose(found.cell, atoms.cell, atol=1e-8)
    xyz.write(path, found, "salt")
    np.testing.assert_allclose(ase.io.read(path).cell, atoms.cell, atol=1e-8)
    assert ase.io.read(path).pbc.all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: expected the atoms' count, got ''"),
        ("three\n", "line 1: expected the atoms' count, got 'three'"),
        (WATER[:-20], "expected 3 atoms as line 1 says, got 2"),
        (WATER + WATER, "expected 3 atoms as line 1 says, got 8"),
        (WATER.replace("O 0 0 0", "O 0 0"), "line 3: expected symbol, x, y, z, got"),
        (WATER.replace("O 0 0 0", "Q 0 0 0"), "line 3: expected symbol, x, y, z, got"),
        (WATER.replace("O 0 0 0", "O 0 0 nan"), "line 3: expected symbol, x, y, z, got"),
        (WATER.replace("water", 'Lattice="1 0 0 0 1 0"'), "Lattice: expected nine numbers"),
        (WATER.replace("water", 'Lattice="1 0 0 0 1 0 1 1 0"'), "Lattice: expected nine numbers"),
    ],
)
def test_wrong_files(tmp_path, text, message):
    path = tmp_path / "wrong.xyz"
    path.write_text(text)
    with pytest.raises(InputError, match=rf"wrong\.xyz: {message}"):
        xyz.read(path)
    with pytest.raises(InputError, match=r"none\.xyz: cannot be read"):
        xyz.read(tmp_path / "none.xyz")
