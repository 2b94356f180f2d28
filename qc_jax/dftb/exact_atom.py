"""The Kohn-Sham atom converged: spectral elements on a mapped grid, and an eigenproblem.

R = u/r of the scalar-relativistic equation (D. D. Koelling, B. N. Harmon, J. Phys. C 10, 3107,
1977) minimises ∫ [r²/(2M) (R′² + l(l+1)/r² R²) + V r² R²] dr / ∫ r² R² dr with M = 1 + (ε −
V)/(2c²): the weak form of the differential equation that `published_atom` steps through. R is a
polynomial in each of a few elements, which are equally wide in ln r + r/b, so that the powers of r
at a point nucleus and the exponentials far out are both smooth; nodes and weights are
Gauss-Lobatto's. The energy in M makes the eigenproblem nonlinear: inverse iteration with Newton's
steps solves it, one dense system a shell.

All functions are pure and expect float64. Atomic units.
"""

import functools
from typing import NamedTuple

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from qc_jax.dftb import linalg, xc
from qc_jax.dftb.mixing import fixed_point
from qc_jax.dftb.published_atom import LIGHT, Atom, Configuration, first_potential

ELEMENTS, DEGREE = 16, 12  # levels of carbon to 1e-7 hartree
_MOST = 7  # shells of one l at most
_SCALE = 8.0  # bohr: b of the map
_REACH = 30.0  # orbitals have fallen by e^−30 where the grid ends


class Grid(NamedTuple):
    """Elements in a row, DEGREE + 1 nodes each; neighbours share a point that both have a node for.

    Attributes:
      r: [N] bohr, of the nodes.
      weights: [N] of ∫ f dr.
      expand: [N, P] values at the P points → at the nodes.
      slope: [N, N] f → df/dr at the nodes, in each element by itself.
      inside: [N, N] f → ∫_0^r f dr at the nodes.
    """

    r: Float[Array, " nodes"]
    weights: Float[Array, " nodes"]
    expand: Float[Array, "nodes points"]
    slope: Float[Array, "nodes nodes"]
    inside: Float[Array, "nodes nodes"]


@functools.cache
def _legendre(points: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return Gauss-Lobatto nodes, weights, and matrices that differentiate and integrate."""
    legendre = np.polynomial.legendre
    top = np.eye(points)[points - 1]
    nodes = np.concatenate([[-1.0], legendre.legroots(legendre.legder(top)), [1.0]])
    for _ in range(3):  # Newton's steps polish the companion matrix's roots
        first, second = legendre.legder(top), legendre.legder(top, 2)
        nodes[1:-1] -= legendre.legval(nodes[1:-1], first) / legendre.legval(nodes[1:-1], second)
    height = legendre.legval(nodes, top)
    weights = 2 / (points * (points - 1) * height**2)
    gap = nodes[:, None] - nodes + np.eye(points)
    differentiate = height[:, None] / (height * gap)
    np.fill_diagonal(differentiate, 0)
    np.fill_diagonal(differentiate, -differentiate.sum(1))
    # Integrals of Legendre polynomials: ∫ P_n = (P_{n+1} − P_{n−1}) / (2n + 1).
    values = legendre.legvander(nodes, points)
    order = np.arange(points)
    integrals = np.empty((points, points))
    integrals[:, 0] = nodes + 1
    integrals[:, 1:] = (values[:, 2:] - values[:, : points - 1]) / (2 * order[1:] + 1)
    norms = np.where(order == points - 1, 2 / (points - 1), 2 / (2 * order + 1))
    coefficients = (values[:, :points] * weights[:, None]).T / norms[:, None]
    return nodes, weights, differentiate, integrals @ coefficients


def make_grid(
    charge: float, radius: float, power: float, elements: int = ELEMENTS, degree: int = DEGREE
) -> Grid:
    """Return a grid that ends where orbitals in a confinement (r/radius)^power have died.

    Args:
      charge: Z.
      radius: bohr.
      power: of the confinement.
      elements: how many.
      degree: of the polynomials.
    """
    nodes, weights, differentiate, integrate = _legendre(degree + 1)
    # Under the barrier u falls as exp(−∫ √(2 V) dr).
    exponent = power / 2 + 1
    last = (_REACH * exponent / np.sqrt(2) * radius ** (power / 2)) ** (1 / exponent)
    first = 1e-5 / charge
    low, high = (np.log(x) + x / _SCALE for x in (first, last))
    width = (high - low) / elements
    target = (low + width * (np.arange(elements)[:, None] + (nodes + 1) / 2)).ravel()
    x = np.minimum(target, np.log(last))
    for _ in range(60):  # ln r + r/b = target
        x = x - (x + np.exp(x) / _SCALE - target) / (1 + np.exp(x) / _SCALE)
    r = np.exp(x)
    rate = width / 2 / (1 / r + 1 / _SCALE)  # dr/dt
    each = np.eye(elements)
    expand = np.zeros((r.size, elements * degree + 1))
    expand[np.arange(r.size), np.arange(r.size) - np.repeat(np.arange(elements), degree + 1)] = 1
    before = np.kron(np.tril(np.ones((elements, elements)), -1), np.tile(weights, (degree + 1, 1)))
    return Grid(
        r=jnp.asarray(r),
        weights=jnp.asarray(np.tile(weights, elements) * rate),
        expand=jnp.asarray(expand),
        slope=jnp.asarray(np.kron(each, differentiate) / rate[:, None]),
        inside=jnp.asarray((np.kron(each, integrate) + before) * rate),
    )


def _hamiltonian(level, angular, potential, grid: Grid, light: float):
    """Return K(ε) [P, P] with K R = ε B R, B the diagonal overlap of the points."""
    mass = 1 + (level - potential) / (2 * light**2)
    kinetic = grid.weights * grid.r**2 / (2 * mass)
    slope = grid.slope @ grid.expand
    whole = slope.T @ (kinetic[:, None] * slope)
    centrifugal = grid.weights * angular * (angular + 1) / (2 * mass)
    return whole + jnp.diag((centrifugal + grid.weights * grid.r**2 * potential) @ grid.expand)


def _linear_states(configuration, potential, grid, light):
    """Return (ε, R) of every shell with M taken at ε = 0: one dense eigenproblem for each l."""
    overlap = (grid.weights * grid.r**2) @ grid.expand
    shift = -0.75 * configuration.charge**2 - 10.0  # below all levels

    def of(angular):
        matrix = _hamiltonian(0.0, angular, potential, grid, light) - jnp.diag(shift * overlap)
        values, radial = _lowest(matrix, overlap)
        return shift + values, radial

    levels, radials = jax.vmap(of)(jnp.arange(4))
    level = levels[configuration.angular, configuration.nodes]
    radial = radials[configuration.angular, configuration.nodes]
    return level, radial / jnp.sqrt((overlap * radial**2).sum(1, keepdims=True))


@linalg.one_by_one
def _lowest(matrix, overlap):
    """Return the lowest levels and states of a positive matrix, `overlap` being diagonal."""
    scale = 1 / jnp.sqrt(jnp.diagonal(matrix))
    factor = jnp.linalg.cholesky(matrix * scale[:, None] * scale)
    half = jax.scipy.linalg.solve_triangular(
        factor, jnp.diag(scale * jnp.sqrt(overlap)), lower=True
    )
    values, vectors = jnp.linalg.eigh(half @ half.T)
    last = jnp.flip(vectors[:, -_MOST:], 1)
    radial = jax.scipy.linalg.solve_triangular(factor.T, last) * scale[:, None]
    return 1 / jnp.flip(values[-_MOST:]), radial.T


def _improve(level, radial, angular, potential, grid, light):
    """Return (ε, R, |step|) after one Newton step of the nonlinear eigenproblem."""
    overlap = (grid.weights * grid.r**2) @ grid.expand
    matrix = lambda e: _hamiltonian(e, angular, potential, grid, light) - jnp.diag(e * overlap)  # noqa: E731
    a, a_level = jax.jvp(matrix, (level,), (jnp.ones_like(level),))
    scale = 1 / jnp.sqrt(jnp.abs(jnp.diagonal(a)))
    x = scale * linalg.solve(a * scale[:, None] * scale, scale * (a_level @ radial))
    step = -1 / (overlap * radial * x).sum()
    x = x / jnp.sqrt((overlap * x**2).sum())
    return level + step, x, jnp.abs(step)


def xc_potential(
    radial: Float[Array, "shells nodes"],
    held: Float[Array, " shells"],
    density: Float[Array, " nodes"],
    grid: Grid,
    functional: str,
) -> tuple[Float[Array, " nodes"], Float[Array, " nodes"]]:
    """Return (energy per volume, V_xc = ∂e/∂ρ − 2 (d/dr + 2/r)[∂e/∂σ ρ′])."""
    slope = (2 * held[:, None] * radial * (radial @ grid.slope.T)).sum(0) / (4 * jnp.pi)
    e, e_rho, e_sigma = xc.exchange_correlation(density, slope**2, functional)
    flow = e_sigma * slope
    return e, e_rho - 2 * (grid.slope @ flow + 2 * flow / grid.r)


def _potential(radial, held, grid: Grid, functional: str):
    """Return (V_Hartree + V_xc, density, V_Hartree, V_xc, e) of orbitals at the points [S, P]."""
    whole = radial @ grid.expand.T
    density = (held[:, None] * whole**2).sum(0) / (4 * jnp.pi)
    charge = 4 * jnp.pi * grid.r**2 * density
    beyond = grid.inside @ (charge / grid.r)
    hartree = (grid.inside @ charge) / grid.r + beyond[-1] - beyond
    e, v_xc = xc_potential(whole, held, density, grid, functional)
    return hartree + v_xc, density, hartree, v_xc, e


def solve_atom(
    configuration: Configuration,
    radius: Float[Array, ""],
    power: Float[Array, ""] | float,
    grid: Grid,
    *,
    functional: str = "pbe",
    light: float = LIGHT,
) -> Atom:
    """Return the self-consistent atom in the confinement (r/radius)^power.

    Args:
      configuration: shells and electrons.
      radius: bohr.
      power: of the confinement.
      grid: of `make_grid`.
      functional: 'pbe' or 'lda' (static).
      light: speed of light, atomic units (static); `jnp.inf` is non-relativistic.
    """
    outer = -configuration.charge / grid.r + (grid.r / radius) ** power
    angular, held = configuration.angular, configuration.held
    volume = 4 * jnp.pi * grid.r**2

    def respond(inner, state, anew):
        potential = outer + inner
        one = lambda e, x, a: _improve(e, x, a, potential, grid, light)  # noqa: E731

        def body(carry):
            level, radial, _, count = carry
            level, radial, step = jax.vmap(one)(level, radial, angular)
            return level, radial, (step / (1e-10 + 1e-12 * jnp.abs(level))).max(), count + 1

        begin = _linear_states(configuration, potential, grid, light) if anew else state[:2]
        level, radial, _, _ = jax.lax.while_loop(
            lambda c: (c[2] > 1) & (c[3] < 8), body, (*begin, jnp.inf, 0)
        )
        answer, *rest = _potential(radial, held, grid, functional)
        return answer, (level, radial, *rest)

    def change(old, new):
        moved = (grid.weights * volume * jnp.abs(new[2] - old[2])).sum()
        return moved + (jnp.abs(new[0] - old[0]) / (1 + jnp.abs(new[0]))).max()

    inner = first_potential(configuration.charge, grid.r)
    blank = jnp.zeros_like(grid.r)
    level = jnp.zeros_like(held)
    points = jnp.zeros((held.shape[0], grid.expand.shape[1]))
    state = (level, points, blank, blank, blank, blank)
    # First by whole eigenproblems, which find each shell whatever the potential; then from guesses.
    mix = functools.partial(fixed_point, scale=grid.r, change=change)
    inner, state, _, first = mix(lambda v, s: respond(v, s, True), inner, state, most=6)
    inner, state, residual, then = mix(lambda v, s: respond(v, s, False), inner, state)
    iterations = first + then
    level, radial = state[:2]
    return _collect(inner, level, radial, held, grid, functional, residual, iterations)


def _collect(inner, level, radial, held, grid, functional, residual, iterations):
    _, density, hartree, v_xc, e = _potential(radial, held, grid, functional)
    total = lambda f: (4 * jnp.pi * grid.weights * grid.r**2 * f).sum()  # noqa: E731
    energy = (held * level).sum() + total(e - (0.5 * hartree + v_xc) * density)
    u = jnp.sign(radial[:, :1]) * (radial @ grid.expand.T) * grid.r
    return Atom(level, u, density, hartree, inner, energy, residual, iterations)


def with_derivatives(
    atom: Atom,
    configuration: Configuration,
    radius: Float[Array, ""],
    power: Float[Array, ""] | float,
    grid: Grid,
    *,
    functional: str = "pbe",
    light: float = LIGHT,
) -> Atom:
    """Return a self-consistent atom as a function of electrons, radius and power.

    Its values are those of `atom`; its derivatives (of first order, forward and reverse) are those
    that the implicit function theorem gives: x − J⁻¹ F(x, θ) of all equations at once, where x, the
    solution, and J are held.

    Args:
      atom: what `solve_atom` returned for the other arguments.
      configuration: shells and electrons.
      radius: bohr.
      power: of the confinement.
      grid: of `make_grid`.
      functional: 'pbe' or 'lda' (static).
      light: speed of light, atomic units (static).
    """
    outer = -configuration.charge / grid.r + (grid.r / radius) ** power
    inner, level = atom.potential, atom.levels
    radial = (atom.orbitals / grid.r) @ (grid.expand / grid.expand.sum(0))
    overlap = (grid.weights * grid.r**2) @ grid.expand
    x, unravel = jax.flatten_util.ravel_pytree((inner, level, radial))
    x = jax.lax.stop_gradient(x)

    def equations(x, held, outer):
        inner, level, radial = unravel(x)

        def of_shell(e, f, angular):
            matrix = _hamiltonian(e, angular, outer + inner, grid, light)
            scale = 1 / jnp.sqrt(jax.lax.stop_gradient(jnp.abs(jnp.diagonal(matrix))))
            return scale * (matrix @ f - e * overlap * f), (overlap * f**2).sum() - 1

        rows, norms = jax.vmap(of_shell)(level, radial, configuration.angular)
        answer = _potential(radial, held, grid, functional)[0]
        return jnp.concatenate([(answer - inner) * grid.r, norms, rows.ravel()])

    fixed = jax.lax.stop_gradient((configuration.held, outer))
    jacobian = jax.lax.stop_gradient(jax.jacfwd(equations)(x, *fixed))
    left = equations(x, configuration.held, outer)
    # The residue itself is rounding; only its derivative counts.
    left = left - jax.lax.stop_gradient(left)
    inner, level, radial = unravel(x - linalg.inverse(jacobian) @ left)
    held = configuration.held
    return _collect(inner, level, radial, held, grid, functional, atom.residual, atom.iterations)


def resample(grid: Grid, values: np.ndarray, r: np.ndarray) -> np.ndarray:
    """Return values [..., N] of the nodes at radii r inside the grid, by each element's polynomial.

    Args:
      grid: of `make_grid`.
      values: at its nodes.
      r: bohr, no farther out than its last node.
    """
    count, points = grid.expand.shape
    elements = count - points + 1
    degree = count // elements - 1
    legendre = np.polynomial.legendre
    to_powers = np.linalg.inv(legendre.legvander(_legendre(degree + 1)[0], degree))
    mapped = lambda x: np.log(x) + x / _SCALE  # noqa: E731
    ends = mapped(np.asarray(grid.r)[[0, -1]])
    place = (mapped(r) - ends[0]) / (ends[1] - ends[0]) * elements
    element = np.clip(place.astype(int), 0, elements - 1)
    basis = legendre.legvander(2 * (place - element) - 1, degree) @ to_powers
    cut = values.reshape(*values.shape[:-1], elements, degree + 1)
    return np.einsum("rk,...rk->...r", basis, cut[..., element, :])
