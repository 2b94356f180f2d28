"""Radial functions of a pseudo-atom as piecewise polynomials, for evaluation at many points."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from qc_jax.dftb.pseudo import PseudoAtom

_ROWS = 3500  # of the longest grid in use, an atom with six nodes


class AtomValues(NamedTuple):
    """A pseudo-atom's functions on its logarithmic grid, shells in the order s, p, d.

    Attributes:
      charge: Z.
      grid: bohr, evenly spaced in its logarithm.
      orbitals: u = r R, bohr^(-1/2); 0 where the element has no shell of that l.
      density: electrons/bohr³.
      hartree: V_Hartree, hartree.
    """

    charge: Float[Array, ""]
    grid: Float[Array, " nodes"]
    orbitals: Float[Array, "3 nodes"]
    density: Float[Array, " nodes"]
    hartree: Float[Array, " nodes"]


class AtomSplines(NamedTuple):
    """Natural cubic splines of a pseudo-atom's functions.

    Attributes:
      charge: Z.
      start: ln of the first knot.
      step: of ln r from knot to knot.
      intervals: how many count.
      rows: knots, and coefficients of R (by ascending power of r from the knot), u″, ρ and
        V_Hartree; a row a coefficient, so that each fits a processor's nearest cache.
    """

    charge: Float[Array, ""]
    start: Float[Array, ""]
    step: Float[Array, ""]
    intervals: Int[Array, ""]
    rows: Float[Array, "27 intervals"]


class AtomAtPoints(NamedTuple):
    """A pseudo-atom's functions at points; shells in the order s, p, d.

    Attributes:
      orbitals: R, bohr^(-3/2).
      slopes: R′.
      kinetic: T acting on the orbital over its angular function, −u″/2r + l(l+1) R/2r².
      density: ρ, electrons/bohr³.
      density_slope: ρ′.
      potential: −Z/r + V_Hartree, hartree.
    """

    orbitals: Float[Array, "3 points"]
    slopes: Float[Array, "3 points"]
    kinetic: Float[Array, "3 points"]
    density: Float[Array, " points"]
    density_slope: Float[Array, " points"]
    potential: Float[Array, " points"]


def atom_values(atom: PseudoAtom) -> AtomValues:
    """Return the arrays of a pseudo-atom, shells placed by l; called where float64 is on."""
    orbitals = np.zeros((3, len(atom.grid)))
    for shell in atom.shells:
        orbitals["spd".index(shell[1])] = atom.orbitals[shell]
    values = (atom.atomic_number, atom.grid, orbitals, atom.density_values, atom.hartree_values)
    return AtomValues(*(jnp.asarray(value, jnp.float64) for value in values))


def splines(values: AtomValues) -> AtomSplines:
    """Return natural cubic splines in r through a pseudo-atom's values; differentiable by these.

    Rows are padded to one length, so that atoms of different grids share programs and stack.
    """
    grid = values.grid
    functions = jnp.concatenate(
        [
            values.orbitals / grid,
            values.orbitals,
            values.density[None],
            values.hartree[None],
        ]
    )
    curvature = _natural_curvature(grid, functions)
    h = jnp.diff(grid)
    left, right = curvature[:, :-1], curvature[:, 1:]
    low = functions[:, :-1]
    slope = jnp.diff(functions) / h - h * (2 * left + right) / 6
    cubic = (right - left) / (6 * h)
    powers = jnp.stack([low, slope, left / 2, cubic], axis=-1)  # [8, intervals, 4]
    lines = jnp.stack([left, (right - left) / h], axis=-1)  # of the second derivative
    rows = jnp.concatenate(
        [grid[None, :-1]]
        + [powers[k].T for k in (0, 1, 2)]
        + [lines[k].T for k in (3, 4, 5)]
        + [powers[k].T for k in (6, 7)]
    )
    start, end = jnp.log(grid[0]), jnp.log(grid[-1])
    intervals = grid.shape[0] - 1
    rows = jnp.pad(rows, ((0, 0), (0, max(0, _ROWS - intervals))))
    return AtomSplines(values.charge, start, (end - start) / intervals, jnp.array(intervals), rows)


def _natural_curvature(
    grid: Float[Array, " nodes"], functions: Float[Array, "functions nodes"]
) -> Float[Array, "functions nodes"]:
    """Return second derivatives at the knots of natural cubic splines."""
    h = jnp.diff(grid)
    rise = jnp.diff(functions) / h
    zero = jnp.zeros(1, h.dtype)
    inner = jax.lax.linalg.tridiagonal_solve(
        jnp.concatenate([zero, h[1:-1]]),
        2 * (h[:-1] + h[1:]),
        jnp.concatenate([h[1:-1], zero]),
        6 * jnp.diff(rise).T,
    ).T
    return jnp.pad(inner, ((0, 0), (1, 1)))


def at_points(
    atom: AtomSplines, r: Float[Array, " points"], log_r: Float[Array, " points"]
) -> AtomAtPoints:
    """Evaluate a pseudo-atom at distances `r` (bohr) from its nucleus.

    Nearer than the first knot its orbitals, density and V_Hartree are 0, as in the published tables
    (of consequence for hydrogen and helium, whose grids begin at 0.01 and 0.005 bohr).
    """
    place = jnp.floor((log_r - atom.start) / atom.step).astype(jnp.int32)
    interval = jnp.clip(place, 0, atom.intervals - 1)
    rows = [row[interval] for row in atom.rows]
    t = r - rows[0]

    def cubic(first: int) -> tuple[Float[Array, " points"], Float[Array, " points"]]:
        c0, c1, c2, c3 = rows[first : first + 4]
        return c0 + t * (c1 + t * (c2 + t * c3)), c1 + t * (2 * c2 + t * 3 * c3)

    inside = place >= 0
    shells = [cubic(1 + 4 * k) for k in range(3)]
    orbitals, slopes = (jnp.stack([one[k] for one in shells]) for k in (0, 1))
    second = jnp.stack([rows[13 + 2 * k] + t * rows[14 + 2 * k] for k in range(3)])
    centrifugal = jnp.array([0.0, 1.0, 3.0], r.dtype)[:, None]
    kinetic = -second / (2 * r) + centrifugal * orbitals / r**2
    density, density_slope = cubic(19)
    hartree, _ = cubic(23)
    found = AtomAtPoints(orbitals, slopes, kinetic, density, density_slope, hartree)
    found = AtomAtPoints(*(jnp.where(inside, value, 0.0) for value in found))
    return found._replace(potential=found.potential - atom.charge / r)


def range_of(atom: PseudoAtom, tail: float = 1e-7) -> float:
    """Return the largest grid radius (bohr) at which an |R_nl| exceeds `tail` of its maximum."""
    reach = 0
    for shell in atom.shells:
        radial = np.abs(np.asarray(atom.orbitals[shell]) / atom.grid)
        reach = max(reach, int(np.flatnonzero(radial > tail * radial.max())[-1]))
    return float(atom.grid[reach])
