"""What a model is worth on the test rows: the one evaluation of every script here."""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments import runs
from qc_jax.data.dataset import Task
from qc_jax.data.targets import given_away, target
from qc_jax.errors import InputError
from qc_jax.evaluate import baselines, metrics, statistics
from qc_jax.evaluate.predict import predict
from qc_jax.evaluate.predictions import Predictions
from qc_jax.report.parity import plot_parity
from qc_jax.train.state import State, count_parameters
from qc_jax.train.workdir import Workdir

_SEEN = "this model was trained or chosen on the pair"


class Scored(NamedTuple):
    """What a model is worth.

    Attributes:
      result: what result.json holds.
      predictions: of the test rows.
    """

    result: dict[str, Any]
    predictions: Predictions

    def write(self, workdir: Workdir) -> None:
        """Writes predictions.npz, then result.json: the run is finished."""
        if workdir.writes:
            self.predictions.write(workdir.path / "predictions.npz")
        workdir.write_result(self.result)


def score(
    run: runs.Run,
    state: State,
    seconds: Mapping[str, float],
    parity: str | os.PathLike | None = None,
) -> Scored:
    """Errors of the best weights on the test rows, with the baselines beside them.

    Args:
      run: the test rows are its task's.
      state: of its model, as trained or restored.
      seconds: what training took, 'compile' and 'train'; {} where nobody knows.
      parity: where the parity plot goes; None draws none.
    """
    task = run.task
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

    predictions = Predictions(
        task.targets, task.names[task.split.test], np.asarray(test_labels), predicted
    )
    tested = errors(predicted)
    for name in task.targets:
        low, high = statistics.interval(predictions.errors(name))
        tested[name] |= {"mae_low": low, "mae_high": high}

    model, data, split = run.config["model"]["name"], run.config["data"], run.config["split"]
    if parity is not None:
        plot_parity(
            parity,
            task.targets,
            predicted,
            test_labels,
            task.names[task.split.test].tolist(),
            f"{model} on {data}, split {split}: {len(test_labels)} test pairs",
        )
    result = {
        "model": model,
        "targets": task.targets,
        "units": {name: target(name).unit for name in task.targets},
        **about_data(run),
        "parameters": count_parameters(state.params),
        "epochs": int(state.epoch),
        "best_epoch": int(state.best_epoch),
        "test": tested,
        "baselines": {rule: errors(predictions) for rule, predictions in by_rule.items()},
        "given_away_by": {name: given_away(name, run.model.inputs) for name in task.targets},
        "left_out": {**run.table.left_out, **task.left_out},
        "seconds": dict(seconds),
        "versions": runs.versions(),
        **({"imported": run.config["imported"]} if "imported" in run.config else {}),
    }
    return Scored(result, predictions)


def about_data(run: runs.Run) -> dict[str, Any]:
    """The part of result.json that says which rows of what a run trains, validates and tests on."""
    split = run.task.split
    return {
        "dataset": run.config["data"],
        "data_fingerprint": run.config["data_fingerprint"],
        "seed": run.settings.seed,
        "split": run.config["split"],
        "split_description": split.description,
        "split_sizes": {part: len(rows) for part, rows in split.parts().items()},
    }


def unseen(task: Task, known: Task) -> Task:
    """The task without those test rows whose pairs `known` trains or validates on.

    Raises:
      InputError: no test row is left.
    """
    rows = np.concatenate([known.split.train, known.split.validation])
    test = task.split.test
    seen = np.isin(task.names[test], known.names[rows])
    if not seen.any():
        return task
    if seen.all():
        raise InputError(f"no test row is left: of all {len(test)} pairs, {_SEEN}")
    split = dataclasses.replace(
        task.split,
        test=test[~seen],
        unused=np.concatenate([task.split.unused, test[seen]]),
        description=f"{task.split.description}; {seen.sum()} test rows left out: {_SEEN}",
    )
    left_out = dict.fromkeys(map(str, task.names[test[seen]]), _SEEN)
    return task._replace(split=split, left_out={**task.left_out, **left_out})
