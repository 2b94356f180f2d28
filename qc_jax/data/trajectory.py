"""Trajectories of one molecule as `.npz` files: those of sGDML and of the revised MD17.

The files of sGDML (S. Chmiela et al., Sci. Adv. 3, e1603015, 2017) hold `E`, `F`, `R` and `z`,
those of the revised MD17 (A. S. Christensen, O. A. von Lilienfeld, Mach. Learn.: Sci. Technol. 1,
045018, 2020) `energies`, `forces`, `coords` and `nuclear_charges`; both in kcal/mol and Å.
"""

import collections
import dataclasses
import os
from typing import Any

import numpy as np

from qc_jax.chem.elements import MAX_ATOMIC_NUMBER, element
from qc_jax.chem.units import KCAL_PER_MOL_EV
from qc_jax.data.files import DAMAGE
from qc_jax.errors import InputError, choose

# The keys of energies, forces, positions and atomic numbers.
LAYOUTS = {
    "original": ("E", "F", "R", "z"),
    "revised": ("energies", "forces", "coords", "nuclear_charges"),
}
# What sGDML writes of its units, where it does.
_UNITS = {"e_unit": ("kcal/mol",), "r_unit": ("Ang", "Angstrom")}


@dataclasses.dataclass(frozen=True, eq=False)
class Trajectory:
    """N frames of n atoms.

    Attributes:
      atomic_numbers: [n] int32.
      positions: [N, n, 3] Å.
      energies: [N] eV, float64.
      forces: [N, n, 3] eV/Å.
      layout: one of `LAYOUTS`.
    """

    atomic_numbers: np.ndarray
    positions: np.ndarray
    energies: np.ndarray
    forces: np.ndarray
    layout: str

    def __len__(self) -> int:
        return len(self.energies)

    @property
    def formula(self) -> str:
        """As `formula_of`."""
        return formula_of(self.atomic_numbers)


def formula_of(atomic_numbers: np.ndarray) -> str:
    """Symbols and how often they are there, in alphabetical order, like 'C2H6O'."""
    counts = collections.Counter(element(int(number)).symbol for number in atomic_numbers)
    return "".join(f"{symbol}{n if n > 1 else ''}" for symbol, n in sorted(counts.items()))


def read(path: str | os.PathLike, layout: str | None = None) -> Trajectory:
    """The frames of a file; nothing in it is unpickled.

    Args:
      path: of the `.npz`.
      layout: what it is expected to be, one of `LAYOUTS`; None takes either.

    Raises:
      InputError: it is not such a file, is damaged, its shapes do not fit each other, a number in
        it is not finite, or it tells of other units.
    """
    name = os.fspath(path)
    try:
        with np.load(name, allow_pickle=False) as file:
            found = _layout(name, list(file), layout)
            for key, known in _UNITS.items():
                if key in file and str(file[key][()]) not in known:
                    raise InputError(f"{name}: expected {key} {known[0]}, got {file[key][()]!r}")
            arrays = [file[key] for key in LAYOUTS[found]]
    except InputError:
        raise
    except (*DAMAGE, TypeError) as error:  # an .npy is no file of arrays
        raise _damaged(name, error) from error
    energies, forces, positions, numbers = _checked(name, LAYOUTS[found], arrays)
    return Trajectory(
        numbers, positions, energies * KCAL_PER_MOL_EV, forces * KCAL_PER_MOL_EV, found
    )


def layout_of(path: str | os.PathLike) -> str:
    """Which of `LAYOUTS` a file has.

    Raises:
      InputError: as `read`.
    """
    name = os.fspath(path)
    try:
        with np.load(name, allow_pickle=False) as file:
            return _layout(name, list(file), None)
    except InputError:
        raise
    except (*DAMAGE, TypeError) as error:
        raise _damaged(name, error) from error


def write(path: str | os.PathLike, trajectory: Trajectory, **extra: Any) -> None:
    """Writes a file that `read` takes, in the trajectory's layout, positions and forces as float32.

    Args:
      path: of the `.npz`.
      trajectory: the frames.
      **extra: further arrays or words of the file, like `theory`.
    """
    arrays = (
        trajectory.energies / KCAL_PER_MOL_EV,
        (trajectory.forces / KCAL_PER_MOL_EV).astype(np.float32),
        trajectory.positions.astype(np.float32),
        trajectory.atomic_numbers.astype(np.uint8),
    )
    named: dict[str, Any] = dict(zip(LAYOUTS[trajectory.layout], arrays, strict=True))
    with open(path, "wb") as file:
        np.savez_compressed(file, **named, **extra)


def _damaged(name: str, error: BaseException) -> InputError:
    return InputError(f"{name}: not an .npz of a trajectory, or damaged: {error}")


def _layout(name: str, keys: list[str], expected: str | None) -> str:
    """Which layout the keys are."""
    if expected is not None:
        choose("layout", expected, LAYOUTS)
    complete = [layout for layout, wanted in LAYOUTS.items() if set(wanted) <= set(keys)]
    if not complete or (expected is not None and expected not in complete):
        wanted = [expected] if expected is not None else list(LAYOUTS)
        listed = " or ".join(f"{', '.join(LAYOUTS[each])} ({each})" for each in wanted)
        raise InputError(f"{name}: expected arrays {listed}, got {', '.join(sorted(keys)) or '-'}")
    return expected or complete[0]


def _checked(name: str, keys: tuple[str, ...], arrays: list[np.ndarray]) -> list[np.ndarray]:
    """The arrays of a file as energies, forces, positions and atomic numbers."""
    for key, array in zip(keys, arrays, strict=True):
        if array.dtype.kind not in "fiu":
            raise InputError(f"{name}: {key}: expected numbers, got {array.dtype}")
    energies, forces, positions, numbers = arrays
    if positions.ndim != 3 or positions.shape[2] != 3 or 0 in positions.shape:
        raise InputError(f"{name}: {keys[2]}: expected shape (N, n, 3), got {positions.shape}")
    frames, atoms = positions.shape[:2]
    if forces.shape != positions.shape:
        raise InputError(f"{name}: {keys[1]}: expected {positions.shape}, got {forces.shape}")
    if energies.size != frames or energies.ndim not in (1, 2):
        raise InputError(f"{name}: {keys[0]}: expected ({frames},), got {energies.shape}")
    if numbers.shape != (atoms,):
        raise InputError(f"{name}: {keys[3]}: expected ({atoms},), got {numbers.shape}")
    if numbers.min() < 1 or numbers.max() > MAX_ATOMIC_NUMBER:
        raise InputError(f"{name}: {keys[3]}: expected 1 to {MAX_ATOMIC_NUMBER}, got {numbers}")
    energies = energies.reshape(frames).astype(np.float64)
    for key, array in zip(keys, (energies, forces, positions), strict=False):
        bad = ~np.isfinite(array.reshape(frames, -1)).all(axis=1)
        if bad.any():
            raise InputError(
                f"{name}: {key}: frame {np.argmax(bad)} is not finite ({bad.sum()} of {frames})"
            )
    return [energies, forces.astype(np.float64), positions.astype(np.float64), numbers.astype("i4")]
