"""leakage: how well each target follows from each single input by a linear model.

The floor of triviality under every score: `skill` says which part of the training median's error an
input takes away, 1 for all. `leaked_by` names the inputs known to leak a target;
what is found beside them, or is not found, is told. `qc_jax.evaluate.leakage` says what the linear
models read.
"""

from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track

from qc_jax.data import splits
from qc_jax.data.targets import BENCHMARK_TARGETS, target
from qc_jax.errors import InputError
from qc_jax.evaluate import baselines, leakage, metrics, statistics
from qc_jax.runs import building, results
from qc_jax.studies import tables
from qc_jax.studies.asked import Asked, Study

_MODEL = "linear"  # that of the table's rows


def rows(asked: Asked) -> list[dict[str, Any]]:
    """Errors on the test rows of the random split, and `skill`, for each input."""
    inputs = leakage.inputs_of(asked.pairs)
    versions = results.of_versions(building.versions())
    made: list[dict[str, Any]] = []
    for seed in asked.seeds:
        fitted: dict[Any, leakage.Linear] = {}  # targets that have the same rows share them
        for name in track(
            asked.targets, f"seed {seed}", console=Console(stderr=True), transient=True
        ):
            split = splits.make_split("random", asked.pairs, (name,), seed)
            labels = asked.pairs.columns((name,)).astype(np.float32)
            for source, values in inputs.items():
                known = np.isfinite(values).all(axis=1)
                parts = {part: rows[known[rows]] for part, rows in split.parts().items()}
                key = (source, *(rows.tobytes() for rows in parts.values()))
                shared = {
                    "study": asked.study,
                    "model": _MODEL,
                    "data": asked.changes["data"],
                    "data_fingerprint": asked.fingerprint,
                    "split": "random",
                    "setting": source,
                    "seed": seed,
                    "target": name,
                    "unit": target(name).unit,
                    "leaked_by": " ".join(leakage.declared(name, source)),
                    "status": results.FINISHED,
                    **{f"{part}_rows": len(rows) for part, rows in parts.items()},
                    **versions,
                }
                y = {part: labels[rows, 0].astype(np.float64) for part, rows in parts.items()}
                try:
                    if key not in fitted:
                        fitted[key] = leakage.Linear(
                            {part: values[rows] for part, rows in parts.items()}
                        )
                    of_class = target(name).is_class
                    floor = fitted[key].score(y["train"], y["validation"], of_class)
                except InputError as error:
                    made.append(shared | {"metric": "mae", "status": str(error)})
                    continue
                median = baselines.training_median(labels[parts["train"]], len(y["test"]))
                errors = metrics.of_target(name, floor.predicted, y["test"])
                errors["mae_training_median"] = float(np.abs(median[:, 0] - y["test"]).mean())
                errors["skill"] = statistics.skill(errors["mae"], errors["mae_training_median"])
                shared["parameters"] = floor.parameters
                made += [shared | {"metric": key, "value": value} for key, value in errors.items()]
    return made


def show(frame: pd.DataFrame) -> None:
    """Skills, and where they disagree with what is known to leak a target."""
    title = "Skill of a linear model that reads one input (1 − MAE / MAE of the training median)"
    tables.show_means(frame, ["skill"], title, ("target",), "setting")
    skills = results.summary(frame, ("target", "setting"), "skill")
    found = skills["mean"] >= 1 - leakage.LEAKED
    for text, which in (
        ("leaks, as is known", found & (skills.leaked_by != "")),
        ("leaks, which is not known yet", found & (skills.leaked_by == "")),
        ("is known to leak, but not by a line", ~found & (skills.leaked_by != "")),
    ):
        for source, of_source in skills[which].groupby("setting", sort=False):
            print(f"{source} {text}: {', '.join(of_source.target)}")


STUDY = Study(rows, show, models=(), targets=BENCHMARK_TARGETS, needs_trainings=False, flaws=False)
