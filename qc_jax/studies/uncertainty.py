"""uncertainty: ensembles, and whether the intervals that they give hold the labels.

For each seed of a split --members trainings differ in their own seed; the first is the benchmark's.
Rows: the error of the mean beside that of a member, the share of test labels within intervals of
50, 80 and 95 % (`qc_jax.runs.ensemble`), their widths, and the error by quarters of the test rows,
from the surest to the least sure.
"""

import re
from typing import Any

import pandas as pd

from qc_jax.errors import InputError
from qc_jax.runs import results
from qc_jax.runs.ensemble import Ensemble
from qc_jax.runs.loading import load
from qc_jax.studies import tables, trainings
from qc_jax.studies.asked import TARGETS, Asked, Study

METRICS = (
    *("mae", "mae_member", "coverage_50", "coverage_80", "coverage_95", "half_width_80"),
    *("rank_correlation", "mae_quarter_1", "mae_quarter_4"),
)
_APART = 1000  # between the seeds of members


def rows(asked: Asked) -> list[dict[str, Any]]:
    """Those of every ensemble; a training that is missing leaves its ensemble out."""
    first = trainings.wanted(asked)
    configs = dict(first)
    for name, one in first.items():
        seed = one.config["seed"]
        for k in range(1, asked.members):
            own = {**one.config, "seed": seed + _APART * k, "split_seed": seed}
            configs[f"{name}-member{k}"] = trainings.Wanted(own)
    there, missing = trainings.find(asked, configs)
    found = {one.name: one for one in there}
    # One of an ensemble, by its name, so that those of the ensemble take its place later.
    lost: dict[tuple[str, str], dict[str, Any]] = {}
    for row in missing:
        name = re.sub(r"-member\d+$", "", row["training"])
        lost.setdefault((name, row["target"]), row | {"training": name})
    made = list(lost.values())
    for name in first:
        members = [found.get(name if k == 0 else f"{name}-member{k}") for k in range(asked.members)]
        whole = [one for one in members if one is not None]
        if len(whole) < asked.members:
            continue
        shared = whole[0].shared(asked.study) | {"setting": f"ensemble of {asked.members}"}
        try:
            scored = Ensemble([load(one.workdir.path) for one in whole]).score()
        except InputError as error:
            made.append(shared | {"metric": "mae", "status": str(error)})
            continue
        for target, of in scored["test"].items():
            own = shared | results.of_target(whole[0].result, target)
            values = {key: value for key, value in of.items() if isinstance(value, float)}
            made += [own | {"metric": metric, "value": value} for metric, value in values.items()]
    return made


def show(frame: pd.DataFrame) -> None:
    """Errors, coverages and errors by how sure the ensemble is."""
    title = "Ensembles: MAE, share of labels within intervals, MAE of the surest quarter and last"
    tables.show_means(frame, METRICS, title, ("target", "model"), "metric")


STUDY = Study(
    rows,
    show,
    models=("tight_binding",),
    targets=TARGETS,
    seeds=(42,),
    flaws=False,
    classes=False,
)
