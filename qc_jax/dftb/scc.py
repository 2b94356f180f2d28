"""Self-consistent charges: Newton's method on the few charges, downhill in a convex functional.

With trial charges x (electrons of the sites beyond the neutral atoms', sites being atoms or shells)
the levels feel the potential v = γ x, and

    D(x) = F_band[H0 + v] − v·n0 − x·γ·x / 2

(F_band: free energy of the levels, n0: electrons of the neutral atoms) is stationary where the
populations n that come out are n0 + x. Its value there is the electronic free energy. F_band is
concave in v, so that D has one maximum wherever γ is positive definite: there is one solution, and
Newton steps with the exact response, halved while D does not rise, reach it from anywhere.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from qc_jax.dftb import linalg, spectrum
from qc_jax.dftb.arrays import Array
from qc_jax.dftb.spectrum import Eigensystem, Filling, Matrices

TOLERANCE = 1e-9  # e: populations that come out less those that went in
MAX_STEPS = 100


class Problem(NamedTuple):
    """What charges are to be found for; all in hartree and electrons.

    Attributes:
      h0: Hamiltonian of the neutral atoms, block by block (`spectrum`).
      s: overlap.
      sites: of each block, 1 where an orbital belongs to a site.
      gamma: interaction of charges on the sites.
      neutral: electrons n0 of the sites.
      electrons: of all.
      kt: electronic temperature.
    """

    h0: Matrices
    s: Matrices
    sites: tuple[Float[Array, "m sites"], ...]
    gamma: Float[Array, "sites sites"]
    neutral: Float[Array, " sites"]
    electrons: Float[Array, ""]
    kt: Float[Array, ""]


class Charges(NamedTuple):
    """Self-consistent charges.

    Attributes:
      excess: electrons of the sites beyond the neutral atoms'.
      residual: the largest difference between populations that went in and came out.
      steps: diagonalisations.
    """

    excess: Float[Array, " sites"]
    residual: Float[Array, ""]
    steps: Int[Array, ""]

    @property
    def converged(self) -> Bool[Array, ""]:
        """Return whether they are a solution."""
        return self.residual < TOLERANCE


def hamiltonian(problem: Problem, excess: Float[Array, " sites"]) -> Matrices:
    """Return H0 with the potential of the charges: S_ij (v_i + v_j) / 2 added."""
    potential = problem.gamma @ excess
    blocks = []
    for h0, s, sites in zip(problem.h0, problem.s, problem.sites, strict=True):
        v = sites @ potential
        blocks.append(h0 + s * (v[:, None] + v[None, :]) / 2)
    return tuple(blocks)


def populations(
    problem: Problem, density: Matrices, weights: tuple[float, ...]
) -> Float[Array, " sites"]:
    """Return the Mulliken populations of the sites."""
    return sum(
        w * (jnp.sum(p * s, axis=1) @ sites)
        for w, p, s, sites in zip(weights, density, problem.s, problem.sites, strict=True)
    )


def electronic_free_energy(
    problem: Problem, excess: Float[Array, " sites"], weights: tuple[float, ...]
) -> Float[Array, ""]:
    """Return D(x), hartree; at the solution its derivative is that with x held."""
    band = spectrum.free_energy(
        hamiltonian(problem, excess), problem.s, weights, problem.electrons, problem.kt
    )
    potential = problem.gamma @ excess
    return band - potential @ problem.neutral - excess @ potential / 2


class _Point(NamedTuple):
    excess: Float[Array, " sites"]
    value: Float[Array, ""]
    residual: Float[Array, " sites"]
    step: Float[Array, " sites"]


def evaluate(
    problem: Problem, excess: Float[Array, " sites"], weights: tuple[float, ...]
) -> tuple[Eigensystem, Filling]:
    """Return the levels and their filling in the potential of trial charges."""
    system = spectrum.diagonalize(hamiltonian(problem, excess), problem.s)
    return system, spectrum.fill(system.levels, weights, problem.electrons, problem.kt)


def response(
    problem: Problem, system: Eigensystem, filling: Filling, weights: tuple[float, ...]
) -> tuple[Float[Array, " sites"], Float[Array, "sites sites"]]:
    """Return the populations and χ, their derivative by the potential of the sites."""
    mu, kt = filling.fermi_level, problem.kt
    total: Array = 0.0
    direct: Array = 0.0
    by_level: Array = 0.0
    slope: Array = 0.0
    zipped = zip(
        weights, *system, filling.occupations, filling.slopes, problem.s, problem.sites, strict=True
    )
    for w, e, c, f, g, s, sites in zipped:
        sc = s @ c
        one = jnp.einsum("ma,mi,mj->aij", sites, c, sc)
        of_site = (one + jnp.swapaxes(one, 1, 2)) / 2
        total += 2 * w * jnp.einsum("aii,i->a", of_site, f)
        divided = spectrum.divided_difference(e, mu, kt)
        direct += 2 * w * jnp.einsum("aij,ij,bij->ab", of_site, divided, of_site)
        by_level += w * jnp.einsum("aii,i->a", of_site, g)
        slope += w * jnp.sum(g)
    shift = 2 / kt * jnp.outer(by_level, by_level) / jnp.maximum(slope, spectrum.TINY)
    return total, direct + shift


def _point(problem: Problem, excess: Float[Array, " sites"], weights: tuple[float, ...]) -> _Point:
    system, filling = evaluate(problem, excess, weights)
    n, chi = response(problem, system, filling, weights)
    potential = problem.gamma @ excess
    band = spectrum.band_energy(system, filling, weights) - problem.kt * filling.entropy
    value = band - potential @ problem.neutral - excess @ potential / 2
    residual = n - problem.neutral - excess
    step = linalg.solve(jnp.eye(len(excess)) - chi @ problem.gamma, residual)
    return _Point(excess, value, residual, step)


def _size(point: _Point) -> Float[Array, ""]:
    return jnp.max(jnp.abs(point.residual))


def find(
    problem: Problem,
    start: Float[Array, " sites"],
    weights: tuple[float, ...],
    max_steps: int = MAX_STEPS,
) -> Charges:
    """Return the self-consistent charges; where it gives up, `converged` is False.

    Args:
      problem: what for. Nothing here is differentiated: see `implicit`.
      start: trial charges, electrons beyond the neutral atoms'.
      weights: how often each block counts.
      max_steps: diagonalisations after which it gives up.
    """

    def unfinished(state):
        best, _, steps = state
        return (_size(best) >= TOLERANCE) & (steps < max_steps)

    def advance(state):
        best, length, steps = state
        trial = _point(problem, best.excess + length * best.step, weights)
        rising = (problem.gamma @ jnp.where(steps == 0, 0.0, best.residual)) @ best.step
        rounding = 1e-12 * jnp.abs(trial.value)
        rises = trial.value >= best.value + 1e-4 * length * rising - rounding
        accept = rises | (_size(trial) < 0.5 * _size(best))
        accept &= jnp.isfinite(trial.value)
        chosen = jax.tree.map(lambda new, old: jnp.where(accept, new, old), trial, best)
        length = jnp.where(accept, jnp.minimum(1.0, 4 * length), length / 4)
        return chosen, length, steps + 1

    # The first trial is the start: anything is better than this.
    nothing = _Point(start, -jnp.inf, jnp.full_like(start, jnp.inf), jnp.zeros_like(start))
    best, _, steps = jax.lax.while_loop(unfinished, advance, (nothing, jnp.ones(()), 0))
    return Charges(best.excess, _size(best), steps)


def implicit(
    problem: Problem, charges: Charges, weights: tuple[float, ...]
) -> Float[Array, " sites"]:
    """Return the charges as a function of the problem, with their first derivatives.

    One Newton step from the solution, with the solution and the response held: the implicit
    function theorem.
    """
    fixed = jax.lax.stop_gradient(problem)
    excess = jax.lax.stop_gradient(charges.excess)
    _, chi = response(fixed, *evaluate(fixed, excess, weights), weights)
    density, _ = spectrum.density_matrices(
        hamiltonian(problem, excess), problem.s, weights, problem.electrons, problem.kt
    )
    residual = populations(problem, density, weights) - problem.neutral - excess
    return excess + linalg.inverse(jnp.eye(len(excess)) - chi @ fixed.gamma) @ residual


def describe(
    problem: Problem, charges: Charges, excess: Float[Array, " sites"], weights: tuple[float, ...]
) -> dict[str, Any]:
    """Return what is reported of electrons with these charges; levels are of first derivatives.

    Args:
      problem: what the charges are of.
      charges: of `find`.
      excess: the same as a function of the problem (`implicit`), or `charges.excess`.
      weights: how often each block counts.

    Returns:
      'levels' (hartree), 'occupations' (0 to 2), each as often as its block counts; 'populations'
      of the orbitals, one array a block; 'band_energy', 'entropy' (in k_B), 'fermi_level';
      'excess', 'residual', 'steps'.
    """
    h = hamiltonian(problem, excess)
    levels = spectrum.eigenvalues(h, problem.s)
    density, _ = spectrum.density_matrices(h, problem.s, weights, problem.electrons, problem.kt)
    filling = spectrum.fill(jax.lax.stop_gradient(levels), weights, problem.electrons, problem.kt)

    def repeated(blocks: tuple[Array, ...]) -> Array:
        return jnp.concatenate(
            [jnp.repeat(one, int(w)) for w, one in zip(weights, blocks, strict=True)]
        )

    every, occupations = repeated(levels), 2 * repeated(filling.occupations)
    return {
        "levels": every,
        "occupations": occupations,
        "populations": tuple(
            jnp.sum(p * s, axis=1) for p, s in zip(density, problem.s, strict=True)
        ),
        "band_energy": every @ occupations,
        "entropy": filling.entropy,
        "fermi_level": spectrum.reported_fermi_level(
            every, problem.electrons, problem.kt, filling.fermi_level
        ),
        "excess": excess,
        "residual": charges.residual,
        "steps": charges.steps,
    }
