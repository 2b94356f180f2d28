"""CSV and extended XYZ, read by the programs that they are for."""

import csv
import dataclasses
import os

import numpy as np
import pytest

from qc_jax.data import exchange
from qc_jax.data.targets import TARGETS
from qc_jax.errors import InputError

DEBYE_IN_E_ANG = 0.20819434  # ase.units.Debye, CODATA 2014


@pytest.fixture(scope="module")
def full(small_table):
    """The small table with forces and further columns, some not known."""
    rng = np.random.default_rng(0)
    n = len(small_table)
    number = np.arange(n, dtype=float)
    number[2] = np.nan
    text = np.array([""] * n, dtype="U40")
    text[:3] = 'Ag, "Al"', "two words", "a\nb"
    return dataclasses.replace(
        small_table,
        forces=rng.normal(size=(n, 2, 3)),
        extras={"n_levels": number, "guess": text, "single": np.float32(0.1) * np.ones(n, "f4")},
    )


def lines(path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, strict=True))


def test_csv_holds_every_number_to_the_last_digit(full, tmp_path):
    exchange.write_csv(full, tmp_path / "pairs.csv")
    rows = lines(tmp_path / "pairs.csv")
    assert [row["name"] for row in rows] == full.names.tolist()
    for i in (0, 1):
        assert [row["name"].split("_")[i] for row in rows] == [row[f"element_{i}"] for row in rows]
        numbers = [int(row[f"atomic_number_{i}"]) for row in rows]
        np.testing.assert_array_equal(numbers, full.atomic_numbers[:, i])

    def column(name):
        return np.array([float(row[name] or "nan") for row in rows])

    for i in (0, 1):
        np.testing.assert_array_equal(column(f"charge_{i}_e"), full.charges[:, i])
        for k, axis in enumerate("xyz"):
            np.testing.assert_array_equal(column(f"{axis}_{i}_ang"), full.positions[:, i, k])
            np.testing.assert_array_equal(column(f"force_{axis}_{i}_ev_ang"), full.forces[:, i, k])
    for k, axis in enumerate("xyz"):
        np.testing.assert_array_equal(column(f"dipole_{axis}_debye"), full.dipole[:, k])
    for name, values in full.targets.items():
        np.testing.assert_array_equal(column(name), values)
    np.testing.assert_array_equal(column("n_levels"), full.extras["n_levels"])
    assert [row["guess"] for row in rows] == full.extras["guess"].tolist()
    assert rows[0]["single"] == "0.1"  # no digits that a float32 has not


def test_csv_is_as_the_standard_has_it(full, tmp_path):
    """RFC 4180: CRLF, quotes doubled, as many fields in each record; NaN is an empty field."""
    exchange.write_csv(full, tmp_path / "pairs.csv")
    text = (tmp_path / "pairs.csv").read_bytes().decode()
    assert text.endswith("\r\n") and text.count("\r\n") == len(full) + 1
    assert '"Ag, ""Al"""' in text and "nan" not in text
    assert len({len(row) for row in csv.reader(text.splitlines(keepends=True), strict=True)}) == 1
    row = lines(tmp_path / "pairs.csv")[2]
    assert row["n_levels"] == ""


def test_targets_stand_in_the_order_of_the_target_table(full, tmp_path):
    turned = dataclasses.replace(full, targets=dict(reversed(full.targets.items())))
    exchange.write_csv(turned, tmp_path / "pairs.csv")
    header = list(lines(tmp_path / "pairs.csv")[0])
    assert header[:2] == ["name", "element_0"] and header[-3:] == ["n_levels", "guess", "single"]
    assert [name for name in header if name in TARGETS] == list(TARGETS)


def test_ase_reads_extended_xyz(full, tmp_path):
    ase_io = pytest.importorskip("ase.io", reason="ASE is not installed")
    table = dataclasses.replace(
        full, extras=full.extras | {"guess": np.array(["", "two words", *["CO"] * (len(full) - 2)])}
    )
    exchange.write_extxyz(table, tmp_path / "pairs.extxyz")
    frames = ase_io.read(tmp_path / "pairs.extxyz", ":")
    assert len(frames) == len(table)
    for row, atoms in enumerate(frames):
        assert atoms.info["name"] == table.names[row]
        np.testing.assert_array_equal(atoms.numbers, table.atomic_numbers[row])
        np.testing.assert_allclose(atoms.positions, table.positions[row], atol=6e-9)
        np.testing.assert_allclose(atoms.get_forces(), table.forces[row], atol=6e-9)
        np.testing.assert_allclose(atoms.get_charges(), table.charges[row], atol=6e-9)
        dipole = table.dipole[row] * DEBYE_IN_E_ANG
        np.testing.assert_allclose(atoms.get_dipole_moment(), dipole, rtol=1e-6, atol=1e-12)
        assert atoms.get_potential_energy() == table.targets["total_energy_ev"][row]
        free = atoms.get_potential_energy(force_consistent=True)
        assert free == table.targets["mermin_free_energy_ev"][row]
        for name in table.targets:
            np.testing.assert_array_equal(atoms.info[name], table.targets[name][row])
        np.testing.assert_array_equal(atoms.info["n_levels"], table.extras["n_levels"][row])
        assert atoms.info.get("guess", "") == table.extras["guess"][row]
        assert not atoms.pbc.any()


def test_what_is_not_known_is_no_result(full, tmp_path):
    ase_io = pytest.importorskip("ase.io", reason="ASE is not installed")
    energy = np.full(len(full), np.nan)
    table = dataclasses.replace(full, forces=None, targets={"total_energy_ev": energy}, extras={})
    charges = np.array(table.charges, copy=True)
    charges[1] = np.nan
    exchange.write_extxyz(dataclasses.replace(table, charges=charges), tmp_path / "pairs.xyz")
    atoms, other = ase_io.read(tmp_path / "pairs.xyz", ":2")
    assert set(atoms.calc.results) == {"dipole", "charges"}
    assert set(other.calc.results) == {"dipole"}
    assert np.isnan(atoms.info["total_energy_ev"])


@pytest.mark.parametrize("write", [exchange.write_csv, exchange.write_extxyz])
def test_files_are_written_whole_or_not_at_all(full, tmp_path, write, monkeypatch):
    if write is exchange.write_extxyz:
        pytest.importorskip("ase", reason="ASE is not installed")
    write(full.take(np.array([0])), tmp_path / "pairs")
    assert os.listdir(tmp_path) == ["pairs"]
    before = (tmp_path / "pairs").read_bytes()
    taken = dataclasses.replace(full, extras={"name": np.zeros(len(full))})
    with pytest.raises(InputError, match="a column 'name', a name that is taken"):
        write(taken, tmp_path / "pairs")
    doubled = dataclasses.replace(full, extras={"e_g_ev": np.zeros(len(full))})
    with pytest.raises(InputError, match="a column 'e_g_ev', a name that is taken"):
        write(doubled, tmp_path / "pairs")
    assert (tmp_path / "pairs").read_bytes() == before and os.listdir(tmp_path) == ["pairs"]
    with pytest.raises(InputError, match="nowhere/pairs: cannot be written"):
        write(full, tmp_path / "nowhere" / "pairs")
