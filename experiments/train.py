"""Train one model, or a sweep of them, and score on the test rows.

    python -m experiments.train --config=egnn --workdir=runs/egnn
    python -m experiments.train --config=egnn --workdir=runs/grid \\
        --config.sweep.target=all --config.sweep.seed=42,123,456
    python -m experiments.train --distributed …   # on each of several hosts, see experiments/launch

--config is the name of a card of experiments/configs, or a FILE.py of one's own. The same command
goes on where an interrupted run stopped. The work directory gets config.json, run.json and
pairs.npz (what predicting needs of the data), metrics.jsonl, checkpoints/, result.json,
predictions.npz (of the test rows) and parity.png; that of a sweep results.csv, and the work
directory of each training, which draws no parity.png, in trainings/.
"""

from collections.abc import Callable
from typing import Any

from qc_jax.errors import InputError
from qc_jax.report.parity import plot_scored
from qc_jax.report.tables import show_result, show_sweep
from qc_jax.runs import building, cli, distributed, initial, progress, record, scoring, sweep
from qc_jax.runs.config import RunConfig
from qc_jax.runs.workdir import Workdir
from qc_jax.train import grid, hosts, loop
from qc_jax.train.observers import Callbacks
from qc_jax.train.stack import Training, devices_of

FLAGS = cli.Flags(__doc__)
_CONFIG = FLAGS.card()
_WORKDIR = FLAGS.string("workdir", None, "Where the run is kept.", required=True)
_GROUP = distributed.Group(FLAGS)


def main(_: list[str]) -> None:
    """Train, score, report."""
    run(_CONFIG.value, _WORKDIR.value, _GROUP)


def run(config: dict[str, Any], path: str, group: distributed.Group) -> None:
    """Train what a configuration asks for in the directory `path`, score, report.

    Raises:
      InputError: a value in it is wrong; fields that it lacks have their defaults.
    """
    with group.joined(), cli.stop_on_signals() as stop:
        if "transfer" in config:  # reads weights, which JAX cannot before its processes are joined
            config = initial.resolve(config)
        config = RunConfig.from_dict(config).to_dict()
        if sweep.is_swept(config):
            made = sweep.Sweep(sweep.expand(config), path, config["sweep"]["stack"])
            progress.train(made, stop)
            show_sweep(made.results)
        else:
            one = initial.read(building.from_config(config))
            _train_one(one, Workdir(path, hosts.first()), stop)


def _train_one(run: building.Run, workdir: Workdir, stop: Callable[[], bool]) -> None:
    if grid.shared_out(run.settings.parallel) and run.settings.parallel != "auto":
        raise InputError(
            "parallel=replicas leaves all processes but one without work, as there is one training;"
            " expected parallel=data, or a sweep"
        )
    devices_of([Training(run.model, run.task, run.settings)])
    with hosts.primary_first("claim"):
        record.claim(run, workdir)
        result = workdir.result()
        if result is None:
            workdir.lock()
    if result is None:
        trained = _train(run, workdir, stop)
        if not hosts.first():
            return
        scored = scoring.score(run, trained.state, trained.seconds)
        plot_scored(workdir.path / "parity.png", scored.result, scored.predictions)
        scored.write(workdir)
        result = scored.result
    show_result(result)
    print(f"result.json and parity.png are in {workdir.path}")


def _train(run: building.Run, workdir: Workdir, stop: Callable[[], bool]) -> loop.FitResult:
    epochs, task = run.settings.epochs, run.task
    with progress.Bar("epochs", run.config.model.name, hosts.first()) as bar:
        on_epoch = progress.of_training(bar, epochs, task.targets[0], len(task.split.train))
        observers = [workdir, Callbacks(on_epoch, stop)]
        return loop.fit(run.model, task, run.settings, observers, initial=run.initial)


if __name__ == "__main__":
    cli.run(main, FLAGS)
