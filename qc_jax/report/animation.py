"""A bond that is stretched, as a moving picture: densities above, energy and levels below."""

import itertools
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from jaxtyping import Float, Int
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image
from scipy.interpolate import CubicSpline

from qc_jax import dftb
from qc_jax.canvas import densities
from qc_jax.canvas.orbitals import FARTHEST_ANG, published_shells
from qc_jax.chem.units import BOHR_ANG
from qc_jax.data import files
from qc_jax.data.labels import HOLDS, TAKES
from qc_jax.errors import InputError
from qc_jax.report.densities import POWER, TITLES
from qc_jax.report.gallery import root_norm
from qc_jax.report.style import ACCENT, GREY, INK, style

FORMATS = {".gif": "GIF", ".png": "PNG"}
MOST_FRAMES = 200  # on the way out
LOW, HIGH, FRAMES = 0.7, 2.5, 40  # multiples of the relaxed distance, and frames between them
_FARTHEST = 0.8 * FARTHEST_ANG  # unless a range is given: atoms stay within the window
_CHANNELS = ("density", "deformation", "homo_amplitude", "lumo_amplitude")
_WIDTH, _HEIGHT, _DPI = 7.6, 4.7, 100  # inches
_SHADES = 92  # of a colour scale: two of them and the lines' colours fit a GIF's palette
SIDE = 167  # pixels of an image on the page
_MILLISECONDS = 60  # of a frame
_SCALES = ("inferno", "RdBu_r")  # of values above zero, and of both signs
_COLOURS = {"occupied": ACCENT, "half": "#8a5fbf", "empty": "#c9874a"}


class Stretch(NamedTuple):
    """A pair of atoms at rising distances.

    Attributes:
      pair: its symbols.
      distances: Å.
      relaxed: Å, of the minimum.
      images: of 'density', 'deformation', 'homo_amplitude' and 'lumo_amplitude'; an amplitude's
        sign is that of the frame before.
      energies: eV, Mermin free energies above the minimum's.
      levels: eV, rising at each distance.
      occupations: electrons, 0 to 2.
      charges: e.
      edge: Å, half the width of an image.
    """

    pair: tuple[str, str]
    distances: Float[np.ndarray, " frames"]
    relaxed: float
    images: Float[np.ndarray, "frames S S 4"]
    energies: Float[np.ndarray, " frames"]
    levels: Float[np.ndarray, "frames levels"]
    occupations: Float[np.ndarray, "frames levels"]
    charges: Float[np.ndarray, "frames 2"]
    edge: float


def plot_stretch(
    path: str | os.PathLike, pair: str, ratios: Any = None, side: int = SIDE
) -> tuple[int, Stretch]:
    """Write a pair that is stretched and comes back, for ever, as an animated GIF or PNG.

    Args:
      path: ends in .gif or .png; an animated PNG shows its first frame where none are animated.
      pair: like 'H_F', the atom named first on the left.
      ratios: see `stretch`.
      side: see `stretch`.

    Returns:
      How many frames there are, and what they show.

    Raises:
      InputError: another ending, see `stretch`, or it cannot be written.
      NotConverged: the charges do not settle at a distance.
    """
    ending = os.path.splitext(os.fspath(path))[1]
    if ending not in FORMATS:
        raise InputError(f"animation: expected a file that ends in .gif or .png, got {path}")
    found = stretch(pair, ratios, side)
    frames = draw_frames(found)
    # Back the same way, without the two ends twice.
    shown = [*frames, *frames[-2:0:-1]]
    with files.atomic_write(path) as partial, open(partial, "wb") as out:
        shown[0].save(
            out,
            format=FORMATS[ending],
            save_all=True,
            append_images=shown[1:],
            duration=_MILLISECONDS,
            loop=0,
            optimize=True,
        )
    return len(shown), found


def stretch(pair: str, ratios: Any = None, side: int = SIDE) -> Stretch:
    """Return a pair at several distances by tight binding with the PTBP parameters, at 300 K.

    Args:
      pair: like 'H_F'.
      ratios: rising multiples of the relaxed distance, 2 to `MOST_FRAMES`; unless given `FRAMES`
        from `LOW` to `HIGH`, or as far as 9.6 Å, close to each other at both ends as a swing is.
      side: pixels along each side of an image, about.

    Raises:
      InputError: no such pair, it has no minimum, or a number is out of range.
      NotConverged: the charges do not settle at a distance.
    """
    _, still = densities.solve([pair])
    relaxed = float(still.distance[0]) * BOHR_ANG
    if ratios is None:
        high = max(min(HIGH, _FARTHEST / relaxed), 1.0)
        ratios = LOW + (high - LOW) * (1 - np.cos(np.linspace(0, np.pi, FRAMES))) / 2
    ratios = np.asarray(ratios, np.float64)
    if not (ratios.ndim == 1 and 2 <= len(ratios) <= MOST_FRAMES and (np.diff(ratios) > 0).all()):
        raise InputError(
            f"animation: expected 2 to {MOST_FRAMES} rising distances, got {ratios.size}"
        )
    distances = ratios * relaxed
    radial, orbitals = densities.solve([pair], distances[None])
    edge = min(max(distances[-1] / 2 + 2.0, 3.0), densities.WINDOW_ANG / 2)
    size = round(side * densities.WINDOW_ANG / (2 * edge))
    images = np.array(densities.draw(orbitals, radial, size, _CHANNELS)[0])
    for column, name in enumerate(_CHANNELS):
        if name.endswith("amplitude"):
            _keep_sign(images[..., column])
    symbols = pair.split("_")
    cut = int(size * (1 - 2 * edge / densities.WINDOW_ANG) / 2)
    solved = dftb.solve_all(
        [(symbols, distance) for distance in (relaxed, *distances)],
        max_l=published_shells(symbols),
    )
    for one in solved:
        if isinstance(one, dftb.NotConverged):
            raise one
    energies = np.array([one.mermin_free_energy_ev for one in solved])
    return Stretch(
        pair=(symbols[0], symbols[1]),
        distances=distances,
        relaxed=relaxed,
        images=images[:, cut : size - cut, cut : size - cut],
        energies=energies[1:] - energies[0],
        levels=np.array([one.levels_ev for one in solved[1:]]),
        occupations=np.array([one.occupations for one in solved[1:]]),
        charges=np.array([one.charges_e for one in solved[1:]]),
        edge=densities.WINDOW_ANG / 2 * (1 - 2 * cut / size),
    )


def _keep_sign(images: np.ndarray) -> None:
    """Turn amplitudes [frames, S, S] whose sign is not that of the frame before, in place."""
    for before, image in itertools.pairwise(images):
        if np.vdot(before, image) < 0:
            image *= -1


def draw_frames(found: Stretch) -> list[Image.Image]:
    """Draw a frame at each distance, 760 × 470 pixels, all with one palette of 256 colours."""
    with style(), matplotlib.rc_context({"axes.grid": False, "font.size": 9}):
        page = Figure(figsize=(_WIDTH, _HEIGHT), dpi=_DPI, facecolor="white")
        canvas = FigureCanvasAgg(page)
        moves = [_images(page, found), _energy(page, found), _levels(page, found)]
        title = page.text(0.03, 0.935, "–".join(found.pair), fontsize=20, weight="bold")
        words = page.text(0.97, 0.94, "", fontsize=11, ha="right", color=INK)
        title.set_color(INK)
        frames = []
        for at, distance in enumerate(found.distances):
            for move in moves:
                move(at)
            one, two = (f"{round(q, 2) + 0.0:+.2f}" for q in found.charges[at])
            words.set_text(f"{distance:.2f} Å    {one} / {two} e".replace("-", "−"))
            canvas.draw()
            frames.append(Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy()))
    palette = Image.new("P", (1, 1))
    palette.putpalette(_palette().ravel().tolist())
    return [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]


def _palette() -> Int[np.ndarray, "256 3"]:
    """Return the colours of a frame: both scales', and ramps from each colour of lines to white."""
    scales = [colormaps[name](np.linspace(0, 1, _SHADES))[:, :3] for name in _SCALES]
    lines = [to_rgb(colour) for colour in (INK, GREY, *_COLOURS.values())]
    ramp = np.linspace(0, 1, (256 - len(_SCALES) * _SHADES) // len(lines))[:, None]
    ramps = [np.array(line) * (1 - ramp) + ramp for line in lines]
    found = np.round(255 * np.concatenate([*scales, *ramps])).astype(int)
    return np.concatenate([found, np.full((256 - len(found), 3), 255)])


def _images(page: Figure, found: Stretch) -> Callable[[int], None]:
    """Draw the row of images, and the nuclei on them; what moves them to a frame."""
    side, gap, left = 0.22, 0.02, 0.03
    drawn, nuclei = [], []
    for column, name in enumerate(_CHANNELS):
        tall = side * _WIDTH / _HEIGHT
        ax = page.add_axes((left + column * (side + gap), 0.86 - tall, side, tall))
        images = found.images[..., column]
        limit = float(np.abs(images).max()) or 1.0
        signed = bool((images < 0).any())
        edges = (-found.edge, found.edge, found.edge, -found.edge)
        image = ax.imshow(
            images[0],
            norm=root_norm(-limit if signed else 0.0, limit, POWER),
            cmap=colormaps[_SCALES[signed]].resampled(_SHADES),
            extent=edges,
            interpolation="none",
        )
        drawn.append(image)
        ax.set(xticks=[], yticks=[], xlim=edges[:2], ylim=edges[2:])
        ax.spines[:].set_visible(False)
        ax.set_title(TITLES[name].replace("\n", " "), fontsize=10, pad=4, loc="center")
        nuclei += ax.plot([], [], "o", ms=3, mfc="white", mec="black", mew=0.7)
        if column == 0:
            start, low = 0.5 - found.edge, found.edge - 0.45
            ax.plot([start, start + 2], [low, low], color="white", lw=1.5)
            ax.text(start + 1, low - 0.2, "2 Å", color="white", fontsize=8, ha="center")

    def move(at: int) -> None:
        half = found.distances[at] / 2
        for column, (image, dots) in enumerate(zip(drawn, nuclei, strict=True)):
            image.set_data(found.images[at, ..., column])
            dots.set_data([-half, half], [0, 0])

    return move


def _axes(page: Figure, left: float, found: Stretch, title: str) -> Any:
    ax = page.add_axes((left, 0.105, 0.41, 0.29))
    span = found.distances[-1] - found.distances[0]
    ax.set_xlim(found.distances[0] - 0.02 * span, found.distances[-1] + 0.02 * span)
    ax.set_xlabel("distance (Å)", labelpad=1)
    ax.set_title(title, fontsize=10, pad=4)
    ax.axvline(found.relaxed, color=GREY, lw=0.8, ls=":")
    return ax


def _energy(page: Figure, found: Stretch) -> Callable[[int], None]:
    """Draw the energy curve; what moves a dot along it."""
    ax = _axes(page, 0.07, found, "energy above the minimum (eV)")
    # The wall at short distances would flatten the well.
    depth = max(float(found.energies[-1]), 1e-3)
    top = min(max(1.3 * depth, 0.5), 1.05 * float(found.energies.max()))
    fine = np.linspace(found.distances[0], found.distances[-1], 300)
    ax.plot(fine, CubicSpline(found.distances, found.energies)(fine), color=INK, lw=1.4)
    ax.set_ylim(-0.08 * top, top)
    (dot,) = ax.plot([], [], "o", ms=7, mfc=ACCENT, mec="white", mew=1.2, zorder=5)

    def move(at: int) -> None:
        dot.set_data([found.distances[at]], [min(found.energies[at], 0.97 * top)])

    return move


def _levels(page: Figure, found: Stretch) -> Callable[[int], None]:
    """Draw the levels along the distance; what moves a dot along each."""
    ax = _axes(page, 0.56, found, "levels (eV)")
    kinds = np.where(
        found.occupations <= HOLDS, "empty", np.where(found.occupations < TAKES, "half", "occupied")
    )
    ax.plot(found.distances, found.levels, color=GREY, lw=0.6)  # where a level changes its kind
    for kind, colour in _COLOURS.items():
        chosen = np.where(kinds == kind, found.levels, np.nan)
        ax.plot(found.distances, chosen, color=colour, lw=1.1, alpha=0.8)
    # Antibonding levels rise steeply at short distances, and would flatten the others.
    here = int(np.argmin(np.abs(found.distances - found.relaxed)))
    empty = found.levels[here, kinds[here] == "empty"]
    held = float(found.levels[kinds != "empty"].max())
    top = max(held, float(empty.min())) if len(empty) else held
    low = float(found.levels.min())
    margin = 0.08 * (top - low)
    ax.set_ylim(low - margin, top + margin)
    (line,) = ax.plot([], [], color=GREY, lw=0.8)
    dots = [
        ax.plot([], [], "o", ms=5, mfc=colour, mec="white", mew=0.8, zorder=5)[0]
        for colour in _COLOURS.values()
    ]
    for kind, dot in zip(_COLOURS, dots, strict=True):
        if (kinds == kind).any():
            word = {"half": "partly filled"}.get(kind, kind)
            dot.set_label(word)
    ax.legend(
        loc="lower right", bbox_to_anchor=(1.0, 0.97), ncols=3, fontsize=7.5, handletextpad=0,
        columnspacing=0.8, borderpad=0.2,
    )  # fmt: skip

    def move(at: int) -> None:
        line.set_data([found.distances[at]] * 2, ax.get_ylim())
        for kind, dot in zip(_COLOURS, dots, strict=True):
            some = found.levels[at, (kinds[at] == kind) & (found.levels[at] <= top + margin)]
            dot.set_data([found.distances[at]] * len(some), some)

    return move
