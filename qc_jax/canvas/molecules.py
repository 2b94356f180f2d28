"""Electrons of molecules by tight binding, from which their canvases are drawn.

Parameters are PTBP's and shells those of the published dataset, as of the table `ptbp`. What was
computed is kept in the user's cache directory.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from qc_jax.canvas.orbitals import published_shells
from qc_jax.chem.elements import element
from qc_jax.dftb import cache, solver
from qc_jax.dftb.convergence import NotConverged
from qc_jax.dftb.parameters import covered_symbols
from qc_jax.errors import InputError

BATCH = 256  # structures between two of which a killed run goes on
Progress = Callable[[int, int], None]

_SCHEMA = 2  # of what is kept


class Electrons(NamedTuple):
    """Electrons of N structures of up to A atoms, float32; NaN where the charges do not settle.

    Attributes:
      populations: by (l, m), as in `PairTable`.
      charges: e.
      dipole: Debye.
      present: the atoms that are there.
    """

    populations: Float[np.ndarray, "structures atoms 16"]
    charges: Float[np.ndarray, "structures atoms"]
    dipole: Float[np.ndarray, "structures 3"]
    present: Bool[np.ndarray, "structures atoms"]


class Atoms(NamedTuple):
    """A structure without a cell.

    Attributes:
      name: to tell it by.
      symbols: of its atoms.
      positions: Å.
    """

    name: str
    symbols: tuple[str, ...]
    positions: Float[np.ndarray, "atoms 3"]


def atoms_of(name: str, record: Any) -> Atoms:
    """Return a structure as `structures.Structures.read` gives it.

    Raises:
      InputError: it has a cell, or an element without parameters.
    """
    if record.get("cell") is not None:
        raise InputError(
            f"{name}: expected a structure without a cell, whose canvas tight binding can tell, "
            "got a periodic one; a model that reads no canvas takes it"
        )
    symbols = tuple(element(int(z)).symbol for z in record["atomic_numbers"])
    for symbol in symbols:
        if symbol not in covered_symbols():
            raise InputError(f"{name}: its canvas needs parameters of PTBP, which lacks {symbol}")
    return Atoms(name, symbols, np.asarray(record["positions"], np.float64))


def electrons(
    structures: Sequence[Atoms] | Iterator[Atoms], count: int, progress: Progress | None = None
) -> Iterator[Electrons]:
    """Yield the electrons of structures, `BATCH` at a time, at 300 K.

    Args:
      structures: those of one batch are held in memory.
      count: how many there are.
      progress: told (done, total).

    Raises:
      InputError: atoms are closer than the tables reach.
    """
    given = iter(structures)
    for start in range(0, count, BATCH):
        batch = [next(given) for _ in range(min(BATCH, count - start))]
        key = cache.digest(
            _SCHEMA,
            [one.symbols for one in batch],
            np.concatenate([one.positions for one in batch]),
        )
        kept = cache.load("canvas", key)
        if kept is None:
            kept = _of_batch(batch)._asdict()
            cache.store("canvas", key, kept)
        if progress is not None:
            progress(start + len(batch), count)
        yield Electrons(**kept)


def _of_batch(batch: Sequence[Atoms]) -> Electrons:
    shells = published_shells(sorted({symbol for one in batch for symbol in one.symbols}))
    pairs = [(one.symbols, one.positions) for one in batch]
    try:
        solved = solver.solve_all(pairs, max_l=shells, forces=False)
    except InputError:
        for one in batch:  # which of them it is
            try:
                solver.solve_all([(one.symbols, one.positions)], max_l=shells, forces=False)
            except InputError as error:
                raise InputError(f"{one.name}: {error}") from error
        raise
    most = max(len(one.symbols) for one in batch)
    found = Electrons(
        np.zeros((len(batch), most, 16), np.float32),
        np.zeros((len(batch), most), np.float32),
        np.zeros((len(batch), 3), np.float32),
        np.zeros((len(batch), most), bool),
    )
    for row, (one, solution) in enumerate(zip(batch, solved, strict=True)):
        atoms = len(one.symbols)
        found.present[row, :atoms] = True
        if isinstance(solution, NotConverged):
            found.populations[row, :atoms] = found.charges[row, :atoms] = np.nan
            found.dipole[row] = np.nan
            continue
        found.populations[row, :atoms] = solution.populations
        found.charges[row, :atoms] = solution.charges_e
        found.dipole[row] = solution.dipole_d
    return found
