"""Pairs that a user asks a trained model about, by words or in a CSV, and what it says."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from qc_jax.chem.elements import pair_name
from qc_jax.data import files
from qc_jax.data.atoms import Structure
from qc_jax.data.labels import OVER_GAP
from qc_jax.errors import InputError
from qc_jax.runs import given
from qc_jax.runs.ensemble import Ensemble
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
        asked.append(_asked(row["name"], distance, f"{where}: distance_ang"))
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
    for distance in dict.fromkeys(one.distance for one in asked):
        group = list(dict.fromkeys(one for one in asked if one.distance == distance))
        estimate = ensemble.predict([one.name for one in group], distance)
        run = ensemble.members[0]
        rows = [_about(run, one, row) for one, row in zip(group, estimate.mean, strict=True)]
        if len(ensemble.members) > 1:
            widths = ensemble.half_width(estimate)
            for row, width in zip(rows, widths, strict=True):
                known = "reference" in row
                width = by_target(run, width if known else np.full(len(width), np.nan))
                defined = row["predicted"]
                row["half_width"] = {
                    k: v if defined[k] is not None else None for k, v in width.items()
                }
        found |= zip(group, rows, strict=True)
    return [found[one] for one in asked]


def of_structure(ensemble: Ensemble, name: str, structure: Structure) -> dict[str, Any]:
    """Return the row of a molecule or crystal, as `answer` has those of pairs.

    Raises:
      InputError: the members cannot take it.
    """
    run, estimate = ensemble.members[0], ensemble.predict(structure)
    row: dict[str, Any] = {"name": name, "predicted": by_target(run, estimate.mean[0])}
    if len(ensemble.members) > 1:
        row["half_width"] = by_target(run, ensemble.half_width(estimate)[0])
    if len(structure.atomic_numbers) != 2:  # it has no bond length
        for values in (row["predicted"], row.get("half_width", {})):
            values |= dict.fromkeys({"distance_ang"} & values.keys())
    return row


def by_target(run: SavedRun, values: Any) -> dict[str, float | None]:
    """Return one number a target, None for NaN."""
    pairs = zip(run.targets, map(float, values), strict=True)
    return {name: value if math.isfinite(value) else None for name, value in pairs}


def _about(run: SavedRun, one: Asked, predicted: Any) -> dict[str, Any]:
    """Return the row of a pair, with the table's labels where it stands at its bond length."""
    pairs, row = run.pairs, None
    if pairs is not None and (one.distance is None or one.name in pairs.names):
        row = pairs.row(one.name, run.record.left_out)
    bond = pairs.distance(row) if pairs is not None and row is not None else None
    if one.distance is not None and bond is not None and abs(one.distance - bond) > _SAME_ANG:
        row = None
    values = by_target(run, predicted)
    gap = values.get("e_g_ev")
    if gap is not None and abs(gap) < _NO_GAP_EV:
        values |= dict.fromkeys(OVER_GAP & values.keys())
    about: dict[str, Any] = {
        "name": one.name,
        "distance_ang": bond if one.distance is None else one.distance,
        "predicted": values,
        "outside": [],
    }
    if one.distance is not None:
        about["outside"] = run.outside(given.pairs_at([one.name], one.distance))
    if pairs is not None and row is not None:
        seen = run.part_of(one.name)
        if run.config.imported is not None:
            seen += ", if the imported weights were trained on this split"
        reference = by_target(run, pairs.labels[row])
        values |= dict.fromkeys(key for key, label in reference.items() if label is None)
        about |= {"reference": reference}
        about |= {"reference_distance_ang": bond, "seen": seen}
    return about
