"""Results: ONE long table, a row a number, from which tables, plots and reports are made."""

import os
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from qc_jax.data import files
from qc_jax.data.targets import ALL_TARGETS
from qc_jax.errors import InputError, choose
from qc_jax.evaluate.statistics import skill

# What a row says, beside the number: what was trained on what, how, and with which code. `setting`
# says in words how, `varied` is the number that a study varies (pixels, batch size, percent or
# training rows), and `arm` names what a study of transfer compares.
_KINDS = {
    **dict.fromkeys(("study", "training", "model", "data", "data_fingerprint", "split"), "text"),
    **{"setting": "text", "arm": "text", "varied": "number"},
    **dict.fromkeys(("train_rows", "validation_rows", "test_rows", "seed"), "count"),
    **{"target": "text", "unit": "text", "metric": "text", "value": "number"},
    **{"leaked_by": "text", "status": "text"},
    **dict.fromkeys(("lr", "weight_decay", "dropout"), "number"),
    **dict.fromkeys(("parameters", "epochs", "best_epoch"), "count"),
    **{"seconds": "number", "versions": "text", "commit": "text"},
}
COLUMNS = tuple(_KINDS)
BENCHMARK = "benchmark"  # the study that a training on its own is of
FINISHED = "finished"  # the status of a training that has not failed

# What tells the rows of one training, or of what stands for one, from those of another.
KEY = ("study", "training", "data", "model", "split", "setting", "varied", "target", "seed")

# Metrics of a training on its test rows; all but `r2` and `skill` are in the target's unit. The
# interval is that of `mae`, 95 % by bootstrap over test rows. Of classes `mae` is the part of the
# rows that is given the wrong one, and `CLASS_METRICS` are there instead of `rmse` to `r2`.
CLASS_METRICS = (
    *("accuracy", "balanced_accuracy", "balanced_accuracy_low", "balanced_accuracy_high"),
    *("auroc", "auroc_low", "auroc_high", "cross_entropy"),
)
METRICS = (
    *("mae", "mae_low", "mae_high", "rmse", "median_ae", "r2", "skill"),
    *("mae_training_median", "mae_pair_mean", "mae_element_sum"),
    *CLASS_METRICS,
    "constant",  # what all test rows are predicted to be, where that is so
)
# The metric of rows that stand for no training (their seed is missing): p of 'the best model of a
# target, whose row it is, is as good as the second', which `setting` names: 'against schnet'.
P_AGAINST_SECOND = "p_against_second"


def shared(about: Mapping[str, Any], result: Mapping[str, Any]) -> dict[str, Any]:
    """What all rows of one training have in common.

    Args:
      about: what its configuration tells: `training`, `seed`, `lr`, ….
      result: its result.json.
    """
    sizes = result["split_sizes"]
    return {
        **about,
        "study": about.get("study", BENCHMARK),
        "model": result["model"],
        "data": result["dataset"],
        "data_fingerprint": result["data_fingerprint"],
        "split": result["split"],
        **{f"{part}_rows": sizes[part] for part in ("train", "validation", "test")},
        "status": FINISHED,
        "parameters": result["parameters"],
        "epochs": result["epochs"],
        "best_epoch": result["best_epoch"],
        "seconds": result["seconds"].get("train"),
        **of_versions(result["versions"]),
    }


def of_versions(versions: Mapping[str, str]) -> dict[str, str]:
    """The columns that say with what code a number was made."""
    packages = (f"{name} {version}" for name, version in versions.items() if name != "commit")
    return {"versions": "; ".join(packages), "commit": versions.get("commit", "")}


def of_target(result: Mapping[str, Any], target: str) -> dict[str, Any]:
    """What the rows of one target of a result.json have in common."""
    return {
        "target": target,
        "unit": result["units"][target],
        "leaked_by": " ".join(result["leaked_by"][target]),
    }


def rows(about: Mapping[str, Any], result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of one training; see `shared`."""
    common = shared(about, result)
    found = []
    for target, errors in result["test"].items():
        baselines = {
            f"mae_{rule}": by_target[target]["mae"]
            for rule, by_target in result["baselines"].items()
        }
        values = {**errors, **baselines}
        values["skill"] = skill(values["mae"], values["mae_training_median"])
        own = of_target(result, target)
        found += [
            {**common, **own, "metric": name, "value": values[name]}
            for name in METRICS
            if name in values
        ]
    return found


def table(found: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows as a table with all `COLUMNS`; what a row does not say is empty or missing."""
    frame = pd.DataFrame(list(found), columns=list(COLUMNS))
    types = {"count": "Int64", "number": "float64"}
    frame = frame.astype({name: types[kind] for name, kind in _KINDS.items() if kind in types})
    texts = [name for name, kind in _KINDS.items() if kind == "text"]
    frame[texts] = frame[texts].astype(object).fillna("").astype(str)
    return frame


def write(path: str | os.PathLike, frame: pd.DataFrame) -> None:
    """Writes a table, whole or not at all, as CSV or, where the name ends in .parquet, Parquet.

    Parquet also keeps `frame.attrs`.

    Raises:
      InputError: it cannot be written.
    """
    with files.atomic_write(path) as partial:
        if os.fspath(path).endswith(".parquet"):
            frame.to_parquet(partial, index=False)
        else:
            frame.to_csv(partial, index=False)


def read(path: str | os.PathLike) -> pd.DataFrame:
    """What `write` wrote.

    Raises:
      InputError: it is not there, damaged, or not such a table.
    """
    path = os.fspath(path)
    if not path.endswith(".parquet"):
        files.read_csv(path)  # tells of lines with more or fewer fields
    try:
        if path.endswith(".parquet"):
            frame = pd.read_parquet(path)
        else:
            frame = pd.read_csv(path, keep_default_na=False, dtype=str)
        missing = [name for name in COLUMNS if name not in frame]
        if missing:
            raise InputError(f"{path}: expected a column {missing[0]}, got {', '.join(frame)}")
        for name, kind in _KINDS.items():
            if kind != "text":
                frame[name] = pd.to_numeric(frame[name])
        errors = frame.metric.str.contains("mae(?!_change|_difference)|rmse|median_ae")
        odd = np.isinf(frame.value) | (errors & (frame.value < 0))
        if odd.any():
            row = int(odd.to_numpy().argmax())
            words = f"{frame.metric.iloc[row]} {frame.value.iloc[row]}"
            raise InputError(f"{path}: row {row + 1}: no error can be {words}")
        for name in frame.target[frame.target != ""].unique():
            choose(f"target in {path}", name, ALL_TARGETS)
        own = frame[(frame.study == BENCHMARK) & (frame.status == FINISHED)]
        for name in own.metric.unique():
            choose(f"metric in {path}", name, (*METRICS, P_AGAINST_SECOND))
        for name, unit in own[["target", "unit"]].drop_duplicates().itertuples(index=False):
            expected = ALL_TARGETS[name].unit
            if unit != expected:
                raise InputError(f"{path}: expected {name} in {expected}, got {unit!r}")
        twice = frame.duplicated([*KEY, "metric"])
        if twice.any():
            row = int(twice.to_numpy().argmax())
            words = ", ".join(f"{name} {frame[name].iloc[row]}" for name in [*KEY[1:], "metric"])
            raise InputError(f"{path}: row {row + 1} is there twice: {words}")
        found = table(frame[list(COLUMNS)].to_dict("records"))
        found.attrs = frame.attrs
        return found
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; expected the results of a benchmark") from None
    except InputError:
        raise
    except (*files.DAMAGE, KeyError, TypeError) as error:
        raise InputError(f"{path}: expected a table of results: {error}") from error


def summary(frame: pd.DataFrame, by: Iterable[str], metric: str = "mae") -> pd.DataFrame:
    """Mean and deviation over the seeds of one metric, for trainings that finished.

    Args:
      frame: results.
      by: columns that tell the groups, in whose order they come.
      metric: one of `METRICS`.

    Returns:
      The columns of `by`, `unit`, `leaked_by`, `mean`, `std` (NaN for one seed), `seeds`.
    """
    chosen = frame[(frame.metric == metric) & (frame.status == FINISHED)]
    groups = chosen.groupby(list(by), sort=False, dropna=False)
    return groups.agg(
        unit=("unit", "first"),
        leaked_by=("leaked_by", "first"),
        mean=("value", "mean"),
        std=("value", lambda values: np.std(values, ddof=1) if len(values) > 1 else np.nan),
        seeds=("value", "size"),
    ).reset_index()
