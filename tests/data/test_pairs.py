"""Pairs of one's own, from CSV and npz."""

import numpy as np
import pytest

from qc_jax.data import exchange, pairs
from qc_jax.errors import InputError

CSV = "name,distance_ang,e_homo_ev,e_lumo_ev,method\nAg_Al,2.5,-5.1,-3.0,mine\nO_H,0.97,-12.5,,x\n"


def write(folder, text):
    (folder / "my.csv").write_text(text)
    return folder / "my.csv"


def test_a_csv(tmp_path):
    with pytest.warns(UserWarning, match=r"my.csv: 1 of 5 columns are none .* as extras: method$"):
        table = pairs.read(write(tmp_path, CSV))
    assert table.names.tolist() == ["Ag_Al", "H_O"]
    np.testing.assert_array_equal(table.atomic_numbers, [[47, 13], [1, 8]])
    np.testing.assert_allclose(table.targets["distance_ang"], [2.5, 0.97])
    np.testing.assert_array_equal(table.targets["e_lumo_ev"], [-3.0, np.nan])
    assert table.extras["method"].tolist() == ["mine", "x"]
    assert np.isnan(table.charges).all() and np.isnan(table.dipole).all()


def test_what_export_writes_is_read_again(small_table, tmp_path):
    exchange.write_csv(small_table, tmp_path / "all.csv")
    table = pairs.read(tmp_path / "all.csv")
    for field in ("names", "atomic_numbers", "positions", "charges"):
        np.testing.assert_array_equal(getattr(table, field), getattr(small_table, field))
    np.testing.assert_allclose(table.dipole, small_table.dipole)
    for name, column in small_table.targets.items():
        np.testing.assert_allclose(table.targets[name], column, err_msg=name)


def test_atoms_swap_with_all_that_is_theirs():
    columns = {
        "element_0": np.array(["O", "C"]),
        "element_1": np.array(["C", "O"]),
        **{f"{axis}_{atom}_ang": np.full(2, float(atom)) for axis in "xyz" for atom in (0, 1)},
        "charge_0_e": np.array([-0.2, 0.2]),
        "charge_1_e": np.array([0.2, -0.2]),
        **{
            f"force_{axis}_{atom}_ev_ang": np.array([1.0, 2.0]) * (2 * atom - 1)
            for axis in "xyz"
            for atom in (0, 1)
        },
    }
    table = pairs.from_columns(columns, "my")
    assert table.names.tolist() == ["C_O", "C_O"]
    np.testing.assert_array_equal(table.charges, [[0.2, -0.2]] * 2)
    np.testing.assert_array_equal(table.positions[:, :, 0], [[1, 0], [0, 1]])
    np.testing.assert_array_equal(table.forces[:, :, 0], [[1, -1], [-2, 2]])


def test_without_positions_z_is_from_the_first_atom_to_the_second(tmp_path):
    """One pair by its two names is the same pair."""
    forces = [f"force_{axis}_{atom}_ev_ang" for atom in (0, 1) for axis in "xyz"]
    dipole = [f"dipole_{axis}_debye" for axis in "xyz"]
    header = ["name", "distance_ang", "charge_0_e", "charge_1_e", *dipole, "dipole_z_d", *forces]
    table = pairs.read(
        write(
            tmp_path,
            f"{','.join(header)}\nC_O,1.13,0.2,-0.2,0,0,-0.1,-0.1,0,0,3,0,0,-3\n"
            "O_C,1.13,-0.2,0.2,0,0,0.1,0.1,0,0,3,0,0,-3\n",
        )
    )
    for column in (table.names, table.positions, table.charges, table.dipole, table.forces):
        np.testing.assert_array_equal(column[0], column[1])
    assert table.positions[0, :, 2].tolist() == [0, 1.13]
    assert table.targets["dipole_z_d"].tolist() == [-0.1, -0.1]


def test_a_class_is_read_as_programs_write_it(tmp_path):
    """And is not an extra to be told of."""
    text = "name,distance_ang,metal_like\nC_O,1,True\nC_O,1,false\nC_O,1,\nC_O,1,1.0\nC_O,1,0\n"
    (read,) = pairs.read(write(tmp_path, text)).columns(("metal_like",)).T
    np.testing.assert_array_equal(read, [1, 0, np.nan, 1, 0])
    one = {"name": np.array(["C_O", "C_O"]), "distance_ang": np.ones(2)}
    for given in ([True, False], [1, 0], [1.0, 0.0], [b"1", b"0"]):
        table = pairs.from_columns(one | {"metal_like": np.array(given)}, "my")
        assert table.columns(("metal_like",)).tolist() == [[1], [0]]


@pytest.mark.parametrize(("lumo", "expected"), [(False, [1, np.nan]), (True, [1, 0])])
def test_a_gap_that_is_not_known_gives_a_class_where_the_lumo_lacks(lumo, expected):
    levels = {"e_homo_ev": np.array([-5.0, -5.0]), "e_g_ev": np.array([0.0, np.nan])}
    levels |= {"e_lumo_ev": np.array([-5.0, np.nan])} if lumo else {}
    one = {"name": np.array(["C_O", "C_O"]), "distance_ang": np.ones(2)}
    (column,) = pairs.from_columns(one | levels, "my").columns(("metal_like",)).T
    np.testing.assert_array_equal(column, expected)


def test_npz_of_columns_and_of_a_table(small_table, tmp_path):
    np.savez(tmp_path / "my.npz", name=["C_O"], distance_ang=[1.1], e_homo_ev=[-13.0])
    assert pairs.read(tmp_path / "my.npz").targets["e_homo_ev"].tolist() == [-13.0]
    small_table.save(tmp_path / "ours.npz")
    assert pairs.read(tmp_path / "ours.npz").fingerprint() == small_table.fingerprint()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected columns of one length, got none"),
        ("name,distance_ang\n", "expected at least one row, got none"),
        ("distance_ang\n1\n", "expected a column name .like Ag_Al., or element_0"),
        ("name\nC_O\n", "expected a column distance_ang, or x_0_ang"),
        ("name,distance_ang\nC_O\n", "line 2: expected 2 fields, got 1"),
        ("name,distance_ang,distance_ang\nC_O,1,1\n", "the column 'distance_ang' stands twice"),
        ("name,distance_ang\nC_Q,1\n", "row 1: expected two elements, got 'C_Q'"),
        ("name,distance_ang\nC_O_H,1\n", "row 1: expected two elements, got 'C_O_H'"),
        ("name,distance_ang\nC_O,1\nC_O,0\n", "row 2: expected a bond length above 0 Å"),
        ("name,distance_ang\nC_O,1_3\n", "row 1: distance_ang: expected a number, got '1_3'"),
        ("name,distance_ang\nC_O,1e9\n", r"positions: row 0 \(C_O\) has an atom beyond 1e\+06 Å"),
        ("name,distance_ang\nC_O,nan\n", "row 1: expected a bond length above 0 Å"),
        ("name,distance_ang,e_homo_ev\nC_O,1,low\n", "row 1: e_homo_ev: expected a number, got 'l"),
        ("name,distance_ang,metal_like\nC_O,1,yes\n", "row 1: metal_like: expected 0 or 1, got 'y"),
        ("name,distance_ang,metal_like\nC_O,1,2\n", "row 1: metal_like: expected 0 or 1, got '2'"),
        ("name,distance_ang,charge_0_e\nC_O,1,0\n", "missing: charge_1_e"),
        ("name,distance_ang\nC\0_O,1\n", "line 2: no CSV: a NUL"),
        ("name,element_0,element_1,distance_ang\nC_O,C,N,1\n", "row 1: name: expected that of C_N"),
        ("name,distance_ang,atomic_number_1\nC_O,1,7\n", "atomic_number_1: .* C_O, got '7'"),
        ("name,distance_ang,e_homo_ev\nC_O,1,inf\n", r"'e_homo_ev'\]: row 0 \(C_O\) is infinite"),
        (
            "name,distance_ang,e_homo_ev,i_ev\nC_O,1,-3,2\n",
            "is 2, but what it follows from gives 3",
        ),
    ],
)
def test_wrong_files(tmp_path, text, message):
    with pytest.raises(InputError, match=rf"my\.csv: .*{message}"):
        pairs.read(write(tmp_path, text))


def test_no_file(tmp_path):
    for name in ("no.csv", "no.npz"):
        with pytest.raises(InputError, match=r"cannot be read|no such file"):
            pairs.read(tmp_path / name)


def test_names_that_look_like_numbers_keep_what_they_say():
    one = {"name": np.array(["C_O", "H_F"]), "distance_ang": np.array(["1.1", "0.9"])}
    given = {
        "a": ["00123", "7"],
        "b": ["9007199254740993", "1"],
        "c": ["3", "-0.5"],
        "d": ["0", ""],
    }
    with pytest.warns(UserWarning, match="kept as extras"):
        table = pairs.from_columns(one | {k: np.array(v) for k, v in given.items()}, "my")
    assert table.extras["a"].tolist() == given["a"] and table.extras["b"].tolist() == given["b"]
    assert table.extras["c"].tolist() == [3, -0.5] and table.extras["d"][0] == 0
