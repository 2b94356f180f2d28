"""One study of the paper or its rebuttal, on a benchmark's directory.

    python -m experiments.study NAME --workdir=runs/benchmark [--models=schnet,egnn] \\
        [--targets=e_g_ev] [--seeds=42,123,456] [--data=ptbp] [--as-published] [--train]

    python -m experiments.study transfer --workdir=runs/transfer --pretrained=pairs=runs/schnet \\
        --data=md17:md17_ethanol.npz [--sizes=50,200,all] [--rates=1e-5,1e-4,1e-3]

NAME is one of: ood, elements, channels, modality, resolution, learning_curve, leakage, timing,
regularisation, uncertainty, transfer.
Trainings that the directory has are used. Those that are missing are trained into it, while no
other process does; but elements and channels only mark them unless --train is given. The
numbers go to studies/NAME.csv and .parquet, in the columns of results.csv; a second run trains
nothing again, and one with other models or targets adds to them. --as-published repeats the flaws
of the published code, into studies/NAME-as_published.csv; `setting` names them.
"""

import time
from collections.abc import Callable

from qc_jax.data.structures import Structures
from qc_jax.data.table import PairTable
from qc_jax.data.targets import target
from qc_jax.errors import InputError, choose
from qc_jax.runs import building, cli, grids, sources
from qc_jax.runs.workdir import Workdir
from qc_jax.studies import tables, trainings, transfer
from qc_jax.studies.asked import Asked
from qc_jax.studies.registry import STUDIES, grid
from qc_jax.train import loop

FLAGS = cli.Flags(__doc__)
GRID = grids.GridFlags(FLAGS)
_AS_PUBLISHED = FLAGS.boolean("as-published", False, "Repeat the published flaws.")
_TRAIN = FLAGS.boolean("train", None, "Whether trainings that are missing are made.")
_REPEATS = FLAGS.integer("repeats", 10, "Of what is drawn at random.", lower_bound=1)
_MEMBERS = FLAGS.integer("members", 5, "Of an ensemble.", lower_bound=2)
_PRETRAINED = FLAGS.strings("pretrained", [], "ARM=DIR, finished trainings: an arm each.")
_SIZES = FLAGS.strings("sizes", ["50", "200", "all"], "Training rows.")
_RATES = FLAGS.strings("rates", ["1e-5", "1e-4", "1e-3"], "Learning rates, each arm's grid.")
_FORCE_WEIGHT = FLAGS.number(
    "force_weight", 0.0, "Of forces beside energies, where the data have them.", lower_bound=0
)
_CURVES = FLAGS.string("curves", "", "A table of `generate --curve`, to learn beside the pairs.")
# Flags that few studies use, and which.
_USED_BY = {
    **dict.fromkeys(("pretrained", "sizes", "rates", "force_weight"), ("transfer",)),
    "curves": ("regularisation",),
    "members": ("uncertainty",),
    "repeats": ("channels", "elements", "timing"),
    "seeds": tuple(name for name in STUDIES if name != "timing"),
}


def asked_of(name: str, stop: Callable[[], bool]) -> Asked:
    """What the flags ask for.

    Raises:
      InputError: a flag is wrong, a model can't do the study, or the directory is of other data.
    """
    study = STUDIES[name]
    for flag, used_by in _USED_BY.items():
        if flag in FLAGS.given() and name not in used_by:
            raise InputError(f"--{flag} is of {', '.join(used_by)}; {name} does not use it")
    if _AS_PUBLISHED.value and not study.flaws:
        raise InputError(f"--as-published: there is no published flaw to repeat in {name}")
    train = study.trains if _TRAIN.value is None else _TRAIN.value
    workdir = Workdir(GRID.workdir.value, config_name="sweep.json")
    if study.needs_trainings and not train and not workdir.path.is_dir():
        raise InputError(f"--workdir: {workdir.path} is not there; expected a benchmark's")
    changes = GRID.changes()
    data = {key: changes[key] for key in ("data", "data_dir")}
    opened = sources.open_data if study.of_structures else sources.open_table
    table = opened(*data.values())
    names, targets, seeds = grid(name, workdir, GRID, "models" in FLAGS.given())
    _check_targets(name, targets, table)
    fingerprint = table.fingerprint()
    workdir.claim({**data, "data_fingerprint": fingerprint})
    return Asked(
        study=name,
        workdir=workdir,
        table=table,
        fingerprint=fingerprint,
        models=names,
        targets=targets,
        seeds=seeds,
        changes=changes,
        as_published=_AS_PUBLISHED.value,
        repeats=_REPEATS.value,
        members=_MEMBERS.value,
        train=train,
        stack=GRID.stack.value,
        stop=stop,
        curves=_CURVES.value,
        transfer=(
            transfer.options(_PRETRAINED.value, _SIZES.value, _RATES.value, _FORCE_WEIGHT.value)
            if name == "transfer"
            else None
        ),
    )


def _check_targets(name: str, targets: tuple[str, ...], table: PairTable | Structures) -> None:
    """Raise InputError for targets that the study does not take or the data do not hold."""
    for key in targets:
        if target(key).is_class and not STUDIES[name].classes:
            raise InputError(f"--targets: {name} is of numbers, got {key}, a class")
    if isinstance(table, PairTable):
        table.columns(targets)  # classes among them, which follow from others
    else:
        for key in targets:
            choose("target of these structures", key, table.targets)
    if name == "timing" and len(targets) > 1:
        raise InputError(f"--targets: timing is of one target, got {', '.join(targets)}")


def main(argv: list[str]) -> None:
    """Runs the study, prints its table and what is missing in it."""
    if len(argv) != 1:
        raise InputError(f"expected the name of one study, got {argv}: {', '.join(STUDIES)}")
    (name,) = argv
    choose("study", name, STUDIES)
    building.use_a_device_per_core()
    with cli.stop_on_signals() as stop:
        asked = asked_of(name, stop)
        start = time.monotonic()
        grids.note_command(asked.workdir.path, event="started")
        frame, path = trainings.write(asked, STUDIES[name].rows(asked))
        seconds = time.monotonic() - start
        grids.note_command(asked.workdir.path, event="ended", seconds=seconds)
        STUDIES[name].show(frame)
        tables.tell_partial(frame)
        print(f"all in {path}")
        if stop():
            raise loop.Interrupted


if __name__ == "__main__":
    cli.run(main, FLAGS, words="NAME")
