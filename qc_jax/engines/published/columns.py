"""The published labels and metadata: their names, and columns made of a dict a row."""

import re
from typing import Any

import numpy as np

from qc_jax.data.targets import TARGETS
from qc_jax.errors import InputError

TEXT_LABEL = "system_id_guess"  # the one label that is text
# The 37 published labels are the 21 targets and these.
OTHER_LABELS: tuple[str, ...] = (
    "total_charge",
    "n_levels",
    "max_occupancy",
    "metal_like",
    "no_virtual_in_basis",
    "dipole_x_d",
    "dipole_y_d",
    "geom_opt_step",
    "scc_last_iter",
    "scc_last_total_elec_eh",
    "scc_last_diff_elec",
    "scc_last_error",
    "geom_converged",
    "scc_converged",
    "n_atoms",
    TEXT_LABEL,
)
LABELS: tuple[str, ...] = (*TARGETS, *OTHER_LABELS)

# Atomic units; the dipole moment is a vector, the pair's name text.
METADATA: tuple[str, ...] = (
    "pair_name",
    "total_charge",
    "fermi_level",
    "total_energy",
    "dipole_moment",
    "num_atoms",
    "bond_length",
)

_MOST_LABELS = 200
_LONGEST_TEXT = 200  # an array of text is as wide as its longest
# All columns of text together, as arrays; one of the published file takes 60 kB.
MOST_TEXT_BYTES = 200_000_000
_LABEL_NAME = re.compile(r"[\w.+()-]{1,64}")


def label_columns(rows: np.ndarray, names: list[str]) -> tuple[dict[str, np.ndarray], dict]:
    """Return the labels as columns, and in how many rows one of the 37 is missing.

    Args:
      rows: [N] objects: each a dict, name → number, text or None.
      names: [N] of the pairs, for messages.

    Returns:
      columns: [N] float64 (NaN where missing or None) or text (empty there), of all 37 labels and
        of every other one that the file has.
      missing: rows without the label, by name.

    Raises:
      InputError: a row is no dict, or a label no number where one is expected.
    """
    found: dict[str, list[Any]] = {label: [None] * len(rows) for label in LABELS}
    present = dict.fromkeys(LABELS, 0)
    for index, row in enumerate(rows):
        _check_row(row, "labels", index, names)
        for label, value in row.items():
            if label not in found:
                if not _LABEL_NAME.fullmatch(label):
                    raise InputError(
                        f"{_where(index, names)}: label {ascii(label)[:80]}: not a name"
                    )
                if len(found) == _MOST_LABELS:
                    raise InputError(f"more than {_MOST_LABELS} labels, {label!r} among them")
                found[label] = [None] * len(rows)
            found[label][index] = value
            if label in present:
                present[label] += 1
    columns = {}
    text_bytes = 0
    for label, values in found.items():
        known_text = label == TEXT_LABEL
        unknown_text = label not in LABELS and any(isinstance(value, str) for value in values)
        convert = _text if known_text or unknown_text else _number
        if convert is _text:
            longest = max((len(value) for value in values if isinstance(value, str)), default=0)
            text_bytes += 4 * len(values) * min(longest, _LONGEST_TEXT)
            if text_bytes > MOST_TEXT_BYTES:
                raise InputError(
                    f"labels of text, {label!r} among them, would take more than "
                    f"{MOST_TEXT_BYTES / 1e6:.0f} MB as columns of {len(values)} rows"
                )
        columns[label] = _column(f"label {label!r}", values, convert, names)
    missing = {label: len(rows) - n for label, n in present.items() if n < len(rows)}
    return columns, missing


def metadata_columns(rows: np.ndarray, names: list[str]) -> tuple[dict[str, np.ndarray], dict]:
    """Return the metadata as columns, and in how many rows a field is missing or None.

    Args:
      rows: [N] objects: each a dict.
      names: [N] of the pairs, for messages.

    Returns:
      columns: [N] of each of `METADATA`, [N, 3] of the dipole moment; NaN or empty where missing.
      missing: rows without the field, by name, where there is one.

    Raises:
      InputError: a row is no dict, or a field not of its kind.
    """
    columns, missing = {}, {}
    for index, row in enumerate(rows):
        _check_row(row, "metadata", index, names)
    for field in METADATA:
        convert = {"pair_name": _text, "dipole_moment": _vector}.get(field, _number)
        values = [row.get(field) for row in rows]
        columns[field] = _column(f"metadata {field!r}", values, convert, names)
        absent = sum(value is None for value in values)
        if absent:
            missing[field] = absent
    return columns, missing


def _check_row(row: Any, what: str, index: int, names: list[str]) -> None:
    if type(row) is not dict:
        raise InputError(f"{_where(index, names)}: {what}: expected a dict, got {_kind(row)}")


def _column(what: str, values: list[Any], convert: Any, names: list[str]) -> np.ndarray:
    converted = []
    for index, value in enumerate(values):
        try:
            converted.append(convert(value))
        except (ValueError, OverflowError) as error:
            raise InputError(f"{_where(index, names)}: {what}: {error}") from error
    return np.array(converted)


def _number(value: Any) -> float:
    if value is None:
        return np.nan
    if isinstance(value, bool | int | float):
        return float(value)
    if isinstance(value, np.generic) and value.dtype.kind in "biuf":
        return float(value)
    raise ValueError(f"expected a number, got {_kind(value)}")


def _vector(value: Any) -> list[float]:
    if value is None:
        return [np.nan] * 3
    if isinstance(value, tuple | list) or (isinstance(value, np.ndarray) and value.ndim == 1):
        if len(value) == 3:
            return [_number(item) for item in value]
        raise ValueError(f"expected 3 numbers, got {len(value)}")
    raise ValueError(f"expected 3 numbers, got {_kind(value)}")


def _text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"expected text, got {_kind(value)}")
    if len(value) > _LONGEST_TEXT or not value.isprintable():
        raise ValueError(
            f"expected at most {_LONGEST_TEXT} printable characters, got {_kind(value)}"
        )
    return str(value)


def _kind(value: Any) -> str:
    """Return A value in a message: text and numbers as they are, if short, else their type."""
    if isinstance(value, str):
        return ascii(value[:40]) + ("…" if len(value) > 40 else "")
    if isinstance(value, bool | int | float):
        return str(value)[:40]
    return type(value).__name__


def _where(index: int, names: list[str]) -> str:
    return f"row {index} ({names[index]})"
