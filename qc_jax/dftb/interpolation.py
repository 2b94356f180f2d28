"""Tables of Slater-Koster files between their points, as DFTB+ interpolates them."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from qc_jax.dftb.arrays import Array
from qc_jax.errors import InputError

_NODES = 8  # points of a polynomial, up to four of them beyond the distance
_RIGHT = 4
TAIL = 1.0  # bohr beyond the last point within which a table dies
_CENTRE = (_NODES - 1) / 2
# Coefficients [power, node] of the Lagrange polynomials over nodes 0 … 7, about their centre.
_LAGRANGE = np.linalg.inv(np.vander(np.arange(_NODES) - _CENTRE, increasing=True))
_POWERS = np.arange(_NODES)
# First and second derivative at the last node.
_FIRST = (_POWERS * _CENTRE ** np.maximum(_POWERS - 1.0, 0)) @ _LAGRANGE
_SECOND = (_POWERS * (_POWERS - 1) * _CENTRE ** np.maximum(_POWERS - 2.0, 0)) @ _LAGRANGE


class UniformTables(NamedTuple):
    """Tables on uniform grids, one row a pair of elements (A, B).

    Attributes:
      values: H and S in the columns of `skf.COLUMNS`, of the file A-B and of the file B-A; point i
        is at R = (i + 1) spacing; hartree.
      spacing: bohr.
      points: how many the table has; the last that is held.
      shortest: where the tables begin, bohr.
      first: the point that the values begin with; not 0 where only some of a table are held.
    """

    values: Float[Array, "rows 2 grid 20"]
    spacing: Float[Array, "rows 2"]
    points: Int[Array, "rows 2"]
    shortest: Float[Array, " rows"]
    first: Int[Array, " rows"]

    def evaluate_one(
        self, distance: Float[Array, ""], row: Int[Array, ""]
    ) -> tuple[Float[Array, "2 10"], Float[Array, "2 10"]]:
        """Return H and S of the files A-B and B-A at a distance (bohr); hartree.

        The polynomial of seventh degree through the eight points around the distance; beyond the
        last point one of fifth degree that is zero after another bohr, with value and two
        derivatives continuous (DFTB+, slakoeqgrid.F90, SlakoEqGrid_interNew).
        """

        first = self.first[row]

        def in_file(values, spacing, points):
            last = jnp.floor(distance / spacing).astype(points.dtype) + _RIGHT
            last = jnp.clip(last, first + _NODES, points)
            nodes = jax.lax.dynamic_slice_in_dim(values, last - _NODES - first, _NODES)
            at = distance / spacing - (last - _NODES + 1) - _CENTRE
            powers = jnp.stack([at**k for k in range(_NODES)])
            inside = (powers @ _LAGRANGE) @ nodes
            end = points * spacing
            left = jnp.clip((end + TAIL - distance) / TAIL, 0, 1)
            slope = -TAIL * (_FIRST @ nodes) / spacing
            curve = TAIL**2 * (_SECOND @ nodes) / spacing**2
            c3 = 10 * nodes[-1] - 4 * slope + curve / 2
            c4 = -15 * nodes[-1] + 7 * slope - curve
            c5 = 6 * nodes[-1] - 3 * slope + curve / 2
            tail = ((c5 * left + c4) * left + c3) * left**3
            return jnp.where(distance < end, inside, tail)

        both = jax.vmap(in_file)(self.values[row], self.spacing[row], self.points[row])
        return both[:, :10], both[:, 10:]


def stack(
    tables: Sequence[tuple[Float[np.ndarray, "points 20"], Float[np.ndarray, "points 20"]]],
    spacings: Sequence[tuple[float, float]],
) -> UniformTables:
    """Return one object for the tables of many pairs of elements.

    Args:
      tables: of each pair, that of the file A-B and that of B-A; row i is at R = (i + 1) spacing.
      spacings: bohr, of the same.

    Raises:
      InputError: a table has fewer points than the interpolation needs.
    """
    points = np.array([[len(table) for table in both] for both in tables], dtype=np.int32)
    if points.min() < _NODES:
        raise InputError(
            f"Slater-Koster tables: expected at least {_NODES} points, got one of {points.min()}"
        )
    values = np.zeros((len(tables), 2, points.max(), 20))
    shortest = np.zeros(len(tables))
    for row, both in enumerate(tables):
        for direction, table in enumerate(both):
            values[row, direction, : len(table)] = table
            # Distances that nobody computed are filled with zeros or ones.
            computed = np.any((table != 0) & (table != 1), axis=1)
            first = (int(np.argmax(computed)) + 1) * spacings[row][direction]
            shortest[row] = max(shortest[row], first)
    spacing = np.array(spacings, dtype=np.float64)
    return UniformTables(values, spacing, points, shortest, np.zeros(len(tables), np.int32))
