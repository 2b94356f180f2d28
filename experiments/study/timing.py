"""timing: milliseconds a structure and structures a second, in batches of 1 to 4096.

Predictions of models as their cards say, with the weights they start from, from a batch on the
device to numbers on the host. The batch sizes take turns, medians count.
"""

from typing import Any

import pandas as pd
from rich.console import Console
from rich.progress import track

from qc_jax.evaluate.batch_timing import time_batches
from qc_jax.runs import building, results

from .. import grids
from . import common

BATCHES = (1, 4, 16, 64, 256, 1024, 4096)


def rows(asked: common.Asked) -> list[dict[str, Any]]:
    """`ms_per_sample` and `samples_per_s`; `setting` is the batch."""
    made: list[dict[str, Any]] = []
    versions = results.of_versions(building.versions())
    for name in track(asked.models, "models", console=Console(stderr=True), transient=True):
        config = {**grids.card(name), **asked.changes}
        run = building.from_config({**config, "target": asked.targets[0]}, asked.table)
        shared = {
            "study": asked.study,
            "model": name,
            "data": config["data"],
            "data_fingerprint": asked.fingerprint,
            "status": results.FINISHED,
            **versions,
        }
        if asked.stop():
            made.append(shared | {"metric": "ms_per_sample", "status": "not timed: asked to stop"})
            continue
        timing = time_batches(run.model, run.task.dataset.structures, BATCHES, asked.repeats)
        for batch, seconds in timing.seconds.items():
            own = shared | {"setting": f"batch {batch}", "parameters": timing.parameters}
            made.append(
                own | {"metric": "ms_per_sample", "unit": "ms", "value": 1e3 * seconds / batch}
            )
            made.append(own | {"metric": "samples_per_s", "unit": "1/s", "value": batch / seconds})
    return made


def show(frame: pd.DataFrame) -> None:
    """Milliseconds and rates by batch."""
    for metric, title in (
        ("ms_per_sample", "Milliseconds a structure"),
        ("samples_per_s", "Structures a second"),
    ):
        common.show_means(frame, [metric], title, ("model", "parameters"), "setting")


STUDY = common.Study(
    rows,
    show,
    models=grids.cards(),
    targets=("e_homo_ev",),
    seeds=(42,),
    needs_trainings=False,
    flaws=False,
)
