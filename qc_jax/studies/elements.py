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
    drawn: dict[str, list[str]] = {}
    for name in dict.fromkeys(frame.model):
        elements = ablation.random_elements(create(name))
        drawn.setdefault(f"{len(elements)} up to {elements[-1]}", []).append(name)
    words = (f"{which} ({', '.join(names)})" for which, names in drawn.items())
    print(f"random: of the elements that the model takes, {'; '.join(words)}")


STUDY = Study(rows, show, check=ablation.of_elements, trains=False)
