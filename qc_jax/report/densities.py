"""Densities and orbitals of named pairs, as a picture."""

import os
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from qc_jax.canvas import densities
from qc_jax.chem.units import BOHR_ANG
from qc_jax.data import files
from qc_jax.report.gallery import Column, describe, draw_column, start_page

POWER = 0.25  # of the values, which colours go with: 29 e/Å³ near silver, 0.01 about caesium
_SHOWN = 2 / 3  # of the window's width and height: its edges are empty
_DPI = 120
_UNITS = {"1/Å^(3/2)": "Å$^{-3/2}$", "1/Å³": "Å$^{-3}$"}
TITLES = {
    "density": "valence\ndensity",
    "deformation": "deformation\ndensity",
    "homo": "HOMO\ndensity",
    "lumo": "LUMO\ndensity",
    "homo_amplitude": "HOMO\namplitude",
    "lumo_amplitude": "LUMO\namplitude",
    "potential": "potential\nof charges",
}


def plot_densities(
    path: str | os.PathLike, pairs: Sequence[str], size: int = 192, parameters: str = "ptbp"
) -> None:
    """Writes what `draw_densities` draws as a PNG, 1920 pixels wide.

    Raises:
      InputError: see `draw_densities`, or the picture cannot be written.
      NotConverged: the charges of a pair do not settle.
    """
    with files.atomic_write(path) as partial:
        page = draw_densities(pairs, size, parameters=parameters)
        page.savefig(partial, format="png", facecolor="white", dpi=_DPI)


def draw_densities(
    pairs: Sequence[str], size: int = 192, shades: int = 256, parameters: str = "ptbp"
) -> Figure:
    """A row a pair and a column a channel of `canvas.densities`, at the pairs' relaxed distances.

    Dots are the nuclei; the inner 8 Å are shown of all, with a bar of 2 Å in the first of each row.
    Colours are shared by a column and go with the fourth root of the value.

    Args:
      pairs: names like 'C_O'.
      size: pixels along each side of an image.
      shades: of each colour scale.
      parameters: whose orbitals, as of `canvas.densities.render`.

    Raises:
      InputError: a pair or size is wrong, or a pair has no minimum.
    """
    radial, orbitals = densities.solve(pairs, None, parameters)
    images = np.asarray(densities.draw(orbitals, radial, size))
    cut = round(size * (1 - _SHOWN) / 2)
    images = images[:, cut : size - cut, cut : size - cut]
    edge = densities.WINDOW_ANG / 2 * (1 - 2 * cut / size)
    lengths = np.asarray(orbitals.distance) * BOHR_ANG
    page, axes = start_page(len(pairs))
    for column, (name, unit) in enumerate(densities.CHANNELS.items()):
        title = TITLES.get(name, f"{name} part\nof density")
        extent = (-edge, edge, edge, -edge)
        drawn = Column(title, _UNITS.get(unit, unit), images[..., column], POWER, extent)
        draw_column(page, axes[column], drawn, shades)
        for row, length in enumerate(lengths):
            if images[row, ..., column].any():
                places = [-length / 2, length / 2], [0, 0]
                axes[column][row].plot(*places, "o", ms=2.6, mfc="white", mec="black", mew=0.6)
    for row, (name, length) in enumerate(zip(pairs, lengths, strict=True)):
        describe(page, row, name.split("_"), length, np.asarray(orbitals.charges)[row])
        first, left, low = axes[0][row], 0.4 - edge, edge - 0.4
        first.plot([left, left + 2], [low, low], color="white", lw=1.5)
        first.text(left + 1, low - 0.2, "2 Å", color="white", fontsize=8, ha="center", va="bottom")
    return page
