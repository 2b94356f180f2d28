"""resolution: models of the canvas, on canvases of 8 to 128 pixels along each side.

A canvas of any size holds the same numbers: what changes is what a network of fixed kernels and
patches makes of them. The size is a field of every card, --config.canvas_size.

No training stops early here. Two thirds of the gaps are zero, so that the error of a constant is
low: a model of the gap first spends some 10 to 20 epochs at the median's error, and the published
patience of 10 epochs ends some of the trainings there and others not, whatever the size.
"""

from typing import Any

import pandas as pd

from qc_jax.evaluate.importance import of_channels
from qc_jax.studies import tables, trainings
from qc_jax.studies.asked import Asked, Study

SIZES = (8, 16, 32, 64, 128)


def rows(asked: Asked) -> list[dict[str, Any]]:
    """Those of results.csv; `setting` is the size."""
    configs: dict[str, trainings.Wanted] = {}
    for size in SIZES:
        fields = {"canvas_size": size, "early_stopping_patience": trainings.NEVER}
        configs |= trainings.protocol(asked, f"{size} pixels", f"-canvas{size}", size, **fields)
    return trainings.rows(asked, configs)


def show(frame: pd.DataFrame) -> None:
    """Errors by size."""
    title = "MAE on the test rows, by the canvas's size"
    tables.show_means(frame, ["mae"], title, ("target", "model"), "setting")


STUDY = Study(
    rows,
    show,
    models=("tabular_mlp",),
    targets=("e_g_ev", "e_homo_ev"),
    check=of_channels,
)
