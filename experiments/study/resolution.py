"""resolution: models of the canvas, on canvases of 8 to 128 pixels along each side.

A canvas of any size holds the same numbers: what changes is what a network of fixed kernels and
patches makes of them. The size is a field of every card, --config.canvas_size.
"""

from typing import Any

import pandas as pd

from qc_jax.evaluate.importance import of_channels

from . import common

SIZES = (8, 16, 32, 64, 128)
_BENCHMARK = 32


def rows(asked: common.Asked) -> list[dict[str, Any]]:
    """Those of results.csv; `setting` is the size."""
    configs: dict[str, common.Wanted] = {}
    for size in SIZES:
        suffix = "" if size == _BENCHMARK else f"-canvas{size}"
        configs |= common.protocol(asked, f"{size} pixels", suffix, canvas_size=size)
    there, made = common.find(asked, configs)
    return made + [row for found in there for row in found.rows(asked.study)]


def show(frame: pd.DataFrame) -> None:
    """Errors and seconds by size."""
    title = "MAE on the test rows, by the canvas's size"
    common.show_means(frame, ["mae"], title, ("target", "model"), "setting")


STUDY = common.Study(
    rows,
    show,
    models=("tabular_mlp", "film_cnn"),
    targets=("e_homo_ev",),
    seeds=(42,),
    check=of_channels,
)
