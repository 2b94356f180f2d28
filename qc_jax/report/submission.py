"""Submissions: results of a model of somebody's, one JSON file, that a report shows beside ours.

The file holds what was predicted of every test pair, by seed. Whoever reads it knows the labels and
computes all scores anew, so a score that does not follow from the predictions is an error, and the
paired tests are those of any other model. docs/guides/submit.md has the format.
"""

import dataclasses
import functools
import hashlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qc_jax.data import files
from qc_jax.data.dataset import Task
from qc_jax.data.splits import SPLITS
from qc_jax.data.table import SHIPPED, PairTable, open_table
from qc_jax.data.targets import INPUTS, PAIR_TARGETS, leaking_inputs
from qc_jax.errors import NUMBER, InputError, choose, expect_fields, expect_schema
from qc_jax.evaluate import metrics
from qc_jax.evaluate.predictions import Predictions
from qc_jax.report import leaderboard
from qc_jax.report.layout import Cell, Column, Table
from qc_jax.report.source import Source
from qc_jax.runs import building, grids, results, scoring

FORMAT = "a submission to the leaderboard of qc_jax"
SCHEMA = 1
_NAME = re.compile(r"\w[\w.+-]{0,59}", re.ASCII)
# Of a score that was written with few digits, against what follows from the predictions.
_ROUNDED = 1e-3
_LARGEST = float(np.finfo(np.float32).max)
_MOST = 1e15  # of any count and any time
_TRAINING = {
    **{"seed": int, "split": str, "split_seed?": int, "split_fingerprint": str},
    **{"targets": [str], "missing_labels?": str, "units": {...: str}},
    **{"scores": {...: {...: NUMBER}}, "predicted": {...: {...: NUMBER}}},
    **{"parameters": int, "epochs": int, "best_epoch?": int, "seconds?": NUMBER},
    **{"lr?": NUMBER, "weight_decay?": NUMBER, "dropout?": NUMBER},
    **{"setting?": str, "versions?": {...: str}},
}
_FILE = {
    **{"format": str, "schema": int, "name": str, "authors?": str, "code": str},
    **{"data": str, "data_fingerprint": str, "model": {...: object}, "inputs": [str]},
    "trainings": [_TRAINING],
}


@dataclasses.dataclass(frozen=True)
class Entry:
    """A submission that has been checked.

    Attributes:
      path: of its file.
      name: that the tables show.
      authors: as they call themselves; '' where they don't.
      code: where the code that made it can be read.
      data: the table.
      rows: of the long table of results, all computed here.
      predictions: of each training, by its name.
    """

    path: str
    name: str
    authors: str
    code: str
    data: str
    rows: Sequence[Mapping[str, Any]]
    predictions: Mapping[str, Predictions]


def scores_of(target: str) -> tuple[str, ...]:
    """Return the scores that a submission tells of a target."""
    return metrics.CLASSIFICATION if PAIR_TARGETS[target].is_class else metrics.REGRESSION


def split_fingerprint(parts: Mapping[str, Iterable[str]]) -> str:
    """Return the first 16 hex digits of the SHA-256 of which pairs train, validate and test.

    Args:
      parts: the names of the pairs of 'train', 'validation' and 'test', in any order: a line a
        part, its name, a colon and the sorted names with blanks between.
    """
    lines = [f"{part}: {' '.join(sorted(parts[part]))}" for part in ("train", "validation", "test")]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def read(path: str | os.PathLike) -> Entry:
    """Return a submission with all its scores computed anew.

    Raises:
      InputError: it is not there, is none, or anything in it is wrong or missing.
    """
    return check(files.read_json(path), os.fspath(path))


def read_folder(path: str | os.PathLike) -> tuple[Entry, ...]:
    """Return the submissions of a folder, every .json in it, by name.

    Raises:
      InputError: as `read`, or there are none, or two of one name.
    """
    paths = sorted(Path(path).glob("*.json"))
    if not paths:
        raise InputError(f"{path}: expected a folder with submissions, NAME.json, got none")
    found: dict[str, Entry] = {}
    for each in map(read, map(str, paths)):
        if each.name in found:
            first = found[each.name].path
            raise InputError(f"{each.path}: name: {first} is called {each.name!r}, too")
        found[each.name] = each
    return tuple(found[name] for name in sorted(found))


def check(found: Any, where: str) -> Entry:
    """Return the entry that the content of a file is.

    Args:
      found: of JSON.
      where: what messages call it.

    Raises:
      InputError: anything in it is wrong or missing.
    """
    try:
        return _checked(found, where)
    except InputError as error:
        raise InputError(f"{where}: {str(error).removeprefix(': ')}") from error


def _checked(found: Any, where: str) -> Entry:
    expect_fields("", found, {"format": str, "schema": int})
    if found["format"] != FORMAT:
        raise InputError(f"format: expected {FORMAT!r}, got {found['format']!r:.60}")
    expect_schema("schema", found["schema"], SCHEMA)
    expect_fields("", found, _FILE)
    _no_others("field", found, _FILE)
    if not _NAME.fullmatch(found["name"]):
        raise InputError(f"name: expected up to 60 of A-Z a-z 0-9 _ . + -, got {found['name']!r}")
    for key in ("authors", "code"):
        _check_line(key, found.get(key, ""))
    if not found["code"].strip():
        raise InputError("code: expected where the code can be read, got nothing")
    choose("data", found["data"], SHIPPED)
    table = open_table(found["data"])
    if found["data_fingerprint"] != table.fingerprint():
        raise InputError(
            f"data_fingerprint: expected {table.fingerprint()}, of {found['data']} here, got "
            f"{found['data_fingerprint']!r:.60}"
        )
    for name in found["inputs"]:
        choose("input", name, INPUTS)
    shown, tasks = f"{found['name']} {leaderboard.SUBMITTED}", _Tasks(table)
    rows: list[dict[str, Any]] = []
    kept: dict[str, Predictions] = {}
    seeds: dict[tuple[str, str], list[int]] = {}
    for number, training in enumerate(found["trainings"], start=1):
        name = f"{shown} {number}"
        try:
            result, kept[name] = _judged(training, tasks)
        except InputError as error:
            raise InputError(f"training {number}, seed {training['seed']}: {error}") from error
        common = {key: training.get(key) for key in ("seed", "lr", "weight_decay", "dropout")}
        about = {"training": name, "setting": training.get("setting", ""), **common}
        inputs = found["inputs"]
        result |= {"model": shown, "dataset": found["data"]}
        result |= {"data_fingerprint": found["data_fingerprint"]}
        leaks = {target: leaking_inputs(target, inputs) for target in training["targets"]}
        rows += results.rows(about, result | {"leaked_by": leaks})
        for target in training["targets"]:
            seeds.setdefault((training["split"], target), []).append(training["seed"])
    _check_seeds(seeds)
    return Entry(
        path=where,
        **{key: found.get(key, "") for key in ("name", "authors", "code", "data")},
        rows=rows,
        predictions=kept,
    )


def _check_seeds(seeds: Mapping[tuple[str, str], Sequence[int]]) -> None:
    if not seeds:
        raise InputError("trainings: expected some, got none")
    for (split, target), there in seeds.items():
        if sorted(there) != sorted(grids.SEEDS):
            asked, got = (", ".join(map(str, each)) for each in (grids.SEEDS, sorted(there)))
            raise InputError(f"{target}, split {split}: expected the seeds {asked}, got {got}")


def _judged(training: Mapping[str, Any], tasks: "_Tasks") -> tuple[dict[str, Any], Predictions]:
    """Return a training's result, as result.json holds it, and its predictions."""
    _no_others("field", training, _TRAINING)
    for key in ("parameters", "epochs", "best_epoch", "seconds", "lr", "weight_decay", "dropout"):
        value = training.get(key)
        if value is not None and not 0 <= value <= _MOST:
            raise InputError(f"{key}: expected 0 to {_MOST:.0e}, got {value!r:.60}")
    for key, text in {
        "setting": training.get("setting", ""),
        **training.get("versions", {}),
    }.items():
        _check_line(key, text)
    if training.get("best_epoch", 0) > training["epochs"]:
        raise InputError(
            f"best_epoch: expected at most {training['epochs']}, the epochs, got "
            f"{training['best_epoch']}"
        )
    for target in training["targets"]:
        choose("target", target, PAIR_TARGETS)
        expect_fields("units", training["units"], {target: str})
        unit, expected = training["units"][target], PAIR_TARGETS[target].unit
        if unit != expected:
            raise InputError(f"units: expected {target} in {expected}, got {unit!r:.60}")
    choose("split", training["split"].partition(":")[0], SPLITS)
    task = tasks.of(
        tuple(training["targets"]),
        training["split"],
        training.get("split_seed", training["seed"]),
        training.get("missing_labels", "drop"),
    )
    names = {part: task.names[rows].tolist() for part, rows in task.split.parts().items()}
    if training["split_fingerprint"] != split_fingerprint(names):
        raise InputError(
            f"split_fingerprint: expected {split_fingerprint(names)}, of {training['split']} here, "
            f"got {training['split_fingerprint']!r:.60}: other pairs were trained, validated or "
            "tested on"
        )
    train, test = (task.dataset.take(rows) for rows in (task.split.train, task.split.test))
    known = np.isfinite(np.asarray(test.labels))
    predicted = np.full(known.shape, np.nan, np.float32)
    for column, target in enumerate(task.targets):
        rows = known[:, column]
        expected_names = np.array(names["test"])[rows].tolist()
        predicted[rows, column] = _column(target, training["predicted"], expected_names)
    judged = scoring.judge(task, train, test, predicted)
    for target in task.targets:
        scores = scores_of(target)
        expect_fields("scores", training["scores"], {target: {one: NUMBER for one in scores}})
        for score, told in training["scores"][target].items():
            choose(f"score of {target}", score, scores)
            follows = judged.test[target][score]
            if not np.isclose(_float32(told), follows, rtol=_ROUNDED, atol=1e-9):
                raise InputError(
                    f"scores: {target}: expected {score} {follows:.6g}, which follows from the "
                    f"predictions, got {told!r:.60}"
                )
    return {
        "split": training["split"],
        "split_sizes": {part: len(rows) for part, rows in names.items()},
        "units": training["units"],
        **{key: training[key] for key in ("parameters", "epochs")},
        "best_epoch": training.get("best_epoch"),
        "seconds": {"train": training.get("seconds")},
        "versions": training.get("versions", {}),
        "test": judged.test,
        "baselines": judged.baselines,
    }, judged.predictions


def _column(target: str, given: Mapping[str, Any], names: Sequence[str]) -> np.ndarray:
    """Return the predictions of the named pairs [M], float32."""
    expect_fields("predicted", given, {target: {...: NUMBER}})
    there = given[target]
    for missing, words in (
        ([name for name in names if name not in there], "expected a prediction of"),
        ([name for name in there if name not in set(names)], "no test pair with this label is"),
    ):
        if missing:
            more = f" and {len(missing) - 1} more" if missing[1:] else ""
            raise InputError(f"predicted: {target}: {words} {missing[0]}{more}")
    values = np.array([_float32(there[name]) for name in names], np.float32)
    if not np.isfinite(values).all():
        name = names[int(np.argmin(np.isfinite(values)))]
        raise InputError(
            f"predicted: {target}: expected a finite number for {name}, got {there[name]!r:.60}"
        )
    return values


def _float32(value: float | None) -> float:
    """Return a number of JSON; NaN where a float32 can't hold it."""
    return value if value is not None and abs(value) < _LARGEST else np.nan


def _check_line(key: str, text: str) -> None:
    if len(text) > 300 or not text.isprintable():
        raise InputError(f"{key}: expected a line of up to 300 characters, got {text!r:.60}")


def _no_others(what: str, found: Mapping[str, Any], kind: Mapping[Any, Any]) -> None:
    for key in found:
        choose(what, key, [name.removesuffix("?") for name in kind])


class _Tasks:
    """The tasks of a table, each made once."""

    def __init__(self, table: PairTable):
        self._table = table
        self.of = functools.cache(self._of)

    def _of(self, targets: tuple[str, ...], split: str, seed: int, missing_labels: str) -> Task:
        return building.prepare(self._table, targets, split, seed, missing_labels=missing_labels)


def added(own: Source, entries: Sequence[Entry]) -> Source:
    """Return results with the rows and predictions of entries beside its own."""
    more = [row for entry in entries for row in entry.rows]
    kept = {name: one for entry in entries for name, one in entry.predictions.items()}
    frame = results.table([*own.frame[list(results.COLUMNS)].to_dict("records"), *more])
    return dataclasses.replace(own, frame=frame, submitted={**own.submitted, **kept})


def table(entries: Sequence[Entry]) -> Table:
    """Return who handed in what: a row an entry."""
    rows = []
    for entry in entries:
        frame = results.table(entry.rows)
        seeds = ", ".join(map(str, sorted(frame.seed.unique())))
        words = (entry.name, entry.authors or "–", entry.code, entry.data)
        rows.append([*map(Cell, words), Cell(str(frame.target.nunique())), Cell(seeds)])
    heads = ("entry", "by", "code", "data", "targets", "seeds")
    return Table(
        *("submissions", "Submitted results"),
        [Column(head, numeric=head == "targets") for head in heads],
        rows,
        caption="Scores and intervals are computed here, of the predictions that were handed in.",
    )
