"""From a pair's populations, charges and dipole to the numbers that its canvas holds."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from qc_jax.canvas.decode import SOUND_RESIDUAL, decode
from qc_jax.canvas.render import render
from qc_jax.chem.units import EBOHR_DEBYE
from qc_jax.data.table import ORBITAL_L, ORBITAL_M, PairTable
from qc_jax.errors import InputError, expect

_SHAPES = {"populations": (2, 16), "charges": (2,), "dipole": (3,)}
_FIRST_D = int(np.searchsorted(ORBITAL_L, 2))
_SHELLS = (slice(None, _FIRST_D), slice(_FIRST_D, None))  # s and p; d and f


def features(table: PairTable) -> Float[np.ndarray, "pairs features"]:
    """Return the canvas features of every pair of a table, float32, computed in float64.

    The columns are `FEATURES`. Those of a population that is not known (NaN) are NaN; where the
    table holds canvases, such a row's features are decoded from its canvas, and are NaN where that
    is no canvas of a pair (a residual above `SOUND_RESIDUAL`).

    Example:
      >>> import qc_jax
      >>> features(qc_jax.open_table("gfn2_xtb")).shape
      (2671, 14)
    """
    expect("table", table, PairTable, "a table of pairs")
    found = np.asarray(features_from(table.populations, table.charges, table.dipole))
    unknown = np.isnan(table.populations).any(axis=(1, 2))
    if table.canvases is None or not unknown.any():
        return found
    decoded, residual = map(np.array, decode(table.canvases[unknown]))
    decoded[residual > SOUND_RESIDUAL] = np.nan
    found[unknown] = decoded
    return found


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


def _compute(xp: Any, populations: Any, charges: Any, dipole: Any) -> Any:
    """Return `FEATURES`, with NumPy or jax.numpy as `xp`."""
    radial = populations * ((ORBITAL_L + 1) / 3).astype(populations.dtype)
    angular = populations * ORBITAL_M.astype(populations.dtype)
    square = xp.sum(dipole**2, axis=-1)
    # The inner where keeps the gradient of the root finite at a dipole of zero.
    some = square > 0
    size = xp.where(some, xp.sqrt(xp.where(some, square, 1.0)), square)
    pair = [
        *(xp.sum(populations[..., shells], axis=(-2, -1)) for shells in _SHELLS),
        size / EBOHR_DEBYE,
        xp.abs(charges[..., 0] - charges[..., 1]),
    ]
    zero = xp.zeros_like(charges)
    columns = [
        xp.sum(radial, axis=-1),
        xp.abs(xp.sum(angular, axis=-1)),
        xp.stack(pair, axis=-1),
        xp.sum(populations, axis=-1),
        xp.maximum(charges, zero),
        xp.maximum(-charges, zero),
    ]
    return xp.concatenate(columns, axis=-1)
