"""From populations, charges and dipole to the numbers that a canvas holds."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from qc_jax.canvas.basis import MIDDLE, MOLECULES, SLOTS, columns_of_atoms
from qc_jax.canvas.decode import SOUND_RESIDUAL, decode
from qc_jax.canvas.render import render
from qc_jax.chem.units import EBOHR_DEBYE
from qc_jax.data.atoms import from_ase
from qc_jax.data.structures import Structures
from qc_jax.data.table import ORBITAL_L, ORBITAL_M, PairTable
from qc_jax.errors import InputError, expect

if TYPE_CHECKING:
    import ase

    from qc_jax.canvas.molecules import Atoms, Progress

_SHAPES = {"populations": (2, 16), "charges": (2,), "dipole": (3,)}
_FIRST_D = int(np.searchsorted(ORBITAL_L, 2))
_SHELLS = (slice(None, _FIRST_D), slice(_FIRST_D, None))  # s and p; d and f


def features(
    table: "PairTable | Structures | list[ase.Atoms] | tuple[ase.Atoms, ...]",
    rows: Sequence[int] | np.ndarray | None = None,
    progress: "Progress | None" = None,
) -> Float[np.ndarray, "rows features"]:
    """Return the canvas features of pairs or larger structures, float32, computed in float64.

    Those of a pair are `FEATURES`. Where a population is not known (NaN) they are NaN; where the
    table holds canvases, such a row's features are decoded from its canvas, and are NaN where that
    is no canvas of a pair (a residual above `SOUND_RESIDUAL`).

    Those of larger structures, and of `ase.Atoms` of any number, two among them, are
    `molecule_features` of their electrons, which tight binding computes and keeps in the user's
    cache directory; NaN where the charges do not settle.

    Args:
      table: the data, or structures of ASE.
      rows: those to return, by number or as a mask; all unless given.
      progress: of tight binding, told (done, total).

    Raises:
      InputError: it is none of these, it has no such rows, or of larger structures: one has a
        cell, an element without parameters, or atoms closer than the tables reach.

    Example:
      >>> import qc_jax
      >>> features(qc_jax.open_table("gfn2_xtb")).shape
      (2671, 14)
    """
    what = "a table of pairs, larger structures, or a list of ase.Atoms"
    expect("table", table, (PairTable, Structures, list, tuple), what)
    if isinstance(table, Structures | list | tuple):
        from qc_jax.canvas.molecules import atoms_of  # tight binding comes with it

        all_of, chosen = table, _chosen(rows, len(table))

        def read(row: int) -> "Atoms":
            if isinstance(all_of, Structures):
                return atoms_of(str(all_of.names[row]), all_of.read(all_of.source[row]))
            name = f"structure {row + 1}"
            return atoms_of(name, from_ase(all_of[row], name)._asdict())

        return features_of_atoms(map(read, chosen.tolist()), len(chosen), progress)
    if rows is not None:
        table = table.take(_chosen(rows, len(table.names)))
    found = np.asarray(features_from(table.populations, table.charges, table.dipole))
    unknown = np.isnan(table.populations).any(axis=(1, 2))
    if table.canvases is None or not unknown.any():
        return found
    decoded, residual = map(np.array, decode(table.canvases[unknown]))
    decoded[residual > SOUND_RESIDUAL] = np.nan
    found[unknown] = decoded
    return found


def _chosen(rows: Sequence[int] | np.ndarray | None, count: int) -> np.ndarray:
    """Return the numbers of the chosen rows of so many."""
    every = np.arange(count)
    if rows is None:
        return every
    try:
        return every[np.asarray(rows) if len(rows) else []]
    except (IndexError, TypeError, ValueError):
        what = f"rows: expected numbers of {count} rows, or a mask of them"
        raise InputError(f"{what}, got {' '.join(repr(rows).split()):.60}") from None


def features_of_atoms(
    structures: "Sequence[Atoms] | Iterator[Atoms]", count: int, progress: "Progress | None" = None
) -> Float[np.ndarray, "rows features"]:
    """Return the canvas features of structures, as `features` of larger ones.

    Arguments and errors as of `molecules.electrons`.
    """
    from qc_jax.canvas.molecules import electrons  # tight binding comes with it

    found = [molecule_features(*batch) for batch in electrons(structures, count, progress)]
    return np.concatenate(found) if found else np.zeros((0, len(MOLECULES.features)), np.float32)


def canvases(table: PairTable) -> Float[np.ndarray, "pairs 32 32 10"]:
    """Return the canvas of every pair of a table, float32.

    Those that the table holds where it does, else drawn from its populations, charges and dipole.
    """
    if table.canvases is not None:
        return table.canvases
    return np.asarray(render(features(table)))


def features_from(populations: Any, charges: Any, dipole: Any) -> Any:
    """Return the canvas features of arrays with any leading shape; works under jit, vmap and grad.

    Args:
      populations: [..., 2, 16] electrons by (l, m), as in `PairTable`; may be negative or NaN.
      charges: [..., 2] e.
      dipole: [..., 3] Debye.

    Returns:
      [..., F] in the order of `FEATURES`. Of NumPy arrays: NumPy float32, computed in float64. Of
      JAX arrays: a JAX array in their precision, at least float32.

    Raises:
      InputError: a shape is another one.
    """
    given = {"populations": populations, "charges": charges, "dipole": dipole}
    traced = any(isinstance(array, jax.Array) for array in given.values())
    arrays = {
        name: array if isinstance(array, jax.Array) else np.asarray(array)
        for name, array in given.items()
    }
    charges_shape = arrays["charges"].shape
    for name, tail in _SHAPES.items():
        expected = (*charges_shape[:-1], *tail)
        if arrays[name].shape != expected:
            raise InputError(
                f"canvas {name}: expected shape {expected} beside charges of shape "
                f"{charges_shape}, got {arrays[name].shape}"
            )
    if traced:
        return _on_device(*arrays.values())
    return _compute(np, *(array.astype(np.float64) for array in arrays.values())).astype(np.float32)


@jax.jit
def _on_device(*arrays: jax.Array) -> jax.Array:
    return _compute(
        jnp, *(array.astype(jnp.promote_types(array.dtype, jnp.float32)) for array in arrays)
    )


def molecule_features(populations: Any, charges: Any, dipole: Any, present: Any) -> Any:
    """Return the canvas features of structures of any size; works under jit, vmap and grad.

    They are those of `basis.MOLECULES`: what atoms that stand in one column give is added up. Two
    atoms make the same canvas as `features_from`.

    Args:
      populations: [..., A, 16] electrons by (l, m), as in `PairTable`.
      charges: [..., A] e.
      dipole: [..., 3] Debye.
      present: [..., A] bool, the atoms that are there, the first ones; what the others have is not
        read.

    Returns:
      [..., F]; NumPy or JAX as of `features_from`.

    Raises:
      InputError: a shape is another one.
    """
    arrays = [
        array if isinstance(array, jax.Array) else np.asarray(array)
        for array in (populations, charges, dipole, present)
    ]
    there = arrays[3].shape
    for name, array, expected in zip(
        ("populations", "charges", "dipole"),
        arrays,
        ((*there, 16), there, (*there[:-1], 3)),
        strict=False,
    ):
        if not there or array.shape != expected:
            raise InputError(
                f"canvas {name}: expected shape {expected} beside atoms of shape {there}, got "
                f"{array.shape}"
            )
    if any(isinstance(array, jax.Array) for array in arrays):
        numbers = [x.astype(jnp.promote_types(x.dtype, jnp.float32)) for x in arrays[:3]]
        return _of_molecules(jnp, numbers, arrays[3])
    numbers = [x.astype(np.float64) for x in arrays[:3]]
    return _of_molecules(np, numbers, arrays[3]).astype(np.float32)


def _of_molecules(xp: Any, numbers: list[Any], present: Any) -> Any:
    populations, charges, dipole = numbers
    populations = xp.where(present[..., None], populations, 0.0)
    charges = xp.where(present, charges, 0.0)
    atoms = present.shape[-1]
    most = min(atoms, MIDDLE)
    # [atoms of a structure, atom, column]: where each stands.
    stands = np.zeros((most + 1, atoms, len(SLOTS)), populations.dtype)
    for count in range(1, most + 1):
        columns = columns_of_atoms(count if count < MIDDLE else atoms)
        stands[count, np.arange(len(columns)), np.searchsorted(SLOTS, columns)] = 1
    placed = xp.asarray(stands)[xp.minimum(present.sum(axis=-1), most)]  # [..., A, columns]
    far = xp.where(present, charges, -xp.inf), xp.where(present, charges, xp.inf)
    difference = xp.max(far[0], axis=-1) - xp.min(far[1], axis=-1)
    found = [
        column if shared else xp.sum(placed * column[..., None], axis=-2)
        for column, shared in _columns(xp, populations, charges, dipole, difference)
    ]
    return xp.concatenate(found, axis=-1)


def _compute(xp: Any, populations: Any, charges: Any, dipole: Any) -> Any:
    """Return `FEATURES`, with NumPy or jax.numpy as `xp`."""
    difference = xp.abs(charges[..., 0] - charges[..., 1])
    columns = _columns(xp, populations, charges, dipole, difference)
    return xp.concatenate([column for column, _ in columns], axis=-1)


def _columns(xp: Any, populations: Any, charges: Any, dipole: Any, difference: Any) -> Any:
    """Return features in their order; with each whether it is of the whole structure."""
    radial = populations * ((ORBITAL_L + 1) / 3).astype(populations.dtype)
    angular = populations * ORBITAL_M.astype(populations.dtype)
    square = xp.sum(dipole**2, axis=-1)
    # The inner where keeps the gradient of the root finite at a dipole of zero.
    some = square > 0
    size = xp.where(some, xp.sqrt(xp.where(some, square, 1.0)), square)
    whole = [
        *(xp.sum(populations[..., shells], axis=(-2, -1)) for shells in _SHELLS),
        size / EBOHR_DEBYE,
        difference,
    ]
    zero = xp.zeros_like(charges)
    return [
        (xp.sum(radial, axis=-1), False),
        (xp.abs(xp.sum(angular, axis=-1)), False),
        (xp.stack(whole, axis=-1), True),
        (xp.sum(populations, axis=-1), False),
        (xp.maximum(charges, zero), False),
        (xp.maximum(-charges, zero), False),
    ]
