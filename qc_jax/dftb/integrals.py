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


def points_at(form: str, ratio: float) -> Points:
    """Return the points of a form; always as many, so that a program serves all distances."""
    if form == "exact":
        return quadrature.gauss_points(ratio)
    return quadrature.published_points(ratio).padded(quadrature.MOST_PUBLISHED)


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
    left, right = (at_atom(x, at, scale, points, exact) for x, at in ((a, 0.0), (b, distance)))
    return combine(left, right, scale, points, exact)


def at_atom(
    atom: radial.AtomSplines,
    place: Float[Array, ""] | float,
    scale: Float[Array, ""],
    points: Points,
    exact: bool,
) -> "OneAtom":
    """Evaluate at all points an atom that is at z = `place`, bohr; `scale` is in bohr.

    A barrier stands behind it: XLA would evaluate the splines anew for each of their many uses.
    """
    x, z = jnp.asarray(points.x) * scale, jnp.asarray(points.z) * scale - place
    found = _atom(atom, x, z)
    return jax.lax.optimization_barrier(found if exact else found._replace(gradient=[]))


def combine(
    left: "OneAtom", right: "OneAtom", scale: Float[Array, ""], points: Points, exact: bool
) -> Integrals:
    """Return the integrals of two atoms from their functions at the points."""
    weight = jnp.asarray(points.weight) * scale**3
    rho_x, rho_z = left.rho_x + right.rho_x, left.rho_z + right.rho_z
    _, e_rho, e_sigma = xc.pbe(left.rho + right.rho, rho_x**2 + rho_z**2)
    potential = left.potential + right.potential + e_rho
    if exact:
        flow = (2 * e_sigma * rho_x, 2 * e_sigma * rho_z)
        on_a = [
            weight * (_along(g, flow) + t / 2)
            for g, t in zip(left.gradient, left.kinetic, strict=True)
        ]
        on_b = [
            weight * (potential * f + _along(g, flow) + t / 2)
            for f, g, t in zip(right.orbital, right.gradient, right.kinetic, strict=True)
        ]
        hamiltonian = reverse = _products(left.orbital, on_b) + _products(on_a, right.orbital)
    else:
        if points.basis is None:
            raise ValueError("the published form needs the points' polynomials")
        flow = jax.lax.optimization_barrier((e_sigma * rho_x, e_sigma * rho_z))
        fit_x, fit_z = (points.inverse @ (points.basis.T @ part) for part in flow)
        divergence = points.basis_x @ fit_x + points.basis_z @ fit_z
        potential = jax.lax.optimization_barrier(potential - 2 * divergence / scale)
        on_a, on_b = (
            [weight * (potential * f + t) for f, t in zip(side.orbital, side.kinetic, strict=True)]
            for side in (left, right)
        )
        hamiltonian, reverse = _products(left.orbital, on_b), _products(on_a, right.orbital)
    overlap = _products(left.orbital, [weight * f for f in right.orbital])
    return Integrals(overlap, hamiltonian, reverse)


class OneAtom(NamedTuple):
    """One atom at all points; lists by m = 0, 1, 2 of [3 - m, points], shells by ascending l.

    An orbital is R times the part of its angular function in the half-plane, with factors such that
    the angle about the axis integrates to 1 in a product of two.
    """

    orbital: list[Float[Array, "shells points"]]  # the gradient is empty where nothing needs it
    kinetic: list[Float[Array, "shells points"]]
    gradient: list[tuple[Float[Array, "shells points"], Float[Array, "shells points"]]]
    rho: Float[Array, " points"]
    rho_x: Float[Array, " points"]
    rho_z: Float[Array, " points"]
    potential: Float[Array, " points"]


def _atom(
    atom: radial.AtomSplines, x: Float[Array, " points"], z: Float[Array, " points"]
) -> OneAtom:
    """Evaluate an atom at points of the half-plane, relative to its nucleus."""
    r = jnp.sqrt(x**2 + z**2)
    at = jax.lax.optimization_barrier(radial.at_points(atom, r))
    sin, cos = x / r, z / r
    one = jnp.ones_like(r)
    p, d, e = (np.sqrt(v) for v in (1.5, 0.625, 3.75))
    # Angular functions and their derivatives by the polar angle.
    angular = [
        (
            jnp.stack([np.sqrt(0.5) * one, p * cos, d * (3 * cos**2 - 1)]),
            jnp.stack([0 * one, -p * sin, -6 * d * sin * cos]),
        ),
        (
            jnp.stack([p / np.sqrt(2) * sin, e * sin * cos]),
            jnp.stack([p / np.sqrt(2) * cos, e * (cos**2 - sin**2)]),
        ),
        ((e / 2 * sin**2)[None], (e * sin * cos)[None]),
    ]
    gradient = []
    for m, (value, by_angle) in enumerate(angular):
        outwards = at.slopes[m:] * value
        around = at.orbitals[m:] * by_angle / r
        gradient.append((outwards * sin + around * cos, outwards * cos - around * sin))
    return OneAtom(
        [at.orbitals[m:] * value for m, (value, _) in enumerate(angular)],
        [at.kinetic[m:] * value for m, (value, _) in enumerate(angular)],
        gradient,
        at.density,
        at.density_slope * sin,
        at.density_slope * cos,
        at.potential,
    )


def _along(
    gradient: tuple[Float[Array, "shells points"], Float[Array, "shells points"]],
    flow: tuple[Float[Array, " points"], Float[Array, " points"]],
) -> Float[Array, "shells points"]:
    """Return the product of an orbital's gradient with a vector field."""
    return gradient[0] * flow[0] + gradient[1] * flow[1]


def _products(
    left: Sequence[Float[Array, "shells points"]], right: Sequence[Float[Array, "shells points"]]
) -> Float[Array, "14"]:
    """Return the sums over the points of all products of equal m, in the order of `INTEGRALS`."""
    return jnp.concatenate([(f @ g.T).ravel() for f, g in zip(left, right, strict=True)])
