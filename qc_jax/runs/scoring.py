"""What a model is worth on the test rows: the one evaluation of every script here."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from scipy import spatial

from qc_jax.canvas import images
from qc_jax.data.atoms import SAME_PLACE_ANG
from qc_jax.data.dataset import Dataset, Task
from qc_jax.data.scaling import total_offsets
from qc_jax.data.structures import Structures
from qc_jax.data.table import PairTable
from qc_jax.data.targets import leaking_inputs, target
from qc_jax.errors import InputError, expect
from qc_jax.evaluate import baselines, metrics, statistics
from qc_jax.evaluate.predict import predict, predict_forces
from qc_jax.evaluate.predictions import Predictions
from qc_jax.runs import building
from qc_jax.runs.sources import open_data
from qc_jax.runs.workdir import Workdir
from qc_jax.train import forces
from qc_jax.train.state import State, count_parameters

# Of the range of the labels, below which the range of predictions is called one constant.
_CONSTANT = 1e-3
_SEEN = "this model was trained or chosen on the"


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


def _class_intervals(probability: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """Return the ends of the intervals of what is told of classes."""
    found: dict[str, float] = {}
    for name in ("balanced_accuracy", "auroc"):
        ends = statistics.interval_of(getattr(metrics, name), probability, true)
        found |= dict(zip((f"{name}_low", f"{name}_high"), ends, strict=True))
    return found


class Judged(NamedTuple):
    """What predictions of the test rows are worth.

    Attributes:
      test: errors by target, as result.json has them.
      baselines: those of each rule that needs no model, likewise.
      predictions: of the test rows.
    """

    test: dict[str, dict[str, float]]
    baselines: dict[str, dict[str, dict[str, float]]]
    predictions: Predictions


def judge(
    task: Task, train: Dataset, test: Dataset, predicted: np.ndarray, additive: str = "pair_mean"
) -> Judged:
    """Errors of predictions on a task's test rows, with the baselines beside them.

    Args:
      task: what was learned.
      train: its training rows.
      test: its test rows.
      predicted: [M, T] of the test rows, without the task's offsets.
      additive: what the baseline of one constant an element is called.
    """
    train_numbers, train_labels, test_numbers, test_labels = jax.device_get(
        (train.structures.atomic_numbers, train.labels, test.structures.atomic_numbers, test.labels)
    )
    by_rule = {
        "training_median": baselines.training_median(train_labels, len(test_labels)),
        additive: baselines.pair_mean(train_numbers, train_labels, test_numbers),
    }

    def errors(predictions) -> dict[str, dict[str, float]]:
        found = {}
        for column, name in enumerate(task.targets):
            known = np.isfinite(test_labels[:, column])
            if not known.any():
                raise InputError(f"target {name}: expected test rows that have it, got none")
            true = test_labels[known, column]
            found[name] = metrics.of_target(name, predictions[known, column], true)
        return found

    true, shown = np.asarray(test_labels), predicted
    if task.offsets is not None and (any(task.offsets) or task.element_offsets):
        offsets = _taken_off(task, test_numbers)
        true, shown = (np.asarray(values, np.float64) + offsets for values in (true, predicted))
    predictions = Predictions(task.targets, task.names[task.split.test], true, shown)
    tested = errors(predicted)
    for column, name in enumerate(task.targets):
        wrong = predictions.errors(name)
        low, high = statistics.interval(wrong[np.isfinite(wrong)])
        tested[name] |= {"mae_low": low, "mae_high": high}
        known = np.isfinite(true[:, column])
        labels = true[known, column]
        if target(name).is_class:
            tested[name] |= _class_intervals(shown[known, column], labels)
        if np.ptp(shown[:, column]) < _CONSTANT * np.ptp(labels):
            tested[name]["constant"] = float(np.median(shown[:, column]))
    return Judged(tested, {rule: errors(found) for rule, found in by_rule.items()}, predictions)


def _taken_off(task: Task, numbers: np.ndarray) -> np.ndarray:
    """Return [M, T] what the labels of structures with atomic numbers [M, A] had taken off."""
    constant = np.array(task.offsets or np.zeros(len(task.targets)))
    return total_offsets(constant, task.element_offsets, numbers)


def score(
    run: building.Run,
    state: State,
    seconds: Mapping[str, float],
    offsets: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Scored:
    """Errors of the best weights on the test rows, with the baselines beside them.

    Args:
      run: the test rows are its task's.
      state: of its model, as trained or restored.
      seconds: what training took, 'compile' and 'train'; {} where nobody knows.
      offsets: atomic numbers [M, A] → [M, T], what the predictions of a model that was trained on
        other data get back; None is what the task's labels had taken off.
    """
    task = run.task
    train, test = (task.dataset.take(rows) for rows in (task.own_train, task.split.test))
    predicted = predict(run.model, state.best_variables, state.scaler, test.structures)
    if offsets is not None:
        numbers = np.asarray(test.structures.atomic_numbers)
        shift = offsets(numbers) - _taken_off(task, numbers)
        predicted = np.asarray(predicted, np.float64) + shift
    is_pairs = isinstance(run.table, PairTable)
    undefined = run.table.left_out if isinstance(run.table, PairTable) else {}
    judged = judge(task, train, test, predicted, "pair_mean" if is_pairs else "element_sum")

    result = {
        "model": run.config.model.name,
        "targets": task.targets,
        "units": {name: target(name).unit for name in task.targets},
        **about_data(run),
        "parameters": count_parameters(state.params),
        "epochs": int(state.epoch),
        "best_epoch": int(state.best_epoch),
        "test": judged.test,
        "baselines": judged.baselines,
        "leaked_by": {name: leaking_inputs(name, run.config.inputs) for name in task.targets},
        "left_out": {**undefined, **task.left_out},
        "seconds": dict(seconds),
        "versions": building.versions(),
        **({} if run.config.imported is None else {"imported": dict(run.config.imported)}),
    }
    if not is_pairs or task.notes:
        result |= {"rows": rows_are(run), "notes": list(task.notes)}
    if run.config.transfer is not None:
        transfer = dataclasses.asdict(run.config.transfer)
        result["transfer"] = {**transfer, "layer_lr": run.settings.layer_lr}
    if run.matched is not None:
        result["transfer"] |= {"taken": run.matched.taken, "not_taken": run.matched.left}
    if not forces.reason_against(run.model, task.targets, test.forces):
        _add_forces(result, run, state, train, test)
    return Scored(result, judged.predictions)


def rows_are(run: building.Run) -> str:
    """What the rows of a run's data are called."""
    if isinstance(run.table, PairTable):
        return "rows" if run.task.from_curves else "pairs"
    return "structures"


def _add_forces(
    result: dict[str, Any], run: building.Run, state: State, train: Dataset, test: Dataset
) -> None:
    """Adds the errors of the forces' components, as those of one more target.

    The baselines are the median of all components of the training forces, and no force at all,
    which is what a sum of constants has.
    """
    predicted = predict_forces(run.model, state.best_variables, state.scaler, test.structures)
    true, known = np.asarray(test.forces), np.asarray(train.forces)
    there = np.asarray(test.structures.atom_mask)
    name = forces.FORCES

    def errors(predicted) -> dict[str, float]:
        return metrics.regression(np.broadcast_to(predicted, true.shape)[there], true[there])

    each = np.abs(predicted - true)
    by_structure = np.array([row[mask].mean() for row, mask in zip(each, there, strict=True)])
    low, high = statistics.interval(by_structure)
    result["test"][name] = {**errors(predicted), "mae_low": low, "mae_high": high}
    result["units"][name] = target(name).unit
    result["leaked_by"][name] = ()
    median = np.median(known[np.asarray(train.structures.atom_mask)])
    result["baselines"]["training_median"][name] = errors(median)
    for rule in result["baselines"].keys() - {"training_median"}:
        result["baselines"][rule][name] = errors(np.float32(0))


def about_data(run: building.Run) -> dict[str, Any]:
    """The part of result.json that says which rows of what a run trains, validates and tests on."""
    split = run.task.split
    return {
        "dataset": run.config.data,
        "data_fingerprint": run.config.data_fingerprint,
        "seed": run.settings.seed,
        "split": run.config.split,
        "split_description": split.description,
        "split_sizes": {part: len(rows) for part, rows in split.parts().items()},
    }


def unseen(task: Task, known: Task) -> Task:
    """The task without those test rows that `known` trains or validates on.

    A pair is known by its name, a larger structure by its atoms: it is named by its file and row.

    Raises:
      InputError: no test row is left.
    """
    rows = np.concatenate([known.split.train, known.split.validation])
    test = task.split.test
    if isinstance(task.table, Structures) and isinstance(known.table, Structures):
        row_is, seen = "structure", _same_atoms(task, test, known, rows)
    else:
        row_is, seen = "pair", np.isin(task.names[test], known.names[rows])
    why = f"{_SEEN} {row_is}"
    if not seen.any():
        return task
    if seen.all():
        raise InputError(f"no test row is left: of all {len(test)} {row_is}s, {why}")
    split = dataclasses.replace(
        task.split,
        test=test[~seen],
        unused=np.concatenate([task.split.unused, test[seen]]),
        description=f"{task.split.description}; {seen.sum()} test rows left out: {why}",
    )
    left_out = dict.fromkeys(map(str, task.names[test[seen]]), why)
    return task._replace(split=split, left_out={**task.left_out, **left_out})


def _same_atoms(task: Task, rows: np.ndarray, known: Task, others: np.ndarray) -> np.ndarray:
    """Return [M] whether the structures of rows are among the others, up to `SAME_PLACE_ANG`."""
    there, found = _by_atoms(known, others), np.zeros(len(rows), bool)
    for atoms, (places, lengths) in _by_atoms(task, rows).items():
        if atoms in there:
            tree = spatial.cKDTree(there[atoms][1])
            apart, _ = tree.query(lengths, p=np.inf, distance_upper_bound=SAME_PLACE_ANG)
            found[places] = np.isfinite(apart)
    return found


def _by_atoms(task: Task, rows: np.ndarray) -> dict[Any, tuple[list[int], np.ndarray]]:
    """Return places among the rows and lengths, Å, those of cells, too, by what the atoms are."""
    table: Structures = task.table
    places = {str(name): place for place, name in enumerate(table.names)}
    kinds: dict[Any, tuple[list[int], list[np.ndarray]]] = {}
    for place, name in enumerate(task.names[rows]):
        record = table.read(table.source[places[str(name)]])
        given = [record["positions"], record.get("cell")]
        lengths = [np.ravel(np.asarray(each, float)) for each in given if each is not None]
        atoms = np.asarray(record["atomic_numbers"], np.int32).tobytes(), len(lengths)
        which, found = kinds.setdefault(atoms, ([], []))
        which.append(place)
        found.append(np.concatenate(lengths))
    return {atoms: (which, np.stack(found)) for atoms, (which, found) in kinds.items()}


def score_saved(run: Any, table: Any = None, **changes: Any) -> Scored:
    """Score a saved run on the test rows of its data, or of others.

    Args:
      run: What was trained.
      table: That of the run's data, where they have no name or moved.
      **changes: Other fields of its configuration, as `data` or `split`: then test rows that the
        model was trained or chosen on are left out.

    Raises:
      InputError: The data are gone or have changed, or no test row is left.
    """
    if table is not None:
        expect("table", table, (PairTable, Structures), "a table of the run's data")
        parts = building.from_config(run.config.without_curves(), table)
        if parts.config.data_fingerprint != run.config.data_fingerprint:
            raise InputError("table: expected the one that the run was trained on, got another")
    else:
        parts = run.parts()
    asked = parts
    if changes:
        # Curves are training rows, of which none is asked here.
        fields = {**run.config.without_curves().to_dict(), **changes}
        fields.pop("data_fingerprint", None)
        other_table = parts.table
        if not changes.keys().isdisjoint(("data", "data_dir")):
            other_table = open_data(fields["data"], fields["data_dir"])
        if isinstance(other_table, PairTable) and building.reads_canvas(run.model):
            drawn = images.parse(run.config.images)
            drawn.check(other_table, drawn.method_of(run.provenance))
        other = building.from_config(fields, other_table)
        asked = other._replace(task=unseen(other.task, known=parts.task))
    scored = score(asked, run.state, run.seconds, run.offsets if changes else None)
    if changes:
        scored.result["trained_on"] = about_data(parts)
    return scored
