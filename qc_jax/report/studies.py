"""The studies: their numbers as tables, and the figures of those that have one."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from qc_jax.data.targets import ALL_TARGETS
from qc_jax.data.targets import target as about
from qc_jax.report import published_tables
from qc_jax.report.layout import Cell, Column, Picture, Table, spread
from qc_jax.report.style import GREY, HEAT, colours, columns_of, marks, plain_ticks, style
from qc_jax.runs import results

_TITLES = {
    "ood": "Out of distribution",
    "elements": "Without the right elements",
    "channels": "Channel importance",
    "modality": "Modalities",
    "resolution": "Canvas resolution",
    "learning_curve": "Learning curves",
    "regularisation": "What regularisation is worth",
    "leakage": "What a single input leaks",
    "transfer": "Transfer to larger structures",
    "uncertainty": "Ensembles and their intervals",
    "timing": "Inference time",
}
# What the columns of numbers are called; metrics that are not here are left to the CSV.
_METRICS = {
    "mae_in": "MAE in distribution",
    "mae": "MAE",
    "mae_member": "MAE of a member",
    "coverage_50": "within 50 % intervals",
    "coverage_80": "within 80 %",
    "coverage_95": "within 95 %",
    "half_width_80": "± (80 %)",
    "rank_correlation": "rank correlation of width and error",
    **{f"mae_quarter_{k}": f"MAE, quarter {k} of 4 by width" for k in (1, 2, 3, 4)},
    "gap": "gap",
    "mae_change": "MAE grows by",
    "mae_std": "deviation over repeats",
    "median_ae": "median error",
    "r2": "R²",
    "skill": "skill",
    "epochs_to_error": "epochs to half the median's error",
    "mae_difference": "MAE against scratch",
    "mae_difference_low": "from",
    "mae_difference_high": "to",
    "seeds_better": "seeds better",
    "ms_per_sample": "ms a structure",
    "samples_per_s": "structures/s",
}
AS_PUBLISHED = "-as_published"  # ends the names of those with the flaws of the published code


def ordered(names: Sequence[str]) -> list[str]:
    """Names of studies, the known ones first and in the order of the report."""
    known = list(_TITLES)

    def key(name: str) -> tuple[int, str]:
        base = name.removesuffix(AS_PUBLISHED)
        return (known.index(base) if base in known else len(known), name)

    return sorted(names, key=key)


def title(name: str) -> str:
    """What a study is called above its tables."""
    base = name.removesuffix(AS_PUBLISHED)
    flaws = ", with the flaws of the published code" if base != name else ""
    return _TITLES.get(base, base) + flaws


def table(name: str, frame: pd.DataFrame) -> Table:
    """A row a model, target, data, split and setting; a column a metric, mean ± std over seeds."""
    keys = ["model", "target", "data", "data_fingerprint", "split", "setting", "varied"]
    finished = _finished(frame)
    groups = finished.groupby([*keys, "metric"], sort=False, dropna=False)
    numbers = groups.agg(
        mean=("value", "mean"),
        std=("value", "std"),
        leaked=("leaked_by", "first"),
        unit=("unit", "first"),
    ).reset_index()
    metrics = [one for one in _METRICS if one in set(numbers.metric)]
    # A setting says what is varied, but for several sizes of training sets.
    told = len(frame[["setting", "varied"]].drop_duplicates()) == frame.setting.nunique()
    several = [key for key in keys[1:] if frame[key].nunique(dropna=False) > 1]
    shown = ["model", *(key for key in several if key != "varied" or not told)]
    rows = []
    for _, lines in numbers.groupby(keys, sort=False, dropna=False):
        first = lines.iloc[0]
        cells = [*(Cell(_word(first[one])) for one in shown), Cell(first.unit)]
        by_metric = lines.set_index("metric")
        for metric in metrics:
            if metric not in by_metric.index:
                cells.append(Cell("–", np.inf))
                continue
            line = by_metric.loc[metric]
            text = spread(line["mean"], line["std"])
            cells.append(Cell(text, line["mean"], leaked=metric == "mae" and bool(line.leaked)))
        rows.append(cells)
    heads = [Column(one, numeric=False) for one in (*shown, "unit")]
    return Table(
        *(f"study-{name}", f"{title(name)}: numbers"),
        [*heads, *(Column(_METRICS[one]) for one in metrics)],
        rows,
        caption="Mean ± deviation over the seeds.",
        folded=name.removesuffix(AS_PUBLISHED) in _PICTURES,
    )


def published_beside(name: str, frame: pd.DataFrame) -> Table | None:
    """The published numbers beside those of a study with the published flaws; None without."""
    if not name.endswith(AS_PUBLISHED):
        return None
    base = name.removesuffix(AS_PUBLISHED)
    return published_tables.study(f"study-{base}-published", base, title(base), _finished(frame))


def _word(value: Any) -> str:
    """Return a text, a number without needless digits, or 'all' for none."""
    return value if isinstance(value, str) else "all" if np.isnan(value) else f"{value:g}"


def missing(name: str, frame: pd.DataFrame) -> list[str]:
    """What a study has no numbers of, and why, a line a reason."""
    lost = frame[frame.status != results.FINISHED]
    lines = []
    for status, rows in lost.groupby("status", sort=False):
        names = list(dict.fromkeys(f"{row.training or row.model}" for row in rows.itertuples()))
        lines.append(f"{title(name)}: {len(names)} {status}: {', '.join(names)}")
    return lines


def picture(name: str, frame: pd.DataFrame) -> Picture | None:
    """The figure of a study; None where it has none, or nothing to draw."""
    draw = _PICTURES.get(name.removesuffix(AS_PUBLISHED))
    finished = _finished(frame)
    return draw(f"study-{name}", title(name), finished) if draw and len(finished) else None


def _finished(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[(frame.status == results.FINISHED) & frame.value.notna()]


def _means(frame: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Mean, least and largest value over the seeds of each group and metric."""
    groups = frame.groupby([*by, "metric"], sort=False).value
    return groups.agg(mean="mean", low="min", high="max", seeds="size").reset_index()


def _panels(
    found: pd.DataFrame,
    height: float,
    draw: Callable[[Axes, pd.DataFrame], None],
    share: bool = False,
    titles: Mapping[str, str] | None = None,
) -> Figure:
    """A panel a target, its models told below all of them.

    Args:
      found: rows with `target` and `model`.
      height: of a panel, inches.
      draw: what of a target's rows.
      share: whether all have the same vertical axis.
      titles: of panels by what stands in `target`, where these are no targets.
    """
    if titles is None:
        there = set(found.target)
        known = [name for name in ALL_TARGETS if name in there]
        titles = {name: f"{name} ({about(name).error_unit})" for name in known}
    shown = list(titles)
    columns = columns_of(len(shown))
    rows = -(-len(shown) // columns)
    with style():
        figure = Figure(figsize=(10.5, height * rows + 0.5), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False, sharey=share).ravel()
        for axis in axes[len(shown) :]:
            axis.set_axis_off()
        for axis, target in zip(axes, shown, strict=False):
            draw(axis, found[found.target == target])
            axis.set_title(titles[target])
        colour, mark = colours(found.model.tolist()), marks(found.model.tolist())
        handles = [
            Line2D(
                *([], []), color=color, marker="o", ms=4, ls="" if share else mark[one], label=one
            )
            for one, color in colour.items()
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=6)
    return figure


def _curves(
    name: str,
    heading: str,
    found: pd.DataFrame,
    x: str,
    words: str,
    caption: str = "Test MAE, mean over the seeds; the band spans them.",
    titles: Mapping[str, str] | None = None,
) -> Picture:
    """The mean by a number, a line a model."""
    colour, mark = colours(found.model.tolist()), marks(found.model.tolist())

    def draw(axis: Axes, rows: pd.DataFrame) -> None:
        for model, line in rows.sort_values(x).groupby("model"):
            key, at = str(model), line[x].astype(float)
            axis.plot(at, line["mean"], "o", ls=mark[key], color=colour[key], lw=1.3, ms=3.5)
            axis.fill_between(at, line.low, line.high, color=colour[key], alpha=0.15, lw=0)
        axis.set(xscale="log", yscale="log", xlabel=words)
        plain_ticks(axis.xaxis)
        plain_ticks(axis.yaxis)

    figure = _panels(found, 2.7, draw, titles=titles)
    return Picture(name, heading, figure, found, caption, width=700)


def _learning_curve(name: str, heading: str, frame: pd.DataFrame) -> Picture | None:
    mine = frame[(frame.metric == "mae") & frame.train_rows.notna()]
    found = _means(mine, ["model", "target", "train_rows"])
    return _curves(name, heading, found, "train_rows", "training rows") if len(found) else None


def _transfer(name: str, heading: str, frame: pd.DataFrame) -> Picture | None:
    """As learning curves, a line for an arm at its published rate or at its own best one."""
    mine = frame[frame.arm != ""]
    return _learning_curve(name, heading, mine.assign(model=mine.arm))


def _resolution(name: str, heading: str, frame: pd.DataFrame) -> Picture | None:
    mine = frame[(frame.metric == "mae") & frame.varied.notna()]
    found = _means(mine, ["model", "target", "varied"])
    return _curves(name, heading, found, "varied", "pixels along each side") if len(found) else None


def _uncertainty(name: str, heading: str, frame: pd.DataFrame) -> Picture | None:
    """The error by quarters of the test rows: a useful uncertainty has rising lines."""
    mine = frame[frame.metric.str.startswith("mae_quarter_")]
    if mine.empty:
        return None
    mine = mine.assign(quarter=mine.metric.str.removeprefix("mae_quarter_").astype(float))
    found = _means(mine.assign(metric="mae"), ["model", "target", "quarter"])
    caption = "Test MAE of each quarter of the rows, by the width of their intervals."
    return _curves(name, heading, found, "quarter", "quarter, the surest first", caption)


def _timing(name: str, heading: str, frame: pd.DataFrame) -> Picture | None:
    mine = frame[frame.metric.isin(list(_TIMED)) & frame.varied.notna()]
    if mine.empty:
        return None
    found = _means(mine.assign(target=mine.metric), ["model", "target", "varied"])
    device = mine.versions.str.extract(r"device ([^;]*)")[0].dropna().unique()
    caption = f"Predictions, compiled, on {' and '.join(device) or 'an unknown device'}."
    return _curves(name, heading, found, "varied", "structures in a batch", caption, _TIMED)


_TIMED = {"ms_per_sample": "Milliseconds a structure", "samples_per_s": "Structures a second"}


def _dots(
    name: str,
    heading: str,
    frame: pd.DataFrame,
    along: str,
    metrics: Sequence[str],
    caption: str,
    log: bool,
) -> Picture | None:
    """A line a value of `along` and a dot a model; two metrics are joined, the first is hollow."""
    found = _means(frame[frame.metric.isin(metrics)], ["model", "target", along])
    if found.empty:
        return None
    colour = colours(found.model.tolist())
    values = list(dict.fromkeys(found[along]))
    models = sorted(colour)
    # Models stand a little below each other, so that none hides another.
    step = 0.6 / max(len(models) - 1, 1)

    def draw(axis: Axes, rows: pd.DataFrame) -> None:
        for model, of_model in rows.groupby("model"):
            key = str(model)
            lift = step * models.index(key) - (0.3 if len(models) > 1 else 0)
            table = of_model.pivot_table(index=along, columns="metric", values="mean")
            table = table.reindex([value for value in values if value in table.index])
            places = np.array([values.index(value) for value in table.index]) + lift
            if len(metrics) > 1 and set(metrics) <= set(table):
                axis.hlines(places, *(table[one] for one in metrics), color=colour[key], lw=1)
                axis.plot(table[metrics[0]], places, "o", ms=4, mfc="none", color=colour[key])
            if metrics[-1] in table:
                axis.plot(table[metrics[-1]], places, "o", ms=4, color=colour[key])
        axis.set_yticks(range(len(values)), values)
        axis.set_ylim(len(values) - 0.5, -0.5)
        axis.grid(visible=False, axis="y")
        axis.hlines(
            np.arange(1, len(values)) - 0.5,
            0,
            1,
            GREY,
            alpha=0.2,
            lw=0.6,
            transform=axis.get_yaxis_transform(),
        )
        if log:
            axis.set_xscale("log")
            plain_ticks(axis.xaxis)

    figure = _panels(found, 0.6 + 0.26 * len(values), draw, share=True)
    return Picture(name, heading, figure, found, caption, width=820)


def _ood(name: str, heading: str, frame: pd.DataFrame) -> Picture | None:
    caption = (
        "Hollow: the MAE in distribution, on the validation rows; full: on the test rows, which "
        "are out of distribution for all splits but random and held_out_pairs. The line between "
        "them is the gap."
    )
    return _dots(name, heading, frame, "split", ("mae_in", "mae"), caption, log=True)


def _channels(name: str, heading: str, frame: pd.DataFrame) -> Picture | None:
    caption = (
        "What the test MAE grows by when each canvas gets this channel of another pair; mean over "
        "permutations and seeds. Groups of channels stand below the ten."
    )
    return _dots(name, heading, frame, "setting", ("mae_change",), caption, log=False)


def _elements(name: str, heading: str, frame: pd.DataFrame) -> Picture | None:
    caption = "Test MAE with the atomic numbers as they are (normal), and changed."
    return _dots(name, heading, frame, "setting", ("mae",), caption, log=True)


def _modality(name: str, heading: str, frame: pd.DataFrame) -> Picture | None:
    caption = (
        "Test MAE by what a model reads. Images, and bond lengths, leak some targets: the "
        "numbers say which."
    )
    return _dots(name, heading, frame, "setting", ("mae",), caption, log=True)


def _leakage(name: str, heading: str, frame: pd.DataFrame) -> Picture | None:
    mine = frame[frame.metric == "skill"]
    if mine.empty:
        return None
    found = mine.pivot_table(index="setting", columns="target", values="value", sort=False)
    found = found.reindex(columns=[one for one in ALL_TARGETS if one in found])
    known = mine.groupby(["setting", "target"]).leaked_by.first()
    with style():
        figure = Figure(figsize=(10.5, 1.5 + 0.3 * len(found)), layout="constrained")
        axis = figure.subplots()
        axis.imshow(found.clip(0, 1), cmap=HEAT, vmin=0, vmax=1, aspect="auto")
        axis.grid(visible=False)
        axis.spines[:].set_visible(False)
        axis.tick_params(length=0)
        axis.xaxis.tick_top()
        axis.set_xticks(range(found.shape[1]), found.columns, rotation=40, ha="left")
        axis.set_yticks(range(len(found)), found.index)
        for row, setting in enumerate(found.index):
            for column, target in enumerate(found.columns):
                value = found.iat[row, column]
                if not np.isfinite(value):
                    continue
                mark = "†" if known.get((setting, target)) else ""
                axis.text(
                    *(column, row, f"{value:.2f}".replace("-", "−") + mark),
                    ha="center",
                    va="center",
                    fontsize=7.5,
                    color="white" if value < 0.6 else "black",
                )
    caption = (
        "Skill of a linear model that reads this input alone: 1 is perfect, 0 as good as the "
        "training median. † The input is known to leak the target."
    )
    return Picture(name, heading, figure, found.reset_index(), caption, width=900)


_PICTURES: dict[str, Callable[[str, str, pd.DataFrame], Picture | None]] = {
    "ood": _ood,
    "channels": _channels,
    "elements": _elements,
    "modality": _modality,
    "learning_curve": _learning_curve,
    "transfer": _transfer,
    "resolution": _resolution,
    "leakage": _leakage,
    "timing": _timing,
    "uncertainty": _uncertainty,
}
