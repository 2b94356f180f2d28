"""learning_curve: errors of models that learn from a part of the training rows.

The parts are nested: with the same seed a smaller one has no row that a larger one has not.
Validation and test rows are those of the benchmark.
"""

from typing import Any

import pandas as pd

from qc_jax.studies import tables, trainings
from qc_jax.studies.asked import MODELS, TARGETS, Asked, Study

FRACTIONS = (0.1, 0.2, 0.4, 0.6, 0.8, 1.0)


def rows(asked: Asked) -> list[dict[str, Any]]:
    """Those of results.csv; `setting` is the part, `train_rows` how many rows it is."""
    configs: dict[str, trainings.Wanted] = {}
    for fraction in FRACTIONS:
        percent = f"{100 * fraction:.0f}"
        suffix = "" if fraction == 1 else f"-train{percent}"
        configs |= trainings.protocol(
            asked, f"{percent} %", suffix, 100 * fraction, train_fraction=fraction
        )
    return trainings.rows(asked, configs)


def show(frame: pd.DataFrame) -> None:
    """Errors by the part of the training rows."""
    title = "MAE on the test rows, by the part of the training rows that is used"
    tables.show_means(frame, ["mae"], title, ("target", "model"), "setting")


STUDY = Study(
    rows,
    show,
    models=MODELS,
    targets=TARGETS,
    seeds=(42,),
)
