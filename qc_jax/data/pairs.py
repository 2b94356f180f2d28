"""Pairs of one's own: named columns of a CSV or an `.npz`, a row a pair at one bond length.

| column | |
|---|---|
| `name`, or `element_0` and `element_1` | like Ag_Al; symbols |
| `distance_ang`, or `x_0_ang` … `z_1_ang` | Å |
| a target, like `e_homo_ev` | in the unit of the target table; empty or NaN where undefined |
| `metal_like` | 0 or 1, false or true; empty or NaN where not known |
| `charge_0_e`, `charge_1_e`; `dipole_x_debye` …; `force_x_0_ev_ang` … | optional |

Where only the distance is given, vectors are along a z axis from the first atom to the second, as
the row names them. `exchange.write_csv` writes this form. Every other column is kept as an extra,
and told of.
"""

import os
import warnings
from collections.abc import Mapping

import numpy as np

from qc_jax.chem.elements import element
from qc_jax.data import files
from qc_jax.data.table import PairTable
from qc_jax.data.targets import CLASS_TARGETS, TARGETS
from qc_jax.errors import InputError

OWN_FILE = "file"  # as the engine of a table's provenance: who computed it is not known
_AXES = "xyz"
_PLACES = [f"{axis}_{atom}_ang" for atom in (0, 1) for axis in _AXES]
_CLASSES = {
    **dict.fromkeys(("0", "0.0", "false"), 0.0),
    **dict.fromkeys(("1", "1.0", "true"), 1.0),
    **dict.fromkeys(("", "nan"), np.nan),
}
_SAME_ANG = 1e-3  # between a distance that is given and that of the positions
_NAMES = ("name", "element_0", "element_1")
_DERIVED = ("atomic_number_0", "atomic_number_1")  # of the elements; `write_csv` writes them


def read(path: str | os.PathLike) -> PairTable:
    """Return the pairs of a `.csv` or `.npz`, of named columns or as `PairTable.save` wrote them.

    Raises:
      InputError: the file cannot be read, or something in it is wrong.
    """
    path = os.fspath(path)
    if path.endswith(".csv"):
        return from_columns(_read_csv(path), path)
    with files.reading_npz(path, "a PairTable or an .npz of named columns") as arrays:
        if arrays.keys().isdisjoint({"provenance", "pair_names", "names"}):
            return from_columns(dict(arrays), path)
    return PairTable.load(path)


def _read_csv(path: str) -> dict[str, np.ndarray]:
    """Return the columns of a file as text."""
    header, rows = files.read_csv(path)
    columns = zip(*(row for _, row in rows), strict=True) if rows else [()] * len(header)
    return {name: np.array(column, str) for name, column in zip(header, columns, strict=True)}


def from_columns(columns: Mapping[str, np.ndarray], where: str) -> PairTable:
    """Return the table of named columns [N]; see the module.

    Atoms are put in the order of their symbols, as a pair's name has them. Where only the distance
    is given, the z axis still points from the first to the second.

    Args:
      columns: Numbers, or text that says numbers.
      where: The file that errors name.

    Raises:
      InputError: a column is missing, of another length or no numbers, a row names no elements, a
        distance is not above 0, or a class is none.
    """
    sizes = {name: np.shape(column) for name, column in columns.items()}
    if len(set(sizes.values())) != 1 or len(next(iter(sizes.values()))) != 1:
        listed = ", ".join(f"{name} {shape}" for name, shape in sizes.items()) or "none"
        raise InputError(f"{where}: expected columns of one length, got {listed}")
    columns = {
        name: np.char.decode(column, "utf-8") if column.dtype.kind == "S" else column
        for name, column in ((name, np.asarray(column)) for name, column in columns.items())
    }
    (rows,) = next(iter(sizes.values()))
    if not rows:
        raise InputError(f"{where}: expected at least one row, got none")
    numbers = _atomic_numbers(columns, where, rows)
    positions = _positions(columns, where, rows)
    charges = _group(columns, where, ["charge_0_e", "charge_1_e"])
    dipole = _group(columns, where, [f"dipole_{axis}_debye" for axis in _AXES])
    names = [f"force_{axis}_{atom}_ev_ang" for atom in (0, 1) for axis in _AXES]
    forces = _group(columns, where, names)
    charges = np.full((rows, 2), np.nan) if charges is None else charges
    dipole = np.full((rows, 3), np.nan) if dipole is None else dipole
    forces = None if forces is None else forces.reshape(rows, 2, 3)
    symbols = np.array([[element(int(z)).symbol for z in pair] for pair in numbers])
    _check_elements(columns, symbols, numbers, where)
    swapped = symbols[:, 0] > symbols[:, 1]
    order = np.where(swapped[:, None], [1, 0], [0, 1])
    at = np.arange(rows)[:, None]
    targets = {name: _numbers(columns, name, where) for name in TARGETS if name in columns}
    classes = {name: _classes(columns, name, where) for name in CLASS_TARGETS if name in columns}
    targets["distance_ang"] = np.linalg.norm(positions[:, 1] - positions[:, 0], axis=1)
    if _PLACES[0] not in columns:  # swapped rows are mirrored, so that z keeps its meaning
        positions[swapped] = positions[swapped, ::-1]
        dipole[swapped, 2] *= -1
        if forces is not None:
            forces[swapped, :, 2] *= -1
        if "dipole_z_d" in targets:
            targets["dipole_z_d"][swapped] *= -1
    used = {*_NAMES, *_DERIVED, *_PLACES, *targets, *classes, *names, "charge_0_e", "charge_1_e"}
    used |= {f"dipole_{axis}_debye" for axis in _AXES}
    others = [name for name in columns if name not in used]
    if others:
        known = f"{where}: {len(others)} of {len(columns)} columns are none that are known"
        warnings.warn(f"{known}, and kept as extras: {', '.join(others)}", stacklevel=2)
    try:
        table = PairTable(
            names=np.array(["_".join(pair) for pair in symbols[at, order]]),
            atomic_numbers=numbers[at, order].astype(np.int32),
            positions=positions[at, order],
            populations=np.full((rows, 2, 16), np.nan),
            charges=charges[at, order],
            dipole=dipole,
            targets=targets,
            provenance={"engine": OWN_FILE, "file": os.path.basename(where)},
            forces=None if forces is None else forces[at, order],
            extras={name: _extra(columns[name]) for name in others} | classes,
        )
        table.check_labels()
        return table
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _atomic_numbers(columns: Mapping[str, np.ndarray], where: str, rows: int) -> np.ndarray:
    """Return the atomic numbers [N, 2] in the order of the file."""
    if "element_0" in columns and "element_1" in columns:
        both = (columns["element_0"], columns["element_1"])
        pairs = [list(pair) for pair in zip(*both, strict=True)]
    elif "name" in columns:
        pairs = [str(name).split("_") for name in columns["name"]]
    else:
        raise InputError(
            f"{where}: expected a column name (like Ag_Al), or element_0 and element_1, "
            f"got {', '.join(columns)}"
        )
    numbers = np.zeros((rows, 2), int)
    for row, pair in enumerate(pairs):
        try:
            first, second = (element(str(symbol).strip()) for symbol in pair)
        except ValueError as error:  # an InputError is one
            shown = "_".join(map(str, pair))
            raise InputError(
                f"{where}: row {row + 1}: expected two elements, got {shown!r}"
            ) from error
        numbers[row] = first.atomic_number, second.atomic_number
    return numbers


def _check_elements(
    columns: Mapping[str, np.ndarray], symbols: np.ndarray, numbers: np.ndarray, where: str
) -> None:
    """Raise InputError where a column says other elements than the symbols and numbers [N, 2]."""
    given = [sorted(map(str.strip, str(name).split("_"))) for name in columns.get("name", ())]
    wrong: dict[str, list[bool] | np.ndarray] = {
        "name": [sorted(pair) != name for pair, name in zip(symbols.tolist(), given, strict=False)]
    }
    for atom, key in enumerate(_DERIVED):
        if key in columns:
            wrong[key] = _numbers(columns, key, where) != numbers[:, atom]
    for key, rows in wrong.items():
        if np.any(rows):
            row = int(np.argmax(rows))
            pair, got = "_".join(symbols[row]), str(columns[key][row])
            raise InputError(f"{where}: row {row + 1}: {key}: expected that of {pair}, got {got!r}")


def _positions(columns: Mapping[str, np.ndarray], where: str, rows: int) -> np.ndarray:
    """Return positions [N, 2, 3] in Å; along z where only the distance is given."""
    found = _group(columns, where, _PLACES)
    distance = _numbers(columns, "distance_ang", where) if "distance_ang" in columns else None
    if found is None and distance is None:
        raise InputError(
            f"{where}: expected a column distance_ang, or {', '.join(_PLACES)}, "
            f"got {', '.join(columns)}"
        )
    if found is None:
        positions = np.zeros((rows, 2, 3))
        positions[:, 1, 2] = distance
    else:
        positions = found.reshape(rows, 2, 3)
    far = np.linalg.norm(positions[:, 1] - positions[:, 0], axis=1)
    signed = far if distance is None else distance
    bad = ~(np.isfinite(far) & (far > 0) & (signed > 0)) | (np.abs(far - signed) > _SAME_ANG)
    if bad.any():
        row = int(np.argmax(bad))
        told = "" if distance is None else f", distance_ang {distance[row]}"
        raise InputError(
            f"{where}: row {row + 1}: expected a bond length above 0 Å that fits the positions, "
            f"got atoms {far[row]:.4f} Å apart{told}"
        )
    return positions


def _group(columns: Mapping[str, np.ndarray], where: str, names: list[str]) -> np.ndarray | None:
    """Return columns that belong together as [N, len(names)]; None where none is there."""
    missing = [name for name in names if name not in columns]
    if len(missing) == len(names):
        return None
    if missing:
        raise InputError(f"{where}: expected {', '.join(names)}; missing: {', '.join(missing)}")
    return np.stack([_numbers(columns, name, where) for name in names], axis=1)


def _numbers(columns: Mapping[str, np.ndarray], name: str, where: str) -> np.ndarray:
    """Return a column as float64; empty text is NaN."""
    column = np.asarray(columns[name])
    if column.dtype.kind in "fiu":
        return column.astype(np.float64)
    numbers = np.full(len(column), np.nan)
    for row, text in enumerate(column.tolist()):
        try:
            numbers[row] = files.number(str(text)) if str(text).strip() else np.nan
        except ValueError:
            raise InputError(
                f"{where}: row {row + 1}: {name}: expected a number, got {text!r}"
            ) from None
    return numbers


def _classes(columns: Mapping[str, np.ndarray], name: str, where: str) -> np.ndarray:
    """Return a column of 0 and 1, or false and true, as float64; NaN where not known."""
    found = np.full(len(columns[name]), np.nan)
    for row, given in enumerate(columns[name].tolist()):
        text = str(given).strip().lower()
        if text not in _CLASSES:
            raise InputError(f"{where}: row {row + 1}: {name}: expected 0 or 1, got {given!r}")
        found[row] = _CLASSES[text]
    return found


def _extra(column: np.ndarray) -> np.ndarray:
    """Return a column as numbers where all of its text says numbers, and keeps what it says.

    A leading zero, or more digits of a whole number than float64 has, are those of a name.
    """
    text = np.asarray(column).astype(str)
    try:
        found = _numbers({"": column}, "", "")
    except InputError:
        return text
    whole = [each.strip() for each in text.tolist() if each.strip().lstrip("+-").isdigit()]
    digits = [each.lstrip("+-") for each in whole]
    if any((len(each) > 1 and each.startswith("0")) or len(each) > 15 for each in digits):
        return text
    return found
