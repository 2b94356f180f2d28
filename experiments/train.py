"""Trains one model and scores it on the test rows.

    python -m experiments.train --config=experiments/configs/egnn.py --workdir=runs/egnn

The same command goes on where an interrupted run stopped. The work directory gets config.json,
metrics.jsonl, checkpoints/, result.json and parity.png.
"""

from typing import Any

from absl import flags
from ml_collections import config_flags
from tqdm import tqdm

from experiments import cli, runs, scoring
from qc_jax.report.tables import show_result
from qc_jax.train import loop
from qc_jax.train.parallel import Devices
from qc_jax.train.workdir import Workdir

_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "Experiment card, FILE.py or FILE.py:quick."
)
_WORKDIR = flags.DEFINE_string("workdir", None, "Where the run is kept.", required=True)
flags.mark_flag_as_required("config")


def main(_: list[str]) -> None:
    """Trains, scores, reports."""
    run = runs.from_config(_CONFIG.value.to_dict())
    Devices(run.settings.parallel, 1, run.settings.batch_size)
    workdir = Workdir(_WORKDIR.value)
    workdir.claim(run.config)
    result = workdir.result()
    if result is None:
        trained = _train(run, workdir)
        seconds = {
            "compile": trained.compile_seconds,
            "train": sum(line["seconds"] for line in trained.history),
        }
        result = scoring.score(run, trained.state, seconds, workdir.path / "parity.png")
        workdir.write_result(result)
    show_result(result)
    print(f"result.json and parity.png are in {workdir.path}")


def _train(run: runs.Run, workdir: Workdir) -> loop.Trained:
    name = run.task.targets[0]
    with tqdm(total=run.settings.epochs, unit="epoch", desc=run.config["model"]["name"]) as bar:

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

        return loop.fit(run.model, run.task, run.settings, workdir, on_epoch)


if __name__ == "__main__":
    cli.run(main)
