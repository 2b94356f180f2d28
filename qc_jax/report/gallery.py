"""Canvases of named pairs, as a picture."""

import os
from typing import Any

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
_SIDE = (_WIDTH - _LEFT - _RIGHT - _GAP * (len(CHANNELS) - 1)) / len(CHANNELS)
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
    height = _TOP + len(table) * (_SIDE + _GAP) + _BOTTOM
    page = Figure(figsize=(_WIDTH, height), dpi=_DPI)
    for row in range(len(table)):
        middle = 1 - (_TOP + row * (_SIDE + _GAP) + _SIDE / 2) / height
        _describe(page, table, row, middle)
    for channel in range(len(CHANNELS)):
        _draw_channel(page, canvases, channel, shades)
    return page


def rasterize(bar: Colorbar) -> None:
    """Makes the colours of a bar one image in an SVG, not a shape each."""
    if bar.solids is not None:
        bar.solids.set_rasterized(True)


def _root(values: Any) -> Any:
    return np.sign(values) * np.sqrt(np.abs(values))


def _square(values: Any) -> Any:
    return np.sign(values) * np.square(values)


def _describe(page: Figure, table: PairTable, row: int, middle: float) -> None:
    """The pair's name, distance and charges, left of its row."""
    distance = float(np.linalg.norm(table.positions[row, 1] - table.positions[row, 0]))
    first, second = table.names[row].split("_")
    # Adding zero makes a charge that rounds to zero a positive one: +0.00.
    charges = [f"{round(float(charge), 2) + 0.0:+.2f}" for charge in table.charges[row]]
    left = 0.12 / _WIDTH
    page.text(left, middle, f"{first}–{second}", fontsize=20, weight="bold", va="bottom")
    lines = f"{distance:.2f} Å\n{charges[0]} / {charges[1]} e".replace("-", "−")
    page.text(left, middle, lines, fontsize=11, alpha=0.8, va="top", linespacing=1.5)


def _draw_channel(page: Figure, canvases: np.ndarray, channel: int, shades: int) -> None:
    """The channel's column: its name, the images of every pair, its colour bar."""
    images = canvases[..., channel]
    width, height = page.get_size_inches()
    largest = float(np.max(np.abs(images), initial=0.0, where=np.isfinite(images)))
    limit = largest if largest > _ZERO else 1.0
    signed = largest > _ZERO and bool((images < -_ZERO).any())
    lowest = -limit if signed else 0.0
    norm = FuncNorm((_root, _square), lowest, limit)
    colours = colormaps["RdBu_r" if signed else "inferno"].resampled(shades)

    def axes(y: float, tall: float) -> Any:
        x = _LEFT + channel * (_SIDE + _GAP)
        return page.add_axes((x / width, 1 - (y + tall) / height, _SIDE / width, tall / height))

    for row, image in enumerate(images):
        ax = axes(_TOP + row * (_SIDE + _GAP), _SIDE)
        ax.imshow(image, norm=norm, cmap=colours, interpolation="none")
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
        if row == 0:
            name = CHANNELS[channel].replace(" ", "\n", 1)
            ax.set_title(name, fontsize=11.5, pad=6, linespacing=1.1)
        if not np.abs(image).max() > _ZERO:
            known = bool(np.isfinite(image).all())
            word, dark = ("zero", signed) if known else ("not known", True)
            grey = "0.35" if dark else "0.75"
            ax.text(0.5, 0.5, word, transform=ax.transAxes, ha="center", va="center", color=grey)
    bar_axes = axes(_TOP + len(images) * (_SIDE + _GAP), 0.12)
    bar = page.colorbar(ScalarMappable(norm, colours), cax=bar_axes, orientation="horizontal")
    bar.outline.set_visible(False)
    bar.ax.grid(visible=False)
    rasterize(bar)
    if largest > _ZERO:
        ticks = [lowest, 0.0 if signed else limit / 4, limit]
        bar.set_ticks(ticks, labels=[f"{tick:.2g}".replace("-", "−") for tick in ticks])
        bar.set_label(_UNITS[channel], fontsize=10, labelpad=1)
    else:
        bar.set_ticks([limit / 4], labels=["zero throughout"])
    bar.ax.tick_params(labelsize=10, length=0, pad=4)
    if largest > _ZERO:
        for label, side in zip(bar.ax.get_xticklabels(), ("left", "center", "right"), strict=True):
            label.set(horizontalalignment=side)
