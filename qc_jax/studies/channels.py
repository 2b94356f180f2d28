"""channels: permutation importance of the canvas's ten channels, and of groups of them.

On test rows only; --as-published scores all rows, those trained on included, of the trainings of
`modality --as-published`. A channel's importance is `mae_change`, what the mean absolute error
grows by when each canvas gets that channel of another one.
"""

from typing import Any

import pandas as pd

from qc_jax.evaluate import importance
from qc_jax.studies import tables, trainings
from qc_jax.studies.asked import Asked, Study


def rows(asked: Asked) -> list[dict[str, Any]]:
    """`mae`, its deviation over permutations `mae_std`, and `mae_change`."""
    return trainings.ablate(asked, importance.of_channels, importance.NOTHING)


def show(frame: pd.DataFrame) -> None:
    """Importance of each channel and group, a column a model."""
    title = "What the MAE grows by when a channel is another pair's"
    tables.show_means(frame, ["mae_change"], title, ("target", "setting"), "model")


STUDY = Study(rows, show, check=importance.of_channels, trains=False)
