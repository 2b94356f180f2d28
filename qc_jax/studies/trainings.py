"""The trainings that a study needs, and the rows of its long table."""

import functools
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track

from qc_jax.data import files
from qc_jax.errors import InputError
from qc_jax.evaluate import ablation
from qc_jax.evaluate.predict import predict
from qc_jax.models import Architecture
from qc_jax.runs import building, grids, progress, results, sweep
from qc_jax.runs.config import RunConfig
from qc_jax.runs.loading import restore
from qc_jax.runs.workdir import Workdir
from qc_jax.studies.asked import Asked
from qc_jax.train import loop

NEVER = 10_000  # epochs without a better validation loss: no training stops early
# The protocol of the published studies, with the flaw of the published code. All ten channels are
# read: the published numbers of parameters are of such networks. The best weights are kept, though
# the published benchmark kept the last ones: with these total energies are further from theirs.
# No training stops early: what is published of the studies names 100 epochs and no patience, and
# with the benchmark's patience total energies came out twice as high as theirs.
_PUBLISHED: Mapping[str, Any] = {
    "init": "torch",
    "epochs": 100,
    "early_stopping_patience": NEVER,
    "grad_clip_norm": 1.0,
    "scale_on": "all",
}
AS_PUBLISHED = "as published"  # begins what `setting` says of a repeated flaw
_NOT_TRAINED = "not trained"


class Wanted(NamedTuple):
    """A training that a study needs: its configuration, and what its rows say of it."""

    config: dict[str, Any]
    setting: str = ""
    varied: float | None = None

    @property
    def about(self) -> dict[str, Any]:
        """Return the columns that the study fills."""
        return {"setting": self.setting, "varied": self.varied}


class Found(NamedTuple):
    """A training that has ended well."""

    name: str
    wanted: Wanted
    config: dict[str, Any]
    workdir: Workdir
    result: dict[str, Any]

    def shared(self, study: str) -> dict[str, Any]:
        """What its rows have in common."""
        about = sweep.about(self.name, self.config) | {"study": study, **self.wanted.about}
        return results.shared(about, self.result)

    def rows(self, study: str) -> list[dict[str, Any]]:
        """Those of results.csv."""
        return results.rows(self.shared(study), self.result)


def wanted(
    asked: Asked,
    setting: str = "",
    suffix: str = "",
    varied: float | None = None,
    model: Mapping[str, Any] | None = None,
    **changes: Any,
) -> dict[str, Wanted]:
    """Return the trainings of the asked models, targets and seeds, by name.

    Args:
      asked: by the user.
      setting: what the long table says of them.
      varied: the number that it says.
      suffix: to the benchmark's names, where they are not the benchmark's.
      model: changes of the model's fields.
      **changes: of the card's.
    """
    grid = grids.trainings(asked.models, asked.targets, asked.seeds, **{**asked.changes, **changes})
    return {
        name + suffix: Wanted(
            {**config, "model": {**config["model"], **(model or {})}}, setting, varied
        )
        for name, config in grid.items()
    }


def protocol(
    asked: Asked,
    setting: str = "",
    suffix: str = "",
    varied: float | None = None,
    **changes: Any,
) -> dict[str, Wanted]:
    """Return `wanted`, by the cards' protocol or, where asked for, by the published studies'."""
    if not asked.as_published:
        return wanted(asked, setting, suffix, varied, **changes)
    flaws = f"{AS_PUBLISHED}: labels scaled over all rows, no early stopping"
    published = {**_PUBLISHED, **asked.changes, **changes}  # --epochs goes before theirs
    setting = ", ".join(filter(None, (setting, flaws)))
    return wanted(asked, setting, suffix + "-as_published", varied, **published)


def find(asked: Asked, configs: Mapping[str, Wanted]) -> tuple[list[Found], list[dict[str, Any]]]:
    """The trainings that have ended well, those that were missing made; and rows for the others.

    Raises:
      InputError: a directory holds another training of that name.
    """
    there, missing = _look(asked, configs)
    new = [name for name, reason in missing.items() if reason == _NOT_TRAINED]
    if new and asked.train:
        print(f"{len(new)} of {len(configs)} trainings are missing: they are trained first")
        whole = with_mates(asked, {name: configs[name].config for name in new})
        made = sweep.Sweep(whole, asked.workdir.path, asked.stack)
        try:
            progress.train(made, asked.stop)
        except loop.Interrupted:
            print("asked to stop: what is not trained is marked")
        there, missing = _look(asked, configs)
    rows = []
    for name, reason in missing.items():
        config = _of_data(asked, configs[name].config)
        about = sweep.about(name, config) | {"study": asked.study, **configs[name].about}
        rows += [
            about | {"target": target, "metric": "mae", "status": reason}
            for target in RunConfig.from_dict(config).target_names
        ]
    return there, rows


def rows(asked: Asked, configs: Mapping[str, Wanted]) -> list[dict[str, Any]]:
    """Those of results.csv of trainings, made where they are missing; see `find`."""
    there, made = find(asked, configs)
    return made + [row for found in there for row in found.rows(asked.study)]


def _look(asked: Asked, configs: Mapping[str, Wanted]) -> tuple[list[Found], dict[str, str]]:
    """The trainings that have ended well, and of each other one the reason."""
    there, missing = [], {}
    for name, one in configs.items():
        workdir = Workdir(asked.workdir.path / "trainings" / name, writes=False)
        if not (workdir.path / "config.json").exists():
            missing[name] = _NOT_TRAINED
            continue
        config = _of_data(asked, one.config)
        whole = RunConfig.from_dict(config)
        workdir.claim(whole.to_dict(), whole.defaults)
        result, failure = workdir.result(), workdir.failure()
        if result is not None:
            there.append(Found(name, one, config, workdir, result))
        else:
            missing[name] = failure or _NOT_TRAINED
    return there, missing


def _of_data(asked: Asked, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration of a training with what it says of the data that were read."""
    return {**config, **building.fingerprints(asked.fingerprint, config.get("curves", ""))}


def with_mates(asked: Asked, configs: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Adds the trainings that have begun in one program with one of these: they go on together."""
    path = asked.workdir.path / "stacks.json"
    stacks = files.read_json(path) if path.exists() else []
    mates = {
        mate for stack in stacks if not configs.keys().isdisjoint(stack) for mate in stack
    } - configs.keys()
    whole = dict(configs)
    for mate in sorted(mates):
        config = Workdir(asked.workdir.path / "trainings" / mate).config()
        for fingerprint in ("data_fingerprint", "curves_fingerprint"):
            config.pop(fingerprint, None)
        whole[mate] = config
    return whole


Score = Callable[[Found, building.Run, Callable[..., np.ndarray]], list[dict[str, Any]]]


def evaluate(asked: Asked, configs: Mapping[str, Wanted], score: Score) -> list[dict[str, Any]]:
    """Rows that are made of each training's best weights.

    Args:
      asked: by the user.
      configs: the trainings.
      score: (training, its run, structures → predictions) → rows, without what all share.
    """
    there, rows = find(asked, configs)
    for found in track(there, "trainings", console=Console(stderr=True), transient=True):
        shared = found.shared(asked.study)
        lost = [
            shared | results.of_target(found.result, target) | {"metric": "mae"}
            for target in found.result["targets"]
        ]
        if asked.stop():
            rows += [row | {"status": "not evaluated: asked to stop"} for row in lost]
            continue
        run = building.from_config(found.config, asked.table)
        try:
            state = restore(found.workdir, run.model, run.config)
        except InputError as error:  # a damaged checkpoint is no reason to lose the others
            rows += [row | {"status": str(error)} for row in lost]
            continue
        ask = functools.partial(predict, run.model, state.best_variables, state.scaler)
        rows += [shared | row for row in score(found, run, ask)]
    return rows


def ablate(
    asked: Asked, changes_of: Callable[[Architecture], dict[str, ablation.Change]], plain: str
) -> list[dict[str, Any]]:
    """Rows of the errors under changes of the input, on test rows or, as published, on all.

    As published they are of trainings by the published studies' protocol, those of `modality`.

    Args:
      asked: by the user.
      changes_of: a model's changes by name, one of which is `plain`.
      plain: what the others are compared with in `mae_change`.
    """

    def score(found: Found, run: building.Run, predict: ablation.Predict) -> list[dict[str, Any]]:
        dataset, targets = run.task.dataset, run.task.targets
        if not asked.as_published:
            dataset = dataset.take(run.task.split.test)
        labels = np.asarray(dataset.labels)
        made, unchanged = [], np.full(len(targets), np.nan)
        changes = changes_of(run.model)
        for name in sorted(changes, key=lambda name: name != plain):
            own = {"setting": name}
            if asked.as_published:
                own["setting"] += f", {AS_PUBLISHED}: on all rows"
            change = {name: changes[name]}
            try:
                errors = ablation.errors(
                    predict, dataset.structures, labels, change, asked.repeats, targets=targets
                )[name]
            except InputError as error:  # what a model cannot take is no reason to lose the others
                errors = ablation.Errors(np.full((1, len(targets)), np.nan), 0)
                own["status"] = str(error)
            if errors.not_finite:
                own["status"] = f"{errors.not_finite} predictions are not finite"
            if name == plain:
                unchanged = errors.mae.mean(axis=0)
            for column, target in enumerate(targets):
                of = results.of_target(found.result, target) | own
                mae = errors.mae[:, column]
                values = {"mae": np.nan}
                if "status" not in own:
                    values["mae"] = mae.mean()
                    if name != plain:
                        values["mae_change"] = mae.mean() - unchanged[column]
                    if len(mae) > 1:
                        values["mae_std"] = mae.std(ddof=1)
                made += [of | {"metric": metric, "value": one} for metric, one in values.items()]
        return made

    return evaluate(asked, protocol(asked), score)


def write(asked: Asked, rows: Iterable[Mapping[str, Any]]) -> tuple[pd.DataFrame, Path]:
    """Writes the study's table as CSV and Parquet, and gives these rows and the path.

    Rows of other models, targets, … that an earlier run has written stay. What was not done gives
    way to what was, whichever came first.
    """
    name = asked.study + ("-as_published" if asked.as_published else "")
    path = asked.workdir.path / "studies" / f"{name}.csv"
    os.makedirs(path.parent, exist_ok=True)
    frame, key = results.table(rows), list(results.KEY[1:])  # it is of one study
    whole = frame
    if path.exists():
        before = results.read(path)
        again = before.set_index(key).index.isin(frame.set_index(key).index)
        kept = before[~again & ~_lost_but_in(before, frame)]
        new = frame[~_lost_but_in(frame, kept)]
        whole = results.table([*kept.to_dict("records"), *new.to_dict("records")])
    results.write(path, whole)
    results.write(path.with_suffix(".parquet"), whole)
    return frame, path


def _lost_but_in(rows: pd.DataFrame, others: pd.DataFrame) -> pd.Series:
    """Return whether each row is of a training that has no number here, and some in `others`."""
    key = ["training", "model", "target"]
    done, there = (
        frame.set_index(key).index[frame.status == results.FINISHED] for frame in (rows, others)
    )
    of = rows.set_index(key).index
    return pd.Series(of.isin(there) & ~of.isin(done), index=rows.index)
