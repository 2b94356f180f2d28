"""Densities and orbitals of molecules as images of a plane, and on a grid in space."""

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from jaxtyping import Float

from qc_jax.canvas.basis import check_size
from qc_jax.canvas.cubes import ATOMIC, Cube
from qc_jax.canvas.cubes import MAX_SIZE as MAX_CUBE
from qc_jax.canvas.densities import CHANNELS, MAX_SIZE, check_channels
from qc_jax.canvas.molecular_orbitals import MolecularOrbitals, at_points
from qc_jax.chem.elements import element
from qc_jax.chem.units import BOHR_ANG
from qc_jax.errors import InputError, expect

MARGIN_ANG = 4.0  # about the outermost atoms, of a window that is not given
NEAR_ANG = 2.0  # of the plane: an atom must be that near
CUT = 0.02  # of the valence electrons: more may lie outside only where that is asked for
MOST_ANG = 200.0

_NORMAL, _REACH_ANG = 48, 9.5  # points along the normal, of a projection, and how far it goes


class Plane(NamedTuple):
    """Where an image lies: a section through space.

    Attributes:
      center: of the image, Å.
      right: along a row, from left to right.
      down: along a column, from top to bottom; what is not across `right` is taken off.
    """

    center: npt.ArrayLike
    right: npt.ArrayLike
    down: npt.ArrayLike


class Image(NamedTuple):
    """Channels in a plane.

    Attributes:
      values: (row, column, channel), in units of `densities.CHANNELS`; a projection's times Å.
      window: width and height, Å.
      plane: with unit vectors.
      outside: valence electrons beyond the window, whatever their distance from the plane.
    """

    values: Float[np.ndarray, "S S channels"]
    window: float
    plane: Plane
    outside: float


def plane_of(positions: Any, atoms: Sequence[int] | None = None) -> Plane:
    """Return the plane through three atoms, or nearest to all: Å.

    Args:
      positions: [N, 3] Å.
      atoms: three of them, counted from 0: the first is in the middle, the second right of it.

    Raises:
      InputError: no such atoms, or three in a line.
    """
    places = np.asarray(positions, np.float64)
    if atoms is not None:
        if len(atoms) != 3 or not all(0 <= k < len(places) for k in atoms):
            raise InputError(
                f"atoms: expected three from 0 to {len(places) - 1}, got {list(atoms)}"
            )
        center, second, third = places[list(atoms)]
        return _unit(Plane(center, second - center, third - center))
    center = places.mean(axis=0)
    # Axes of the least moments of inertia; of atoms in a line, or one, z or y is across.
    _, sizes, axes = np.linalg.svd(np.concatenate([places - center, np.zeros((3, 3))]))
    right = axes[0] if sizes[0] > 1e-6 else np.array([0.0, 0.0, 1.0])
    down = axes[1] if sizes[1] > 1e-6 else np.eye(3)[np.argmin(np.abs(right))]
    return _unit(Plane(center, right, down))


def _unit(plane: Plane) -> Plane:
    try:
        center, right, down = np.array([np.reshape(v, 3) for v in plane], np.float64)
    except (TypeError, ValueError):
        raise InputError(f"plane: expected three vectors of three numbers, got {plane}") from None
    if not np.isfinite([center, right, down]).all():
        raise InputError("plane: expected finite numbers")
    length = float(np.linalg.norm(right))
    right = right / max(length, 1e-12)
    across = down - (down @ right) * right
    if length < 1e-6 or np.linalg.norm(across) <= 1e-6 * np.linalg.norm(down):
        raise InputError("plane: expected two directions, not in one line")
    return Plane(center, right, across / np.linalg.norm(across))


def render(
    molecule: MolecularOrbitals,
    plane: Plane | None = None,
    size: int = 64,
    channels: Sequence[str] = tuple(CHANNELS),
    window: float | None = None,
    projection: bool = False,
    cut: bool = False,
) -> Image:
    """Draw channels of a molecule in a plane; see `densities.draw` for what they are.

    Args:
      molecule: what `solve` returns.
      plane: that nearest to all atoms unless given.
      size: pixels along each side, S.
      channels: names of `densities.CHANNELS`.
      window: width and height, Å; 4 Å beyond the outermost atoms unless given.
      projection: whether to integrate along the normal, over ±9.5 Å, instead of cutting.
      cut: whether more than 2 % of the electrons may be outside of the window.

    Raises:
      InputError: a number is out of range, no atom is near the plane within the window, or the
        window cuts the density.

    Example:
      >>> water = solve(["O", "H", "H"], [[0, 0, 0.12], [0, 0.76, -0.48], [0, -0.76, -0.48]])
      ...                                                               # doctest: +SKIP
      >>> render(water, size=32, channels=["density"]).values.shape     # doctest: +SKIP
      (32, 32, 1)
    """
    expect("molecule", molecule, MolecularOrbitals, "what `solve` returns")
    names = _channels(molecule, channels)
    if check_size(size) > MAX_SIZE:
        raise InputError(f"size: expected at most {MAX_SIZE} pixels, got {size}")
    places = molecule.positions * BOHR_ANG
    chosen = plane_of(places) if plane is None else _unit(plane)
    center, right, down = map(np.asarray, chosen)
    normal = np.cross(right, down)
    beside = np.stack([(places - center) @ v for v in (right, down)], axis=-1)
    if window is None:
        window = 2 * (float(np.abs(beside).max()) + MARGIN_ANG)
    _check_window(window)
    inside = (np.abs(beside) <= window / 2).all(axis=1)
    away = np.abs((places - center) @ normal)
    if not inside.any() or (not projection and away[inside].min() > NEAR_ANG):
        raise InputError(
            f"plane: expected one with an atom within {NEAR_ANG:g} Å of it and within the window "
            f"of {window:g} Å, got none"
        )
    outside = electrons_outside(molecule, center, [right, down], window)
    _check_cut(molecule, outside, window, cut)
    along = (np.arange(size) + 0.5 - size / 2) * window / size
    points = center + along[:, None, None] * down + along[None, :, None] * right
    if not projection:
        values = _at(molecule, points.reshape(-1, 3), names)
    else:
        nodes, weights = np.polynomial.legendre.leggauss(_NORMAL)
        values = np.zeros((size * size, len(names)), np.float32)
        # Points lie closer near the plane, as of pairs.
        for node, weight in zip(nodes, weights, strict=True):
            step = _REACH_ANG * 3 * node**2 * weight
            moved = points.reshape(-1, 3) + _REACH_ANG * node**3 * normal
            values += np.float32(step) * _at(molecule, moved, names)
    return Image(values.reshape(size, size, -1), window, chosen, outside)


def cube(
    molecule: MolecularOrbitals,
    channel: str = "density",
    size: int = 80,
    window: float | None = None,
    cut: bool = False,
) -> Cube:
    """Compute a channel at size³ points about the middle of the atoms; `cubes.write` writes it.

    Args:
      molecule: what `solve` returns.
      channel: a name of `densities.CHANNELS`.
      size: points along each side.
      window: Å, length of each side; 4 Å beyond the outermost atoms unless given.
      cut: whether more than 2 % of the electrons may be outside.

    Raises:
      InputError: a number is out of range, or the window cuts the density.
    """
    expect("molecule", molecule, MolecularOrbitals, "what `solve` returns")
    (name,) = _channels(molecule, [channel])
    if type(size) is not int or not 2 <= size <= MAX_CUBE:
        raise InputError(f"size: expected a whole number from 2 to {MAX_CUBE}, got {size!r}")
    places = molecule.positions * BOHR_ANG
    center = (places.min(axis=0) + places.max(axis=0)) / 2
    if window is None:
        window = 2 * (float(np.abs(places - center).max()) + MARGIN_ANG)
    _check_window(window)
    _check_cut(molecule, electrons_outside(molecule, center, list(np.eye(3)), window), window, cut)
    along = (np.arange(size) + 0.5 - size / 2) * window / size
    y, z = (axis.ravel() for axis in np.meshgrid(along, along, indexing="ij"))
    planes = [
        _at(molecule, center + np.stack([np.full(y.shape, x), y, z], axis=-1), [name])[:, 0]
        for x in along
    ]
    return Cube(
        channel=name,
        values=np.stack(planes).reshape(size, size, size) * np.float32(ATOMIC[CHANNELS[name]]),
        spacing=window / size / BOHR_ANG,
        origin=(center + along[0]) / BOHR_ANG,
        numbers=tuple(element(symbol).atomic_number for symbol in molecule.symbols),
        positions=places / BOHR_ANG,
        electrons=molecule.electrons,
    )


def electrons_outside(
    molecule: MolecularOrbitals,
    center: Float[np.ndarray, " 3"],
    axes: Sequence[np.ndarray],
    window: float,
) -> float:
    """Return how many valence electrons lie farther than window / 2 along any of the axes.

    Args:
      molecule: what `solve` returns.
      center: Å.
      axes: unit vectors.
      window: Å.
    """
    points, weights = quadrature(molecule.positions)
    far = np.zeros(len(points), bool)
    for axis in axes:
        far |= np.abs((points * BOHR_ANG - center) @ axis) > window / 2
    if not far.any():
        return 0.0
    density = at_points(molecule, points[far], ["density"])[:, 0] * BOHR_ANG**3
    return float(np.sum(weights[far] * density, dtype=np.float64))


def quadrature(
    positions: Float[np.ndarray, "atoms 3"], radial: int = 48, polar: int = 12
) -> tuple[Float[np.ndarray, "points 3"], Float[np.ndarray, " points"]]:
    """Return points and weights for integrals over space of what peaks at atoms; bohr.

    A. D. Becke, J. Chem. Phys. 88, 2547 (1988): space is parted among the atoms, and about each
    there are spheres; 48 of 12 · 24 points integrate the density of water to 1e-4 electrons.

    Args:
      positions: bohr.
      radial: spheres about an atom.
      polar: points from pole to pole; twice as many around.
    """
    x, w = np.polynomial.legendre.leggauss(radial)
    r = 1.5 * (1 + x) / (1 - x)
    shell = w * 3.0 / (1 - x) ** 2 * r**2
    u, v = np.polynomial.legendre.leggauss(polar)
    phi = np.pi * (np.arange(2 * polar) + 0.5) / polar
    sine = np.sqrt(1 - u**2)[:, None]
    unit = np.stack([sine * np.cos(phi), sine * np.sin(phi), u[:, None] + 0 * phi], axis=-1)
    sphere = (r[:, None, None, None] * unit).reshape(-1, 3)
    weight = (shell[:, None, None] * v[:, None] * (np.pi / polar + 0 * phi)).ravel()
    places = np.asarray(positions, np.float64)
    found = []
    for atom, place in enumerate(places):
        points = place + sphere
        distance = np.linalg.norm(points - places[:, None], axis=-1)  # [N, points]
        share = np.ones_like(distance)
        for i, j in itertools.permutations(range(len(places)), 2):
            mu = (distance[i] - distance[j]) / np.linalg.norm(places[i] - places[j])
            for _ in range(3):
                mu = 1.5 * mu - 0.5 * mu**3
            share[i] *= (1 - mu) / 2
        found.append((points, weight * share[atom] / share.sum(axis=0)))
    points, weights = (np.concatenate(one) for one in zip(*found, strict=True))
    return points, weights


def _at(molecule: MolecularOrbitals, points: np.ndarray, names: Sequence[str]) -> np.ndarray:
    return np.asarray(at_points(molecule, points / BOHR_ANG, names))


def _channels(molecule: MolecularOrbitals, channels: Sequence[str]) -> tuple[str, ...]:
    check_channels(channels)
    if len(channels) == 1 and channels[0].startswith("lumo") and not molecule.has_lumo:
        raise InputError(f"{channels[0]}: the basis has no empty level, so there is no LUMO")
    return tuple(channels)


def _check_window(window: float) -> None:
    if not (isinstance(window, int | float) and 0 < window <= MOST_ANG):
        raise InputError(f"window: expected a length above 0, up to {MOST_ANG:g} Å, got {window!r}")


def _check_cut(molecule: MolecularOrbitals, outside: float, window: float, cut: bool) -> None:
    if not cut and outside > CUT * molecule.electrons:
        raise InputError(
            f"window: {outside:.2f} of {molecule.electrons:g} electrons are outside of {window:g} "
            "Å; expected a wider one, or cut=True"
        )
