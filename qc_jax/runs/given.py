"""Structures that a user asks a trained model about, as batches."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from qc_jax.chem.elements import element, pair_name
from qc_jax.data.batch import Batch, from_arrays
from qc_jax.data.neighbors import Neighbors
from qc_jax.data.stream import Stream
from qc_jax.errors import InputError
from qc_jax.models import Architecture
from qc_jax.runs.record import Record


def ordered(names: Sequence[str]) -> list[str]:
    """Return pairs like 'Al_Ag' or 'Al-Ag' as tables name them.

    Raises:
      InputError: A name is none of a pair, or an element is not known.
    """
    return [pair_name(*_symbols(name)) for name in names]


def _symbols(name: str) -> list[str]:
    symbols = name.replace("-", "_").split("_")
    if len(symbols) != 2:
        raise InputError(f"expected a pair like 'Ag_Al', got {name!r}")
    return symbols


def pairs_with(names: Sequence[str], positions: np.ndarray) -> Batch:
    """Return pairs by their names in order, at positions [N, 2, 3] Å."""
    numbers = [[element(symbol).atomic_number for symbol in name.split("_")] for name in names]
    return from_arrays(np.array(numbers), positions)


def lengths(distance: ArrayLike, count: int) -> Float[np.ndarray, " pairs"]:
    """Return the distances (Å) of so many pairs; given is one of them all, or one a pair.

    Raises:
      InputError: It is no such length above 0.
    """
    found = np.asarray(distance)
    if found.dtype.kind not in "iuf" or found.shape not in ((), (count,)):
        shown = " ".join(repr(distance).split())
        raise InputError(f"distance: expected a length in Å, or one a pair, got {shown:.60}")
    bad = found[~((found > 0) & (found < np.inf))]
    if len(bad):
        raise InputError(f"distance: expected a length above 0 Å, got {bad[0]}")
    return np.broadcast_to(found.astype(np.float64), count)


def pairs_at(names: Sequence[str], distances: Float[np.ndarray, " pairs"]) -> Batch:
    """Return pairs by their names in order, `distances` Å long, along z."""
    positions = np.zeros((len(names), 2, 3))
    positions[:, 1, 2] = distances
    return pairs_with(names, positions)


def of_atoms(atoms: Sequence[Any], record: Record, model: Architecture) -> Batch:
    """Return atoms, of ASE or `Structure`s, with the neighbours that training structures have.

    Raises:
      InputError: They are none that the model can take.
    """
    from qc_jax.data.atoms import Structure, check_structure, from_ase

    found = [one if isinstance(one, Structure) else from_ase(one) for one in atoms]
    for one in found:
        check_structure(one)
    cells = [one.cell is not None for one in found]
    if any(cells) and not all(cells):
        raise InputError("expected structures that all have a cell, or none; predict them apart")
    if any(cells) and "canvas" in model.inputs:
        raise InputError("the model reads a canvas, which structures in a cell have not")
    own = model.cutoff
    cutoff = record.cutoff or (own if cells[0] else None)
    if cells[0] and cutoff is None:
        raise InputError("the model has no cutoff and sees all atoms; in a cell they are endless")
    rows = Stream(
        found,
        lambda one: {
            "atomic_numbers": one.atomic_numbers,
            "positions": one.positions,
            **({} if one.cell is None else {"cell": one.cell}),
        },
        np.zeros((len(found), 0)),
        max(len(one.atomic_numbers) for one in found),
        None if cutoff is None else Neighbors(cutoff),
    )
    return rows.take(np.arange(len(found))).structures
