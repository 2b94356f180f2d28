"""Levels, Fermi filling and density matrices of a Hamiltonian, with derivatives that are stable.

A system's matrices come in blocks that do not mix: one for a molecule, σ, π and δ for a pair of
atoms, where π and δ count twice. Derivatives are those of perturbation theory with divided
differences of the Fermi function, so that degenerate levels, filled in part or not, are no
exception: S. L. Adler, Phys. Rev. 126, 413 (1962), N. Wiser, ibid. 129, 62 (1963). Levels' own are
those of single levels: of degenerate ones that a change parts, the diagonal in the basis at hand.

All is meant to run within `jax.enable_x64(True)`. First derivatives of all that is here and second
ones of the free energy are supported; higher ones are not.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import jax.scipy.linalg
from jaxtyping import Float

from qc_jax.dftb.arrays import Array
from qc_jax.dftb.linalg import one_by_one

Matrices = tuple[Float[Array, "m m"], ...]  # one a block


# Of Σ −kT ∂f/∂ε, in units of levels, below which no electron moves. TPUs make float64 of two
# float32 and have the range of these: 1e-200 would be zero there.
TINY = 1e-30


class Eigensystem(NamedTuple):
    """Levels ε (hartree) and orbitals C of H C = S C ε, one array a block."""

    levels: tuple[Float[Array, " m"], ...]
    orbitals: Matrices


class Filling(NamedTuple):
    """Occupations of the levels.

    Attributes:
      fermi_level: hartree.
      occupations: 0 to 1, one array a block.
      slopes: −kT ∂f/∂ε, not negative.
      entropy: S/k_B, of both spins.
    """

    fermi_level: Float[Array, ""]
    occupations: tuple[Float[Array, " m"], ...]
    slopes: tuple[Float[Array, " m"], ...]
    entropy: Float[Array, ""]


def diagonalize(h: Matrices, s: Matrices) -> Eigensystem:
    """Return the levels and orbitals; NaN where an overlap matrix is not positive definite."""
    levels, orbitals = zip(*(_block(*both) for both in zip(h, s, strict=True)), strict=True)
    return Eigensystem(levels, orbitals)


@one_by_one
def _block(
    h: Float[Array, "m m"], s: Float[Array, "m m"]
) -> tuple[Float[Array, " m"], Float[Array, "m m"]]:
    lower = jnp.linalg.cholesky(s)
    half = jax.scipy.linalg.solve_triangular(lower, h, lower=True)
    reduced = jax.scipy.linalg.solve_triangular(lower, half.T, lower=True)
    levels, vectors = jnp.linalg.eigh((reduced + reduced.T) / 2)
    return levels, jax.scipy.linalg.solve_triangular(lower.T, vectors, lower=False)


def fill(
    levels: tuple[Float[Array, " m"], ...],
    weights: tuple[float, ...],
    electrons: Float[Array, ""],
    kt: Float[Array, ""],
) -> Filling:
    """Return the Fermi filling with that many electrons.

    Args:
      levels: hartree, one array a block.
      weights: how often each block counts.
      electrons: of both spins.
      kt: electronic temperature, hartree.
    """
    energies = jnp.concatenate(levels)
    counts = jnp.concatenate([jnp.full_like(e, w) for e, w in zip(levels, weights, strict=True)])
    pairs = electrons / 2
    lowest, highest = jnp.min(energies), jnp.max(energies)

    def excess(mu):
        return jnp.sum(counts * jax.nn.sigmoid((mu - energies) / kt)) - pairs

    def bisect(_, ends):
        low, high = ends
        mu = (low + high) / 2
        above = excess(mu) > 0
        return jnp.where(above, low, mu), jnp.where(above, mu, high)

    margin = 40 * kt
    low, high = jax.lax.fori_loop(0, 56, bisect, (lowest - margin, highest + margin))
    mu = (low + high) / 2
    middle = _between(energies, mu)  # as good where there is a gap, and well defined
    mu = jnp.where(jnp.abs(excess(middle)) < 1e-13, middle, mu)
    mu = jnp.where(jnp.sum(counts) <= pairs + 1e-9, highest + 200 * kt, mu)  # all are full
    occupations = tuple(jax.nn.sigmoid((mu - e) / kt) for e in levels)
    slopes = tuple(
        f * jax.nn.sigmoid((e - mu) / kt) for f, e in zip(occupations, levels, strict=True)
    )
    entropy = sum(
        2 * w * jnp.sum(_entropy(jnp.abs(e - mu) / kt))
        for w, e in zip(weights, levels, strict=True)
    )
    return Filling(mu, occupations, slopes, entropy)


def _entropy(x):
    """−f ln f − (1 − f) ln(1 − f) at |ε − μ| / kT = x."""
    small = jnp.exp(-x)
    return jnp.log1p(small) + jnp.where(x < 700, x, 0) * small / (1 + small)


def divided_difference(
    levels: Float[Array, " m"], mu: Float[Array, ""], kt: Float[Array, ""]
) -> Float[Array, "m m"]:
    """Return (f_i − f_j) / (ε_i − ε_j), its limit ∂f/∂ε where levels are equal; 1/hartree."""
    x = (levels - mu) / kt
    low, high = jnp.minimum(x[:, None], x[None, :]), jnp.maximum(x[:, None], x[None, :])
    apart = high - low
    safe = jnp.where(apart < 1e-8, 1.0, apart)
    ratio = jnp.where(apart < 1e-8, -1 + apart / 2, jnp.expm1(-safe) / safe)
    return jax.nn.sigmoid(-low) * jax.nn.sigmoid(high) * ratio / kt


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def free_energy(
    h: Matrices,
    s: Matrices,
    weights: tuple[float, ...],
    electrons: Float[Array, ""],
    kt: Float[Array, ""],
) -> Float[Array, ""]:
    """Return Σ f ε − T S of both spins, hartree; differentiable by `h` and `s`."""
    system = diagonalize(h, s)
    filling = fill(system.levels, weights, electrons, kt)
    return band_energy(system, filling, weights) - kt * filling.entropy


@free_energy.defjvp
def _(weights, primals, tangents):
    h, s, electrons, kt = primals
    dh, ds = tangents[:2]
    density, weighted = density_matrices(h, s, weights, electrons, kt)
    change = sum(
        w * (jnp.sum(p * a) - jnp.sum(e * b))
        for w, p, e, a, b in zip(weights, density, weighted, dh, ds, strict=True)
    )
    return free_energy(h, s, weights, electrons, kt), change


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def density_matrices(
    h: Matrices,
    s: Matrices,
    weights: tuple[float, ...],
    electrons: Float[Array, ""],
    kt: Float[Array, ""],
) -> tuple[Matrices, Matrices]:
    """Return the density matrices and the energy-weighted ones, of both spins, block by block."""
    system = diagonalize(h, s)
    return _densities(system, fill(system.levels, weights, electrons, kt))


def _densities(system: Eigensystem, filling: Filling) -> tuple[Matrices, Matrices]:
    zipped = list(zip(system.levels, system.orbitals, filling.occupations, strict=True))
    return (
        tuple(2 * (c * f) @ c.T for _, c, f in zipped),
        tuple(2 * (c * (f * e)) @ c.T for e, c, f in zipped),
    )


@density_matrices.defjvp
def _(weights, primals, tangents):
    h, s, electrons, kt = primals
    dh, ds = tangents[:2]
    system = diagonalize(h, s)
    filling = fill(system.levels, weights, electrons, kt)
    mu = filling.fermi_level
    moved, overlaps = [], []
    for e, c, a, b in zip(*system, dh, ds, strict=True):
        overlap = c.T @ b @ c
        overlaps.append(overlap)
        moved.append(c.T @ a @ c - (e[:, None] + e[None, :]) / 2 * overlap)
    slope = sum(w * jnp.sum(g) for w, g in zip(weights, filling.slopes, strict=True))
    dmu = sum(
        w * jnp.sum(g * jnp.diag(m)) for w, g, m in zip(weights, filling.slopes, moved, strict=True)
    ) / jnp.maximum(slope, TINY)
    changes, weighted_changes = [], []
    for e, c, f, g, m, o in zip(
        *system, filling.occupations, filling.slopes, moved, overlaps, strict=True
    ):
        divided = divided_difference(e, mu, kt)
        change = divided * m + jnp.diag(g / kt * dmu) - o * (f[:, None] + f[None, :]) / 2
        energy = (e[:, None] + e[None, :]) / 2
        of_energy = (f[:, None] + f[None, :]) / 2 + energy * divided
        ef = e * f
        weighted = of_energy * m + jnp.diag(e * g / kt * dmu) - o * (ef[:, None] + ef[None, :]) / 2
        changes.append(2 * c @ change @ c.T)
        weighted_changes.append(2 * c @ weighted @ c.T)
    return _densities(system, filling), (tuple(changes), tuple(weighted_changes))


@jax.custom_jvp
def eigenvalues(h: Matrices, s: Matrices) -> tuple[Float[Array, " m"], ...]:
    """Return the levels, hartree, rising in each block."""
    return diagonalize(h, s).levels


@eigenvalues.defjvp
def _(primals, tangents):
    system = diagonalize(*primals)
    changes = tuple(
        jnp.einsum("mi,mn,ni->i", c, a, c) - e * jnp.einsum("mi,mn,ni->i", c, b, c)
        for e, c, a, b in zip(*system, *tangents, strict=True)
    )
    return system.levels, changes


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def eigensystem(h: Matrices, s: Matrices, same: float) -> Eigensystem:
    """Return what `diagonalize` does, with first derivatives.

    Levels nearer than `same` (hartree) count as one: of what changes their orbitals that part is
    left out which turns them among each other, so that sums of c cᵀ over all of them have the right
    derivative, each alone none that means anything.
    """
    return diagonalize(h, s)


@eigensystem.defjvp
def _(same, primals, tangents):
    system = diagonalize(*primals)
    shifts, turned = [], []
    for e, c, a, b in zip(*system, *tangents, strict=True):
        overlap = c.T @ b @ c
        moved = c.T @ a @ c - (e[:, None] + e[None, :]) / 2 * overlap
        apart = e[None, :] - e[:, None]
        near = jnp.abs(apart) < same
        mixed = jnp.where(near, 0.0, moved / jnp.where(near, 1.0, apart))
        shifts.append(jnp.diag(moved))
        turned.append(c @ (mixed - overlap / 2))
    return system, Eigensystem(tuple(shifts), tuple(turned))


def band_energy(
    system: Eigensystem, filling: Filling, weights: tuple[float, ...]
) -> Float[Array, ""]:
    """Return Σ f ε of both spins, hartree."""
    return sum(
        2 * w * jnp.sum(e * f)
        for w, e, f in zip(weights, system.levels, filling.occupations, strict=True)
    )


def reported_fermi_level(
    levels: Float[Array, " m"],
    electrons: Float[Array, ""],
    kt: Float[Array, ""],
    mu: Float[Array, ""],
) -> Float[Array, ""]:
    """Return the Fermi level as DFTB+ says it: mid-gap where that fills within 1e-7 electrons."""
    middle = _between(levels, mu)
    off = jnp.abs(2 * jnp.sum(jax.nn.sigmoid((middle - levels) / kt)) - electrons)
    whole = jnp.abs(electrons / 2 - jnp.round(electrons / 2)) < 1e-9
    return jnp.where(whole & (off < 1e-7), middle, mu)


def _between(levels: Float[Array, " m"], mu: Float[Array, ""]) -> Float[Array, ""]:
    """Return the middle of the levels next to μ; μ where there is none on one side."""
    below = jnp.max(jnp.where(levels <= mu, levels, -jnp.inf))
    above = jnp.min(jnp.where(levels > mu, levels, jnp.inf))
    middle = (below + above) / 2
    return jnp.where(jnp.isfinite(middle), middle, mu)
