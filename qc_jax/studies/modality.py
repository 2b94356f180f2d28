"""modality: images alone, elements and bond length alone, images' statistics, and fusions.

Of data whose pairs have orbitals (ptbp, gfn2_xtb) the models of images are also trained on
densities, whose channels are all read: "…, densities". What these leak is another matter than what
the canvas does.
Trained by the cards' protocol; --as-published by theirs of this study: weights that start as
PyTorch's, 100 epochs without early stopping, gradients clipped at 1.0, labels scaled over all rows.
"""

from typing import Any

import pandas as pd

from qc_jax import models
from qc_jax.canvas import coefficients
from qc_jax.canvas.images import CANVAS, DENSITIES
from qc_jax.errors import InputError
from qc_jax.studies import tables, trainings
from qc_jax.studies.asked import TARGETS, Asked, Study

# What a model stands for.
MODALITIES: dict[str, str] = {
    "vision_only": "image",
    "vit": "image",
    "quantumshellnet": "image, with the sum of the elements",
    "geometry_only": "geometry",
    "tabular_mlp": "tabular",
    "tabular_transformer": "tabular",
    "multimodal": "fusion",
    "multimodal_v2": "fusion",
    "film_cnn": "fusion",
    "qsn_v2": "fusion",
}


def _check(model: Any) -> None:
    if "canvas" not in model.inputs and "positions" not in model.inputs:
        raise InputError("reads neither canvas nor positions: it is of no modality")


def rows(asked: Asked) -> list[dict[str, Any]]:
    """Those of results.csv; `setting` is the modality."""
    configs: dict[str, trainings.Wanted] = {}
    for name in asked.models:
        one = asked._replace(models=(name,))
        setting = MODALITIES.get(name, "geometry")
        configs |= trainings.protocol(one, setting)
        reads = CANVAS in models.create(name).inputs
        if reads and not asked.as_published and coefficients.available(asked.pairs):
            drawn = f"-{DENSITIES}"
            configs |= trainings.protocol(one, f"{setting}, {DENSITIES}", drawn, images=DENSITIES)
    return trainings.rows(asked, configs)


def show(frame: pd.DataFrame) -> None:
    """Errors by modality and model."""
    title = "MAE on the test rows, by what is read"
    tables.show_means(frame, ["mae"], title, ("setting", "model"), "target")


STUDY = Study(
    rows,
    show,
    models=("vision_only", "geometry_only", "tabular_mlp", "film_cnn", "qsn_v2", "multimodal_v2"),
    targets=TARGETS,
    seeds=(42,),
    check=_check,
)
