"""Canvases of named pairs, as a picture."""

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import FuncNorm
from matplotlib.figure import Figure

from qc_jax.canvas import CHANNELS, features, render
from qc_jax.data import files
from qc_jax.data.table import PairTable

_DPI = 100
_WIDTH = 16.0  # inches, as all lengths below
_LEFT, _RIGHT, _TOP, _BOTTOM, _GAP = 1.45, 0.15, 0.58, 0.52, 0.1
_COLUMNS = 10  # of either picture
_SIDE = (_WIDTH - _LEFT - _RIGHT - _GAP * (_COLUMNS - 1)) / _COLUMNS
# Of the values in a channel. The charge channels hold ten times the charge.
_UNITS = {channel: "e" for channel in range(len(CHANNELS))} | {4: "e·a₀"}
_UNITS |= dict.fromkeys((6, 8, 9), "0.1 e")
_ZERO = 1e-6  # a channel that is nowhere above it holds rounding only, and is drawn as zero


def plot_canvases(path: str | os.PathLike, table: PairTable, size: int = 32) -> None:
    """Writes what `draw_canvases` draws as a PNG, 1600 pixels wide.

    Raises:
      InputError: the size is too small, or it cannot be written.
    """
    with files.atomic_write(path) as partial:
        draw_canvases(table, size).savefig(partial, format="png", facecolor="white")


def draw_canvases(table: PairTable, size: int = 32, shades: int = 256) -> Figure:
    """A row a pair of `table` and a column a channel.

    A column has one colour scale, shown below it, so that the pairs in it can be compared; it goes
    with the square root of the value, so that faint pairs show beside strong ones, and is a
    diverging one where the channel has both signs.

    Args:
      table: the pairs, in the order of the rows.
      size: pixels along each side of a canvas.
      shades: of each colour scale; few make a small file.

    Raises:
      InputError: the size is too small.
    """
    canvases = np.asarray(render(features(table), size))
    page, axes = start_page(len(table))
    for row in range(len(table)):
        distance = float(np.linalg.norm(table.positions[row, 1] - table.positions[row, 0]))
        describe(page, row, table.names[row].split("_"), distance, table.charges[row])
    for channel, name in enumerate(CHANNELS):
        column = Column(name.replace(" ", "\n", 1), _UNITS[channel], canvases[..., channel])
        draw_column(page, axes[channel], column, shades)
    return page


def rasterize(bar: Colorbar) -> None:
    """Makes the colours of a bar one image in an SVG, not a shape each."""
    if bar.solids is not None:
        bar.solids.set_rasterized(True)


class Column(NamedTuple):
    """A channel of every pair.

    Attributes:
      title: above it.
      unit: of its values.
      images: [rows, S, S].
      power: of the value, that colours go with.
      extent: left, right, bottom and top of an image in Å; pixels unless given.
    """

    title: str
    unit: str
    images: np.ndarray
    power: float = 0.5
    extent: tuple[float, float, float, float] | None = None


def start_page(rows: int) -> tuple[Figure, list[list[Any]]]:
    """An empty page, and the axes of each column: the images', then its colour bar's."""
    height = _TOP + rows * (_SIDE + _GAP) + _BOTTOM
    page = Figure(figsize=(_WIDTH, height), dpi=_DPI)

    def axes(column: int, row: int) -> Any:
        x, y = _LEFT + column * (_SIDE + _GAP), _TOP + row * (_SIDE + _GAP)
        tall = _SIDE if row < rows else 0.12
        return page.add_axes((x / _WIDTH, 1 - (y + tall) / height, _SIDE / _WIDTH, tall / height))

    return page, [[axes(column, row) for row in range(rows + 1)] for column in range(_COLUMNS)]


def describe(
    page: Figure, row: int, symbols: Sequence[str], distance: float, charges: np.ndarray
) -> None:
    """The pair's name, distance and charges, left of its row."""
    middle = 1 - (_TOP + row * (_SIDE + _GAP) + _SIDE / 2) / page.get_size_inches()[1]
    # Adding zero makes a charge that rounds to zero a positive one: +0.00.
    shown = [f"{round(float(charge), 2) + 0.0:+.2f}" for charge in charges]
    left = 0.12 / _WIDTH
    page.text(left, middle, "–".join(symbols), fontsize=20, weight="bold", va="bottom")
    lines = f"{distance:.2f} Å\n{shown[0]} / {shown[1]} e".replace("-", "−")
    page.text(left, middle, lines, fontsize=11, alpha=0.8, va="top", linespacing=1.5)


def root_norm(lowest: float, limit: float, power: float) -> FuncNorm:
    """A scale of colours that goes with a power of the value, the sign kept."""

    def raised(values: Any, power: float) -> Any:
        return np.sign(values) * np.abs(values) ** power

    forth = lambda values: raised(values, power)  # noqa: E731
    return FuncNorm((forth, lambda values: raised(values, 1 / power)), lowest, limit)


def draw_column(page: Figure, axes: Sequence[Any], column: Column, shades: int) -> None:
    """A channel's column: its name, the images of every pair, its colour bar."""
    images = column.images
    largest = float(np.max(np.abs(images), initial=0.0, where=np.isfinite(images)))
    limit = largest if largest > _ZERO else 1.0
    signed = largest > _ZERO and bool((images < -_ZERO).any())
    lowest = -limit if signed else 0.0
    norm = root_norm(lowest, limit, column.power)
    colours = colormaps["RdBu_r" if signed else "inferno"].resampled(shades)

    for ax, image in zip(axes, images, strict=False):
        ax.imshow(image, norm=norm, cmap=colours, interpolation="none", extent=column.extent)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
        if not np.abs(image).max() > _ZERO:
            known = bool(np.isfinite(image).all())
            word, dark = ("zero", signed) if known else ("not known", True)
            grey = "0.35" if dark else "0.75"
            ax.text(0.5, 0.5, word, transform=ax.transAxes, ha="center", va="center", color=grey)
    axes[0].set_title(column.title, fontsize=11.5, pad=6, linespacing=1.1)
    bar = page.colorbar(ScalarMappable(norm, colours), cax=axes[-1], orientation="horizontal")
    bar.outline.set_visible(False)
    bar.ax.grid(visible=False)
    rasterize(bar)
    if largest > _ZERO:
        ticks = [lowest, 0.0 if signed else limit * 0.5 ** (1 / column.power), limit]
        bar.set_ticks(ticks, labels=[f"{tick:.2g}".replace("-", "−") for tick in ticks])
        bar.set_label(column.unit, fontsize=10, labelpad=1)
    else:
        bar.set_ticks([limit / 4], labels=["zero throughout"])
    bar.ax.tick_params(labelsize=10, length=0, pad=4)
    if largest > _ZERO:
        for label, side in zip(bar.ax.get_xticklabels(), ("left", "center", "right"), strict=True):
            label.set(horizontalalignment=side)
