"""Densities and orbitals of one pair of atoms on a grid in space, and as Gaussian cube files."""

import os
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from qc_jax.canvas import densities, methods, xtb_orbitals
from qc_jax.chem.elements import element
from qc_jax.chem.units import BOHR_ANG, HARTREE_EV
from qc_jax.data import files
from qc_jax.errors import InputError, choose

MAX_SIZE = 256  # 134 MB of numbers
# From the units of `densities.CHANNELS` to atomic ones, which cube files are in.
ATOMIC = {
    "e/Å³": BOHR_ANG**3,
    "1/Å³": BOHR_ANG**3,
    "1/Å^(3/2)": BOHR_ANG**1.5,
    "V": 1 / HARTREE_EV,
}


# As comments of files name those of `methods.METHODS`.
_NAMES = {methods.PTBP: "PTBP", methods.GFN2_XTB: xtb_orbitals.METHOD}


class Cube(NamedTuple):
    """A channel of `densities.CHANNELS` on an even grid, atomic units.

    Attributes:
      channel: its name.
      values: by x, y and z; the bond of a pair is along z, and its middle that of the grid.
      spacing: bohr from point to point.
      origin: x, y and z of the first point, bohr.
      numbers: of the atoms.
      positions: bohr.
      electrons: valence electrons of all atoms, of which the grid holds nearly all.
      parameters: of `methods.METHODS`, what it was computed with.
    """

    channel: str
    values: Float[np.ndarray, "x y z"]
    spacing: float
    origin: Float[np.ndarray, " 3"]
    numbers: tuple[int, ...]
    positions: Float[np.ndarray, "atoms 3"]
    electrons: float
    parameters: str = methods.PTBP

    @property
    def integral(self) -> float:
        """Return the sum over the grid: of 'density' the valence electrons that are in it, e."""
        return float(self.values.sum(dtype=np.float64) * self.spacing**3)


def cube(
    pair: str,
    channel: str = "density",
    size: int = 80,
    distance: float | None = None,
    window: float = densities.WINDOW_ANG,
    parameters: str = "ptbp",
) -> Cube:
    """Compute a channel of one pair at size³ points, by tight binding.

    Args:
      pair: like 'C_O', the atom named first at smaller z.
      channel: a name of `densities.CHANNELS`.
      size: points along each side.
      distance: Å; the relaxed one unless given.
      window: Å, length of each side.
      parameters: as of `densities.render`.

    Raises:
      InputError: no such pair or channel, a number out of range, or the LUMO of a pair whose
        levels are all occupied.
      NotConverged: the charges do not settle.

    Example:
      >>> cube("H_H", "homo_amplitude", size=40).values.shape  # doctest: +SKIP
      (40, 40, 40)
    """
    choose("channel", channel, densities.CHANNELS)
    if type(size) is not int or not 2 <= size <= MAX_SIZE:
        raise InputError(f"size: expected a whole number from 2 to {MAX_SIZE}, got {size!r}")
    if not 0 < window <= 4 * densities.WINDOW_ANG:
        most = 4 * densities.WINDOW_ANG
        raise InputError(f"window: expected a length above 0, up to {most:g} Å, got {window!r}")
    at = None if distance is None else np.array([distance])
    radial, orbitals = densities.solve([pair], at, parameters)
    if channel.startswith("lumo") and not np.any(orbitals.amplitudes[0, 1]):
        raise InputError(f"{channel} of {pair}: the basis has no empty level, so there is no LUMO")
    spacing = window / BOHR_ANG / size
    along = ((np.arange(size) + 0.5) * spacing - window / BOHR_ANG / 2).astype(np.float32)
    y, z = (axis.ravel() for axis in np.meshgrid(along, along, indexing="ij"))

    @jax.jit
    def plane(x):
        points = jnp.asarray(z), jnp.full(z.shape, x), jnp.asarray(y)
        return densities.at_points(orbitals, radial, *points, (channel,))[0, :, 0]

    values = np.asarray(jax.lax.map(plane, jnp.asarray(along))).reshape(size, size, size)
    symbols = pair.split("_")
    half = float(orbitals.distance[0]) / 2
    return Cube(
        channel=channel,
        values=values * np.float32(ATOMIC[densities.CHANNELS[channel]]),
        spacing=spacing,
        origin=np.full(3, along[0], np.float64),
        numbers=tuple(element(symbol).atomic_number for symbol in symbols),
        positions=np.array([[0, 0, -half], [0, 0, half]]),
        electrons=sum(methods.valence_electrons(symbol, parameters) for symbol in symbols),
        parameters=parameters,
    )


def write(path: str | os.PathLike, found: Cube) -> None:
    """Write a Gaussian cube file, which VMD, PyMOL, Jmol, Avogadro and ASE read.

    Raises:
      InputError: it cannot be written.
    """
    from ase import Atoms
    from ase.io.cube import write_cube
    from ase.units import Bohr

    sides = np.array(found.values.shape) * found.spacing * Bohr
    atoms = Atoms(found.numbers, positions=found.positions * Bohr, cell=sides)
    method = _NAMES[found.parameters]
    comment = f"{found.channel} of {atoms.symbols} by tight binding with {method}, atomic units"
    with files.atomic_write(path) as partial, open(partial, "w") as file:
        write_cube(file, atoms, found.values, found.origin * Bohr, comment)
