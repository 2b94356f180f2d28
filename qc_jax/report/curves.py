"""Training curves, and the skill of all models at a glance."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from qc_jax.data.targets import target as about
from qc_jax.report.gallery import rasterize
from qc_jax.report.layout import Picture
from qc_jax.report.style import GREY, HEAT, INK, colours, columns_of, marks, plain_ticks, style
from qc_jax.runs import results

_WITH_BANDS = 6  # models, at most, whose seeds are shown; more bands hide each other


def of_training(frame: pd.DataFrame, epochs: Callable[[str], list[dict[str, Any]]]) -> pd.DataFrame:
    """The validation errors of each epoch, in the middle of the seeds.

    Args:
      frame: the rows of one section.
      epochs: the lines of a training's metrics.jsonl.

    Returns:
      Columns `label`, `target`, `epoch`, `validation_mae` (mean over the seeds that got there) and
      `low`, `high` (the least and the largest), `seeds`. What has one epoch only, as models that
      are solved at once, is not in it.
    """
    found = []
    mine = frame[(frame.metric == "mae") & (frame.status == results.FINISHED)]
    for training, rows in mine.groupby("training", sort=False):
        lines = epochs(str(training))
        if len(lines) < 2:
            continue
        for label, target in zip(rows.label, rows.target, strict=True):
            if target not in lines[0]["validation_mae"]:
                continue  # the errors of forces are of the test structures alone
            errors = [line["validation_mae"][target] for line in lines]
            numbers = [line["epoch"] for line in lines]
            found.append(
                pd.DataFrame({"epoch": numbers, "mae": errors}).assign(label=label, target=target)
            )
    if not found:
        return pd.DataFrame()
    by = ["label", "target", "epoch"]
    groups = pd.concat(found).groupby(by, sort=False).mae
    return groups.agg(validation_mae="mean", low="min", high="max", seeds="size").reset_index()


def draw_training(name: str, title: str, found: pd.DataFrame, targets: Sequence[str]) -> Picture:
    """A panel a target, a line a model; a band spans the seeds.

    Args:
      name: of the picture's files.
      title: of the picture.
      found: what `of_training` gives.
      targets: those to draw.
    """
    chosen = found[found.target.isin(targets)]
    labels = sorted(set(chosen.label))
    colour, mark = colours(found.label.tolist()), marks(found.label.tolist())
    shown = [name for name in targets if name in set(chosen.target)]
    columns = columns_of(len(shown))
    rows = -(-len(shown) // columns)
    with style():
        figure = Figure(figsize=(10.5, 2.5 * rows + 0.3 + 0.22 * -(-len(labels) // 6)))
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for axis in axes[len(shown) :]:
            axis.set_axis_off()
        for axis, target in zip(axes, shown, strict=False):
            for label, line in chosen[chosen.target == target].groupby("label"):
                key = str(label)
                axis.plot(line.epoch, line.validation_mae, color=colour[key], ls=mark[key], lw=1.3)
                if len(labels) <= _WITH_BANDS and (line.seeds > 1).any():
                    axis.fill_between(
                        line.epoch, line.low, line.high, color=colour[key], alpha=0.15, lw=0
                    )
            axis.set_yscale("log")
            axis.set_title(f"{target} ({about(target).error_unit})")
            axis.set_xlabel("epoch")
            axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            plain_ticks(axis.yaxis)
        handles = [Line2D([], [], color=colour[one], ls=mark[one], label=one) for one in labels]
        figure.legend(handles=handles, loc="outside lower center", ncols=6)
        figure.set_layout_engine("constrained")
    return Picture(
        name,
        title,
        figure,
        chosen,
        caption="Validation MAE after each epoch" + _over_seeds(chosen, len(labels)),
        width=700,
    )


def _over_seeds(chosen: pd.DataFrame, lines: int) -> str:
    """Return the end of a caption: what a line is, and its band where there is one."""
    if not (chosen.seeds > 1).any():
        return ", one seed."
    alone = (chosen.groupby(["label", "target"]).seeds.max() == 1).any()
    words = ", mean over the seeds" + (" where there are several" if alone else "")
    return words + ("; the band spans them." if lines <= _WITH_BANDS else ".")


def draw_skill(
    name: str,
    found: pd.DataFrame,
    targets: Sequence[str],
) -> Picture | None:
    """A heat map of skill, a row a model, the best on top; None where there are no numbers.

    Args:
      name: of the picture's files.
      found: what `leaderboard.scores` gives.
      targets: the columns, in their order.
    """
    table = found.pivot_table(index="label", columns="target", values="skill")
    if table.empty:
        return None
    table = table.reindex(columns=[one for one in targets if one in table])
    table = table.loc[table.median(axis=1).sort_values(ascending=False).index]
    given = found.pivot_table(
        index="label", columns="target", values="leaked_by", aggfunc="first"
    ).reindex(index=table.index, columns=table.columns)
    values = table.to_numpy(float)
    with style():
        figure = Figure(figsize=(10.5, 1.5 + 0.27 * len(table)), layout="constrained")
        axis = figure.subplots()
        image = axis.imshow(np.clip(values, 0, 1), cmap=HEAT, vmin=0, vmax=1, aspect="auto")
        axis.grid(visible=False)
        axis.spines[:].set_visible(False)
        axis.tick_params(length=0)
        axis.set_xticks(range(table.shape[1]), table.columns, rotation=40, ha="left")
        axis.xaxis.tick_top()
        axis.set_yticks(range(len(table)), table.index)
        for (row, column), value in np.ndenumerate(values):
            if not np.isfinite(value):
                axis.text(column, row, "–", ha="center", va="center", color=GREY)
                continue
            mark = "†" if given.iat[row, column] else ""
            text = f"{value:.2f}".replace("-", "−") if value > -9.995 else "≪ 0"
            axis.text(
                *(column, row, text + mark),
                ha="center",
                va="center",
                fontsize=7.5,
                color="white" if value < 0.6 else "black",
            )
        bar = figure.colorbar(image, ax=axis, pad=0.01, fraction=0.02)
        bar.outline.set_visible(False)
        bar.ax.grid(visible=False)
        rasterize(bar)
        bar.ax.tick_params(colors=INK, length=0)
    data = table.reset_index()
    return Picture(
        name,
        "Skill at a glance",
        figure,
        data,
        caption="1 − MAE / MAE of the training median: 1 is perfect, 0 as good as the median. "
        "Models are ordered by their median over the targets that they were trained for. "
        "† The model's inputs leak the target.",
        width=900,
    )
