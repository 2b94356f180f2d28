"""Slater-Koster rotation: two-centre integrals along a bond become a block in the axes of space.

J. C. Slater, G. F. Koster, Phys. Rev. 94, 1498 (1954), written with projectors: the orbitals of
σ, π and δ symmetry about the bond enter as Σ_m |l m⟩⟨l' m|, which are polynomials in the direction.
So no angle is taken, and the derivative is right along any axis.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from qc_jax.dftb.arrays import Array

# Orbitals of an atom: s; p_y, p_z, p_x; d_xy, d_yz, d_z², d_xz, d_x²−y² (m = −l … l).
ORBITALS = 9
SHELL = np.array([0, 1, 1, 1, 2, 2, 2, 2, 2], np.int32)  # l of each

# Integral (l, l', |m|) from the columns of Slater-Koster files, dd dd dd pd pd pp pp sd sp ss:
# (l, l', |m|, column). Columns have l ≤ l'; where l > l' the file of the other order says it.
_COLUMNS = [
    *[(2, 2, 0, 0), (2, 2, 1, 1), (2, 2, 2, 2), (1, 2, 0, 3), (1, 2, 1, 4)],
    *[(1, 1, 0, 5), (1, 1, 1, 6), (0, 2, 0, 7), (0, 1, 0, 8), (0, 0, 0, 9)],
]
_FROM = np.zeros((2, 10, 3, 3, 3))
for _l, _k, _m, _column in _COLUMNS:
    _FROM[0, _column, _l, _k, _m] = 1
    if _l < _k:  # seen from the other atom: the bond points the other way
        _FROM[1, _column, _k, _l, _m] = (-1) ** (_l + _k)


def by_shells(columns: Float[Array, "2 10"]) -> Float[Array, "3 3 3"]:
    """Return the integrals (l of the first atom, l' of the second, |m|), the bond along +z.

    Args:
      columns: of the file first-second, then of second-first.
    """
    return jnp.einsum("dc,dclkm->lkm", columns, _FROM)


def block(direction: Float[Array, " 3"], integrals: Float[Array, "3 3 3"]) -> Float[Array, "9 9"]:
    """Return the integrals between the orbitals of two atoms, the first atom's in rows.

    Args:
      direction: unit vector from the first atom to the second.
      integrals: of `by_shells`.
    """
    x, y, z = direction
    root = np.sqrt(3.0)
    quadratic = [root * x * y, root * y * z, (2 * z * z - x * x - y * y) / 2, root * x * z]
    sigma = jnp.stack([jnp.ones_like(x), y, z, x, *quadratic, root / 2 * (x * x - y * y)])
    # Directions across the bond; for d the gradient of the harmonics, of length √3.
    across = jnp.eye(3, dtype=direction.dtype) - jnp.outer(direction, direction)
    zero = jnp.zeros_like(x)
    gradient = jnp.array([[y, x, zero], [zero, z, y], [-x, -y, 2 * z], [z, zero, x], [x, -y, zero]])
    scale = np.array([1, 1, 1 / root, 1, 1])[:, None]
    pi = jnp.concatenate([jnp.zeros_like(across[:1]), across[np.array([1, 2, 0])]])
    pi = jnp.concatenate([pi, scale * gradient @ across])
    outer_sigma, outer_pi = jnp.outer(sigma, sigma), pi @ pi.T
    delta = (jnp.eye(ORBITALS, dtype=direction.dtype) - outer_sigma - outer_pi)[4:, 4:]
    expanded = integrals[SHELL][:, SHELL]  # [9, 9, 3]
    total = expanded[..., 0] * outer_sigma + expanded[..., 1] * outer_pi
    return total.at[4:, 4:].add(integrals[2, 2, 2] * delta)
