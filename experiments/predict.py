"""Predicts the targets of one pair with a trained model.

    python -m experiments.predict --workdir=runs/egnn Ag Al
    python -m experiments.predict --workdir=runs/egnn --distance=2.5 Ag Al

Without --distance the pair stands at the bond length of the table that the model was trained on.
The reference is the table's label, which belongs to that bond length alone.
"""

import math

from qc_jax.chem.elements import pair_name
from qc_jax.data.targets import target
from qc_jax.errors import InputError
from qc_jax.report.tables import number, show
from qc_jax.runs import cli
from qc_jax.runs.saved import load

FLAGS = cli.Flags(__doc__)
_WORKDIR = FLAGS.string(
    "workdir", None, "Of experiments.train or experiments.import_torch.", required=True
)
_DISTANCE = FLAGS.number("distance", None, "Å; the table's bond length where not given.")


def main(arguments: list[str]) -> None:
    """Prints predicted, reference and unit of each target."""
    if len(arguments) != 2:
        raise InputError(
            f"expected two element symbols like 'Ag Al', got {' '.join(arguments) or 'none'}"
        )
    name = pair_name(*arguments)
    distance = _DISTANCE.value
    if distance is not None and not (math.isfinite(distance) and distance > 0):
        raise InputError(f"--distance: expected a length above 0 Å, got {distance}")

    run = load(_WORKDIR.value)
    predicted = run.predict([name], distance)[0]
    row = None
    if run.pairs is not None and (distance is None or name in run.pairs.names):
        row = run.pairs.row(name, run.record.left_out)
    labels = [math.nan] * len(run.targets) if row is None else run.pairs.labels[row]
    shown = distance if distance is not None else run.pairs.distance(row)
    rows = [
        (key, number(float(value)), _reference(row, label), target(key).unit)
        for key, value, label in zip(run.targets, predicted, labels, strict=True)
    ]
    show(f"{name} at {shown:.3f} Å", ("target", "predicted", "reference", "unit"), rows)
    if row is not None:
        seen = run.part_of(name)
        if run.config.imported is not None:
            seen += ", if the imported weights were trained on this split"
        bond = run.pairs.distance(row)
        print(f"reference: {run.config.data}, at {bond:.3f} Å; {seen}")


def _reference(row: int | None, label: float) -> str:
    if row is None:
        return "-"
    return number(float(label)) if math.isfinite(label) else "undefined"


if __name__ == "__main__":
    cli.run(main, FLAGS, words="A B")
