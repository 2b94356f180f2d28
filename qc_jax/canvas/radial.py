"""Radial functions of atoms as splines, which orbital densities are drawn from."""

import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy.interpolate import CubicSpline

from qc_jax.dftb.pseudo import PseudoAtom

# Radial functions are splines in √r, which follow the nodes near a heavy nucleus too.
KNOTS, REACH = 512, 36.0  # bohr
STEP = math.sqrt(REACH) / KNOTS


def splines(atom: PseudoAtom, max_l: int) -> Float[np.ndarray, "knots 12"]:
    """Return coefficients of an atom's R_l, [power, l], on the part of a step beyond each knot."""
    return through_knots(at_knots(atom, max_l))


def at_knots(atom: PseudoAtom, max_l: int) -> Float[np.ndarray, "knots 3"]:
    """Return an atom's R_l (bohr^(-3/2)) at the `KNOTS` + 1 knots."""
    root = STEP * np.arange(KNOTS + 1)
    values = np.zeros((KNOTS + 1, 3))
    for shell in atom.shells:
        if (k := "spd".index(shell[1])) <= max_l:
            values[:, k] = atom.radial(shell, root**2)
    return values


def through_knots(values: Float[np.ndarray, "knots 3"]) -> Float[np.ndarray, "knots 12"]:
    """Return the coefficients of `splines` of R_l at the knots."""
    found = CubicSpline(STEP * np.arange(KNOTS + 1), values).c[::-1]  # rising powers
    steps = STEP ** np.arange(4)
    return np.moveaxis(found * steps[:, None, None], 0, 1).reshape(KNOTS, 12)


def shells_at(
    radial: Float[Array, "elements knots 12"],
    elements: Int[Array, "*atoms"],
    r: Float[Array, "*atoms points"],
) -> Float[Array, "*atoms 3 points"]:
    """Return R_s, R_p and R_d of atoms at distances r (bohr) from them, bohr^(-3/2)."""
    place = jnp.sqrt(jnp.maximum(r, 1e-12)) / STEP
    knot = jnp.clip(place.astype(jnp.int32), 0, KNOTS - 1)
    table = radial.reshape(-1, radial.shape[-1])
    c = table[elements[..., None] * KNOTS + knot]  # [..., points, 12]
    c = jnp.where((place < KNOTS)[..., None], c, 0.0)
    powers = [jnp.moveaxis(c[..., 3 * k : 3 * k + 3], -1, -2) for k in range(4)]
    t = (place - knot)[..., None, :]
    return powers[0] + t * (powers[1] + t * (powers[2] + t * powers[3]))
