"""Trains one model, or a sweep of them, and scores on the test rows.

    python -m experiments.train --config=experiments/configs/egnn.py --workdir=runs/egnn
    python -m experiments.train --config=experiments/configs/egnn.py --workdir=runs/grid \\
        --config.sweep.target=all --config.sweep.seed=42,123,456
    python -m experiments.train --distributed …   # on each of several hosts, see experiments/launch

The same command goes on where an interrupted run stopped. The work directory gets config.json,
metrics.jsonl, checkpoints/, result.json and parity.png; that of a sweep results.csv, and the work
directory of each training in trainings/.
"""

from collections.abc import Callable
from typing import Any

from absl import flags
from ml_collections import config_flags
from tqdm import tqdm

from experiments import cli, distributed
from qc_jax.errors import InputError
from qc_jax.report.parity import plot_scored
from qc_jax.report.tables import show_result, show_sweep
from qc_jax.runs import building, initial, progress, scoring, sweep
from qc_jax.train import grid, hosts, loop
from qc_jax.train.parallel import Devices
from qc_jax.train.workdir import Workdir

_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "Experiment card, FILE.py or FILE.py:quick."
)
_WORKDIR = flags.DEFINE_string("workdir", None, "Where the run is kept.", required=True)
flags.mark_flag_as_required("config")


def main(_: list[str]) -> None:
    """Trains, scores, reports."""
    run(_CONFIG.value.to_dict())


def run(config: dict[str, Any]) -> None:
    """Trains what a configuration asks for in --workdir, scores, reports."""
    with distributed.joined(), cli.stop_on_sigterm() as stop:
        try:
            if sweep.is_swept(config):
                expanded = sweep.expand(config)
                made = sweep.Sweep(expanded, _WORKDIR.value, config["sweep"]["stack"])
                progress.train(made, stop)
                show_sweep(made.results)
            else:
                one = initial.read(building.from_config(config))
                _train_one(one, Workdir(_WORKDIR.value, hosts.first()), stop)
        except loop.Interrupted:
            print("asked to stop, and all is saved: resume with the same command")


def _train_one(run: building.Run, workdir: Workdir, stop: Callable[[], bool]) -> None:
    if grid.shared_out(run.settings.parallel) and run.settings.parallel != "auto":
        raise InputError(
            "parallel=replicas leaves all processes but one without work, as there is one training;"
            " expected parallel=data, or a sweep"
        )
    Devices(run.settings.parallel, 1, run.settings.batch_size)
    with hosts.in_turn("claim"):
        workdir.claim(run.config)
        workdir.lock()
        result = workdir.result()
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


def _train(run: building.Run, workdir: Workdir, stop: Callable[[], bool]) -> loop.Trained:
    name = run.task.targets[0]
    with tqdm(
        total=run.settings.epochs,
        unit="epoch",
        desc=run.config["model"]["name"],
        disable=not hosts.first(),
    ) as bar:

        def on_epoch(line: dict[str, Any]) -> None:
            bar.set_postfix(
                {
                    "loss": f"{line['loss']:.4f}",
                    f"validation MAE {name}": f"{line['validation_mae'][name]:.4f}",
                    "rows/s": f"{len(run.task.split.train) / line['seconds']:.0f}",
                },
                refresh=False,
            )
            bar.update()

        return loop.fit(
            run.model, run.task, run.settings, workdir, on_epoch, stop, initial=run.initial
        )


if __name__ == "__main__":
    cli.run(main)
