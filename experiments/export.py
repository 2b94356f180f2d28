"""Writes a table in a format that other programs read.

    python -m experiments.export --format=published --out=dataset_combined.npz [--data=ptbp]
    python -m experiments.export --format=csv --out=pairs.csv
    python -m experiments.export --format=extxyz --out=pairs.extxyz   # ase.io.read(PATH, ":")
    python -m experiments.export --format=csv --out=predicted.csv --workdir=runs/egnn
    python -m experiments.export --format=model --out=egnn.npz --workdir=runs/egnn  # qc_jax.load

`published` is the format of the authors' PyTorch code, canvases included; its object arrays are
pickles. `csv` is one line a pair, labels and geometry, units in the header; `extxyz` one frame a
pair. `model` is a trained model in one file, for `qc_jax.load` and --workdir of other scripts.
--data is what --config.data takes: a shipped table, an .npz, 'tfds:DATASET' or 'published:PATH'.
"""

import csv
import os
import time

import numpy as np

from qc_jax.data import exchange, files
from qc_jax.data.table import DEFAULT
from qc_jax.engines import published
from qc_jax.errors import InputError
from qc_jax.runs import cli, sources
from qc_jax.runs.loading import load
from qc_jax.runs.saved import SavedRun

# How a format is written, and how its files may end.
_FORMATS = {
    "published": (published.write, (".npz",)),
    "csv": (exchange.write_csv, (".csv",)),
    "extxyz": (exchange.write_extxyz, (".extxyz", ".xyz")),
    "model": (None, (".npz",)),
}

FLAGS = cli.Flags(__doc__)
_FORMAT = FLAGS.enum("format", None, list(_FORMATS), "What is written.", required=True)
_OUT = FLAGS.string("out", None, "The file.", required=True)
_DATA = FLAGS.string("data", DEFAULT, "The table, as in --config.data.")
_DATA_DIR = FLAGS.string("data_dir", "", "Of TFDS, where --data is 'tfds:…'.")
_WORKDIR = FLAGS.string(
    "workdir", None, "A trained model's: its predictions of the table's pairs, as csv."
)
_OVERWRITE = FLAGS.boolean("overwrite", False, "Replace the file at --out.")


def main(_: list[str]) -> None:
    """Writes the file and says what is in it."""
    out = str(_OUT.value)
    write, endings = _FORMATS[str(_FORMAT.value)]
    cli.check_file(out, endings, bool(_OVERWRITE.value), f"--format={_FORMAT.value}")
    if _WORKDIR.value is not None:
        if _FORMAT.value not in ("csv", "model") or FLAGS.given() & {"data", "data_dir"}:
            raise InputError(
                "--workdir: expected --format=csv or model, and no --data: a run has its pairs"
            )
        if write is None:
            load(_WORKDIR.value).pack(out)
            print(f"{_WORKDIR.value} in one file: {out}, {os.path.getsize(out) / 1e6:.2f} MB")
            return
        print(f"{_write_predictions(load(_WORKDIR.value), out)} pairs: {out}")
        return
    if write is None:
        raise InputError("--format=model: expected --workdir, of a trained model")
    table = sources.open_table(_DATA.value, _DATA_DIR.value)
    start = time.monotonic()
    write(table, out)
    seconds = time.monotonic() - start
    print(f"{len(table)} pairs: {out}, {os.path.getsize(out) / 1e6:.2f} MB in {seconds:.1f} s")


def _write_predictions(run: SavedRun, out: str) -> int:
    """Write the pairs that a run knows, with labels and predictions; return how many."""
    if run.pairs is None:
        raise InputError(f"{run.path}: expected a run on pairs; predict takes files of structures")
    names = run.pairs.names.tolist()
    parts = {name: part for part, rows in run.split.items() for name in rows}
    columns = [f"{name}{end}" for name in run.targets for end in ("", "_predicted")]
    with files.atomic_write(out) as partial, open(partial, "w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["name", "part", "distance_ang", *columns])
        for row, (name, predicted) in enumerate(zip(names, run.predict(names), strict=True)):
            both = np.stack([run.pairs.labels[row], predicted], axis=1).ravel().tolist()
            lines.writerow([name, parts.get(name, ""), run.pairs.distance(row), *both])
    return len(names)


if __name__ == "__main__":
    cli.run(main, FLAGS)
