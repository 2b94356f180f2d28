"""What a canvas is made of: its channels, the numbers it holds, and the fixed pictures they scale.

A canvas is linear in its features. All atoms stand in the image's middle row, so each channel is
one picture times one line: canvas[y, x, c] = picture[y, x, c] · Σ_f features[f] · line[f, x, c].
A Gaussian channel has its y factor as picture and its x factors as line; the others have their
template as picture and a constant line. `render` and `decode` both rest on this.
"""

import dataclasses
import functools
import operator
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from qc_jax.errors import InputError

CHANNELS: tuple[str, ...] = (
    "O-Map radial",
    "O-Map angular",
    "RIP-GAF s/p",
    "RIP-GAF d/f",
    "RIP-MTF dipole",
    "RIP-MTF quadrupole",
    "COM charge",
    "COM orbital",
    "Q+",
    "Q−",
)


class Feature(NamedTuple):
    """One number of a canvas.

    Attributes:
      name: its name; the last digit is the atom's where there is one an atom.
      unit: its unit.
      channel: the channel that it is decoded from, an index of `CHANNELS`.
      atom: 0 or 1 where it belongs to an atom, else None; of `MOLECULES` the column it stands in.
      definition: P_o are the atom's populations by orbital o = (l, m), q its charge.
    """

    name: str
    unit: str
    channel: int
    atom: int | None
    definition: str


@dataclasses.dataclass(frozen=True, eq=False)
class Layout:
    """Where atoms stand, and so which numbers a canvas holds.

    Attributes:
      columns: of the atoms, in pixels at size 32.
      features: F of them, in their order.
      copies: a channel, and the feature that it takes from another one, for each such.
    """

    columns: tuple[float, ...]
    features: tuple[Feature, ...]
    copies: tuple[tuple[int, int], ...]


# Thirteen of a pair's fourteen are independent in a real pair: population_sp + population_df is the
# sum of the two population_i. All four are kept, since a difference in float32 would lose the
# digits of a small d/f population. |q_i| is charge_plus_i + charge_minus_i and needs no number of
# its own.
def _layout(columns: tuple[float, ...], names: tuple[str, ...], difference: str) -> Layout:
    def of_each_atom(name: str, channel: int, definition: str) -> Iterator[Feature]:
        for at, label in enumerate(names):
            yield Feature(f"{name}_{label}", "e", channel, at, definition)

    features = (
        *of_each_atom("radial", 0, "Σ_o P_o (l + 1)/3"),
        *of_each_atom("angular", 1, "|Σ_o m P_o|; zero for every axially symmetric pair"),
        Feature("population_sp", "e", 2, None, "s and p populations of all atoms"),
        Feature("population_df", "e", 3, None, "d and f populations of all atoms"),
        Feature("dipole", "e·a0", 4, None, "size of the dipole moment, |μ|"),
        Feature("charge_difference", "e", 5, None, difference),
        *of_each_atom("population", 7, "Σ_o P_o"),
        *of_each_atom("charge_plus", 8, "q where q > 0, else 0"),
        *of_each_atom("charge_minus", 9, "−q where q ≤ 0, else 0"),
    )
    copies = tuple(
        (channel, index)
        for channel, holders in _SHARED.items()
        for index, feature in enumerate(features)
        if feature.channel in holders
    )
    return Layout(columns, features, copies)


_SHARED = {6: (8, 9)}  # a channel that holds no number of its own, and the channels that do
_SIZE = 32  # the size that the widths and positions here are given at, in pixels
MIDDLE = _SIZE  # from so many atoms up all stand in the middle


def columns_of_atoms(count: int) -> Float[np.ndarray, " atoms"]:
    """Return where each of so many atoms stands, in pixels at size 32: multiples of a half.

    From `MIDDLE` atoms up the published distance between them is 0, and all stand in the middle.
    """
    return _SIZE // 2 + (np.arange(count) - count / 2 + 0.5) * (_SIZE // (count + 1))


# Every column that an atom of a structure of any size stands in: half pixels from 1 to 31.
SLOTS = np.arange(2, 63) / 2

PAIRS = _layout(tuple(columns_of_atoms(2).tolist()), ("0", "1"), "|q_0 − q_1|")
# Molecules and crystals: what stands in one column is added up, so that canvases of structures of
# all sizes are sums of the same pictures.
MOLECULES = _layout(
    tuple(SLOTS.tolist()), tuple(f"x{x:g}" for x in SLOTS), "the largest charge less the least"
)
FEATURES: tuple[Feature, ...] = PAIRS.features

MIN_SIZE = 3  # at 2 there are only corners, where the d/f template vanishes

_ATOM_Y = 16.0
_SIGMA = {0: 3.0, 1: 3.0, 6: 4.0, 7: 4.0, 8: 3.5, 9: 3.5}  # the Gaussian channels
_FACTOR = {6: 10.0, 8: 10.0, 9: 10.0}


def check_size(size: object) -> int:
    """Return `size` as an int.

    Raises:
      InputError: it is no whole number, or less than `MIN_SIZE`.
    """
    try:
        pixels = operator.index(size)  # type: ignore[arg-type]
    except TypeError:
        pixels = 0
    if pixels < MIN_SIZE:
        raise InputError(f"canvas size: expected a whole number from {MIN_SIZE} up, got {size!r}")
    return pixels


@dataclasses.dataclass(frozen=True, eq=False)
class Basis:
    """The fixed pictures of one canvas size S, float64, read-only.

    Attributes:
      picture: [S, S, 10] (y, x, channel).
      line: [F, S, 10] (feature, x, channel).
      separate_line: [F + copies, S, 10], the same of features as `separate` gives them.
      inverse: [F, S, 10], of pairs; of larger structures, whose columns lie too close to be told
        apart, [0, S, 10]: feature f by least squares from its own channel is
        Σ_x inverse[f, x, c] Σ_y picture[y, x, c] · canvas[y, x, c].
    """

    picture: np.ndarray
    line: np.ndarray
    separate_line: np.ndarray
    inverse: np.ndarray


def _templates(size: int) -> dict[int, np.ndarray]:
    """Return the pictures [S, S] of the channels that are no sum of Gaussians."""
    axis = np.linspace(-1.0, 1.0, size)
    u, v = axis[None, :], axis[:, None]
    r = np.sqrt(u**2 + v**2)
    theta = np.arctan2(v, u)
    rho = r + 1e-6
    return {
        2: np.exp(-(r**2) / 0.3),
        3: np.exp(-(r**2) / 0.5) * (1 + np.cos(4 * theta)),
        4: rho * np.exp(-(rho**2) / 0.4),
        5: (3 * np.cos(theta) ** 2 - 1) * np.exp(-(rho**2) / 0.4),
    }


@functools.lru_cache(maxsize=16)
def basis(size: int, layout: Layout = PAIRS) -> Basis:
    """Return the basis of canvases of `size` × `size` pixels; `size` as `check_size` gives it."""
    features = layout.features
    scale = size / _SIZE
    pixels = np.arange(size, dtype=np.float64)
    picture = np.empty((size, size, len(CHANNELS)))
    line = np.zeros((len(features), size, len(CHANNELS)))
    for channel, template in _templates(size).items():
        picture[..., channel] = template
    for channel, sigma in _SIGMA.items():
        y = np.exp(-((pixels - _ATOM_Y * scale) ** 2) / (2 * (sigma * scale) ** 2))
        picture[..., channel] = y[:, None]
    for channel in range(len(CHANNELS)):
        for index, feature in enumerate(features):
            if feature.channel not in _SHARED.get(channel, (channel,)):
                continue
            if feature.atom is None:
                line[index, :, channel] = 1.0
            else:
                width = 2 * (_SIGMA[channel] * scale) ** 2
                distance = pixels - layout.columns[feature.atom] * scale
                line[index, :, channel] = _FACTOR.get(channel, 1.0) * np.exp(-(distance**2) / width)

    inverse = np.zeros_like(line if layout is PAIRS else line[:0])
    weight = np.sum(picture**2, axis=0)  # [S, 10]
    for channel in range(len(CHANNELS) if len(inverse) else 0):
        own = [index for index, feature in enumerate(features) if feature.channel == channel]
        if own:
            lines = line[own, :, channel]  # [1 or 2, S]
            normal = (lines * weight[:, channel]) @ lines.T
            inverse[own, :, channel] = np.linalg.solve(normal, lines)
    separate_line = np.concatenate([line, np.zeros((len(layout.copies), *line.shape[1:]))])
    for copy, (channel, index) in enumerate(layout.copies, start=len(features)):
        separate_line[copy, :, channel] = line[index, :, channel]
        separate_line[index, :, channel] = 0
    for array in (picture, line, separate_line, inverse):
        array.flags.writeable = False
    return Basis(picture, line, separate_line, inverse)
