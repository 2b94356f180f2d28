"""Predict the targets of pairs, molecules or crystals with a trained model.

    python -m experiments.predict Ag Al   # by the models that come with the package
    python -m experiments.predict --workdir=runs/egnn Ag Al
    python -m experiments.predict --workdir=runs/egnn --distance=2.5 Ag_Al C_O
    python -m experiments.predict --file=pairs.csv --json
    python -m experiments.predict --file=pairs.csv --out=predicted.csv
    python -m experiments.predict --workdir=runs/ethanol --file=ethanol.xyz

--file is a CSV with a column 'name' and perhaps 'distance_ang', or an XYZ file of one structure.
Without a distance a pair stands at the bond length of the table that the model was trained on; the
reference is the table's label, which is known at that bond length alone; the test MAE says how far
the model was off on pairs that it had not seen. Several --workdir, of trainings that differ in
their seed but not in their --config.split_seed, predict their mean and an interval about it that
holds 80 % of labels, for pairs at the table's bond lengths. --workdir may also be the file of a
packed model, or the name of one that comes with the package. The data are opened for intervals of
several trainings on larger structures alone, which are left out where the data are gone.
"""

import csv
import json
import os
from typing import Any

from qc_jax.data import files
from qc_jax.data.atoms import read_structure
from qc_jax.data.targets import target
from qc_jax.errors import InputError
from qc_jax.report.tables import number, show
from qc_jax.runs import cli, packed, queries
from qc_jax.runs.ensemble import COVERAGE, Ensemble

_BESIDE = 4  # pairs in one table, beside each other

FLAGS = cli.Flags(__doc__)
_WORKDIR = FLAGS.strings(
    "workdir",
    list(packed.DEFAULT),
    "Of experiments.train or import_torch, or a model's name; several as A,B,C.",
)
_DISTANCE = FLAGS.number("distance", None, "Å; the table's bond length where not given.")
_FILE = FLAGS.string("file", None, "Pairs as CSV, or one structure as XYZ, instead of words.")
_OUT = FLAGS.string("out", None, "A new .csv for the predictions, a row a pair.")
_JSON = FLAGS.boolean("json", False, "Print JSON, a list with an object a row.")


def main(words: list[str]) -> None:
    """Print predicted, reference and unit of each target."""
    out = _OUT.value
    if out is not None and (_JSON.value or not out.endswith(".csv") or os.path.exists(out)):
        raise InputError(f"--out: expected a new file that ends in .csv, and no --json, got {out}")
    if _FILE.value is not None and (words or _DISTANCE.value is not None):
        raise InputError("--file: expected no pairs and no --distance beside it")
    if _FILE.value is not None and not _FILE.value.endswith(".csv"):
        structure = read_structure(_FILE.value)
        ensemble = Ensemble(_WORKDIR.value)
        _show([queries.of_structure(ensemble, _FILE.value, structure)], ensemble)
        return
    asked = (
        queries.of_words(words, _DISTANCE.value)
        if _FILE.value is None
        else queries.of_file(_FILE.value)
    )
    ensemble = Ensemble(_WORKDIR.value)
    _show(queries.answer(ensemble, asked), ensemble)


def _write(out: str, rows: list[dict[str, Any]]) -> None:
    """Write pairs, distances (Å) and predictions as CSV; undefined ones are empty."""
    with files.atomic_write(out) as partial, open(partial, "w", newline="") as file:
        lines = csv.writer(file)
        kinds = [kind for kind in ("predicted", "half_width") if kind in rows[0]]
        names = [f"{name}_{kind}" for kind in kinds for name in rows[0][kind]]
        lines.writerow(["name", "distance_ang", *names, "outside"])
        for row in rows:
            values = [value for kind in kinds for value in row[kind].values()]
            outside = "; ".join(row.get("outside", ()))
            lines.writerow([row["name"], row.get("distance_ang"), *values, outside])
    print(f"{len(rows)} rows: {out}")


def _show(rows: list[dict[str, Any]], ensemble: Ensemble) -> None:
    if _OUT.value is not None:
        _write(_OUT.value, rows)
        return
    if _JSON.value:
        print(json.dumps(rows, indent=2))
        return
    if len(rows) > 1:
        for first in range(0, len(rows), _BESIDE):
            _show_beside(rows[first : first + _BESIDE])
        return
    (row,), run = rows, ensemble.members[0]
    reference, widths = row.get("reference"), row.get("half_width")
    leaked = run.result.get("leaked_by", {})
    maes = {key: one["mae"] for key, one in run.result.get("test", {}).items() if "mae" in one}
    if len(ensemble.members) > 1:
        maes = _maes(ensemble)
    lines = [
        (
            f"{key} †" if leaked.get(key) else key,
            _text(value),
            *(() if widths is None else (number(width) if (width := widths[key]) else "-",)),
            number(maes[key]) if key in maes else "-",
            "-" if reference is None else _text(reference[key]),
            target(key).unit,
        )
        for key, value in row["predicted"].items()
    ]
    at = f" at {row['distance_ang']:.3f} Å" if "distance_ang" in row else ""
    sure = () if widths is None else (f"± ({COVERAGE:.0%})",)
    heads = ("target", "predicted", *sure, "test MAE", "reference", "unit")
    show(row["name"] + at, heads, lines)
    if any(leaked.get(key) for key in row["predicted"]):
        print("†: follows from what the model reads")
    if reference is not None:
        at = f"at {row['reference_distance_ang']:.3f} Å"
        print(f"reference: {run.config.data}, {at}; {row['seen']}")


def _maes(ensemble: Ensemble) -> dict[str, float]:
    """Return the test MAE by target; none where no test row is that of one pair, or known."""
    if ensemble.members[0].pairs is None:
        return {}
    try:
        return ensemble.mae()
    except InputError:
        return {}


def _show_beside(rows: list[dict[str, Any]]) -> None:
    """Print a column a pair and a row a target."""
    heads = [f"{row['name']} {row['distance_ang']:.3f} Å" for row in rows]
    lines = [
        (key, *(_with_width(row, key) for row in rows), target(key).unit)
        for key in rows[0]["predicted"]
    ]
    sure = f" ± ({COVERAGE:.0%})" if any("half_width" in row for row in rows) else ""
    show(f"predicted{sure}", ("target", *heads, "unit"), lines)


def _with_width(row: dict[str, Any], key: str) -> str:
    width = row.get("half_width", {}).get(key)
    return _text(row["predicted"][key]) + ("" if width is None else f" ± {number(width)}")


def _text(value: float | None) -> str:
    return "undefined" if value is None else number(value)


if __name__ == "__main__":
    cli.run(main, FLAGS, words="A B, or pairs like A_B")
