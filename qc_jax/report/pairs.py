"""Which pairs a model gets wrong: predicted against true, and errors over the periodic table."""

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from qc_jax.chem.elements import Element, element
from qc_jax.data.targets import target as about
from qc_jax.report.gallery import rasterize
from qc_jax.report.layout import Picture, number
from qc_jax.report.parity import draw_classes
from qc_jax.report.style import ACCENT, GREY, HEAT, INK, plain_ticks, style

_NAMED = 3  # worst rows named in the figure; a table names more


def by_pair(errors: pd.DataFrame) -> pd.DataFrame:
    """Means over the seeds that tested a pair, worst first.

    Args:
      errors: what `leaderboard.pair_errors` gives.

    Returns:
      Columns `name`, `true`, `predicted`, `error`, `seeds`.
    """
    found = errors.groupby("name", sort=False).agg(
        true=("true", "mean"),
        predicted=("predicted", "mean"),
        error=("error", "mean"),
        seeds=("seed", "nunique"),
    )
    return found.sort_values("error", ascending=False, kind="stable").reset_index()


def by_element(pairs: pd.DataFrame) -> pd.DataFrame:
    """The mean error of the pairs that an element is in.

    Returns:
      Columns `element`, `error`, `pairs`, in the order of the atomic numbers.
    """
    lines = [
        {"element": symbol, "error": error}
        for name, error in zip(pairs.name, pairs.error, strict=True)
        for symbol in set(name.split("_"))
    ]
    found = pd.DataFrame(lines).groupby("element").error.agg(error="mean", pairs="size")
    order = sorted(found.index, key=lambda symbol: element(symbol).atomic_number)
    return found.loc[order].reset_index()


def draw_parity(
    name: str, target: str, label: str, errors: pd.DataFrame, row: str = "pair"
) -> Picture:
    """Predicted against true; the worst rows are named. Of a class, how sure each one is.

    Args:
      name: of the picture's files.
      target: what is predicted.
      label: of the model.
      errors: what `leaderboard.pair_errors` gives.
      row: what a row of the data is called.
    """
    pairs, of_class = by_pair(errors), about(target).is_class
    with style():
        figure = Figure(figsize=(4.6, 4.2), layout="constrained")
        axis = figure.subplots()
        if of_class:
            draw_classes(axis, target, errors.true.to_numpy(), errors.predicted.to_numpy())
        else:
            named = pairs[:_NAMED]
            if row == "pair":
                named = named.assign(name=named.name.astype(str).str.replace("_", "–"))
            _draw_numbers(axis, target, errors, named)
    return Picture(
        name,
        f"{target}: " + ("probabilities" if of_class else "predicted against true"),
        figure,
        pairs,
        caption=f"{label}, {len(errors)} predictions of {len(pairs)} test {row}s, all seeds.",
        width=320,
        data_name=f"{name}-pairs",
    )


def _draw_numbers(axis: Axes, target: str, errors: pd.DataFrame, named: pd.DataFrame) -> None:
    unit = about(target).unit
    ends = [
        min(errors.true.min(), errors.predicted.min()),
        max(errors.true.max(), errors.predicted.max()),
    ]
    axis.plot(ends, ends, color=GREY, lw=1, zorder=1)
    axis.scatter(
        errors.true,
        errors.predicted,
        s=11,
        alpha=0.55,
        color=ACCENT,
        linewidths=0,
        zorder=2,
        rasterized=True,
    )
    middle = sum(ends) / 2
    for line in named.itertuples():
        right = line.true > middle
        axis.annotate(
            str(line.name),
            (line.true, line.predicted),
            textcoords="offset points",
            xytext=(-5 if right else 5, 4),
            ha="right" if right else "left",
            fontsize=8,
        )
    axis.set_xlabel(f"true {target} ({unit})")
    axis.set_ylabel(f"predicted ({unit})")
    axis.set_aspect("equal", adjustable="datalim")


def _norm(values: np.ndarray) -> Normalize:
    """Logarithmic from the 2nd to the 98th percentile; linear where there is nothing between."""
    finite = values[np.isfinite(values) & (values > 0)]
    low, high = np.percentile(finite, [2, 98]) if len(finite) else (0.0, 1.0)
    if low > 0 and high > 1.5 * low:
        return LogNorm(low, high, clip=True)
    return Normalize(0, high if high > 0 else 1.0, clip=True)


def _bar(figure: Figure, image, axis, label: str) -> None:
    bar = figure.colorbar(image, ax=axis, pad=0.02, fraction=0.03, aspect=30)
    bar.outline.set_visible(False)
    bar.ax.grid(visible=False)
    rasterize(bar)
    bar.set_label(label)
    if isinstance(image.norm, LogNorm):
        plain_ticks(bar.ax.yaxis)


def _place(one: Element) -> tuple[float, float]:
    """Column and row in the long table's short form: the f block stands below."""
    if one.group is not None:
        return one.group, one.period
    first = 57 if one.period == 6 else 89
    return 3 + one.atomic_number - first, one.period + 2.1


def draw_elements(name: str, target: str, label: str, errors: pd.DataFrame) -> Picture:
    """The mean error over the pairs of each element, on the periodic table."""
    found, unit = by_element(by_pair(errors)), about(target).error_unit
    norm, colours = _norm(found.error.to_numpy(float)), colormaps[HEAT]
    with style():
        figure = Figure(figsize=(10.5, 5.0), layout="constrained")
        axis = figure.subplots()
        axis.set_axis_off()
        for line in found.itertuples():
            x, y = _place(element(str(line.element)))
            share = float(norm(line.error))
            colour = "white" if share < 0.6 else "black"
            axis.add_patch(
                Rectangle((x - 0.47, y - 0.47), 0.94, 0.94, facecolor=colours(share), lw=0)
            )
            axis.text(x, y - 0.14, line.element, ha="center", va="center", color=colour, size=10)
            axis.text(
                *(x, y + 0.25, number(line.error, 2)),
                ha="center",
                va="center",
                color=colour,
                size=6.5,
            )
        rows = [_place(element(str(symbol)))[1] for symbol in found.element]
        axis.set(xlim=(0.4, 18.6), ylim=(max(rows) + 0.6, 0.4), aspect="equal")
        image = ScalarMappable(norm, HEAT)
        _bar(figure, image, axis, f"MAE ({unit})")
    return Picture(
        name,
        f"{target}: error by element",
        figure,
        found,
        caption=f"{label}. Mean absolute error of the test pairs that hold the element.",
        width=680,
    )


def draw_matrix(name: str, target: str, label: str, errors: pd.DataFrame) -> Picture:
    """The error of each test pair, element × element in the order of the atomic numbers."""
    pairs, unit = by_pair(errors), about(target).error_unit
    symbols = by_element(pairs).element.tolist()
    index = {symbol: place for place, symbol in enumerate(symbols)}
    matrix = np.full((len(symbols), len(symbols)), np.nan)
    for line in pairs.itertuples():
        first, second = (index[symbol] for symbol in str(line.name).split("_"))
        matrix[first, second] = matrix[second, first] = line.error
    with style():
        figure = Figure(figsize=(5.2, 4.2), layout="constrained")
        axis = figure.subplots()
        image = axis.imshow(
            np.ma.masked_invalid(matrix),
            cmap=HEAT,
            norm=_norm(pairs.error.to_numpy(float)),
            interpolation="none",
        )
        axis.grid(visible=False)
        axis.spines[:].set_visible(True)
        every = max(1, len(symbols) // 14)
        ticks = range(0, len(symbols), every)
        axis.set_xticks(ticks, symbols[::every], rotation=90, fontsize=7)
        axis.set_yticks(ticks, symbols[::every], fontsize=7)
        axis.tick_params(labelcolor=INK)
        _bar(figure, image, axis, f"absolute error ({unit})")
    return Picture(
        name,
        f"{target}: error by pair",
        figure,
        pairs,
        caption=f"{label}. Element × element by atomic number; pairs that no seed tests are blank.",
        width=320,
        data_name=name.replace("-matrix", "-parity") + "-pairs",
    )
