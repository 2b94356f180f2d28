"""Writes a table in a format that other programs read.

    python -m experiments.export --format=published --out=dataset_combined.npz [--data=ptbp]
    python -m experiments.export --format=csv --out=pairs.csv
    python -m experiments.export --format=extxyz --out=pairs.extxyz   # ase.io.read(PATH, ":")
    python -m experiments.export --format=csv --out=predicted.csv --workdir=runs/egnn
    python -m experiments.export --format=model --out=egnn.npz --workdir=runs/egnn  # qc_jax.load
    python -m experiments.export --format=torch --out=egnn.npz --workdir=runs/egnn  # or .pt
    python -m experiments.export --format=huggingface --out=DIR [--data=ptbp]  # or --workdir=…

`published` is the format of the authors' PyTorch code, canvases included; its object arrays are
pickles. `csv` is one line a pair, labels and geometry, units in the header; `extxyz` one frame a
pair. `model` is a trained model in one file, for `qc_jax.load` and --workdir of other scripts.
`torch` are its weights by the names of the model's PyTorch reference, which `import_torch` reads.
`huggingface` is a folder to upload: a table as Parquet in the splits of seed 42, with its card and
Croissant metadata (`datasets.load_dataset(DIR)`), or a packed model with its card.
--data is what --config.data takes: a shipped table, an .npz, 'tfds:DATASET' or 'published:PATH'.
"""

import csv
import pathlib
import time

import numpy as np

from qc_jax.data import exchange, files
from qc_jax.data.table import DEFAULT
from qc_jax.engines import published
from qc_jax.errors import InputError
from qc_jax.report import model_card
from qc_jax.runs import cli, packed, sources, torch_checkpoint
from qc_jax.runs.loading import load
from qc_jax.runs.saved import SavedRun

# How a format is written, and how its files may end.
_FORMATS = {
    "published": (published.write, (".npz",)),
    "csv": (exchange.write_csv, (".csv",)),
    "extxyz": (exchange.write_extxyz, (".extxyz", ".xyz")),
    "model": (None, (".npz",)),
    "torch": (None, (".npz", ".pt")),
    "huggingface": (None, ()),
}

FLAGS = cli.Flags(__doc__)
_FORMAT = FLAGS.enum("format", None, list(_FORMATS), "What is written.", required=True)
_OUT = FLAGS.string("out", None, "The file, or the folder of huggingface.", required=True)
_DATA = FLAGS.string("data", DEFAULT, "The table, as in --config.data.")
_DATA_DIR = FLAGS.string("data_dir", "", "Of TFDS, where --data is 'tfds:…'.")
_WORKDIR = FLAGS.string(
    "workdir", None, "A trained model's: its predictions of the table's pairs, as csv."
)
_OVERWRITE = FLAGS.boolean("overwrite", False, "Replace the file at --out.")
_WEIGHTS = FLAGS.enum(
    "weights", "float32", list(packed.WEIGHTS), "Of --format=model; float16 halves the file."
)
_LICENSE = FLAGS.string(
    "license", "", "As the hub calls it, for --format=huggingface; of our own tables it is known."
)


def main(_: list[str]) -> None:
    """Writes the file and says what is in it."""
    out, form = str(_OUT.value), str(_FORMAT.value)
    write, endings = _FORMATS[form]
    if form == "huggingface":
        cli.check_out(pathlib.Path(out))
    elif _LICENSE.value:
        raise InputError(f"--license: expected --format=huggingface, got {form}")
    else:
        cli.check_file(out, endings, bool(_OVERWRITE.value), f"--format={form}")
    if "weights" in FLAGS.given() and form != "model":
        raise InputError(f"--weights: expected --format=model, got {form}")
    if _WORKDIR.value is not None:
        formats = ("csv", "model", "torch", "huggingface")
        if form not in formats or FLAGS.given() & {"data", "data_dir"}:
            raise InputError(
                f"--workdir: expected --format={', '.join(formats[:-1])} or {formats[-1]}, and no "
                "--data: a run has its pairs"
            )
        run = load(_WORKDIR.value)
        if form == "csv":
            print(_write_predictions(run, out))
            return
        if form == "model":
            run.pack(out, str(_WEIGHTS.value))
        elif form == "torch":
            torch_checkpoint.write(out, run)
        else:
            cli.make_out(pathlib.Path(out))
            ours = "apache-2.0" if _WORKDIR.value in packed.index() else ""
            _tell_license(model_card.write(run, out, _LICENSE.value or ours))
        print(f"{_WORKDIR.value} packed: {out}, {_size(out) / 1e6:.2f} MB")
        return
    if form in ("model", "torch"):
        raise InputError(f"--format={form}: expected --workdir, of a trained model")
    table = sources.open_table(_DATA.value, _DATA_DIR.value)
    start = time.monotonic()
    if write is not None:
        write(table, out)
    else:
        from qc_jax.datasets import huggingface  # imports TFDS

        cli.make_out(pathlib.Path(out))
        _tell_license(huggingface.write(table, out, _LICENSE.value))
    seconds = time.monotonic() - start
    print(f"{len(table)} pairs: {out}, {_size(out) / 1e6:.2f} MB in {seconds:.1f} s")


def _tell_license(name: str) -> None:
    if name == "unknown":
        print("license: 'unknown' in the card; name it by --license, like --license=mit")


def _size(out: str) -> int:
    """Return how many bytes a file, or all files of a folder, have."""
    path = pathlib.Path(out)
    paths = [path, *path.rglob("*")]
    return sum(each.stat().st_size for each in paths if each.is_file())


def _write_predictions(run: SavedRun, out: str) -> str:
    """Write the pairs that a run knows, with labels and predictions; say how many, and are not."""
    if run.pairs is None:
        raise InputError(f"{run.path}: expected a run on pairs; predict takes files of structures")
    names = run.pairs.names.tolist()
    parts = {name: part for part, rows in run.split.items() for name in rows}
    known = set(names)
    several = sum(name not in known for rows in run.split.values() for name in rows)
    why = "of pairs that stand at several distances, of which a run keeps none"
    if not names:
        raise InputError(
            f"{run.path}: expected pairs that stand once in the run's table, got {several} rows "
            f"{why}; predict takes them with --distance"
        )
    columns = [f"{name}{end}" for name in run.targets for end in ("", "_predicted")]
    with files.atomic_write(out) as partial, open(partial, "w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["name", "part", "distance_ang", *columns])
        for row, (name, predicted) in enumerate(zip(names, run.predict(names), strict=True)):
            both = np.stack([run.pairs.labels[row], predicted], axis=1).ravel().tolist()
            lines.writerow([name, parts.get(name, ""), run.pairs.distance(row), *both])
    left_out = f"; {several} rows are left out, {why}" if several else ""
    return f"{len(names)} pairs: {out}{left_out}"


if __name__ == "__main__":
    cli.run(main, FLAGS)
