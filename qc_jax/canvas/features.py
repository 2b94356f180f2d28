"""From a pair's populations, charges and dipole to the numbers that its canvas holds."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qc_jax.canvas.basis import FEATURES
from qc_jax.chem.units import EBOHR_DEBYE
from qc_jax.data.table import ORBITAL_L, ORBITAL_M, PairTable
from qc_jax.errors import InputError

_SHAPES = {"populations": (2, 16), "charges": (2,), "dipole": (3,)}
_FIRST_D = int(np.searchsorted(ORBITAL_L, 2))
_SHELLS = (slice(None, _FIRST_D), slice(_FIRST_D, None))  # s and p; d and f


def features(table: PairTable) -> np.ndarray:
    """The canvas features of every pair of a table, float32 [N, F], computed in float64.

    The columns are `FEATURES`. Those of a population that is not known (NaN) are NaN.
    """
    return np.asarray(features_from(table.populations, table.charges, table.dipole))


def features_from(populations: Any, charges: Any, dipole: Any) -> Any:
    """The canvas features of arrays with any leading shape; works under jit, vmap and grad.

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
    xp: Any = jnp if traced else np
    arrays = {}
    for name, tail in _SHAPES.items():
        array = xp.asarray(given[name])
        lead = np.shape(given["charges"])[:-1]
        if array.shape != (*lead, *tail):
            raise InputError(
                f"canvas {name}: expected shape {(*lead, *tail)} beside charges of shape "
                f"{np.shape(given['charges'])}, got {array.shape}"
            )
        dtype = jnp.promote_types(array.dtype, jnp.float32) if traced else np.float64
        arrays[name] = array.astype(dtype)
    occupied, charge, moment = arrays["populations"], arrays["charges"], arrays["dipole"]

    radial = xp.sum(occupied * ((ORBITAL_L + 1) / 3).astype(occupied.dtype), axis=-1)  # [..., 2]
    angular = xp.abs(xp.sum(occupied * ORBITAL_M.astype(occupied.dtype), axis=-1))
    shells = [xp.sum(occupied[..., wanted], axis=(-2, -1)) for wanted in _SHELLS]
    square = xp.sum(moment**2, axis=-1)
    # The inner where keeps the gradient of the root finite at a dipole of zero.
    some = square > 0
    size = xp.where(some, xp.sqrt(xp.where(some, square, 1.0)), square) / EBOHR_DEBYE
    zero = xp.zeros_like(charge)
    columns = [
        radial,
        angular,
        xp.stack(
            [*shells, size, xp.abs(charge[..., 0] - charge[..., 1])],
            axis=-1,
        ),
        xp.sum(occupied, axis=-1),
        xp.maximum(charge, zero),
        xp.maximum(-charge, zero),
    ]
    result = xp.concatenate(columns, axis=-1)
    assert result.shape[-1] == len(FEATURES)
    return result if traced else result.astype(np.float32)
