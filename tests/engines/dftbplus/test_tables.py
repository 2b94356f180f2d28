"""The CSV files of the published pipeline: read, and held against the outputs."""

import numpy as np
import pytest

from qc_jax.engines import published
from qc_jax.engines.dftbplus import read_tree, tables
from qc_jax.errors import InputError
from tests.engines.dftbplus.outputs import BONDS, CL_MG, N_O, write
from tests.fixtures.dftbplus import make


def disagreements(tmp_path, labels: dict | None = None, bonds: dict | None = None):
    """What is found of one row of labels and one of bonds of Cl_Mg, or of N_O_spin's labels."""
    if labels:
        write(tmp_path / tables.LABELS_FILE, labels)
    if bonds:
        write(tmp_path / tables.DISTANCES_FILE, {"/scratch/raw_data/Cl_Mg": bonds})
    table = read_tree(make.TREE)
    files = tables.read_labels(str(tmp_path)), tables.read_distances(str(tmp_path))
    return tables.disagreements(table, *files)


def test_what_agrees(tmp_path):
    labels = {"/scratch/raw_data/Cl_Mg/": CL_MG, "C:\\runs\\N_O_spin": N_O, "raw/Xe_Xe": CL_MG}
    assert disagreements(tmp_path, labels, BONDS) == {}
    columns = tables.read_labels(str(tmp_path)).columns
    assert columns[:3] == ("run_dir", "e_homo_ev", "e_lumo_ev")


def test_the_37_labels_are_all_compared():
    """The names in the table are those of the published file."""
    table = read_tree(make.TREE)
    assert {*table.targets, *table.extras} == set(published.LABELS)


@pytest.mark.parametrize(
    ("column", "value", "found"),
    [
        ("E_HOMO_eV", "-3.13", "e_homo_ev: -3.125 eV in the outputs, -3.13 in "),
        ("Total_Energy_eV", "90.954", "total_energy_ev: -90.954059 eV in the outputs, 90.954 in "),
        ("q_maxabs", "0.35", "q_maxabs: 0.34 e in the outputs, 0.35 in "),
        ("dipole_z_D", "0", "dipole_z_d: 3.5927971 Debye in the outputs, 0 in "),
        ("Metal_like", "False", "metal_like: 1 in the outputs, 0 in "),
        ("scc_converged", "0", "scc_converged: 1 in the outputs, 0 in "),
        ("n_levels", "12", "n_levels: 13 in the outputs, 12 in "),
        ("scc_last_error", "2e-6", "scc_last_error: 1.5e-06 in the outputs, 2e-06 in "),
        ("distance_Ang", "2.3", "distance_ang: 2.2 Å in the outputs, 2.3 in "),
        ("e_lumo_ev", "inf", "e_lumo_ev: -3.125 eV in the outputs, inf in "),
    ],
)
def test_what_disagrees(tmp_path, column, value, found):
    got = disagreements(tmp_path, {"Cl_Mg": CL_MG | {column: value}})
    assert got == {"Cl_Mg": [found + "dftb_ptbp_combined.csv"]}


def test_what_is_divided_by_the_gap(tmp_path):
    got = disagreements(tmp_path, {"N_O_spin": N_O | {"softness_eVinv": "2.0"}})
    assert got == {
        "N_O_spin": ["softness_evinv: 1 1/eV in the outputs, 2 in dftb_ptbp_combined.csv"]
    }


def test_a_lumo_where_there_is_none(tmp_path):
    got = disagreements(tmp_path, {"He_He": {"e_lumo_ev": "3.0"}})
    assert got == {"He_He": ["e_lumo_ev: nan eV in the outputs, 3 in dftb_ptbp_combined.csv"]}


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"distance_Ang": "2.21"}, ["distance_ang: 2.2 Å in the outputs, 2.21 in {}"]),
        ({"natoms": "3"}, ["n_atoms: 2 in the outputs, 3 in {}"]),
        (
            {"z1": "0.0", "z2": "2.2"},
            [
                "positions: 0, 0, 0.1; 0, 0, 2.3 Å in the outputs, 0, 0, 0; 0, 0, 2.2 in {}",
            ],
        ),
        ({"species_2": "Ca"}, ["species: Cl and Mg in the outputs, Cl and Ca in {}"]),
        ({"species_1": "Mg", "species_2": "Cl", "z1": "2.3", "z2": "0.1"}, None),
    ],
)
def test_geometries(tmp_path, changes, found):
    got = disagreements(tmp_path, bonds=BONDS | changes)
    file = tables.DISTANCES_FILE
    assert got == ({"Cl_Mg": [reason.format(file) for reason in found]} if found else {})


def test_without_files(tmp_path):
    assert tables.read_labels(str(tmp_path)) is None
    assert tables.read_distances(str(tmp_path)) is None


def test_unknown_values_are_nan(tmp_path):
    rows = {"A_B": {"a": "", "b": "None", "c": "nan", "d": " True ", "e": "1e3"}}
    write(tmp_path / tables.LABELS_FILE, rows)
    row = tables.read_labels(str(tmp_path)).rows["A_B"]
    assert np.isnan([row["a"], row["b"], row["c"]]).all()
    assert (row["d"], row["e"]) == (1, 1000)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "0 columns 'run_dir', expected 1"),
        (b"name,e_homo_ev\nC_O,1\n", "0 columns 'run_dir', expected 1"),
        (b"run_dir,RUN_DIR\nC_O,1\n", "2 columns 'run_dir', expected 1"),
        (b"run_dir,e_homo_ev\nC_O,1\n\nx/C_O,2\n", "line 4: 'C_O' stands there twice"),
        (b"run_dir,e_homo_ev\nC_O\n", "line 2: expected 2 fields, got 1"),
        (b"run_dir,e_homo_ev\nC_O,1.0.0\n", "line 2: e_homo_ev: expected a number, got '1.0.0'"),
        (b"run_dir,e_homo_ev\nC_O,****\n", "line 2: e_homo_ev: expected a number, got '****'"),
        (b"run_dir,\xff\xfe\n", "expected text, got bytes that are none: 'utf-8' codec"),
    ],
)
def test_damaged_files(tmp_path, content, message):
    path = tmp_path / tables.LABELS_FILE
    path.write_bytes(content)
    with pytest.raises(InputError) as raised:
        tables.read_labels(str(tmp_path))
    assert str(raised.value).startswith(f"{path}: {message}")


def test_missing_columns_of_the_bonds(tmp_path):
    row = {key: value for key, value in BONDS.items() if key != "z2"}
    write(tmp_path / tables.DISTANCES_FILE, {"Cl_Mg": row})
    with pytest.raises(InputError, match="0 columns 'z2', expected 1"):
        tables.read_distances(str(tmp_path))
