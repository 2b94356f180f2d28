"""Predicts the targets of one pair with a trained model.

    python -m experiments.predict --workdir=runs/egnn Ag Al
    python -m experiments.predict --workdir=runs/egnn --distance=2.5 Ag Al

Without --distance the pair stands at the bond length of the table that the model was trained on.
The reference is the table's label, which belongs to that bond length alone.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from qc_jax import canvas
from qc_jax.chem.elements import element, pair_name
from qc_jax.data.batch import Batch, from_arrays
from qc_jax.data.dataset import Task, prepare
from qc_jax.data.table import PairTable
from qc_jax.data.targets import target
from qc_jax.errors import InputError
from qc_jax.evaluate.predict import predict
from qc_jax.report.tables import number, show
from qc_jax.runs import building, cli, sources
from qc_jax.train.restore import open_trained

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

    config, model, targets, settings, state = open_trained(_WORKDIR.value)
    table = sources.read_table(config["data"], config["data_dir"])
    # Without a distance the pair must be in the table; where it is not, `row` says why.
    row = table.row(name) if distance is None or name in table.names else None
    bond = math.nan if row is None else float(table.targets["distance_ang"][row])
    distance = bond if distance is None else distance

    features = None
    if "canvas" in model.inputs:
        if _DISTANCE.value is not None:
            raise InputError(
                "--distance: this model reads the canvas, which is known at the bond length alone"
            )
        features = jnp.asarray(canvas.features(table.take(np.array([row]))))
    structure = _pair(name, distance, features).replace(canvas_size=config["canvas_size"])
    predicted = predict(model, state.best_variables, state.scaler, structure, batch_size=1)[0]
    rows = [
        (key, number(float(value)), _reference(table, row, key), target(key).unit)
        for key, value in zip(targets, predicted, strict=True)
    ]
    show(f"{name} at {distance:.3f} Å", ("target", "predicted", "reference", "unit"), rows)
    if row is not None:
        if table.fingerprint() != config["data_fingerprint"]:
            seen = "the data have changed since the model was trained"
        else:
            fields = building.data_fields(config)
            task = prepare(table, targets, settings.seed, split=config["split"], **fields)
            seen = _part(task, name)
            if "imported" in config:
                seen += ", if the imported weights were trained on this split"
        print(f"reference: {config['data']}, at {bond:.3f} Å; {seen}")


def _pair(name: str, distance: float, features: jax.Array | None) -> Batch:
    numbers = np.array([[element(symbol).atomic_number for symbol in name.split("_")]])
    return from_arrays(numbers, np.array([[[0, 0, 0], [0, 0, distance]]]), features)


def _part(task: Task, name: str) -> str:
    """Whether the model has seen the pair."""
    for part, rows in task.split.parts().items():
        if name in task.names[rows]:
            return f"of the {part} split"
    reason = task.left_out.get(name, "in no part of the split")
    return f"left out ({reason}), so this model has not seen it"


def _reference(table: PairTable, row: int | None, key: str) -> str:
    if row is None:
        return "-"
    label = float(table.targets[key][row])
    return number(label) if math.isfinite(label) else "undefined"


if __name__ == "__main__":
    cli.run(main, FLAGS, words="A B")
