"""Repulsive energies of pairs of elements: PTBP's closed form, its spline, and those of files.

The closed form is that of two Gaussian-smeared nuclei (doi 10.1021/acs.jctc.4c00228),
V(R) = Z_A Z_B (1 − erf(γ R)) / R with γ = (s_A² + s_B²)^(−1/2), where s is an element's
`repulsion_width`: its parameter sigma times the covalent radius of B. Cordero et al., Dalton Trans.
2832 (2008).
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
import scipy.special
from jaxtyping import Float, Int

from qc_jax.dftb import skf
from qc_jax.dftb.arrays import Array
from qc_jax.dftb.parameters import parameters

# The published files: points of the spline, their range in bohr, and where it ends, hartree.
_POINTS = np.linspace(0.5, 20.0, 700)
_END = 1e-8


class ClosedForm(NamedTuple):
    """Z_A Z_B erfc(R / width) / R of PTBP; differentiable by distance, charges and widths.

    Attributes:
      charges: Z_A Z_B of each pair of elements.
      widths: √(s_A² + s_B²), bohr.
    """

    charges: Float[Array, " rows"]
    widths: Float[Array, " rows"]

    def evaluate_one(self, distance: Float[Array, ""], row: Int[Array, ""]) -> Float[Array, ""]:
        """Return the energy in hartree at a distance (bohr) of a row."""
        return self.charges[row] * jax.lax.erfc(distance / self.widths[row]) / distance


class PublishedForm(NamedTuple):
    """The closed form as the published files hold it: a natural cubic spline, cut off.

    Attributes:
      closed: what it goes through, and what it is below the first point.
      curvatures: second derivatives at the points, hartree/bohr².
      cutoffs: bohr.
    """

    closed: ClosedForm
    curvatures: Float[Array, "rows 700"]
    cutoffs: Float[Array, " rows"]

    def evaluate_one(self, distance: Float[Array, ""], row: Int[Array, ""]) -> Float[Array, ""]:
        """Return the energy in hartree at a distance (bohr) of a row."""
        step = _POINTS[1] - _POINTS[0]
        at = jnp.clip(jnp.floor((distance - _POINTS[0]) / step), 0, len(_POINTS) - 2).astype(
            jnp.int32
        )
        low = _POINTS[0] + step * at
        right = (distance - low) / step
        left = 1 - right
        ends = [self.closed.evaluate_one(low + k * step, row) for k in (0, 1)]
        bent = [self.curvatures[row, at + k] * step**2 / 6 for k in (0, 1)]
        spline = left * ends[0] + right * ends[1]
        spline += (left**3 - left) * bent[0] + (right**3 - right) * bent[1]
        inside = jnp.where(distance < self.cutoffs[row], spline, 0.0)
        below = self.closed.evaluate_one(jnp.minimum(distance, _POINTS[0]), row)
        return jnp.where(distance < _POINTS[0], below, inside)


class Splines(NamedTuple):
    """Repulsions of Slater-Koster files (`skf.Spline`, `skf.Polynomial`), padded.

    Attributes:
      exponential: a₁, a₂, a₃ below the first interval.
      starts: where the intervals begin; +∞ where padded.
      coefficients: c₀ … c₉ of each interval in powers of R − start.
      cutoffs: beyond which there is none.
    """

    exponential: Float[Array, "rows 3"]
    starts: Float[Array, "rows intervals"]
    coefficients: Float[Array, "rows intervals 10"]
    cutoffs: Float[Array, " rows"]

    def evaluate_one(self, distance: Float[Array, ""], row: Int[Array, ""]) -> Float[Array, ""]:
        """Return the energy in hartree at a distance (bohr) of a row."""
        starts = self.starts[row]
        at = jnp.clip(jnp.sum(starts <= distance, dtype=jnp.int32) - 1, 0)
        beyond = distance >= self.cutoffs[row]
        offset = jnp.where(beyond, 0.0, distance - starts[at])
        inside = jnp.polyval(self.coefficients[row, at][::-1], offset)
        a1, a2, a3 = self.exponential[row]
        below = distance < starts[0]
        head = jnp.exp(a2 - a1 * jnp.where(below, distance, starts[0])) + a3
        return jnp.where(below, head, jnp.where(beyond, 0.0, inside))


def closed_form(pairs: Sequence[tuple[str, str]]) -> ClosedForm:
    """Return the repulsions of pairs of symbols by PTBP's formula.

    Raises:
      InputError: an element without parameters.
    """
    atoms = [[parameters(symbol) for symbol in pair] for pair in pairs]
    return ClosedForm(
        np.array([float(a.atomic_number * b.atomic_number) for a, b in atoms]),
        np.array([np.hypot(a.repulsion_width, b.repulsion_width) for a, b in atoms]),
    )


def published(closed: ClosedForm) -> PublishedForm:
    """Return the splines of the published files through the closed form."""
    charges, widths = (np.asarray(x)[:, None] for x in closed)
    values = charges * scipy.special.erfc(_POINTS / widths) / _POINTS
    step = _POINTS[1] - _POINTS[0]
    n = len(_POINTS) - 2  # curvatures at the ends are zero
    bands = np.stack([np.ones(n), np.full(n, 4.0), np.ones(n)])
    right = 6 * np.diff(values, n=2, axis=1) / step**2
    curvatures = np.zeros_like(values)
    curvatures[:, 1:-1] = scipy.linalg.solve_banded((1, 1), bands, right.T).T
    small = values < _END
    first = np.where(small.any(axis=1), small.argmax(axis=1), len(_POINTS) - 1)
    return PublishedForm(closed, curvatures, _POINTS[first])


def of_files(repulsions: Sequence[skf.Spline | skf.Polynomial]) -> Splines:
    """Return the repulsions of many files as one object."""
    most = max(len(r.coefficients) if isinstance(r, skf.Spline) else 1 for r in repulsions)
    n = len(repulsions)
    exponential, cutoffs = np.zeros((n, 3)), np.zeros(n)
    starts, coefficients = np.full((n, most), np.inf), np.zeros((n, most, 10))
    for row, one in enumerate(repulsions):
        if isinstance(one, skf.Spline):
            count = len(one.coefficients)
            exponential[row], cutoffs[row] = one.exponential, one.starts[-1]
            starts[row, :count] = one.starts[:-1]
            coefficients[row, :count, :6] = one.coefficients
        else:  # Σ_i c_i (cutoff − R)^i, i = 2 … 9, about R = 0
            cutoffs[row], starts[row, 0] = one.cutoff, 0.0
            total = np.polynomial.Polynomial([0.0])
            for power, c in enumerate(one.coefficients, start=2):
                total += c * np.polynomial.Polynomial([one.cutoff, -1.0]) ** power
            coefficients[row, 0, : len(total.coef)] = total.coef
    return Splines(exponential, starts, coefficients, cutoffs)
