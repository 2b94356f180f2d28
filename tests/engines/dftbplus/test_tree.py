"""read_tree: a table with every directory either in it or listed with its reason."""

import itertools
import json
import pathlib
import shutil
import time

import numpy as np
import pytest

from qc_jax.chem import elements
from qc_jax.data.table import PairTable
from qc_jax.engines.dftbplus import read_pair, read_tree, tables
from qc_jax.engines.sanity import NEED_DIAGNOSTICS, SanityChecks
from qc_jax.errors import InputError
from tests.engines.dftbplus.outputs import BONDS, CL_MG, SAMPLES, edit, needs_samples, write
from tests.fixtures.dftbplus import make


@pytest.fixture
def tree(tmp_path) -> pathlib.Path:
    """A copy of the fixtures, to be spoilt."""
    return pathlib.Path(shutil.copytree(make.TREE, tmp_path / "raw_data"))


def test_the_fixtures(tmp_path):
    table = read_tree(make.TREE)
    assert table.names.tolist() == ["Cl_Mg", "F_Li", "H_H", "He_He", "N_O"]
    assert table.atomic_numbers.tolist() == [[17, 12], [9, 3], [1, 1], [2, 2], [7, 8]]
    for row, directory in enumerate(table.extras["system_id_guess"]):
        record = read_pair(make.TREE / directory)
        assert table.positions[row].tolist() == record.positions
        assert table.populations[row].tolist() == record.populations
        assert table.charges[row].tolist() == record.charges
        assert table.dipole[row].tolist() == record.dipole
        for name, value in record.targets.items():
            np.testing.assert_equal(table.targets[name][row], value)
        for name, value in record.extras.items():
            assert table.extras[name][row] == value
    assert table.targets["e_g_ev"].tolist()[:3] == [0, 5.5, 14]
    assert table.targets["distance_ang"] == pytest.approx([2.2, 1.55, 0.75, 2.9, 1.15])
    table.save(tmp_path / "table.npz")
    again = PairTable.load(tmp_path / "table.npz")
    assert again.fingerprint() == table.fingerprint()
    assert again.provenance == json.loads(json.dumps(dict(table.provenance)))


def test_provenance():
    provenance = read_tree(make.TREE).provenance
    assert provenance["engine"] == "dftbplus"
    assert provenance["version"] == "25.1"
    assert provenance["directory"] == "tree"
    assert provenance["gates"]["max_charge_e"] == 1.0
    assert provenance["gates_not_checked"] == list(NEED_DIAGNOSTICS)
    assert provenance["counts"] == {"directories": 5, "read": 5, "left_out": {}}
    assert provenance["left_out"] == provenance["disagreements"] == {}
    assert provenance["csv"] == provenance["from_csv"] == {}


def test_what_cannot_be_trusted_is_left_out_with_its_reason(tree):
    (tree / "notes").mkdir()
    (tree / ".Cl_Mg.123").mkdir()  # hidden, as of a run that is going on
    (tree / "readme.txt").write_text("a loose file")
    shutil.copytree(tree / "F_Li", tree / "F_Na")
    edit(tree / "He_He" / "detailed.out", "SCC converged\n", "")
    edit(tree / "N_O_spin" / "dftb.log", "release 25.1", "release 24.1")
    table = read_tree(tree)
    assert table.names.tolist() == ["Cl_Mg", "F_Li", "H_H", "N_O"]
    assert table.left_out == {
        "F_Na": "geometry: Li and F in geo_end.xyz, but a directory of F_Na",
        "He_He": "SCC: no line 'SCC converged' in detailed.out",
        "notes": (
            "name: 'notes' is no pair; expected two symbols in alphabetical order, like 'Ag_Al'"
        ),
    }
    assert table.provenance["counts"] == {
        "directories": 7,
        "read": 4,
        "left_out": {"SCC": 1, "geometry": 1, "name": 1},
    }
    assert table.provenance["version"] == "24.1, 25.1"


def test_gates_are_applied(tree):
    table = read_tree(tree, gates=SanityChecks(max_charge_e=0.4, min_ratio=0.91))
    assert table.left_out == {
        "Cl_Mg": (
            "bond length: 2.20 Å, expected at least 0.91 times the sum of the "
            "covalent radii, 2.43 Å"
        ),
        "F_Li": "charge: -0.50 e, expected at most 0.4 e",
        "N_O_spin": (
            "bond length: 1.15 Å, expected at least 0.91 times the sum of the "
            "covalent radii, 1.37 Å"
        ),
    }
    assert table.provenance["gates"]["max_charge_e"] == 0.4


def test_an_ion_is_left_out(tree):
    path = tree / "H_H" / "detailed.out"
    changes = {
        "Total charge:    -0.0": "Total charge:     0.5",
        "    2       0.00000000": "    2       0.50000000",
        "    2       1.00000000": "    2       0.50000000",
        "electrons (up):      2.0": "electrons (up):      1.5",
        " 0.75000000": " 0.37500000",
        " 0.25000000": " 0.12500000",
    }
    for old, new in changes.items():
        edit(path, old, new)
    edit(tree / "H_H" / "geo_end.xyz", "0.75000000      0.00000000      1.0", "0.75 0 0.5")
    edit(tree / "H_H" / "band.out", "-10.5000  2.00000", "-14.0000  1.50000")
    assert read_tree(tree).left_out == {"H_H": "charges: they sum to +5.0e-01 e, expected 0"}


def test_one_pair_may_stand_in_several_directories(tree):
    shutil.copytree(tree / "Cl_Mg", tree / "Cl_Mg_again")
    table = read_tree(tree)
    assert table.names.tolist()[:2] == ["Cl_Mg", "Cl_Mg"]
    assert table.extras["system_id_guess"].tolist()[:2] == ["Cl_Mg", "Cl_Mg_again"]


def test_nothing_is_left(tree):
    for directory in tree.iterdir():
        (directory / "detailed.out").unlink()
    table = read_tree(tree)
    assert len(table) == 0
    assert table.provenance["counts"]["left_out"] == {"files": 5}
    assert table.provenance["disagreements"] == {}


def test_progress(tree):
    calls = []
    (tree / "He_He" / "detailed.out").unlink()
    read_tree(tree, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(done, 5) for done in range(6)]


def test_the_files_of_the_pipeline(tree):
    labels = {
        "/data/raw_data/Cl_Mg": CL_MG | {"Total_Energy_eV": "-91.0"},
        "/data/raw_data/Xe_Xe": CL_MG,
    }
    write(tree / tables.LABELS_FILE, labels)
    write(tree / tables.DISTANCES_FILE, {"/data/raw_data/Cl_Mg": BONDS | {"distance_Ang": "2.3"}})
    (tree / "Cl_Mg" / "band.out").unlink()
    (tree / "H_H" / "band.out").unlink()
    table = read_tree(tree)
    provenance = table.provenance
    assert table.left_out == {"H_H": "bands: no band.out, and no e_homo_ev of this pair in a table"}
    assert table.targets["e_homo_ev"][0] == -3.125
    assert provenance["from_csv"] == {
        "e_homo_ev": 1,
        "e_lumo_ev": 1,
        "metal_like": 1,
        "n_levels": 1,
    }
    assert provenance["disagreements"] == {
        "Cl_Mg": [
            "total_energy_ev: -90.954059 eV in the outputs, -91 in dftb_ptbp_combined.csv",
            "distance_ang: 2.2 Å in the outputs, 2.3 in bond_distances_all.csv",
        ]
    }
    others = ["F_Li", "H_H", "He_He", "N_O_spin"]
    assert provenance["csv"] == {
        "dftb_ptbp_combined.csv": {
            "rows": 2,
            "rows_without_directory": ["Xe_Xe"],
            "directories_without_row": others,
        },
        "bond_distances_all.csv": {
            "rows": 1,
            "rows_without_directory": [],
            "directories_without_row": others,
        },
    }


def test_no_tree(tmp_path):
    for path, said in (
        (tmp_path / "no", "no: expected a directory .*: No such file or directory"),
        (make.TREE / "H_H" / "band.out", "band.out: expected a directory .*: Not a directory"),
        (make.TREE / "H_H", "H_H: expected directories named after pairs, like 'Ag_Al', got none"),
        (make.TREE.parents[1], "got .*'dftbplus'"),
    ):
        with pytest.raises(InputError, match=said):
            read_tree(path)


@needs_samples
def test_the_samples():
    table = read_tree(SAMPLES / "raw_data")
    assert len(table) == 35
    least = "expected at least 0.65 times the sum of the covalent radii"
    assert table.left_out == {
        "Br_Mg": f"bond length: 1.61 Å, {least}, 2.61 Å",
        "Br_N": f"bond length: 0.43 Å, {least}, 1.91 Å",
        "Cl_P": "geometry: 'Atoms 2 and 1 too close together' in dftb.log",
        "F_P": "geometry: 'Geometry did NOT converge' in dftb.log",
        "F_S": "SCC: 'SCC is NOT converged, maximal SCC iterations exceeded' in dftb.log",
    }
    assert table.provenance["version"] == "25.1"


@needs_samples
def test_the_awkward_samples():
    table = read_tree(SAMPLES / "awkward")
    assert table.names.tolist() == ["H_O", "O_O"]
    assert set(table.left_out) == {"C_O_scc1", "C_O_scc1_noabort"}
    assert table.provenance["counts"]["left_out"] == {"SCC": 2}


@pytest.mark.slow
def test_the_published_number_of_directories_takes_seconds(tmp_path):
    symbols = [elements.element(z).symbol for z in (*range(1, 58), *range(71, 87), 88, 90)]
    names = elements.pair_names(symbols)
    assert len(names) == 2850
    for name, directory in zip(names, itertools.cycle(make.PAIRS), strict=False):
        shutil.copytree(make.TREE / directory, tmp_path / name)
        path = tmp_path / name / "geo_end.xyz"
        lines = path.read_text().splitlines()
        for line, symbol in zip((2, 3), name.split("_"), strict=True):
            lines[line] = f"{symbol:>5}{lines[line][5:]}"
        path.write_text("\n".join(lines) + "\n")
    start = time.monotonic()
    table = read_tree(
        tmp_path,
        gates=SanityChecks(
            min_ratio=0, min_ratio_metals=0, min_ratio_noble=0, min_ratio_one_noble=0
        ),
    )
    assert time.monotonic() - start < 20
    # Outputs of other elements than a directory's name are refused, most of them.
    assert len(table) + len(table.left_out) == 2850 and len(table) >= len(set(make.PAIRS))
