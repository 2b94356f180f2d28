"""The studies: their numbers as tables, and the figures of those that have one."""

from collections.abc import Callable

import matplotlib
import numpy as np
import pandas as pd

from qc_jax.data.targets import TARGETS
from qc_jax.data.targets import target as about
from qc_jax.report import results
from qc_jax.report.layout import Cell, Column, Picture, Table, spread
from qc_jax.report.style import colours, marks, plain_ticks, style

matplotlib.use("Agg")
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

TITLES = {
    "ood": "Out of distribution",
    "elements": "Without the right elements",
    "channels": "Channel importance",
    "modality": "Modalities",
    "resolution": "Canvas resolution",
    "learning_curve": "Learning curves",
    "giveaway": "The floor of triviality",
    "timing": "Inference time",
}
_HIDDEN = ("mae_training_median", "mae_pair_mean", "mae_low", "mae_high")


def table(name: str, frame: pd.DataFrame) -> Table:
    """A row a model, target, data, split and setting; a column a metric, mean ± std over seeds."""
    keys = ["model", "target", "data", "data_fingerprint", "split", "setting"]
    finished = frame[frame.status.isin(("", results.FINISHED))]
    groups = finished.groupby([*keys, "metric"], sort=False).value
    numbers = groups.agg(mean="mean", std="std", count="size").reset_index()
    metrics = [one for one in dict.fromkeys(numbers.metric) if one not in _HIDDEN]
    shown = ["model", "target", *(key for key in keys[2:] if frame[key].nunique() > 1)]
    shown = [key for key in shown if key in ("model", "target") or key in shown]
    given = finished.groupby(keys, sort=False).given_away_by.first()
    units = finished.groupby(keys, sort=False).unit.first()
    rows = []
    for key, lines in numbers.groupby(keys, sort=False):
        words = dict(zip(keys, key, strict=True))
        cells = [Cell(str(words[one])) for one in shown]
        cells.append(Cell(str(units[key])))
        by_metric = lines.set_index("metric")
        for metric in metrics:
            if metric not in by_metric.index:
                cells.append(Cell("–", np.inf))
                continue
            line = by_metric.loc[metric]
            mean, std = float(line["mean"]), float(line["std"])
            cells.append(
                Cell(spread(mean, std), mean, given_away=bool(given[key]) and metric == "mae")
            )
        rows.append(cells)
    heads = [Column(one, numeric=False) for one in (*shown, "unit")]
    failed = frame[~frame.status.isin(("", results.FINISHED))]
    rest = "; ".join(
        dict.fromkeys(f"{x.model}, {x.target}: {x.status}" for x in failed.itertuples())
    )
    return Table(
        *(
            f"study-{name}",
            TITLES.get(name, name),
            [*heads, *(Column(one) for one in metrics)],
            rows,
        ),
        caption="Mean ± deviation over the seeds." + (f" Failed: {rest}." if rest else ""),
        folded=name in _PICTURES,
    )


def picture(name: str, frame: pd.DataFrame) -> Picture | None:
    """The figure of a study; None where it has none, or nothing to draw."""
    finished = frame[frame.status.isin(("", results.FINISHED))]
    draw = _PICTURES.get(name)
    return draw(finished) if draw is not None and len(finished) else None


def _learning_curve(frame: pd.DataFrame) -> Picture | None:
    mine = frame[frame.metric == "mae"].dropna(subset=["train_rows"])
    if mine.empty:
        return None
    by = ["model", "target", "train_rows"]
    found = mine.groupby(by).value.agg(mae="mean", low="min", high="max", seeds="size")
    found = found.reset_index()
    shown = [name for name in TARGETS if name in set(found.target)]
    labels = sorted(set(found.model))
    colour, mark = colours(labels), marks(labels)
    columns = min(len(shown), 4)
    rows = -(-len(shown) // columns)
    with style():
        figure = Figure(figsize=(10.5, 2.7 * rows + 0.5), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for axis in axes[len(shown) :]:
            axis.set_axis_off()
        for axis, target in zip(axes, shown, strict=False):
            for model, line in found[found.target == target].groupby("model"):
                key = str(model)
                x = line.train_rows.astype(float)
                axis.plot(x, line.mae, "o", ls=mark[key], color=colour[key], lw=1.3, ms=3.5)
                axis.fill_between(x, line.low, line.high, color=colour[key], alpha=0.15, lw=0)
            axis.set(xscale="log", yscale="log", xlabel="training rows")
            axis.set_title(f"{target} ({about(target).unit})")
            plain_ticks(axis.xaxis)
            plain_ticks(axis.yaxis)
        handles = [
            Line2D([], [], color=colour[x], ls=mark[x], marker="o", ms=3.5, label=x) for x in labels
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=6)
    return Picture(
        *("learning-curves", "Test MAE by the number of training rows", figure, found),
        caption="Mean over the seeds; the band spans them.",
        width=700,
    )


_PICTURES: dict[str, Callable[[pd.DataFrame], Picture | None]] = {
    "learning_curve": _learning_curve,
}
