"""timing: milliseconds a structure and structures a second, in batches of 1 to 4096.

Predictions of models as their cards say, with the weights they start from, from a batch on the
device to numbers on the host. The batch sizes take turns, medians count.
"""

import functools
import operator
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track

from qc_jax import models
from qc_jax.data.batch import Batch
from qc_jax.runs import building, cards, grids, results
from qc_jax.studies import tables
from qc_jax.studies.asked import Asked, Study
from qc_jax.studies.turns import take_turns
from qc_jax.train.state import count_parameters

BATCHES = (1, 4, 16, 64, 256, 1024, 4096)
_SECONDS = 20.0  # after which no further round starts


def time_batches(
    model: models.Architecture, structures: Batch, sizes: Sequence[int], rounds: int
) -> tuple[int, dict[int, float]]:
    """Time predictions with the weights that the model starts from.

    Args:
      model: any.
      structures: N of them; a larger batch has some of them several times.
      sizes: of the batches, which take turns.
      rounds: at most; fewer where they would take long.

    Returns:
      The model's parameters, and the seconds by the size of the batch, medians over rounds.

    Raises:
      InputError: a structure that the model cannot take.
    """
    models.check(model, structures)
    # Jitted, or each operation of the model would be compiled by itself.
    first = jax.tree.map(lambda leaf: leaf[:1], structures)
    variables = jax.jit(model.init)(jax.random.key(0), first)

    @jax.jit
    def forward(variables: models.Variables, structures: Batch) -> jax.Array:
        with jax.default_matmul_precision("float32"):  # as `qc_jax.evaluate.predict`
            return models.apply(model, variables, structures)

    rows = {size: np.arange(size) % len(structures.positions) for size in sizes}
    batches = {
        size: jax.device_put(jax.tree.map(operator.itemgetter(chosen), structures))
        for size, chosen in rows.items()
    }

    def predict(size: int) -> np.ndarray:
        return np.asarray(forward(variables, batches[size]))

    work = {str(size): functools.partial(predict, size) for size in sizes}
    taken = take_turns(work, rounds, _SECONDS)
    medians = {size: float(np.median(taken[str(size)])) for size in sizes}
    return count_parameters(variables["params"]), medians


def rows(asked: Asked) -> list[dict[str, Any]]:
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
        structures = run.task.dataset.structures
        parameters, timed = time_batches(run.model, structures, BATCHES, asked.repeats)
        for batch, seconds in timed.items():
            own = shared | {"setting": f"batch {batch}", "varied": batch}
            own["parameters"] = parameters
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
        tables.show_means(frame, [metric], title, ("model", "parameters"), "setting")


STUDY = Study(
    rows,
    show,
    models=cards.names(),
    targets=("e_homo_ev",),
    seeds=(42,),
    needs_trainings=False,
    flaws=False,
)
