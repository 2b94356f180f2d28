"""regularisation: what each ingredient of the tight-binding network's training is worth to a model.

Each is changed alone, all else as in the model's card: taken away where the card has it, added
where it has not. The tests' rows are the same in all.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from qc_jax.runs import grids
from qc_jax.studies import tables, trainings
from qc_jax.studies.asked import Asked, Study

PLAIN = "as in the card"
CURVES = "labels of curves"
# Ingredient → the fields of a card without it, and with it.
INGREDIENTS: dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {
    "embedding noise": ({"embedding_noise": 0.0}, {"embedding_noise": 0.5}),
    "averaged weights": ({"average_decay": 0.0}, {"average_decay": 0.995}),
    "cosine schedule": ({"schedule": "reduce_on_plateau"}, {"schedule": "cosine"}),
    "weight decay": (
        {"optimizer": "adam", "weight_decay": 0.0},
        {"optimizer": "adamw", "weight_decay": 0.1},
    ),
    "targets together": (
        {"targets": "", "missing_labels": "drop", "scale_by": "range"},
        {"missing_labels": "mask", "scale_by": "residual"},
    ),
}


def rows(asked: Asked) -> list[dict[str, Any]]:
    """Those of results.csv; `setting` is the ingredient that was added or taken away."""
    configs: dict[str, trainings.Wanted] = {}
    for name in asked.models:
        one = asked._replace(models=(name,))
        configs |= trainings.protocol(one, PLAIN)
        card = {**grids.card(name), **asked.changes}
        for ingredient, (without, added) in _ingredients(asked).items():
            # All of the first are there in the card, or it is no ingredient of its.
            lacks = all(card[field] == value for field, value in without.items())
            changes = dict(added if lacks else without)
            if lacks and ingredient == "targets together":
                changes["targets"] = ",".join(asked.targets)
            word = "with" if lacks else "without"
            suffix = f"-{word}_{ingredient.replace(' ', '_')}"
            configs |= trainings.protocol(one, f"{word} {ingredient}", suffix, **changes)
    return trainings.rows(asked, configs)


def _ingredients(asked: Asked) -> dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Return the ingredients; labels of curves are one where there are some."""
    if not asked.curves:
        return INGREDIENTS
    return {**INGREDIENTS, CURVES: ({"curves": ""}, {"curves": asked.curves})}


def show(frame: pd.DataFrame) -> None:
    """Errors by what was changed."""
    title = "MAE on the test rows, each ingredient of the training added or taken away alone"
    tables.show_means(frame, ["mae"], title, ("target", "model"), "setting")


STUDY = Study(
    rows,
    show,
    models=("gcn", "schnet", "egnn", "geometry_only"),
    targets=("e_g_ev", "e_homo_ev", "e_lumo_ev"),
)
