"""Two-centre integrals of pseudo-atoms: overlaps and Hamiltonian elements at any distance.

Atom A is at the origin, B at z = R, their axes parallel; S = ∫ φ_A φ_B and
H = ∫ φ_A (T + v_A + v_B + v_xc) φ_B with v = −Z/r + V_Hartree of each neutral atom and v_xc of the
superposed densities (PBE), in two forms:

* 'exact': the gradient part by parts, ∫ φ_A φ_B ∂e/∂ρ + 2 ∂e/∂σ ∇ρ·∇(φ_A φ_B), T averaged over both
  sides, on points that converge.
* 'published': what the program that made the PTBP tables computed (M. Cui, K. Reuter, J. T.
  Margraf, J. Chem. Theory Comput. 2024, doi 10.1021/acs.jctc.4c00228). T acts on B's orbital, and
  v_xc = ∂e/∂ρ − 2 (∂P_x/∂x + ∂P_z/∂z) with bicubic polynomials P fitted to ∂e/∂σ ∇ρ on the points.
"""

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from qc_jax.dftb import quadrature, radial, xc
from qc_jax.dftb.pseudo import FORMS, PseudoAtom, pseudo_atom
from qc_jax.dftb.quadrature import Points
from qc_jax.errors import InputError, choose

# (l of A, l of B, m) in the order of the integrals' arrays.
INTEGRALS = tuple((a, b, m) for m in range(3) for a in range(m, 3) for b in range(m, 3))
_SIGMA_PI_DELTA = "spd"
# Parts of an atom's orbitals in the half-plane, in the order of the arrays here: (l, m).
_PARTS = ((0, 0), (1, 0), (2, 0), (1, 1), (2, 1), (2, 2))
_L = np.array([part[0] for part in _PARTS])
_LEFT, _RIGHT = (np.array([_PARTS.index((k[i], k[2])) for k in INTEGRALS]) for i in (0, 1))


class Integrals(NamedTuple):
    """All integrals of two atoms at one distance, in the order of `INTEGRALS`.

    Attributes:
      overlap: S.
      hamiltonian: H, hartree; in the published form T acts on B's orbital.
      reverse: the same with T on A's orbital; −1^(l_A + l_B) times it is H of B at the origin.
    """

    overlap: Float[Array, "14"]
    hamiltonian: Float[Array, "14"]
    reverse: Float[Array, "14"]


def two_center(
    a: str | PseudoAtom,
    b: str | PseudoAtom,
    distances: float | Sequence[float] | np.ndarray,
    form: str = "published",
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return overlap and Hamiltonian integrals of all valence shells of two elements.

    Args:
      a: symbol or pseudo-atom at the origin.
      b: symbol or pseudo-atom at z = distance.
      distances: bohr; a number or an array of any shape.
      form: 'published' or 'exact', see the module.

    Returns:
      'sps_2s_2p' → (S, H in hartree), arrays of the shape of `distances`: kinds and shells of a, b.

    Raises:
      InputError: unknown form or element, or a distance that is not above zero.

    Example:
      >>> overlap, hamiltonian = two_center("H", "H", 1.4, form="exact")["sss_1s_1s"]
    """
    choose("form", form, FORMS)
    a, b = (pseudo_atom(atom, form=form) if isinstance(atom, str) else atom for atom in (a, b))
    distances = np.asarray(distances, np.float64)
    if not (distances > 0).all() or not np.isfinite(distances).all():
        raise InputError(f"distances must be above 0 bohr and finite, got {distances}")
    scale = max(radial.range_of(a), radial.range_of(b))
    overlaps, hamiltonians = np.zeros((2, len(INTEGRALS), distances.size))
    with jax.enable_x64(True):
        first, second = (prepare(atom) for atom in (a, b))
        for k, distance in enumerate(distances.ravel()):
            if distance >= 2 * scale:  # no point is within both ranges
                continue
            points = points_at(form, float(distance / scale))
            found = _compiled(form == "exact")(first, second, scale, distance, points)
            overlaps[:, k], hamiltonians[:, k] = found.overlap, found.hamiltonian
    shells = [{"spd".index(shell[1]): shell for shell in atom.shells} for atom in (a, b)]
    return {
        f"{'spd'[la]}{'spd'[lb]}{_SIGMA_PI_DELTA[m]}_{shells[0][la]}_{shells[1][lb]}": (
            overlaps[k].reshape(distances.shape),
            hamiltonians[k].reshape(distances.shape),
        )
        for k, (la, lb, m) in enumerate(INTEGRALS)
        if la in shells[0] and lb in shells[1]
    }


def prepare(atom: PseudoAtom) -> radial.AtomSplines:
    """Return the splines of a pseudo-atom; called where float64 is on."""
    return _splines(radial.atom_values(atom))


def points_at(
    form: str, ratio: float, sizes: Sequence[int] = (quadrature.MOST_PUBLISHED,)
) -> Points:
    """Return the points of a form, padded to the least of `sizes`: few programs serve them all."""
    if form == "exact":
        return quadrature.gauss_points(ratio)
    points = quadrature.published_points(ratio)
    return points.padded(next(size for size in sizes if size >= len(points.x)))


_splines = jax.jit(radial.splines)


@functools.cache
def _compiled(exact: bool) -> "jax.stages.Wrapped":
    return jax.jit(functools.partial(pair_integrals, exact=exact))


def pair_integrals(
    a: radial.AtomSplines,
    b: radial.AtomSplines,
    scale: Float[Array, ""],
    distance: Float[Array, ""],
    points: Points,
    exact: bool,
) -> Integrals:
    """Return all integrals of two atoms at one distance; pure, for the precision it is called in.

    Differentiable by the atoms' splines, and so by whatever they were made from.

    Args:
      a: at the origin.
      b: at z = distance.
      scale: bohr, range of the orbitals, the unit of `points`.
      distance: bohr.
      points: made for the ratio of distance to scale.
      exact: the form.
    """
    frames = [frame(points, scale, place) for place in (0.0, distance)]
    left, right = (at_atom(x, where, exact) for x, where in zip((a, b), frames, strict=True))
    return combine(left, right, scale, points, exact)


class Frame(NamedTuple):
    """The points as one atom sees them, whichever element it is."""

    r: Float[Array, " points"]
    log_r: Float[Array, " points"]
    sin: Float[Array, " points"]
    cos: Float[Array, " points"]


def frame(points: Points, scale: Float[Array, ""], place: Float[Array, ""] | float) -> Frame:
    """Return the points as seen from z = `place`, bohr; `scale` is their unit, bohr."""
    x, z = jnp.asarray(points.x) * scale, jnp.asarray(points.z) * scale - place
    r = jnp.sqrt(x**2 + z**2)
    return jax.lax.optimization_barrier(Frame(r, jnp.log(r), x / r, z / r))


class OneAtom(NamedTuple):
    """One atom at all points, its orbitals in the order of `_PARTS`.

    An orbital is R times the part of its angular function in the half-plane, with factors such that
    the angle about the axis integrates to 1 in a product of two.
    """

    orbital: Float[Array, "6 points"]
    kinetic: Float[Array, "6 points"]
    gradient: tuple[Float[Array, "6 points"], ...]  # by x and z; none where nothing needs it
    rho: Float[Array, " points"]
    rho_x: Float[Array, " points"]
    rho_z: Float[Array, " points"]
    potential: Float[Array, " points"]


def at_atom(atom: radial.AtomSplines, where: Frame, exact: bool) -> OneAtom:
    """Evaluate an atom at all points.

    A barrier stands behind it: XLA would evaluate the splines anew for each of their many uses.
    """
    at = radial.at_points(atom, where.r, where.log_r)
    sin, cos = where.sin, where.cos
    one = jnp.ones_like(sin)
    p, d, e, q, h = (math.sqrt(v) for v in (1.5, 0.625, 3.75, 0.75, 0.5))
    angular = jnp.stack(
        [
            *(h * one, p * cos, d * (3 * cos**2 - 1)),
            *(q * sin, e * sin * cos),
            e / 2 * sin**2,
        ]
    )
    gradient: tuple = ()
    if exact:
        by_angle = jnp.stack(
            [
                *(0 * one, -p * sin, -6 * d * sin * cos),
                *(q * cos, e * (cos**2 - sin**2)),
                e * sin * cos,
            ]
        )
        outwards = at.slopes[_L] * angular
        around = at.orbitals[_L] * by_angle / where.r
        gradient = (outwards * sin + around * cos, outwards * cos - around * sin)
    return jax.lax.optimization_barrier(
        OneAtom(
            at.orbitals[_L] * angular,
            at.kinetic[_L] * angular,
            gradient,
            at.density,
            at.density_slope * sin,
            at.density_slope * cos,
            at.potential,
        )
    )


def combine(
    left: OneAtom, right: OneAtom, scale: Float[Array, ""], points: Points, exact: bool
) -> Integrals:
    """Return the integrals of two atoms from their functions at the points."""
    weight = jnp.asarray(points.weight) * scale**3
    rho_x, rho_z = left.rho_x + right.rho_x, left.rho_z + right.rho_z
    _, e_rho, e_sigma = xc.pbe(left.rho + right.rho, rho_x**2 + rho_z**2)
    potential = left.potential + right.potential + e_rho
    if exact:
        flow = (2 * e_sigma * rho_x, 2 * e_sigma * rho_z)
        on_a, on_b = (
            side.gradient[0] * flow[0] + side.gradient[1] * flow[1] + side.kinetic / 2
            for side in (left, right)
        )
        found = _products(
            jnp.concatenate([left.orbital, on_a]),
            jnp.concatenate([weight * right.orbital, weight * (potential * right.orbital + on_b)]),
        )
        overlap, hamiltonian = found[:6, :6], found[:6, 6:] + found[6:, :6]
        reverse = hamiltonian
    else:
        if points.fit is None:
            raise ValueError("the published form needs points with a fit")
        potential += _gradient_term(points, scale, e_sigma * rho_x, e_sigma * rho_z)
        scaled = weight * right.orbital
        found = _products(
            jnp.concatenate([left.orbital, left.kinetic]),
            jnp.concatenate([scaled, potential * scaled, weight * right.kinetic]),
        )
        overlap = found[:6, :6]
        hamiltonian = found[:6, 6:12] + found[:6, 12:]
        reverse = found[:6, 6:12] + found[6:, :6]
    return Integrals(*(part[_LEFT, _RIGHT] for part in (overlap, hamiltonian, reverse)))


def _products(
    left: Float[Array, "m points"], right: Float[Array, "n points"]
) -> Float[Array, "m n"]:
    """Return the sums over the points of all products."""
    left, right = jax.lax.optimization_barrier((left, right))
    return left @ right.T


def _gradient_term(
    points: Points,
    scale: Float[Array, ""],
    flow_x: Float[Array, " points"],
    flow_z: Float[Array, " points"],
) -> Float[Array, " points"]:
    """Return −2 (∂P_x/∂x + ∂P_z/∂z), P the bicubic polynomials fitted to the flow; hartree."""
    fit = points.fit
    assert fit is not None
    s = (jnp.asarray(points.x) - fit.middle[0]) / fit.half[0]
    t = (jnp.asarray(points.z) - fit.middle[1]) / fit.half[1]
    counts = jnp.asarray(points.weight) > 0  # padding does not
    of_s, of_t = (jnp.stack([jnp.ones_like(v), v, v**2, v**3]) for v in (s, t))
    flow = jnp.where(counts, jnp.stack([flow_x, flow_z]), 0.0)
    moments = _products((flow[:, None] * of_s).reshape(8, -1), of_t).reshape(2, 16)
    x, z = (moments @ jnp.asarray(fit.inverse).T).reshape(2, 4, 4)
    k = np.arange(1, 4)
    slope = jnp.zeros((4, 4), x.dtype).at[:3].add(k[:, None] * x[1:] / fit.half[0])
    slope = slope.at[:, :3].add(k * z[:, 1:] / fit.half[1]) * (-2 / scale)
    rows = [c[0] + t * (c[1] + t * (c[2] + t * c[3])) for c in slope]
    return rows[0] + s * (rows[1] + s * (rows[2] + s * rows[3]))
