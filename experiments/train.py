"""Trains one model and scores it on the test rows.

    python -m experiments.train --config=experiments/configs/egnn.py --workdir=runs/egnn

The same command goes on where an interrupted run stopped. The work directory gets config.json,
metrics.jsonl, checkpoints/, result.json and parity.png.
"""

from typing import Any

import jax
from absl import flags
from ml_collections import config_flags
from tqdm import tqdm

from experiments import cli, runs
from qc_jax.data.targets import given_away, target
from qc_jax.evaluate import baselines, metrics
from qc_jax.evaluate.predict import predict
from qc_jax.report.parity import plot_parity
from qc_jax.report.tables import show_result
from qc_jax.train import loop, parallel
from qc_jax.train.state import count_parameters
from qc_jax.train.workdir import Workdir

_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "Experiment card, FILE.py or FILE.py:quick."
)
_WORKDIR = flags.DEFINE_string("workdir", None, "Where the run is kept.", required=True)
flags.mark_flag_as_required("config")


def main(_: list[str]) -> None:
    """Trains, scores, reports."""
    run = runs.from_config(_CONFIG.value.to_dict())
    parallel.local_devices(run.settings.batch_size)
    workdir = Workdir(_WORKDIR.value)
    workdir.claim(run.config)
    result = workdir.result()
    if result is None:
        result = _score(run, _train(run, workdir), workdir)
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


def _score(run: runs.Run, trained: loop.Trained, workdir: Workdir) -> dict[str, Any]:
    """Errors on the test rows, with the baselines beside them; draws parity.png."""
    task, state = run.task, trained.state
    test = task.dataset.take(task.split.test).structures
    predicted = predict(run.model, state.best_variables, state.scaler, test)
    numbers, labels = jax.device_get((task.dataset.structures.atomic_numbers, task.dataset.labels))
    train_numbers, train_labels = numbers[task.split.train], labels[task.split.train]
    test_numbers, test_labels = numbers[task.split.test], labels[task.split.test]
    by_rule = {
        "training_median": baselines.training_median(train_labels, len(test_labels)),
        "pair_mean": baselines.pair_mean(train_numbers, train_labels, test_numbers),
    }

    def errors(predictions) -> dict[str, dict[str, float]]:
        return {
            name: metrics.regression(predictions[:, column], test_labels[:, column])
            for column, name in enumerate(task.targets)
        }

    model, data, split = run.config["model"]["name"], run.config["data"], run.config["split"]
    plot_parity(
        workdir.path / "parity.png",
        task.targets,
        predicted,
        test_labels,
        task.names[task.split.test].tolist(),
        f"{model} on {data}, split {split}: {len(test_labels)} test pairs",
    )
    return {
        "model": model,
        "dataset": data,
        "data_fingerprint": run.config["data_fingerprint"],
        "targets": task.targets,
        "units": {name: target(name).unit for name in task.targets},
        "seed": run.settings.seed,
        "split": split,
        "split_description": task.split.description,
        "split_sizes": {part: len(rows) for part, rows in task.split.parts().items()},
        "parameters": count_parameters(state.params),
        "epochs": int(state.epoch),
        "best_epoch": int(state.best_epoch),
        "test": errors(predicted),
        "baselines": {rule: errors(predictions) for rule, predictions in by_rule.items()},
        "given_away_by": {name: given_away(name, run.model.inputs) for name in task.targets},
        "left_out": {**run.table.left_out, **task.left_out},
        "seconds": {
            "compile": trained.compile_seconds,
            "train": sum(line["seconds"] for line in trained.history),
        },
        "versions": runs.versions(),
    }


if __name__ == "__main__":
    cli.run(main)
