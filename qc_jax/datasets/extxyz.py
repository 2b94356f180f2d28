"""Molecules and crystals of one's own: extended XYZ, `extxyz:FILE.xyz?energy=KEY&forces=KEY`.

ASE reads the file: energies (eV) from the comment lines, forces (eV/Å) from columns, cells from
`Lattice` and `pbc`. Keys are `energy` and `forces` unless told otherwise; every other key of a
comment that is the name of a target, like `e_homo_ev`, is a label too.
"""

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from qc_jax.data import files, splits
from qc_jax.data.atoms import from_ase, read_frames
from qc_jax.data.names import DataName
from qc_jax.data.structures import Structures
from qc_jax.data.targets import STRUCTURE_TARGETS, TARGETS
from qc_jax.errors import InputError

ENERGY = "total_energy_ev"


def open_structures(name: DataName, data_dir: str = "") -> Structures:
    """Return the frames of a file, all in memory; of a random 80 % train, 10 % validate, 10 % test.

    Args:
      name: Its path, and perhaps the keys of energies and forces.
      data_dir: Of TFDS, which prepares nothing here.

    Raises:
      InputError: the file cannot be read, a frame lacks a key that was asked for, forces stand in
        some frames alone, or a number is not finite.
    """
    path = name.path
    frames = read_frames(path)
    labels: dict[str, np.ndarray] = {ENERGY: _energies(path, frames, name.options.get("energy"))}
    for key in (TARGETS | STRUCTURE_TARGETS).keys() - {ENERGY}:
        column = [frame.info.get(key, np.nan) for frame in frames]
        if not all(isinstance(value, int | float | np.number) for value in column):
            raise InputError(f"{path}: {key}: expected a number a frame")
        if np.isfinite(np.array(column, float)).any():
            labels[key] = np.array(column, float)
    labels = {key: column for key, column in labels.items() if np.isfinite(column).any()}
    if not labels:
        raise InputError(
            f"{path}: no frame has an energy; expected the key 'energy', one that "
            f"extxyz:{path}?energy=KEY names, or the name of a target; "
            f"got {', '.join(sorted({key for frame in frames for key in frame.info})) or 'none'}"
        )
    forces = _forces(path, frames, name.options.get("forces"))
    records = [
        _record(frame, None if forces is None else forces[at]) for at, frame in enumerate(frames)
    ]
    return Structures(
        names=np.array([f"{pathlib.Path(path).stem}_{at}" for at in range(len(frames))]),
        source=records,
        read=dict,
        targets=labels,
        sizes=np.array([len(frame) for frame in frames]),
        split=lambda rows, seed: splits.random_split(len(rows), seed),
        provenance={
            "file": pathlib.Path(path).name,
            "sha256": files.sha256(path),
            "frames": len(frames),
            "keys": dict(name.options),
        },
        periodic=any("cell" in record for record in records),
    )


def _record(frame: Any, forces: np.ndarray | None) -> Mapping[str, Any]:
    """Return what `Structures.read` gives of a frame."""
    structure = from_ase(frame)
    found: dict[str, Any] = {
        "atomic_numbers": structure.atomic_numbers,
        "positions": structure.positions,
    }
    if structure.cell is not None:
        found["cell"] = structure.cell
    if forces is not None:
        found["forces"] = forces
    return found


def _lookup(frame: Any, key: str) -> Any:
    """Return what a frame holds under a key, wherever ASE puts it; None for nothing."""
    results = {} if frame.calc is None else frame.calc.results
    for place in (results, frame.info, frame.arrays):
        if key in place:
            return place[key]
    return None


def _energies(path: str, frames: list[Any], asked: str | None) -> np.ndarray:
    """Return the energies [N] in eV, NaN where a frame has none and none was asked for."""
    column = np.full(len(frames), np.nan)
    for at, frame in enumerate(frames):
        value = _lookup(frame, asked or "energy")
        if value is None:
            if asked:
                raise InputError(f"{path}: frame {at}: expected the key {asked!r}, an energy in eV")
            continue
        if not isinstance(value, int | float | np.number) or not np.isfinite(value):
            raise InputError(
                f"{path}: frame {at}: {asked or 'energy'}: expected a finite energy in eV, "
                f"got {value}"
            )
        column[at] = float(value)
    return column


def _forces(path: str, frames: list[Any], asked: str | None) -> list[np.ndarray] | None:
    """Return the forces [n, 3] of each frame in eV/Å; None where no frame has any."""
    key = asked or "forces"
    found = [_lookup(frame, key) for frame in frames]
    there = [value is not None for value in found]
    if not any(there) and not asked:
        return None
    if not all(there):
        raise InputError(
            f"{path}: frame {there.index(False)}: expected forces under {key!r}, as in other frames"
        )
    for at, (frame, value) in enumerate(zip(frames, found, strict=True)):
        array = np.asarray(value)
        if array.shape != (len(frame), 3) or array.dtype.kind not in "fiu":
            raise InputError(
                f"{path}: frame {at}: {key}: expected three numbers an atom, in eV/Å, "
                f"got shape {array.shape} of {array.dtype}"
            )
        if not np.isfinite(array).all():
            raise InputError(f"{path}: frame {at}: {key}: a force is not finite")
    return [np.asarray(value, np.float64) for value in found]
