"""One structure of an XYZ file, with its cell where the comment has a `Lattice`."""

import os
import re
from typing import NamedTuple

import numpy as np

from qc_jax.chem.elements import element
from qc_jax.errors import InputError

_LATTICE = re.compile(r'Lattice="([^"]*)"')


class Structure(NamedTuple):
    """n atoms.

    Attributes:
      atomic_numbers: [n] int32.
      positions: [n, 3] Å.
      cell: [3, 3] Å, a lattice vector a row; None where nothing is periodic.
    """

    atomic_numbers: np.ndarray
    positions: np.ndarray
    cell: np.ndarray | None = None


def read(path: str | os.PathLike) -> Structure:
    """The structure of a file of one frame: a count, a comment, a line `symbol x y z …` an atom.

    Raises:
      InputError: it cannot be read, is cut short, has lines to spare, or a line is wrong.
    """
    name = os.fspath(path)
    try:
        with open(name, encoding="utf-8") as file:
            lines = file.read().rstrip().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{name}: cannot be read: {error}") from error
    if not lines or not lines[0].strip().isdecimal():
        raise InputError(f"{name}: line 1: expected the atoms' count, got {''.join(lines[:1])!r}")
    count = int(lines[0])
    if count < 1 or len(lines) != count + 2:
        raise InputError(f"{name}: expected {count} atoms as line 1 says, got {len(lines) - 2}")
    rows = [line.split() for line in lines[2:]]
    numbers, positions = [], []
    for at, row in enumerate(rows, start=3):
        try:
            numbers.append(element(row[0]).atomic_number)
            positions.append(_three(row[1:4]))
        except (IndexError, ValueError) as error:  # an InputError is a ValueError
            raise InputError(f"{name}: line {at}: expected symbol, x, y, z, got {row}") from error
    lattice = _LATTICE.search(lines[1])
    cell = None
    if lattice is not None:
        try:
            words = lattice[1].split()
            cell = np.array([_three(words[at : at + 3]) for at in (0, 3, 6)])
            if len(words) != 9 or not abs(np.linalg.det(cell)) > 0:
                raise ValueError(words)
        except ValueError as error:
            raise InputError(
                f"{name}: Lattice: expected nine numbers that span a volume, got {lattice[1]!r}"
            ) from error
    return Structure(np.array(numbers, np.int32), np.array(positions), cell)


def write(path: str | os.PathLike, structure: Structure, comment: str = "") -> None:
    """Writes a file that `read` takes; the cell, where there is one, follows the comment."""
    lines = [str(len(structure.atomic_numbers)), comment]
    if structure.cell is not None:
        lattice = " ".join(f"{number:.8f}" for number in structure.cell.ravel())
        lines[1] = f'{comment} Lattice="{lattice}" pbc="T T T"'.strip()
    for number, (x, y, z) in zip(structure.atomic_numbers, structure.positions, strict=True):
        lines.append(f"{element(int(number)).symbol:2s} {x:14.8f} {y:14.8f} {z:14.8f}")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


def _three(words: list[str]) -> list[float]:
    """Three finite numbers, or a ValueError."""
    values = [float(word) for word in words]
    if len(values) != 3 or not np.isfinite(values).all():
        raise ValueError(words)
    return values
