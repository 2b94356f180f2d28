"""Tables in formats that other programs read: CSV and, through ASE, extended XYZ."""

import csv
import os
from collections.abc import Mapping

import numpy as np

from qc_jax.chem import elements
from qc_jax.chem.units import BOHR_ANG, EBOHR_DEBYE
from qc_jax.data import files
from qc_jax.data.table import PairTable
from qc_jax.data.targets import TARGETS
from qc_jax.errors import InputError

# What ASE takes for the result of a calculation where it stands in the comment line.
_RESULTS = ("energy", "free_energy", "forces", "dipole", "charges", "stress", "magmom", "pbc")


def write_csv(table: PairTable, path: str | os.PathLike) -> None:
    """Write one line a pair (RFC 4180): atoms, geometry, charges, dipole, targets, extras.

    The header has the units: `_ang`, `_e`, `_debye`, `_ev_ang`; those of targets are in their
    names, but for charges (e). Floats have all their digits; a field that is not known is empty.
    Populations, canvases and provenance are not in it.

    Args:
      table: what to write.
      path: of the file.

    Raises:
      InputError: two columns have one name, or the file cannot be written.
    """
    columns: dict[str, np.ndarray] = {"name": table.names}
    columns |= {f"element_{i}": column for i, column in enumerate(_symbols(table).T)}
    for atom in (0, 1):
        columns[f"atomic_number_{atom}"] = table.atomic_numbers[:, atom]
        columns |= _vector(f"{{}}_{atom}_ang", table.positions[:, atom])
        columns[f"charge_{atom}_e"] = table.charges[:, atom]
        if table.forces is not None:
            columns |= _vector(f"force_{{}}_{atom}_ev_ang", table.forces[:, atom])
    columns |= _vector("dipole_{}_debye", table.dipole)
    _check_names(table, columns)
    columns |= _labels(table)
    text = [_text(column) for column in columns.values()]
    with files.atomic_open(path, newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*text, strict=True))


def write_extxyz(table: PairTable, path: str | os.PathLike) -> None:
    """Write one frame a pair with ASE, which `ase.io.read(path, ":")` reads.

    The comment line has the name, every target and extra in its own unit (NaN where undefined);
    total energy as `energy`, Mermin free energy as `free_energy` (both eV), the dipole (e·Å, as in
    ASE) and, an atom a line, charges (e) and forces (eV/Å) are results of a calculation. ASE writes
    positions with 8 decimals. Populations, canvases and provenance are not in it.

    Args:
      table: what to write.
      path: of the file.

    Raises:
      InputError: an extra has a name that means something else there, or the file cannot be
        written.
    """
    import ase.io
    from ase.calculators.singlepoint import SinglePointCalculator

    _check_names(table, ("name", *_RESULTS))
    dipoles = np.asarray(table.dipole, np.float64) * (BOHR_ANG / EBOHR_DEBYE)
    labels = {name: column.tolist() for name, column in _labels(table).items()}
    frames = []
    for row in range(len(table)):
        info = {"name": str(table.names[row])}
        # ASE cannot read an empty text.
        info |= {name: column[row] for name, column in labels.items() if column[row] != ""}
        atoms = ase.Atoms(table.atomic_numbers[row], table.positions[row], info=info)
        results = {"dipole": dipoles[row], "charges": np.asarray(table.charges[row], np.float64)}
        results = {name: given for name, given in results.items() if np.isfinite(given).all()}
        for result, target in (
            ("energy", "total_energy_ev"),
            ("free_energy", "mermin_free_energy_ev"),
        ):
            if target in labels and np.isfinite(labels[target][row]):
                results[result] = labels[target][row]
        if table.forces is not None:
            results["forces"] = np.asarray(table.forces[row], np.float64)
        atoms.calc = SinglePointCalculator(atoms, **results)
        frames.append(atoms)
    with files.atomic_write(path) as partial:
        ase.io.write(partial, frames, format="extxyz")


def _labels(table: PairTable) -> dict[str, np.ndarray]:
    """Return targets, in the order of the target table, and extras."""
    return {name: table.targets[name] for name in TARGETS if name in table.targets} | dict(
        table.extras
    )


def _symbols(table: PairTable) -> np.ndarray:
    """Return [N, 2]."""
    symbols = [[elements.element(int(z)).symbol for z in pair] for pair in table.atomic_numbers]
    return np.array(symbols, dtype=np.str_).reshape(-1, 2)


def _vector(name: str, values: np.ndarray) -> dict[str, np.ndarray]:
    """Return the three columns of a vector [N, 3]; the axis stands for {} in the name."""
    return {name.format(axis): values[:, index] for index, axis in enumerate("xyz")}


def _text(column: np.ndarray) -> list[str]:
    """Return a column with the fewest digits that give its numbers back; empty for NaN."""
    text = np.asarray(column).astype(str)
    if np.asarray(column).dtype.kind == "f":
        text[np.isnan(column)] = ""
    return text.tolist()


def _check_names(table: PairTable, taken: Mapping | tuple[str, ...]) -> None:
    twice = [name for name in (*table.targets, *table.extras) if name in taken]
    twice += [name for name in table.extras if name in table.targets]
    if twice:
        raise InputError(
            f"the table has a column {twice[0]!r}, a name that is taken in this format"
        )
