"""The Kohn-Sham atom as the program of the published data discretised it.

Scalar-relativistic, without spin-orbit: with M = 1 + (ε − V)/(2c²), u = r R obeys
u″ + (V′/(2Mc²))(u′ − u/r) − [l(l+1)/r² + 2M(V − ε)] u = 0 (D. D. Koelling, B. N. Harmon, J. Phys. C
10, 3107, 1977). On the grid r_i = r_min exp(i Δx), r_min = 0.01/Z to 100 bohr, with 500 points and
500 more for each node of the highest shell, x = ln r turns it into u_xx + c1 u_x + c0 u = 0, and
central differences of second order into a three-term recursion. Its solutions are not converged
with the grid (levels are off by up to 2.5e-4 hartree): this is the published discretisation, and
every table of the set is built on it. `exact_atom` has the converged one.

All functions are pure and expect float64. Atomic units.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from qc_jax.dftb import xc
from qc_jax.dftb.mixing import fixed_point

LIGHT = 137.036  # the program's speed of light, atomic units
R_MAX = 100.0  # bohr, the last point of every grid


class Grid(NamedTuple):
    """The logarithmic grid of an atom, and its quadratures.

    Attributes:
      r: [N] bohr.
      step: [] Δx of x = ln r.
      widths: [N-1] r_{i+1} − r_i.
      middles: [N-1] midpoints.
      volumes: [N-1] 4π r_mid² dr, scaled to add up to the sphere's volume.
    """

    r: Float[Array, " points"]
    step: Float[Array, ""]
    widths: Float[Array, " points-1"]
    middles: Float[Array, " points-1"]
    volumes: Float[Array, " points-1"]


class Configuration(NamedTuple):
    """The shells of an atom, in any order.

    Attributes:
      charge: [] Z.
      angular: [S] angular momentum l.
      nodes: [S] n − l − 1.
      held: [S] electrons; 0 for an empty shell, and for padding.
    """

    charge: Float[Array, ""]
    angular: Int[Array, " shells"]
    nodes: Int[Array, " shells"]
    held: Float[Array, " shells"]


class Atom(NamedTuple):
    """A self-consistent atom.

    Attributes:
      levels: [S] hartree.
      orbitals: [S, N] u = r R, ∫u² dr = 1, positive at the nucleus.
      density: [N] electrons/bohr³.
      hartree: [N] hartree.
      potential: [N] V_Hartree + V_xc that made the levels, hartree.
      energy: [] hartree, the confinement's included.
      residual: [] ∫|Δρ| d³r of the last iteration, electrons.
      iterations: [] how many there were.
    """

    levels: Float[Array, " shells"]
    orbitals: Float[Array, "shells points"]
    density: Float[Array, " points"]
    hartree: Float[Array, " points"]
    potential: Float[Array, " points"]
    energy: Float[Array, ""]
    residual: Float[Array, ""]
    iterations: Int[Array, ""]


def make_grid(charge: Float[Array, ""], points: int) -> Grid:
    """Return the grid of an element of nuclear charge Z."""
    start = jnp.log(0.01 / charge)
    step = (jnp.log(R_MAX) - start) / (points - 1)
    r = jnp.exp(start + step * jnp.arange(points))
    widths = jnp.diff(r)
    middles = r[:-1] + widths / 2
    volumes = 4 * jnp.pi * middles**2 * widths
    volumes = volumes * (4 * jnp.pi * R_MAX**3 / 3) / volumes.sum()
    return Grid(r, step, widths, middles, volumes)


def trapezium(values: Float[Array, "... points"], grid: Grid) -> Float[Array, "..."]:
    """Return ∫ f dr by the trapezium rule."""
    return 0.5 * ((values[..., 1:] + values[..., :-1]) * grid.widths).sum(-1)


def hartree_potential(
    density: Float[Array, " points"], electrons: Float[Array, ""], grid: Grid
) -> Float[Array, " points"]:
    """Return V_Hartree from charges of shells, which are scaled to the number of electrons."""
    shells = 0.5 * (density[1:] + density[:-1]) * grid.volumes
    total = shells.sum()
    shells = shells * electrons / jnp.where(total > 0, total, 1.0)  # 0 in a bare nucleus
    zero = jnp.zeros(1, shells.dtype)
    inside = jnp.concatenate([zero, jnp.cumsum(shells)])
    outside = jnp.concatenate([jnp.cumsum((shells / grid.middles)[::-1])[::-1], zero])
    return inside / grid.r + outside


def gradient(values: Float[Array, " points"], grid: Grid) -> Float[Array, " points"]:
    """Return df/dr by differences of second order on the uneven grid, of first at its ends."""
    slopes = jnp.diff(values) / grid.widths
    left, right = grid.widths[:-1], grid.widths[1:]
    inner = (slopes[:-1] * right + slopes[1:] * left) / (left + right)
    return jnp.concatenate([slopes[:1], inner, slopes[-1:]])


def xc_potential(
    density: Float[Array, " points"], grid: Grid, functional: str = "pbe"
) -> tuple[Float[Array, " points"], Float[Array, " points"]]:
    """Return (energy per volume, V_xc = ∂e/∂ρ − 2 r⁻² d/dr[r² ∂e/∂σ ρ′])."""
    slope = gradient(density, grid)
    e, e_rho, e_sigma = xc.exchange_correlation(density, slope**2, functional)
    flux = gradient(grid.r**2 * e_sigma * slope, grid) / grid.r**2
    return e, e_rho - 2 * flux


def spline_slope(values: Float[Array, " points"], grid: Grid) -> Float[Array, " points"]:
    """Return df/dr of the natural cubic spline in r at its points."""
    h = grid.widths
    rise = jnp.diff(values) / h
    zero, one = jnp.zeros(1, h.dtype), jnp.ones(1, h.dtype)
    lower = jnp.concatenate([zero, h[1:], one])
    diagonal = jnp.concatenate([2 * one, 2 * (h[1:] + h[:-1]), 2 * one])
    upper = jnp.concatenate([one, h[:-1], zero])
    inner = 3 * (h[1:] * rise[:-1] + h[:-1] * rise[1:])
    right = jnp.concatenate([3 * rise[:1], inner, 3 * rise[-1:]])
    return jax.lax.linalg.tridiagonal_solve(lower, diagonal, upper, right[:, None])[:, 0]


def recursion(
    level: Float[Array, ""],
    angular: Int[Array, ""],
    potential: Float[Array, " points"],
    slope: Float[Array, " points"],
    grid: Grid,
    light: float,
) -> tuple[Float[Array, " points"], Float[Array, " points"], Float[Array, " points"]]:
    """Return (below, diagonal, above) of below u_{i−1} + diagonal u_i + above u_{i+1} = 0."""
    mass = 1 + (level - potential) / (2 * light**2)
    drag = grid.r * slope / (2 * mass * light**2)
    c0 = -angular * (angular + 1) - 2 * mass * grid.r**2 * (potential - level) - drag
    half = 0.5 * (drag - 1) / grid.step
    square = 1 / grid.step**2
    return square - half, c0 - 2 * square, square + half


def _one_state(
    level: Float[Array, ""],
    angular: Int[Array, ""],
    potential: Float[Array, " points"],
    slope: Float[Array, " points"],
    grid: Grid,
    light: float,
) -> tuple[Float[Array, ""], Float[Array, " points"], Int[Array, ""], Int[Array, ""]]:
    """Return (Newton step of the level, u normalised, its nodes, levels below) at a trial level.

    The recursion runs outwards from u ∝ r^(l+1) and inwards from u = 0, in ratios of neighbours,
    to the outermost classical turning point, where what it leaves is the level's error.
    """
    rows = lambda e: recursion(e, angular, potential, slope, grid, light)  # noqa: E731
    (below, diagonal, above), (d_below, d_diagonal, d_above) = jax.jvp(
        rows, (level,), (jnp.ones_like(level),)
    )
    points = grid.r.shape[0]

    def sweep(carry, row):
        ahead, back = carry  # u_i / u_{i−1} outwards, u_i / u_{i+1} inwards
        b, d, a, b_back, d_back, a_back = row
        ahead = -(d + b / ahead) / a
        back = -(d_back + a_back * back) / b_back  # inverse: u_{i−1} / u_i
        return (ahead, 1 / back), (ahead, back)

    inner = slice(1, -1)
    forward = (below[inner], diagonal[inner], above[inner])
    start = ((grid.r[1] / grid.r[0]) ** (angular + 1.0), jnp.zeros_like(level))
    _, (ahead, back) = jax.lax.scan(sweep, start, forward + tuple(x[::-1] for x in forward))
    # ahead[i] = u_{i+1}/u_i for i = 0 … N−2, outwards; back[i] = u_i/u_{i+1}, inwards.
    ahead = jnp.concatenate([start[0][None], ahead])
    back = jnp.concatenate([back[::-1], jnp.full(1, jnp.inf)])
    index = jnp.arange(points)
    allowed = (diagonal + 2 / grid.step**2 > 0) & (index > 1) & (index < points - 2)
    turn = jnp.where(allowed.any(), jnp.max(jnp.where(allowed, index, 0)), points // 2)
    logs = jnp.where(index[:-1] < turn, jnp.log(jnp.abs(ahead)), -jnp.log(jnp.abs(back)))
    size = jnp.concatenate([jnp.zeros(1), jnp.cumsum(logs)])
    flips = jnp.where(index[:-1] < turn, ahead < 0, back < 0)
    sign = jnp.concatenate([jnp.ones(1), jnp.cumprod(jnp.where(flips, -1.0, 1.0))])
    u = sign * jnp.exp(size - size[turn])
    u = u / jnp.sqrt(trapezium(u**2, grid))

    # The rows, multiplied by `scale`, are symmetric; so the first-order step has u on both sides.
    weights = jnp.cumsum(jnp.log(above[:-1] / below[1:]))
    weights = jnp.concatenate([jnp.zeros(1), weights])
    scale = jnp.exp(weights - weights[turn])
    left = scale * u
    before, after = u[:-2], u[2:]
    missing = below[turn] * u[turn - 1] + diagonal[turn] * u[turn] + above[turn] * u[turn + 1]
    change = d_below[inner] * before + d_diagonal[inner] * u[inner] + d_above[inner] * after
    step = -left[turn] * missing / (left[inner] * change).sum()
    return step, u, flips.sum(), (ahead < 0).sum()


def _inverse_iteration(
    level: Float[Array, ""],
    u: Float[Array, " points"],
    angular: Int[Array, ""],
    potential: Float[Array, " points"],
    slope: Float[Array, " points"],
    grid: Grid,
    light: float,
) -> tuple[Float[Array, ""], Float[Array, " points"], Float[Array, ""], Int[Array, ""]]:
    """Return (level, u, step, nodes) after one Newton step from a state that is nearly right."""
    rows = lambda e: recursion(e, angular, potential, slope, grid, light)  # noqa: E731
    (below, diagonal, above), (d_below, d_diagonal, d_above) = jax.jvp(
        rows, (level,), (jnp.ones_like(level),)
    )
    inner = slice(1, -1)
    change = d_below[inner] * u[:-2] + d_diagonal[inner] * u[inner] + d_above[inner] * u[2:]
    # u_0 = u_1 (r_0/r_1)^(l+1) and u_{N−1} = 0 leave a tridiagonal system of the inner points.
    ratio = (grid.r[0] / grid.r[1]) ** (angular + 1.0)
    middle = diagonal[inner].at[0].add(below[1] * ratio)
    low, high = below[inner].at[0].set(0.0), above[inner].at[-1].set(0.0)
    x = jax.lax.linalg.tridiagonal_solve(low, middle, high, change[:, None])[:, 0]
    x = jnp.concatenate([ratio * x[:1], x, jnp.zeros(1)])
    overlap = trapezium(u * x, grid)
    step = -trapezium(u**2, grid) / overlap
    x = x / jnp.sqrt(trapezium(x**2, grid)) * jnp.sign(x[0])
    seen = jnp.abs(x) > 1e-9 * jnp.abs(x).max()
    nodes = ((x[1:] * x[:-1] < 0) & seen[1:] & seen[:-1]).sum()
    return level + step, x, step, nodes


def solve_states(
    guess: Float[Array, " shells"],
    last: Float[Array, "shells points"],
    configuration: Configuration,
    potential: Float[Array, " points"],
    grid: Grid,
    light: float,
) -> tuple[Float[Array, " shells"], Float[Array, "shells points"]]:
    """Return levels and orbitals of every shell in a potential, nucleus and confinement included.

    Inverse iteration from the last orbitals (zero: none yet), and where it fails, Newton steps on
    the level, by bisection where one leaves the bracket that counts of nodes give.
    """
    slope = spline_slope(potential, grid)
    shells = guess.shape[0]

    def polish(state):
        level, u, _, count = state
        level, u, step, nodes = jax.vmap(
            _inverse_iteration, in_axes=(0, 0, 0, None, None, None, None)
        )(level, u, configuration.angular, potential, slope, grid, light)
        good = (jnp.abs(step) < 1e-12 * jnp.abs(level) + 1e-11) & (nodes == configuration.nodes)
        return level, u, good, count + 1

    started = jnp.any(last[0] != 0)
    level, u, good, _ = jax.lax.while_loop(
        lambda s: ~s[2].all() & (s[3] < 6) & started,
        polish,
        (guess, last, jnp.zeros(shells, bool), 0),
    )
    guess = jnp.where(good, level, guess)
    one = jax.vmap(_one_state, in_axes=(0, 0, None, None, None, None))
    lowest = -0.75 * configuration.charge**2 - 10.0
    highest = 200.0

    def unfinished(state):
        return (~state[4]).any() & (state[5] < 100)

    def improve(state):
        level, low, high, u, done, count = state
        step, new, nodes, below = one(level, configuration.angular, potential, slope, grid, light)
        k = configuration.nodes
        low = jnp.where(below <= k, jnp.maximum(low, level), low)
        high = jnp.where(below > k, jnp.minimum(high, level), high)
        small = jnp.abs(step) < 1e-12 * jnp.abs(level) + 1e-11
        finished = small & (nodes == k)
        moved = level + step
        inside = (moved > low) & (moved < high)
        moved = jnp.where(inside | finished, moved, 0.5 * (low + high))
        level = jnp.where(done, level, moved)
        u = jnp.where(done[:, None], u, new)
        return level, low, high, u, done | finished, count + 1

    start = (
        guess,
        jnp.full(shells, 1.0) * lowest,
        jnp.full(shells, highest),
        u,
        good,
        0,
    )
    level, _, _, u, _, _ = jax.lax.while_loop(unfinished, improve, start)
    return level, u


def first_potential(
    charge: Float[Array, ""], r: Float[Array, " points"]
) -> Float[Array, " points"]:
    """Return V_Hartree + V_xc to start from: Thomas-Fermi's screening (R. Latter, 1955)."""
    x = r * charge ** (1 / 3) / 0.8853
    t = jnp.sqrt(x)
    inner = 0.2302 + t * (0.007298 + 0.006944 * t)
    screen = 1 + t * (0.02747 + t * (1.243 - t * (0.1486 - t * inner)))
    return (charge - jnp.maximum(1.0, charge / screen)) / r


def density_of(
    orbitals: Float[Array, "shells points"], held: Float[Array, " shells"], grid: Grid
) -> Float[Array, " points"]:
    """Return Σ n u² / (4π r²)."""
    return (held[:, None] * orbitals**2).sum(0) / (4 * jnp.pi * grid.r**2)


def solve_atom(
    configuration: Configuration,
    radius: Float[Array, ""],
    power: Float[Array, ""],
    *,
    points: int,
    functional: str = "pbe",
    light: float = LIGHT,
) -> Atom:
    """Return the self-consistent atom in the confinement (r/radius)^power.

    Args:
      configuration: shells and electrons.
      radius: bohr.
      power: of the confinement.
      points: of the grid (static).
      functional: 'pbe' or 'lda' (static).
      light: speed of light, atomic units (static); `jnp.inf` is non-relativistic.
    """
    grid = make_grid(configuration.charge, points)
    outer = -configuration.charge / grid.r + (grid.r / radius) ** power
    electrons = configuration.held.sum()

    def respond(inner, guess, last):
        levels, orbitals = solve_states(guess, last, configuration, outer + inner, grid, light)
        density = density_of(orbitals, configuration.held, grid)
        hartree = hartree_potential(density, electrons, grid)
        e, v_xc = xc_potential(density, grid, functional)
        return hartree + v_xc, (levels, orbitals, density, hartree, v_xc, e)

    n = configuration.nodes + configuration.angular + 1
    guess = -0.5 * (configuration.charge / n) ** 2 / n
    inner = first_potential(configuration.charge, grid.r)
    blank = jnp.zeros((guess.shape[0], points))
    shapes = jax.eval_shape(respond, inner, guess, blank)[1]
    state = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    state = (guess, *state[1:])
    inner, state, residual, iterations = fixed_point(
        lambda v, s: respond(v, s[0], s[1]),
        inner,
        state,
        scale=grid.r,
        change=lambda old, new: (
            4 * jnp.pi * trapezium(jnp.abs(new[2] - old[2]) * grid.r**2, grid)
            + jnp.abs(new[0] - old[0]).max()
        ),
    )
    levels, orbitals, density, hartree, v_xc, e = state
    volume = lambda f: 0.5 * ((f[1:] + f[:-1]) * grid.volumes).sum()  # noqa: E731
    energy = (
        (configuration.held * levels).sum() - volume((0.5 * hartree + v_xc) * density) + volume(e)
    )
    return Atom(levels, orbitals, density, hartree, inner, energy, residual, iterations)
