"""Scores the best weights of a work directory on test rows.

    python -m experiments.evaluate --workdir=runs/egnn
    python -m experiments.evaluate --workdir=runs/egnn --split=by_period
    python -m experiments.evaluate --workdir=runs/egnn --data=published:dataset_combined.npz

The work directory is left as it is; with --out=DIR, result.json and parity.png go there. On other
data or another split, test rows of pairs that the model was trained or chosen on are left out, and
listed with the others; the baselines are fitted on that table's own training rows.
"""

import os

import numpy as np
from absl import flags

from experiments import cli, runs, scoring
from qc_jax.errors import InputError
from qc_jax.report.tables import show_result
from qc_jax.train.workdir import Workdir

_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Of experiments.train or experiments.import_torch.", required=True
)
_DATA = flags.DEFINE_string("data", None, "As --config.data; the run's own where not given.")
_DATA_DIR = flags.DEFINE_string("data_dir", "", "Of TFDS, where --data is 'tfds:…'.")
_SPLIT = flags.DEFINE_string("split", None, "As --config.split; the run's own where not given.")
_OUT = flags.DEFINE_string("out", None, "An empty or new directory for result.json and parity.png.")


def main(argv: list[str]) -> None:
    """Prints the table of the test errors."""
    if argv:
        raise InputError(f"expected flags only (--workdir=...), got {argv[0]!r}")
    workdir, out = Workdir(_WORKDIR.value), _OUT.value
    if out is not None and os.path.exists(out) and (not os.path.isdir(out) or os.listdir(out)):
        raise InputError(f"--out: expected an empty or new directory, got {out}")
    config = workdir.config()
    run = runs.from_config(config)
    if run.config["data_fingerprint"] != config["data_fingerprint"]:
        raise InputError(f"{config['data']} has changed since the model of {workdir.path} was made")
    sample = run.task.dataset.take(np.arange(1)).structures
    state = runs.restore(workdir, run.model, sample, run.settings)
    if _DATA.value is not None or _SPLIT.value is not None:
        changes: dict[str, str] = {}
        if _DATA.value is not None:
            changes |= {"data": _DATA.value, "data_dir": _DATA_DIR.value}
        if _SPLIT.value is not None:
            changes["split"] = _SPLIT.value
        other = runs.from_config({**config, **changes})
        run = other._replace(task=scoring.unseen(other.task, known=run.task))
    elif _DATA_DIR.value:
        raise InputError("--data_dir is of --data, which was not given")
    if out is not None:
        os.makedirs(out, exist_ok=True)
    parity = None if out is None else os.path.join(out, "parity.png")
    result = scoring.score(run, state, (workdir.result() or {}).get("seconds", {}), parity)
    if out is not None:
        Workdir(out).write_result(result)
    listed = "--out=DIR lists them" if out is None else f"listed in {out}/result.json"
    show_result(result, listed)


if __name__ == "__main__":
    cli.run(main)
