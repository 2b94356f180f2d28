"""Pairs that a user asks a trained model about, by words or in a CSV, and what it says."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from qc_jax.chem.elements import pair_name
from qc_jax.data import files
from qc_jax.errors import InputError
from qc_jax.runs.saved import SavedRun


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
    """Return the pairs of a CSV with a column 'pair' and perhaps 'distance_ang'.

    Raises:
      InputError: it is not there, or a line is wrong.
    """
    header, rows = files.read_csv(path)
    if "pair" not in header:
        raise InputError(f"{path}: expected a column 'pair', got {header}")
    asked = []
    for line, values in rows:
        where = f"{path}: line {line}"
        row = dict(zip(header, values, strict=True))
        text = row.get("distance_ang", "")
        try:
            distance = files.number(text) if text else None
        except ValueError:
            raise InputError(f"{where}: distance_ang: got {text!r}") from None
        if row["pair"].count("_") != 1:
            raise InputError(f"{where}: expected a pair like Ag_Al, got {row['pair']!r}")
        asked.append(_asked(row["pair"], distance, f"{where}: distance_ang"))
    if not asked:
        raise InputError(f"{path}: expected at least one pair, got none")
    return asked


def _asked(word: str, distance: float | None, where: str) -> Asked:
    if distance is not None and not (math.isfinite(distance) and distance > 0):
        raise InputError(f"{where}: expected a length above 0 Å, got {distance}")
    return Asked(pair_name(*word.strip().split("_")), distance)


def answer(run: SavedRun, asked: Sequence[Asked]) -> list[dict[str, Any]]:
    """Return a row a pair: its name, distance, predictions, and the table's labels where known.

    Raises:
      InputError: the run does not know a pair.
    """
    found: dict[Asked, dict[str, Any]] = {}
    for distance in dict.fromkeys(one.distance for one in asked):
        group = list(dict.fromkeys(one for one in asked if one.distance == distance))
        predicted = run.predict([one.name for one in group], distance)
        found |= {one: _about(run, one, row) for one, row in zip(group, predicted, strict=True)}
    return [found[one] for one in asked]


def by_target(run: SavedRun, values: Any) -> dict[str, float | None]:
    """Return one number a target, None for NaN."""
    pairs = zip(run.targets, map(float, values), strict=True)
    return {name: value if math.isfinite(value) else None for name, value in pairs}


def _about(run: SavedRun, one: Asked, predicted: Any) -> dict[str, Any]:
    """Return the row of a pair, with the table's label where it is known."""
    pairs, row = run.pairs, None
    if pairs is not None and (one.distance is None or one.name in pairs.names):
        row = pairs.row(one.name, run.record.left_out)
    bond = pairs.distance(row) if pairs is not None and row is not None else None
    about = {
        "name": one.name,
        "distance_ang": bond if one.distance is None else one.distance,
        "predicted": by_target(run, predicted),
    }
    if pairs is not None and row is not None:
        seen = run.part_of(one.name)
        if run.config.imported is not None:
            seen += ", if the imported weights were trained on this split"
        about |= {"reference": by_target(run, pairs.labels[row])}
        about |= {"reference_distance_ang": bond, "seen": seen}
    return about
