"""elements: what a model's error becomes when its atomic numbers are put out of order.

On test rows only; --as-published scores all rows, those trained on included, as the published code
does, of the trainings of `modality --as-published`. `qc_jax.evaluate.ablation` says what each
setting is.
"""

from typing import Any

import pandas as pd

from qc_jax.evaluate import ablation
from qc_jax.models import create
from qc_jax.studies import tables, trainings
from qc_jax.studies.asked import Asked, Study


def rows(asked: Asked) -> list[dict[str, Any]]:
    """`mae`, its deviation over repeats `mae_std`, and `mae_change`, what it is above 'normal'."""
    return trainings.ablate(asked, ablation.of_elements, "normal")


def show(frame: pd.DataFrame) -> None:
    """Errors by setting."""
    title = "MAE with atomic numbers as they are, and changed"
    tables.show_means(frame, ["mae"], title, ("target", "model"), "setting")
    limits: dict[int, list[str]] = {}
    for name in dict.fromkeys(frame.model):
        limits.setdefault(ablation.last_random(create(name)), []).append(name)
    words = (f"{last} ({', '.join(names)})" for last, names in limits.items())
    print(f"random: from 1 to the last element of the model's tables, {'; '.join(words)}")


STUDY = Study(rows, show, check=ablation.of_elements, trains=False, classes=False)
