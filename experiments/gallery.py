"""Draws the canvases of named pairs: a row a pair, a column a channel.

    python -m experiments.gallery --pairs=Ag_Al,C_O,H_H,Cs_F --out=gallery.png [--data=gfn2_xtb]

A column has one colour scale, shown below it, so the pairs in it can be compared; 'RIP-MTF
quadrupole' has both signs and a diverging one.
"""

import pathlib
from typing import Any

import numpy as np
from absl import flags

from experiments import cli
from qc_jax.canvas import CHANNELS, features, render
from qc_jax.chem.elements import pair_name
from qc_jax.data.table import PairTable, open_table
from qc_jax.errors import InputError

_PAIRS = flags.DEFINE_list("pairs", "Ag_Al,C_O,H_H,Cs_F", "Pairs, in the order of the rows.")
_OUT = flags.DEFINE_string("out", None, "The picture, .png.")
_DATA = flags.DEFINE_string("data", "gfn2_xtb", "A shipped table, or a path to an .npz.")
_SIZE = flags.DEFINE_integer("size", 32, "Pixels along each side of a canvas.")
flags.mark_flag_as_required("out")

_DPI = 100
_WIDTH = 16.0  # inches, as all lengths below
_LEFT, _RIGHT, _TOP, _BOTTOM, _GAP = 1.45, 0.15, 0.58, 0.36, 0.1
_SIDE = (_WIDTH - _LEFT - _RIGHT - _GAP * (len(CHANNELS) - 1)) / len(CHANNELS)
# Of the values in a channel. The charge channels hold ten times the charge.
_UNITS = {channel: "e" for channel in range(len(CHANNELS))} | {4: "e·a₀"}
_UNITS |= dict.fromkeys((6, 8, 9), "0.1 e")
_ZERO = 1e-6  # a channel that is nowhere above it holds rounding only, and is drawn as zero


def main(argv: list[str]) -> None:
    """Draws what the flags ask for and says where it is."""
    if argv:
        raise InputError(f"expected flags only (--pairs=..., --out=...), got {argv[0]!r}")
    out = pathlib.Path(str(_OUT.value))
    if out.suffix != ".png":
        raise InputError(f"--out: expected a file that ends in .png, got {out}")
    if not out.parent.is_dir():
        raise InputError(f"--out: no such directory: {out.parent}")
    table = open_table(_DATA.value)
    draw(table.take(np.array([table.row(_name(text)) for text in _PAIRS.value])), out, _SIZE.value)
    print(f"{len(_PAIRS.value)} pairs x {len(CHANNELS)} channels: {out}")


def _name(text: str) -> str:
    """A pair's name in the table, of symbols in either order."""
    symbols = text.strip().split("_")
    if len(symbols) != 2:
        raise InputError(f"--pairs: expected pairs like Ag_Al, parted by commas, got {text!r}")
    return pair_name(*symbols)


def draw(table: PairTable, out: pathlib.Path, size: int = 32) -> None:
    """Writes the picture of every pair of `table`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    canvases = np.asarray(render(features(table), size))
    height = _TOP + len(table) * (_SIDE + _GAP) + _BOTTOM
    figure = Figure(figsize=(_WIDTH, height), dpi=_DPI, facecolor="white")
    FigureCanvasAgg(figure)
    for row in range(len(table)):
        middle = 1 - (_TOP + row * (_SIDE + _GAP) + _SIDE / 2) / height
        _describe(figure, table, row, middle)
    for channel in range(len(CHANNELS)):
        _draw_channel(figure, canvases, channel)
    figure.savefig(out, dpi=_DPI)


def _describe(figure: Any, table: PairTable, row: int, middle: float) -> None:
    """The pair's name, distance and charges, left of its row."""
    distance = float(np.linalg.norm(table.positions[row, 1] - table.positions[row, 0]))
    first, second = table.names[row].split("_")
    # Adding zero makes a charge that rounds to zero a positive one: +0.00.
    charges = [f"{round(float(charge), 2) + 0.0:+.2f}" for charge in table.charges[row]]
    left = 0.12 / _WIDTH
    figure.text(left, middle, f"{first}–{second}", fontsize=20, weight="bold", va="bottom")
    lines = f"{distance:.2f} Å\n{charges[0]} / {charges[1]} e".replace("-", "−")
    figure.text(left, middle, lines, fontsize=11, color="0.25", va="top", linespacing=1.5)


def _draw_channel(figure: Any, canvases: np.ndarray, channel: int) -> None:
    """The channel's column: its name, the images of every pair, its colour bar."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    images = canvases[..., channel]
    width, height = figure.get_size_inches()
    largest = float(np.max(np.abs(images), initial=0.0, where=np.isfinite(images)))
    limit = largest if largest > _ZERO else 1.0
    signed = largest > _ZERO and bool((images < -_ZERO).any())
    lowest = -limit if signed else 0.0
    norm = Normalize(lowest, limit)
    colours = colormaps["RdBu_r" if signed else "inferno"]

    def axes(y: float, tall: float) -> Any:
        x = _LEFT + channel * (_SIDE + _GAP)
        return figure.add_axes((x / width, 1 - (y + tall) / height, _SIDE / width, tall / height))

    for row, image in enumerate(images):
        ax = axes(_TOP + row * (_SIDE + _GAP), _SIDE)
        ax.imshow(image, norm=norm, cmap=colours, interpolation="nearest")
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
    bar = figure.colorbar(ScalarMappable(norm, colours), cax=bar_axes, orientation="horizontal")
    bar.outline.set_visible(False)
    if largest <= _ZERO:
        bar.set_ticks([0.5], labels=["zero throughout"])
    else:
        labels = [f"−{limit:.2g}" if signed else "0", _UNITS[channel], f"{limit:.2g}"]
        bar.set_ticks([lowest, (lowest + limit) / 2, limit], labels=labels)
    bar.ax.tick_params(labelsize=10, length=0, pad=4)
    for label, side in zip(bar.ax.get_xticklabels(), ("left", "center", "right"), strict=False):
        label.set_horizontalalignment("center" if largest <= _ZERO else side)


if __name__ == "__main__":
    cli.run(main)
