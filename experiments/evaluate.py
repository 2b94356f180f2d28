"""Scores the best weights of a work directory on test rows.

    python -m experiments.evaluate --workdir=runs/egnn
    python -m experiments.evaluate --workdir=runs/egnn --split=by_period
    python -m experiments.evaluate --workdir=runs/egnn --data=published:dataset_combined.npz
    python -m experiments.evaluate --workdir=runs/a,runs/b,runs/c

The work directory is left as it is; with --out=DIR, result.json, predictions.npz and parity.png go
there. On other data or another split, test rows that the model was trained or chosen on
are left out, and listed with the others; the baselines are fitted on the training rows of that
split, and what the model's own training took off its labels is what its predictions get back.
Several work directories, of trainings that differ in their seed but not in their
--config.split_seed, are scored as an ensemble: the error of their mean, and whether its intervals
hold the labels; ensemble.json.
"""

from qc_jax.data import files
from qc_jax.errors import InputError
from qc_jax.report.parity import plot_scored
from qc_jax.report.tables import show_ensemble, show_result
from qc_jax.runs import cli, scoring
from qc_jax.runs.ensemble import Ensemble
from qc_jax.runs.loading import load
from qc_jax.runs.workdir import Workdir

FLAGS = cli.Flags(__doc__)
_WORKDIR = FLAGS.strings(
    "workdir", None, "Of experiments.train or import_torch; several as A,B,C.", required=True
)
_DATA = FLAGS.string("data", None, "As --config.data; the run's own where not given.")
_DATA_DIR = FLAGS.string("data_dir", "", "Of TFDS, where --data is 'tfds:…'.")
_SPLIT = FLAGS.string("split", None, "As --config.split; the run's own where not given.")
_OUT = FLAGS.string(
    "out", None, "An empty or new directory for result.json, predictions.npz, parity.png."
)


def main(_: list[str]) -> None:
    """Prints the table of the test errors."""
    out = None if _OUT.value is None else Workdir(_OUT.value)
    if out is not None:
        cli.check_out(out.path)
    changes = {} if _SPLIT.value is None else {"split": _SPLIT.value}
    if _DATA.value is not None:
        changes |= {"data": _DATA.value, "data_dir": _DATA_DIR.value}
    elif _DATA_DIR.value:
        raise InputError("--data_dir is of --data, which was not given")
    if len(_WORKDIR.value) > 1:
        if changes:
            raise InputError("--data, --split: expected one --workdir; an ensemble has its own")
        found = Ensemble(_WORKDIR.value).score()
        show_ensemble(found)
        if out is not None:
            cli.make_out(out.path)
            files.write_json(out.path / "ensemble.json", found)
        return

    scored = scoring.score_saved(load(_WORKDIR.value[0]), **changes)
    if out is not None:
        cli.make_out(out.path)
        plot_scored(out.path / "parity.png", scored.result, scored.predictions)
        scored.write(out)
    show_result(
        scored.result,
        "--out=DIR lists them" if out is None else f"listed in {out.path}/result.json",
    )


if __name__ == "__main__":
    cli.run(main, FLAGS)
