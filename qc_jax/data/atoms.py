"""One structure of atoms: checked wherever it enters, from ASE or from a file that ASE reads."""

import io
import itertools
import os
import re
import warnings
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy import spatial

from qc_jax.chem.elements import MAX_ATOMIC_NUMBER
from qc_jax.data import files
from qc_jax.errors import InputError, expect

SAME_PLACE_ANG = 1e-3  # atoms whose coordinates differ by no more stand at one place
FARTHEST_ANG = 1e6  # from the origin; the squares of what is far beyond overflow float32
_QUOTED = re.compile(r""""[^"]*"|'[^']*'|\{[^}]*\}|\[[^\]]*\]""")


def refuse_settings(names: Iterable[str], own: str) -> None:
    """Raise InputError where a calculator of ASE, which takes any keyword, is given another.

    Args:
      names: of what is given beside ASE's own, or set later.
      own: keywords that the calculator is made with.
    """
    for name in names:
        raise InputError(
            f"{name}: cannot be set; a calculator is made with {own}, and ASE's atoms, directory, "
            "label"
        )


class Structure(NamedTuple):
    """n atoms, free or in a cell that is periodic in all three directions.

    Attributes:
      atomic_numbers: 1 to 96.
      positions: Å.
      cell: Å, a lattice vector a row; None where nothing is periodic.
    """

    atomic_numbers: Int[np.ndarray, " atoms"]
    positions: Float[np.ndarray, "atoms 3"]
    cell: Float[np.ndarray, "3 3"] | None = None


def check_structure(structure: Structure, where: str = "") -> Structure:
    """Return the structure where it is one that a model may be asked about.

    Args:
      structure: What came in.
      where: What begins the message of an error, like a file's name and a colon.

    Raises:
      InputError: there is no atom, a number is no element's, a coordinate is not finite or far too
        large, the cell spans no volume, or two atoms stand at one place, of a cell with its images.
    """
    start = f"{where}: " if where else ""
    numbers, positions = np.asarray(structure.atomic_numbers), np.asarray(structure.positions)
    if not len(numbers):
        raise InputError(f"{start}expected at least one atom, got none")
    kinds = numbers.dtype.kind, positions.dtype.kind
    if positions.shape != (len(numbers), 3) or kinds[0] not in "iu" or kinds[1] not in "iuf":
        raise InputError(
            f"{start}expected atomic numbers [n] and positions [n, 3], got arrays of "
            f"{numbers.dtype} {numbers.shape} and {positions.dtype} {positions.shape}"
        )
    unknown = (numbers < 1) | (numbers > MAX_ATOMIC_NUMBER)
    if unknown.any():
        atom = int(np.argmax(unknown))
        raise InputError(
            f"{start}atom {atom}: expected an element, H to Cm, got atomic number "
            f"{int(numbers[atom])}"
        )
    bad = ~(np.abs(positions) <= FARTHEST_ANG).all(axis=1)
    if bad.any():
        atom = int(np.argmax(bad))
        raise InputError(
            f"{start}atom {atom}: expected finite coordinates up to {FARTHEST_ANG:.0e} Å, "
            f"got {positions[atom].tolist()}"
        )
    if structure.cell is not None:
        cell = np.asarray(structure.cell)
        if cell.shape != (3, 3) or not np.isfinite(cell).all() or not abs(np.linalg.det(cell)) > 0:
            raise InputError(
                f"{start}cell: expected three vectors that span a volume, got {cell.tolist()}"
            )
    pairs = _at_one_place(positions, structure.cell)
    if len(pairs):
        atom = int(pairs.min())
        others = np.unique(pairs[(pairs == atom).any(axis=1)])
        raise InputError(
            f"{start}{len(others)} atoms stand at one place, {positions[atom].tolist()} Å; "
            f"atom {atom} is the first"
        )
    return structure


def _at_one_place(
    positions: Float[np.ndarray, "atoms 3"], cell: Float[np.ndarray, "3 3"] | None
) -> Int[np.ndarray, "pairs 2"]:
    """Return atoms whose coordinates, or an image's, differ by no more than `SAME_PLACE_ANG`."""
    places, atoms = np.asarray(positions, float), np.arange(len(positions))
    if cell is not None:
        inverse = np.linalg.inv(np.asarray(cell, float))
        parts = places @ inverse
        parts -= np.floor(parts)
        # Beside the atoms in the cell those behind its far faces that are as near as that.
        near = parts < 2 * SAME_PLACE_ANG * np.linalg.norm(inverse, axis=0)
        steps = np.array(list(itertools.product((0, 1), repeat=3)))
        step, atoms = np.nonzero((near | (steps[:, None] == 0)).all(axis=2))
        places = (parts[atoms] + steps[step]) @ cell
    most = SAME_PLACE_ANG * (1 + 1e-6)  # but for rounding
    pairs = spatial.cKDTree(places).query_pairs(most, p=np.inf, output_type="ndarray")
    found = atoms[pairs]
    return found[found[:, 0] != found[:, 1]]


def from_ase(atoms: Any, where: str = "") -> Structure:
    """Return the checked structure of an `ase.Atoms`.

    Warns of initial charges and magnetic moments, which are ignored.

    Args:
      atoms: The `ase.Atoms`; its cell counts where it is periodic.
      where: As in `check_structure`.

    Raises:
      InputError: it is periodic in some directions alone, or as `check_structure`.
    """
    if not (hasattr(atoms, "pbc") and hasattr(atoms, "positions")):
        expect("atoms", atoms, (), "ase.Atoms")
    if atoms.pbc.any() and not atoms.pbc.all():
        words = " ".join("FT"[int(each)] for each in atoms.pbc)
        start = f"{where}: " if where else ""
        raise InputError(
            f"{start}pbc: expected periodic in all three directions or none, got {words}"
        )
    for given, what in (
        (atoms.get_initial_charges(), "initial charges are ignored: structures are neutral"),
        (atoms.get_initial_magnetic_moments(), "magnetic moments are ignored: models know no spin"),
    ):
        if given.any():
            warnings.warn(f"{where}: {what}" if where else what, stacklevel=2)
    cell = np.array(atoms.cell) if atoms.pbc.all() else None
    numbers = np.array(atoms.numbers, np.int32)
    return check_structure(Structure(numbers, np.array(atoms.positions), cell), where)


def read_frames(path: str | os.PathLike) -> list[Any]:
    """Return the frames of an (extended) XYZ file as `ase.Atoms`, each a checked structure.

    `Properties` say which columns are what, `Lattice` and `pbc` what is periodic: a lattice without
    `pbc` is periodic.

    Raises:
      InputError: the file cannot be read, has no frame, or one is wrong.
    """
    import ase.io

    name = os.fspath(path)
    text = files.read_text(name)
    _check_frames(name, text)
    try:
        found = ase.io.read(io.StringIO(text), index=":", format="extxyz")
    except Exception as error:  # ASE parses by hand: whatever it stumbles over is the file's fault
        what = files.one_line(error)
        raise InputError(f"{name}: not an extended XYZ file: {what}") from error
    frames = found if isinstance(found, list) else [found]
    if not frames:
        raise InputError(f"{name}: expected at least one frame, got none")
    for at, atoms in enumerate(frames):
        from_ase(atoms, name if len(frames) == 1 else f"{name}: frame {at}")
    return frames


def _check_frames(name: str, text: str) -> None:
    """Raise InputError where a frame has no atoms or lacks some, or says a key twice.

    Likewise where an empty line stands before a frame. ASE reads up to that line, takes the last of
    two keys, and counts to any number of atoms.
    """
    lines = text.rstrip().splitlines()
    at = 0
    while at + 1 < len(lines):
        if not lines[at].strip():
            raise InputError(f"{name}: line {at + 1}: expected no empty line before a frame")
        if not re.fullmatch(r"\s*\d+\s*", lines[at]):
            break  # ASE says so
        if not 1 <= int(lines[at]) <= len(lines) - at - 2:
            raise InputError(
                f"{name}: line {at + 1}: not an extended XYZ file: got {lines[at].strip()} atoms "
                f"and {len(lines) - at - 2} lines behind the comment"
            )
        keys = re.findall(r"([^\s=]+)\s*=", _QUOTED.sub("", lines[at + 1]))
        for key in keys:
            if keys.count(key) > 1:
                raise InputError(f"{name}: line {at + 2}: the key {key!r} stands twice")
        at += 2 + int(lines[at])


def read_structure(path: str | os.PathLike) -> Structure:
    """Return the structure of an (extended) XYZ file of one frame.

    Raises:
      InputError: as `read_frames`, or there are several frames.
    """
    frames = read_frames(path)
    if len(frames) > 1:
        raise InputError(f"{os.fspath(path)}: expected one frame, got {len(frames)}")
    return from_ase(frames[0], os.fspath(path))
