"""The two CSV files of the published pipeline: derived data, read to check the outputs against.

`dftb_ptbp_combined.csv` has a row of labels a directory, `bond_distances_all.csv` its geometry.
Both name the directory in `run_dir`, and columns in any case.
"""

import dataclasses
import math
import os
import re
from collections.abc import Collection
from typing import Any

import numpy as np

from qc_jax.data import files
from qc_jax.data.labels import OVER_GAP
from qc_jax.data.table import PairTable
from qc_jax.data.targets import TARGETS
from qc_jax.errors import InputError

LABELS_FILE = "dftb_ptbp_combined.csv"
DISTANCES_FILE = "bond_distances_all.csv"

_RUN_DIR = "run_dir"
_TEXTS = ("system_id_guess", "pair", "pair_sorted", "species_1", "species_2")
_ATOMS = [[f"{axis}{atom}" for axis in "xyz"] for atom in (1, 2)]
_DISTANCE_COLUMNS = ("natoms", "species_1", "species_2", *_ATOMS[0], *_ATOMS[1], "distance_ang")
_BOOLEANS = {"true": 1.0, "false": 0.0}
_UNKNOWN = ("", "none", "null", "na")

# What two roundings of one number may differ by, absolutely and relatively, by unit: DFTB+ prints
# eV with four decimals, the published pipeline keeps three, and constants differ by year.
_TOLERANCES = {"eV": (2e-3, 1e-6), "Å": (1e-4, 0.0), "e": (1e-4, 0.0), "Debye": (1e-3, 1e-5)}
_UNITS = {name: target.unit for name, target in TARGETS.items()} | {
    "total_charge": "e",
    "dipole_x_d": "Debye",
    "dipole_y_d": "Debye",
}
_DIGITS = 1e-6  # relative, of what DFTB+ prints with eight digits


@dataclasses.dataclass(frozen=True)
class Csv:
    """One of the files.

    Attributes:
      file: its name.
      columns: their names, in lower case.
      rows: by directory, then by column: numbers (NaN where unknown) or text.
    """

    file: str
    columns: tuple[str, ...]
    rows: dict[str, dict[str, Any]]

    def account(self, directories: Collection[str]) -> dict[str, Any]:
        """Return how the rows and the directories match."""
        return {
            "rows": len(self.rows),
            "rows_without_directory": sorted(set(self.rows) - set(directories)),
            "directories_without_row": sorted(set(directories) - set(self.rows)),
        }


def read_labels(directory: str) -> Csv | None:
    """Return `LABELS_FILE` of the directory, or None where it is not there.

    Raises:
      InputError: it is damaged, or a row is.
    """
    return _read(os.path.join(directory, LABELS_FILE), ())


def read_distances(directory: str) -> Csv | None:
    """Return `DISTANCES_FILE` of the directory, or None where it is not there.

    Raises:
      InputError: it is damaged, or a row is.
    """
    return _read(os.path.join(directory, DISTANCES_FILE), _DISTANCE_COLUMNS)


def _read(path: str, needed: tuple[str, ...]) -> Csv | None:
    if not os.path.lexists(path):
        return None
    header, lines = files.read_csv(path)
    columns = tuple(map(str.lower, header))
    for name in (_RUN_DIR, *needed):
        if columns.count(name) != 1:
            raise InputError(f"{path}: {columns.count(name)} columns {name!r}, expected 1")
    rows: dict[str, dict[str, Any]] = {}
    for at, line in lines:
        row = dict(zip(columns, line, strict=True))
        base = re.split(r"[\\/]", row.pop(_RUN_DIR).strip().rstrip("\\/"))[-1]
        if base in rows:
            raise InputError(f"{path}: line {at}: {base!r} stands there twice")
        rows[base] = {
            name: value.strip() if name in _TEXTS else _number(value, f"{path}: line {at}: {name}")
            for name, value in row.items()
        }
    return Csv(os.path.basename(path), columns, rows)


def _number(text: str, what: str) -> float:
    text = text.strip().lower()
    if text in _UNKNOWN:
        return math.nan
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    try:
        return files.number(text)
    except ValueError as error:
        raise InputError(f"{what}: expected a number, got {text!r}") from error


def disagreements(
    table: PairTable, labels: Csv | None, distances: Csv | None
) -> dict[str, list[str]]:
    """Return where the files say something else than the outputs, by directory, with both numbers.

    What a file leaves open is not compared; of labels that are divided by the gap, neither is one
    that is undefined here.
    """
    found: dict[str, list[str]] = {}
    columns = {**table.targets, **table.extras}
    for row, base in enumerate(table.extras["system_id_guess"].tolist()):
        reasons = []
        for label, said in (labels.rows.get(base, {}) if labels else {}).items():
            if label in columns and label not in _TEXTS:
                gap = float(table.targets["e_g_ev"][row])
                reasons.append(_compare(label, float(columns[label][row]), said, gap, LABELS_FILE))
        if distances and base in distances.rows:
            reasons += _compare_geometry(table, row, distances.rows[base])
        if reasons := [reason for reason in reasons if reason]:
            found[base] = reasons
    return found


def _compare(label: str, here: float, there: float, gap: float, file: str) -> str | None:
    over_gap = label in OVER_GAP
    if math.isnan(there) or (over_gap and not math.isfinite(here)):
        return None
    unit = _UNITS.get(label, "")
    absolute, relative = _TOLERANCES.get(unit, (0.0, _DIGITS))
    if over_gap:  # levels to within a tolerance each, in the numerator and twice in the gap
        absolute, relative = _TOLERANCES["eV"][0], 4 * _TOLERANCES["eV"][0] / gap
    if abs(here - there) <= absolute + relative * abs(here):
        return None
    return f"{label}: {here:.8g} {unit}".rstrip() + f" in the outputs, {there:.8g} in {file}"


def _compare_geometry(table: PairTable, row: int, said: dict[str, Any]) -> list[str | None]:
    symbols = str(table.names[row]).split("_")
    species = [said["species_1"], said["species_2"]]

    def compare(label: str, here: float, there: float) -> str | None:
        return _compare(label, here, there, math.nan, DISTANCES_FILE)

    reasons = [
        compare("n_atoms", 2.0, said["natoms"]),
        compare("distance_ang", float(table.targets["distance_ang"][row]), said["distance_ang"]),
    ]
    if sorted(species) != symbols:
        expected, got = " and ".join(symbols), " and ".join(species)
        return [*reasons, f"species: {expected} in the outputs, {got} in {DISTANCES_FILE}"]
    there = np.array([[said[column] for column in atom] for atom in _ATOMS])
    here = table.positions[row]
    apart = np.abs(here - (there if species == symbols else there[::-1]))  # NaN where unknown
    if (apart > _TOLERANCES["Å"][0]).any():
        at = [
            "; ".join(", ".join(f"{x:.6g}" for x in atom) for atom in both)
            for both in (here, there)
        ]
        reasons.append(f"positions: {at[0]} Å in the outputs, {at[1]} in {DISTANCES_FILE}")
    return reasons
