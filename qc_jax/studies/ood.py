"""ood: errors in and out of the distribution that was trained on, for each rule of splitting.

For every training the long table has `mae`, the test error, out of the distribution for all splits
but 'random' and 'held_out_pairs'; `mae_in`, the error on the validation rows of the same training,
which are drawn at random from the pairs that training rows are drawn from; and their `gap`. The
validation rows choose the epoch, so that their error is a little too small: the gaps of 'random'
and 'held_out_pairs', where nothing is out of distribution, show by how much.

Trained by the cards' protocol; --as-published by theirs of these studies: weights that start as
PyTorch's, 100 epochs without early stopping, gradients clipped at 1.0, labels scaled over all rows.
"""

from typing import Any

import pandas as pd

from qc_jax.runs import results
from qc_jax.studies import tables, trainings
from qc_jax.studies.asked import MODELS, TARGETS, Asked, Study

SPLITS = (
    *("random", "held_out_pairs", "by_period", "by_type", "by_electronegativity"),
    *("by_bond_distance", "by_period_difference", "held_out_elements"),
)


def rows(asked: Asked) -> list[dict[str, Any]]:
    """Those of results.csv for each split, and `mae_in` and `gap`."""
    configs: dict[str, trainings.Wanted] = {}
    for split in SPLITS:
        configs |= trainings.protocol(asked, split=split)
    there, made = trainings.find(asked, configs)
    for found in there:
        shared = found.shared(asked.study)
        made += found.rows(asked.study)
        lines = found.workdir.history(found.result["epochs"])
        line = lines[found.result["best_epoch"] - 1]
        for target, inside in line["validation_mae"].items():
            own = shared | results.of_target(found.result, target)
            tested = found.result["test"][target]["mae"]
            values = {"mae_in": inside, "gap": tested - inside}
            made += [own | {"metric": metric, "value": value} for metric, value in values.items()]
    return made


def show(frame: pd.DataFrame) -> None:
    """Errors in and out of distribution, and gaps."""
    title = "MAE in distribution (validation rows), on the test rows, and the gap between them"
    tables.show_means(
        frame, ("mae_in", "mae", "gap"), title, ("target", "model", "split"), "metric"
    )


STUDY = Study(
    rows,
    show,
    models=MODELS,
    targets=TARGETS,
    seeds=(42,),
)
