"""Predicted against true, as a picture."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib import figure

from qc_jax.data import files
from qc_jax.data.targets import target
from qc_jax.evaluate import metrics
from qc_jax.evaluate.predictions import Predictions


def draw_classes(axis: Any, name: str, true: np.ndarray, probability: np.ndarray) -> None:
    """Draw how many rows of each class get which probability of being of class 1.

    Args:
      axis: of Matplotlib.
      name: of the target.
      true: [M], 0 or 1.
      probability: [M].
    """
    counts = [probability[true == one] for one in (0, 1)]
    labels = [f"{name} 0", f"{name} 1"]
    axis.hist(counts, bins=np.linspace(0, 1, 21), stacked=True, color=["C1", "C0"], label=labels)
    axis.axvline(0.5, color="0.6", linewidth=1)
    wrong = metrics.classification(probability, true)
    words = f"accuracy {wrong['accuracy']:.3g}, AUROC {wrong['auroc']:.3g}"
    axis.set_title(f"{name}, {words}", fontsize=10)
    axis.set_xlabel("predicted probability of 1")
    axis.set_ylabel("test rows")
    axis.legend()


def plot_scored(
    path: str | os.PathLike, result: Mapping[str, Any], predictions: Predictions
) -> None:
    """Write a PNG with a panel a target; the three worst rows of each are named.

    Args:
      path: of the PNG.
      result: what a training's result.json holds.
      predictions: of its test rows.
    """
    targets, names, true, predicted = predictions
    columns = min(len(targets), 4)
    rows = -(-len(targets) // columns)
    page = figure.Figure(figsize=(4.2 * columns, 4.4 * rows), layout="constrained")
    title = "{model} on {dataset}, split {split}".format_map(result)
    tested = f"{result['split_sizes']['test']} test {result.get('rows', 'pairs')}"
    page.suptitle(f"{title}: {tested}")
    axes = page.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes[len(targets) :]:
        axis.set_axis_off()
    for column, (axis, name) in enumerate(zip(axes, targets, strict=False)):
        known = np.isfinite(true[:, column])
        if target(name).is_class:
            draw_classes(axis, name, true[known, column], predicted[known, column])
            continue
        x, y, shown = true[known, column], predicted[known, column], np.asarray(names)[known]
        ends = (min(x.min(), y.min()), max(x.max(), y.max()))
        axis.plot(ends, ends, color="0.6", linewidth=1, zorder=1)
        axis.scatter(x, y, s=9, alpha=0.5, linewidths=0, zorder=2)
        for row in np.argsort(np.abs(y - x))[-3:]:
            axis.annotate(
                shown[row],
                (x[row], y[row]),
                textcoords="offset points",
                xytext=(4, 4),
                fontsize=7,
            )
        axis.set_title(f"{name}, MAE {np.abs(y - x).mean():.3g} {target(name).unit}", fontsize=10)
        axis.set_xlabel(f"true ({target(name).unit})")
        axis.set_ylabel(f"predicted ({target(name).unit})")
        axis.set_aspect("equal", adjustable="datalim")
    with files.atomic_write(path) as partial:
        page.savefig(partial, format="png", dpi=130)
