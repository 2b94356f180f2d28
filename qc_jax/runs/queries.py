"""Pairs that a user asks a trained model about, by words or in a CSV, and what it says."""

import math
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from qc_jax.chem.elements import pair_name
from qc_jax.data import files
from qc_jax.data.atoms import Structure
from qc_jax.data.labels import OVER_GAP
from qc_jax.errors import InputError
from qc_jax.runs import given
from qc_jax.runs.ensemble import Ensemble, Estimate
from qc_jax.runs.saved import SavedRun

_NO_GAP_EV = 1e-6  # a network's rounding of 0
_SAME_ANG = 5e-4  # a label of the table is that of a pair at this distance from its bond length


class Asked(NamedTuple):
    """One pair, and the distance (Å) of its atoms where it is not the table's."""

    name: str
    distance: float | None


def of_words(words: list[str], distance: float | None) -> list[Asked]:
    """Return the pairs that the words of a command line name, 'Ag Al' or 'Ag_Al C_O'.

    Args:
      words: of the command line.
      distance: Å, of --distance.

    Raises:
      InputError: they name none, or the distance is none.
    """
    if len(words) == 2 and not any("_" in word for word in words):
        words = ["_".join(words)]
    if not words or any(word.count("_") != 1 for word in words):
        raise InputError(
            "expected two element symbols like 'Ag Al', or pairs like 'Ag_Al C_O', got "
            + (" ".join(words) or "none")
        )
    return [_asked(word, distance, "--distance") for word in words]


def of_file(path: str) -> list[Asked]:
    """Return the pairs of a CSV with a column 'name' and perhaps 'distance_ang'.

    Raises:
      InputError: it is not there, or a line is wrong.
    """
    header, rows = files.read_csv(path)
    if "name" not in header:
        raise InputError(f"{path}: expected a column 'name' of pairs like Ag_Al, got {header}")
    asked = []
    for line, values in rows:
        where = f"{path}: line {line}"
        row = dict(zip(header, values, strict=True))
        text = row.get("distance_ang", "")
        try:
            distance = files.number(text) if text else None
        except ValueError:
            raise InputError(f"{where}: distance_ang: got {text!r}") from None
        if row["name"].count("_") != 1:
            raise InputError(f"{where}: expected a pair like Ag_Al, got {row['name']!r}")
        try:
            asked.append(_asked(row["name"], distance, "distance_ang"))
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
    if not asked:
        raise InputError(f"{path}: expected at least one pair, got none")
    return asked


def _asked(word: str, distance: float | None, where: str) -> Asked:
    if distance is not None and not (math.isfinite(distance) and distance > 0):
        raise InputError(f"{where}: expected a length above 0 Å, got {distance}")
    return Asked(pair_name(*word.strip().split("_")), distance)


def answer(ensemble: Ensemble, asked: Sequence[Asked]) -> list[dict[str, Any]]:
    """Return a row a pair: its name, distance, predictions, and the table's labels where known.

    Several members also give 'half_width', of intervals that hold `ensemble.COVERAGE` of labels;
    None for a pair that does not stand at the table's bond length, where no interval was tested.
    'outside' has the lines of `SavedRun.outside` for a pair at a distance of its own. What
    is not defined is None whatever a network makes of it: what the table's pair has not, like the
    LUMO where the basis has no empty orbital, and what is divided by a gap that is predicted as 0.

    Raises:
      InputError: the members do not know a pair.
    """
    found: dict[Asked, dict[str, Any]] = {}
    run, each = ensemble.members[0], list(dict.fromkeys(asked))
    for group in (
        [one for one in each if one.distance is None],
        [one for one in each if one.distance is not None],
    ):
        if not group:
            continue
        distances = [one.distance for one in group if one.distance is not None]
        estimate = ensemble.predict([one.name for one in group], distances or None)
        rows = [_row_at(run, one) for one in group]
        widths = _half_widths(ensemble, estimate, [row is not None for row in rows])
        for one, row, mean, width in zip(group, rows, estimate.mean, widths, strict=True):
            found[one] = _about(run, one, row, mean, width)
    return [found[one] for one in asked]


def of_structure(ensemble: Ensemble, name: str, structure: Structure) -> dict[str, Any]:
    """Return the row of a molecule or crystal, as `answer` has those of pairs.

    Without a reference: the order of a pair's atoms may be another than the table's. Intervals of
    members that were trained on pairs are of these at the table's bond lengths; those of members
    that were trained on larger structures need their data, and are left out with a warning where
    these are gone.

    Raises:
      InputError: the members cannot take it.
    """
    run, estimate = ensemble.members[0], ensemble.predict(structure)
    batch = given.of_atoms([structure], run.record, run.model)
    about: dict[str, Any] = {"name": name}
    at, numbers = None, structure.atomic_numbers.tolist()
    if len(numbers) == 2 and structure.cell is None:
        distance = float(np.linalg.norm(structure.positions[1] - structure.positions[0]))
        about["distance_ang"] = distance
        at = _row_at(run, Asked(pair_name(*numbers), distance))
    (width,) = _half_widths(ensemble, estimate, [run.pairs is None or at is not None])
    about |= _values(run, at, estimate.mean[0], width)
    if len(numbers) != 2:  # it has no bond length
        for values in (about["predicted"], about.get("half_width", {})):
            values |= dict.fromkeys({"distance_ang"} & values.keys())
    return {**about, "outside": run.outside(batch)}


def by_target(run: SavedRun, values: Any) -> dict[str, float | None]:
    """Return one number a target, None for NaN."""
    pairs = zip(run.targets, map(float, values), strict=True)
    return {name: value if math.isfinite(value) else None for name, value in pairs}


def _half_widths(ensemble: Ensemble, estimate: Estimate, tested: Sequence[bool]) -> Sequence[Any]:
    """Return half widths [N, T], NaN where no interval was tested; N times None of one member.

    Args:
      ensemble: of one member or several.
      estimate: of N structures.
      tested: [N] whether intervals were tested on such structures.
    """
    if len(ensemble.members) == 1:
        return [None] * len(tested)
    widths = np.full(estimate.mean.shape, np.nan)
    if any(tested):
        try:
            widths[tested] = ensemble.half_width(estimate)[tested]
        except InputError as error:
            warnings.warn(f"no interval: {error}", stacklevel=3)
    return list(widths)


def _row_at(run: SavedRun, one: Asked) -> int | None:
    """Return the table's row of a pair that stands at its bond length there.

    Raises:
      InputError: no distance is given, and the pair is not in the table.
    """
    pairs = run.pairs
    if pairs is None or (one.distance is not None and one.name not in pairs.names):
        return None
    row = pairs.row(one.name, run.record.left_out)
    near = one.distance is None or abs(one.distance - pairs.distance(row)) <= _SAME_ANG
    return row if near else None


def _values(
    run: SavedRun, at: int | None, predicted: Any, width: Any
) -> dict[str, dict[str, float | None]]:
    """Return predictions and half widths, None where they are not defined.

    Args:
      run: a member.
      at: the row of its table whose labels tell what is defined; None for none.
      predicted: [T].
      width: [T] half widths, NaN where no interval was tested; None of one member.
    """
    values = by_target(run, predicted)
    gap = values.get("e_g_ev")
    if gap is not None and abs(gap) < _NO_GAP_EV:
        values |= dict.fromkeys(OVER_GAP & values.keys())
    if run.pairs is not None and at is not None:
        reference = by_target(run, run.pairs.labels[at])
        values |= dict.fromkeys(key for key, label in reference.items() if label is None)
    if width is None:
        return {"predicted": values}
    widths = by_target(run, width)
    half = {key: each if values[key] is not None else None for key, each in widths.items()}
    return {"predicted": values, "half_width": half}


def _about(
    run: SavedRun, one: Asked, row: int | None, predicted: Any, width: Any
) -> dict[str, Any]:
    """Return the row of a pair, with the table's labels where it stands at its bond length."""
    pairs = run.pairs
    bond = pairs.distance(row) if pairs is not None and row is not None else None
    about: dict[str, Any] = {
        "name": one.name,
        "distance_ang": bond if one.distance is None else one.distance,
        **_values(run, row, predicted, width),
        "outside": [],
    }
    if one.distance is not None:
        about["outside"] = run.outside(given.pairs_at([one.name], np.array([one.distance])))
    if pairs is not None and row is not None:
        seen = run.part_of(one.name)
        if run.config.imported is not None:
            seen += ", if the imported weights were trained on this split"
        about |= {"reference": by_target(run, pairs.labels[row])}
        about |= {"reference_distance_ang": bond, "seen": seen}
    return about
