"""Structures are checked wherever they enter, from ASE and from XYZ files."""

import ase
import ase.io
import numpy as np
import pytest
from ase.build import bulk
from ase.cell import Cell

from qc_jax.data.atoms import Structure, check_structure, from_ase, read_frames, read_structure
from qc_jax.errors import InputError

WATER = "3\nwater\nO 0 0 0\nH 0.9 0 0.1\nH -0.3 0.9 -1e-1\n"


def write(folder, text):
    (folder / "some.xyz").write_text(text)
    return folder / "some.xyz"


def test_a_plain_file(tmp_path):
    found = read_structure(write(tmp_path, WATER))
    assert found.atomic_numbers.tolist() == [8, 1, 1] and found.cell is None
    np.testing.assert_array_equal(found.positions[2], [-0.3, 0.9, -0.1])


def test_properties_say_which_columns_are_positions(tmp_path):
    comment = "Properties=species:S:1:forces:R:3:pos:R:3"
    rows = "O 9 9 9 0 0 0\nH 8 8 8 0 0 1\n"
    found = read_structure(write(tmp_path, f"2\n{comment}\n{rows}"))
    np.testing.assert_array_equal(found.positions, [[0, 0, 0], [0, 0, 1]])


@pytest.mark.parametrize(
    ("pbc", "periodic"), [("", True), (' pbc="T T T"', True), (' pbc="F F F"', False)]
)
def test_pbc_is_honoured(tmp_path, pbc, periodic):
    lattice = f'Lattice="5 0 0 0 6 0 0 0 7"{pbc}'
    found = read_structure(write(tmp_path, WATER.replace("water", lattice)))
    if periodic:
        np.testing.assert_array_equal(found.cell, np.diag([5, 6, 7]))
    else:
        assert found.cell is None


def test_cells_as_ase_writes_them(tmp_path):
    atoms = bulk("NaCl", "rocksalt", a=5.6)
    ase.io.write(tmp_path / "salt.xyz", atoms)
    np.testing.assert_allclose(read_structure(tmp_path / "salt.xyz").cell, atoms.cell, atol=1e-8)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not an extended XYZ file|expected at least one frame"),
        (
            WATER + WATER.replace("3", "0"),
            "line 6: not an extended XYZ file: got 0 atoms and 3 lines",
        ),
        (
            WATER.replace("3\n", "99999999999\n"),
            "line 1: .* got 99999999999 atoms and 3 lines behind",
        ),
        (WATER.replace("3\n", "-2\n"), "not an extended XYZ file"),
        ("three\n", "not an extended XYZ file: .*Expected xyz header"),
        (WATER[:-20], "line 1: not an extended XYZ file: "),
        (WATER.replace("water", "e=1 f='e=2' e=2"), "line 2: the key 'e' stands twice"),
        (WATER + WATER, "expected one frame, got 2"),
        (WATER + "\n" + WATER, "line 6: expected no empty line before a frame"),
        ("\n" + WATER, "line 1: expected no empty line before a frame"),
        (WATER.replace("O 0 0 0", "O 0 0"), "not an extended XYZ file: "),
        (WATER.replace("O 0 0 0", "Q 0 0 0"), "not an extended XYZ file: "),
        (
            WATER.replace("O 0 0 0", "O 0 0 1e9"),
            r"atom 0: expected finite coordinates up to 1e\+06",
        ),
        (WATER.replace("O 0 0 0", "O 0 0 nan"), r"atom 0: expected finite coord.*, got \[0"),
        (WATER.replace("O 0 0 0", "X 0 0 0"), "atom 0: expected an element, H to Cm, got atomic n"),
        (WATER.replace("0.9 0 0.1", "0 0 0"), "2 atoms stand at one place"),
        (WATER.replace("water", 'Lattice="1 0 0 0 1 0"'), "not an extended XYZ file"),
        (WATER.replace("water", 'Lattice="1 0 0 0 1 0 1 1 0"'), "cell: expected three vectors"),
        (WATER.replace("water", 'pbc="T T T"'), "cell: expected three vectors that span"),
        (
            WATER.replace("water", 'Lattice="5 0 0 0 6 0 0 0 7" pbc="T T F"'),
            "pbc: expected periodic in all three directions or none, got T T F",
        ),
    ],
)
def test_wrong_files(tmp_path, text, message):
    with pytest.raises(InputError, match=rf"some\.xyz: ({message})") as found:
        read_structure(write(tmp_path, text))
    assert "\n" not in str(found.value)


def test_empty_lines_that_are_none_between_frames(tmp_path):
    assert len(read_frames(write(tmp_path, 2 * WATER.replace("water", "") + "\n \n"))) == 2


def test_no_file(tmp_path):
    for path, said in ((tmp_path / "none.xyz", "no such file"), (tmp_path, "got a directory")):
        with pytest.raises(InputError, match=said):
            read_frames(path)


@pytest.mark.parametrize(
    ("atoms", "message"),
    [
        (ase.Atoms(), "expected at least one atom, got none"),
        (ase.Atoms("CX", [[0, 0, 0], [0, 0, 1]]), "atom 1: expected an element"),
        (ase.Atoms("CO", [[0, 0, 0], [0, 0, np.nan]]), "atom 1: expected finite coordinates"),
        (ase.Atoms("CO", pbc=(0, 0, 1), positions=np.eye(2, 3)), "none, got F F T"),
        (ase.Atoms("Cu2", [[0, 0, 0], [2.5 - 1e-5, 0, 0]], cell=[2.5] * 3, pbc=True), "2 atoms"),
        (
            ase.Atoms(
                "Cu2", [[0, 0, 0], [7, 2, 0]], cell=[[3, 0, 0], [1, 2, 0], [0, 0, 3]], pbc=True
            ),
            "2 atoms stand at one place",
        ),
    ],
)
def test_wrong_atoms(atoms, message):
    with pytest.raises(InputError, match=message):
        from_ase(atoms)


@pytest.mark.parametrize(
    "cell", [[2.5] * 3, [3.2, 3.2, 5.1, 90, 90, 120], [10.47] * 3 + [24.16] * 3]
)
def test_images_are_found_in_any_cell(cell):
    """Whatever the rounding of a file; in acute cells steps along the vectors are no lengths."""
    cell, rng = Cell.new(cell), np.random.default_rng(0)
    for step in (1e-3, 1e-4):
        for _ in range(100):
            first = rng.random(3) * np.where(rng.random(3) < 0.5, 1, 1e-5)
            both = np.array([first, first + rng.integers(-1, 2, 3)]) @ cell.array
            both = np.round(both / step) * step
            with pytest.raises(InputError, match="2 atoms stand at one place"):
                check_structure(Structure(np.array([29, 29]), both, cell.array))
    apart = Structure(np.array([29, 29]), np.array([[0, 0, 0], [0, 0, 0.01]]), cell.array)
    assert check_structure(apart) is apart


def test_atoms_of_a_cell_may_stand_near_its_edge():
    near = ase.Atoms("Cu2", [[0, 0, 0], [2.45, 0, 0]], cell=[2.5] * 3, pbc=True)
    assert len(from_ase(near).atomic_numbers) == 2


@pytest.mark.parametrize(
    ("initial", "what"),
    [({"charges": [1, 0]}, "initial charges"), ({"magmoms": [2, 0]}, "magnetic moments")],
)
def test_what_is_ignored_is_told(initial, what):
    with pytest.warns(UserWarning, match=f"{what} are ignored"):
        from_ase(ase.Atoms("CO", positions=np.eye(2, 3), **initial))
