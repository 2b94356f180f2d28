"""Train and score the whole benchmark: models × targets × seeds, as one grid.

    python -m experiments.benchmark --workdir=runs/benchmark --preset=quick
    python -m experiments.benchmark --workdir=runs/benchmark [--models=schnet,egnn] \\
        [--targets=e_g_ev,e_homo_ev] [--seeds=42,123,456] [--data=ptbp] [--split=random]

The same command goes on where an interrupted one stopped, and another one on the same data adds to
what is there. Each model is trained by its experiment card. On a CPU each core is a device of its
own. The work directory gets results.csv and results.parquet, a row a number; commands.jsonl, what
was run; and trainings/NAME, the work directory of each training. `experiments.report` makes tables
and pictures of it.
"""

import time

from qc_jax.report import source
from qc_jax.report.tables import show_sweep
from qc_jax.runs import building, cli, distributed, grids, progress, results, sweep
from qc_jax.train import hosts

FLAGS = cli.Flags(__doc__)
_GRID = grids.GridFlags(FLAGS)
_PRESET = FLAGS.enum(
    "preset",
    "full",
    grids.PRESETS,
    "What --models, --targets and --seeds are by default: quick takes minutes on two cores, "
    "published is the 480 trainings of the paper's eight architectures, started as PyTorch's "
    "networks are, full is all that is here.",
)
_SPLIT = FLAGS.string("split", "random", "As --config.split.")
_GROUP = distributed.Group(FLAGS)


def main(_: list[str]) -> None:
    """Train, score, print the table and what was left out of it."""
    building.use_a_device_per_core()
    preset = grids.preset(_PRESET.value)
    names, targets, seeds = _GRID.asked(preset.models, preset.targets, preset.seeds)
    changes = {**preset.changes, **_GRID.changes()}
    configs = grids.trainings(names, targets, seeds, split=_SPLIT.value, **changes)
    missing = grids.left_out(names, targets, seeds, _GRID.epochs.value)
    with _GROUP.joined(), cli.stop_on_signals() as stop:
        made = sweep.Sweep(configs, _GRID.workdir.value, _GRID.stack.value)
        start = time.monotonic()
        if hosts.first():
            grids.note_command(made.workdir.path, event="started", left_out=missing)
        progress.train(made, stop)
        if not hosts.first():
            return
        seconds = time.monotonic() - start
        grids.note_command(made.workdir.path, event="ended", seconds=seconds)
        frame = source.with_tests(source.read(made.workdir.path)).trained
        for name in ("results.csv", "results.parquet"):
            results.write(made.workdir.path / name, frame)
    show_sweep(made.results)
    print(f"{len(made)} trainings; those that were not there yet took {seconds:.0f} s")
    print("\n".join(missing))


if __name__ == "__main__":
    cli.run(main, FLAGS)
