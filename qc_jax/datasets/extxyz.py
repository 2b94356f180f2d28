"""Molecules and crystals of one's own: `extxyz:FILE.xyz?energy=KEY&forces=KEY&stress=KEY`.

ASE reads the file: energies (eV) and the stress of cells (eV/Å³, with ASE's sign) from the comment
lines, forces (eV/Å) from columns, cells from `Lattice` and `pbc`. Keys are `energy`, `forces` and
`stress` unless told otherwise; every other key of a comment that is the name of a target, like
`e_homo_ev`, is a label too, and `total_energy_ev` is the energy of a frame without `energy`.
Energies of several compositions are learned less a constant an atom of each element.
"""

import pathlib
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from qc_jax.data import files, splits
from qc_jax.data.atoms import from_ase, read_frames
from qc_jax.data.names import DataName
from qc_jax.data.structures import Structures
from qc_jax.data.targets import STRUCTURE_TARGETS, TARGETS
from qc_jax.errors import InputError

ENERGY = "total_energy_ev"
_SAME_EV = 1e-6  # up to which energies are one


def open_structures(name: DataName, data_dir: str = "") -> Structures:
    """Return the frames of a file, all in memory; of a random 80 % train, 10 % validate, 10 % test.

    Args:
      name: Its path, and perhaps the keys of energies and forces.
      data_dir: Of TFDS, which prepares nothing here.

    Raises:
      InputError: the file cannot be read, a frame lacks a key that was asked for, forces or stress
        stand in some frames alone, or a number is not finite.
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
    slopes = {
        "forces": _arrays(
            path, frames, "forces", name.options.get("forces"), lambda atoms: {(atoms, 3)}
        ),
        "virial": _virials(path, frames, name.options.get("stress")),
    }
    known = {key: column for key, column in slopes.items() if column is not None}
    if known and "energy" not in name.options:
        _warn_of_free_energies(path, frames, labels.get(ENERGY))
    records = [
        _record(frame) | {key: column[at] for key, column in known.items()}
        for at, frame in enumerate(frames)
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
        per_atom=(ENERGY,),
    )


def _warn_of_free_energies(path: str, frames: list[Any], energies: np.ndarray | None) -> None:
    """Warn where frames have another energy, of warm electrons, whose slopes their forces are."""
    free = np.array(
        [np.nan if (value := _lookup(frame, "free_energy")) is None else value for frame in frames],
        float,
    )
    apart = np.abs(free - (np.nan if energies is None else energies))
    if np.nanmax(apart, initial=0) > _SAME_EV:
        warnings.warn(
            f"{path}: energy and free_energy differ by up to {np.nanmax(apart):.3g} eV; forces and "
            f"stress are slopes of the latter as a rule: extxyz:{path}?energy=free_energy takes it",
            stacklevel=3,
        )


def _record(frame: Any) -> dict[str, Any]:
    """Return atoms and cell of a frame, as `Structures.read` gives them."""
    found = from_ase(frame)._asdict()
    return {key: value for key, value in found.items() if value is not None}


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
        key, value = asked or "energy", _lookup(frame, asked or "energy")
        if value is None and not asked:
            key, value = ENERGY, frame.info.get(ENERGY)
        if value is None:
            if asked:
                raise InputError(f"{path}: frame {at}: expected the key {asked!r}, an energy in eV")
            continue
        if not isinstance(value, int | float | np.number) or not np.isfinite(value):
            raise InputError(
                f"{path}: frame {at}: {key}: expected a finite energy in eV, got {value}"
            )
        column[at] = float(value)
    return column


def _arrays(
    path: str, frames: list[Any], name: str, asked: str | None, shapes: Callable[[int], set]
) -> list[np.ndarray] | None:
    """Return forces or stress of each frame, of one of the `shapes` for its number of atoms.

    None where no frame has any.
    """
    key = asked or name
    found = [_lookup(frame, key) for frame in frames]
    there = [value is not None for value in found]
    if not any(there) and not asked:
        return None
    if not all(there):
        at = there.index(False)
        raise InputError(f"{path}: frame {at}: expected {name} under {key!r}, as in other frames")
    for at, (frame, value) in enumerate(zip(frames, found, strict=True)):
        array = np.asarray(value)
        if array.shape not in shapes(len(frame)) or array.dtype.kind not in "fiu":
            wanted = " or ".join(sorted(map(str, shapes(len(frame)))))
            raise InputError(
                f"{path}: frame {at}: {key}: expected numbers of shape {wanted}, "
                f"got {array.shape} of {array.dtype}"
            )
        if not np.isfinite(array).all():
            raise InputError(f"{path}: frame {at}: {key}: a number is not finite")
    return [np.asarray(value, np.float64) for value in found]


def _virials(path: str, frames: list[Any], asked: str | None) -> list[np.ndarray] | None:
    """Return stress times volume [3, 3] of each frame in eV; None where no frame has a stress."""
    from ase.stress import voigt_6_to_full_3x3_stress

    found = _arrays(path, frames, "stress", asked, lambda atoms: {(6,), (9,), (3, 3)})
    if found is None:
        return None
    for at, frame in enumerate(frames):
        if not frame.pbc.all():
            raise InputError(f"{path}: frame {at}: expected a cell, which its stress is of")
    return [
        (voigt_6_to_full_3x3_stress(stress) if stress.size == 6 else stress.reshape(3, 3))
        * frame.get_volume()
        for frame, stress in zip(frames, found, strict=True)
    ]
