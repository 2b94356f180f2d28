"""What orbitals of pairs of atoms are drawn from: a few numbers each, of tight binding."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from qc_jax.canvas.radial import splines
from qc_jax.chem.units import DFTBPLUS_BOHR_ANG as GEOMETRY_ANG
from qc_jax.chem.units import HARTREE_EV
from qc_jax.data.labels import HOLDS, TAKES
from qc_jax.dftb import convergence, relax, scan, scc, spectrum
from qc_jax.dftb import pairs as two
from qc_jax.dftb.hamiltonian import ABSENT, Tables
from qc_jax.dftb.parameters import CONVENTIONS, covered_symbols
from qc_jax.dftb.parameters import parameters as element_of
from qc_jax.dftb.parametrization import SHORTEST, Parametrization
from qc_jax.dftb.pseudo import pseudo_atoms
from qc_jax.errors import InputError

FARTHEST_ANG = 12.0  # between the atoms
SCHEMA = 1  # of what `solve` gives: another one where its numbers change
FORMS = ("density", "deformation", "s", "p", "d", "homo", "lumo")  # that `Orbitals.forms` has
AMPLITUDES = ("homo_amplitude", "lumo_amplitude")  # that `Orbitals.amplitudes` has
# Orbitals of the blocks: (atom, l, |m|), σ of both atoms, then π, then δ, as in `dftb.pairs`.
ORBITALS = [(a, k, m) for m in range(3) for a in range(2) for k in range(m, 3)]
ATOM, SHELL_L, M = np.array(ORBITALS).T
# The 34 products of two of one block. In a sum over both orders those of two orbitals come twice.
PRODUCTS = np.array([(i, j) for i in range(12) for j in range(i, 12) if M[i] == M[j]]).T
_TWICE = np.where(PRODUCTS[0] == PRODUCTS[1], 1.0, 2.0)

TEMPERATURE = 300.0  # kelvin, of the electrons
DEGENERATE = 1e-5  # hartree: levels nearer than that are one


class Orbitals(NamedTuple):
    """What pairs are drawn from, in atomic units; leading axes are those of the pairs.

    Attributes:
      elements: of both atoms, rows of the radial functions.
      distance: bohr.
      forms: each density of `FORMS` by `PRODUCTS`.
      amplitudes: coefficients of the highest occupied and the lowest empty orbital.
      sides: 1, or −1 for an orbital that changes its sign across the axis.
      charges: net, of both atoms, e.
      hubbards: of both atoms, hartree.
    """

    elements: Int[Array, "*pairs 2"]
    distance: Float[Array, "*pairs"]
    forms: Float[Array, "*pairs 7 34"]
    amplitudes: Float[Array, "*pairs 2 12"]
    sides: Float[Array, "*pairs 2"]
    charges: Float[Array, "*pairs 2"]
    hubbards: Float[Array, "*pairs 2"]


def solve(
    pairs: Sequence[str], distances: ArrayLike | None = None
) -> tuple[Float[Array, "elements knots 12"], Orbitals]:
    """Return what pairs are drawn from, by self-consistent tight binding with PTBP at 300 K.

    The shells are those of the published dataset: no d on Mg to Ar and Ga to Kr. Arguments as
    of `densities.render`, which says what is differentiable by the distances.

    Raises:
      InputError: no such pair, distances of another number, where there are no tables or too far,
        or a pair without a minimum.
      NotConverged: the charges of a pair do not settle.

    Returns:
      The radial functions of the elements in them, R_s, R_p and R_d (bohr^(-3/2)) by coefficients
      of splines, and the orbitals, one row a pair.
    """
    names = [(element_of(a).symbol, element_of(b).symbol) for a, b in symbols_of(pairs)]
    if isinstance(distances, jax.core.Tracer):
        return _traced(names, distances)
    given = None
    if distances is not None:
        given = checked(names, distances, SHORTEST * GEOMETRY_ANG, "where its tables begin")
    kt = convergence.kt_of(TEMPERATURE)
    with jax.enable_x64(True), jax.debug_nans(False):
        symbols, found = _loaded(names)
        bohr = _relaxed(names, found, kt) if given is None else given / GEOMETRY_ANG
        points = scan.scan(names, found, kt, bohr.reshape(len(names), -1))
        excess = points["excess"].reshape(-1, 2)
        at = np.repeat(np.arange(len(names)), bohr.size // len(names))
        for k in np.flatnonzero(~(points["residual"].ravel() < scc.TOLERANCE))[:1]:
            where = f"{bohr.ravel()[k] * GEOMETRY_ANG:.2f} Å"
            raise convergence.NotConverged(f"{_text(names[at[k]])}: no charges settle at {where}")
        rows = scan.take(two.build(names, found), at)
        neutral = of_free_atoms(names, found)[at]
        forms, amplitudes, sides = _coefficients(rows, found, bohr.ravel(), excess, neutral, kt)
    columns = (forms, amplitudes, sides, -excess, rows.hubbards)
    return _radial_of(symbols, found), packed(names, symbols, bohr, columns)


def _loaded(names: Sequence[tuple[str, str]]) -> tuple[list[str], Parametrization]:
    """Return the elements of pairs, and their parameters and tables, in the published form."""
    symbols = sorted({symbol for pair in names for symbol in pair})
    kinds = sorted({(min(pair), max(pair)) for pair in names})
    max_l = published_shells(symbols)
    return symbols, convergence.load("ptbp", symbols, "published", max_l, kinds, smooth=True)


def _traced(
    names: Sequence[tuple[str, str]], distances: Array
) -> tuple[Float[Array, "elements knots 12"], Orbitals]:
    """Return `solve` at distances (Å) that are traced, with first derivatives."""
    if distances.dtype != np.float64:
        raise InputError(
            "distances: expected float64 where they are traced, within jax.enable_x64(True), got "
            f"{distances.dtype}"
        )
    if distances.ndim not in (1, 2) or len(distances) != len(names):
        raise InputError(
            f"distances: expected one for each of {len(names)} pairs, or a row for each, got an "
            f"array of shape {distances.shape}"
        )
    with jax.ensure_compile_time_eval(), jax.debug_nans(False):
        symbols, found = _loaded(names)
        radial = _radial_of(symbols, found)
    at = np.repeat(np.arange(len(names)), distances.size // len(names))
    rows = scan.take(two.build(list(names), found), at)
    neutral = jnp.asarray(of_free_atoms(names, found)[at])
    kt = jnp.float64(convergence.kt_of(TEMPERATURE))
    bohr = distances / GEOMETRY_ANG
    numbers = _of_distance(rows, bohr.ravel(), neutral, found.tables, kt)
    return radial, packed(names, symbols, bohr, (*numbers, rows.hubbards))


def packed(
    names: Sequence[tuple[str, str]],
    symbols: Sequence[str],
    bohr: Array | np.ndarray,
    columns: Sequence[Any],
) -> Orbitals:
    """Return `Orbitals` of flat columns after the distances, of as many rows, in float32."""
    elements = np.array([[symbols.index(symbol) for symbol in pair] for pair in names])
    at = np.repeat(np.arange(len(names)), bohr.size // len(names))
    shaped = [
        jnp.asarray(x, jnp.float32).reshape(*bohr.shape, *x.shape[1:])
        for x in (bohr.ravel(), *columns)
    ]
    return Orbitals(jnp.asarray(elements[at], jnp.int32).reshape(*bohr.shape, 2), *shaped)


def _radial_of(symbols: Sequence[str], found: Parametrization) -> Float[Array, "elements knots 12"]:
    atoms = pseudo_atoms(symbols)
    radial = np.stack([splines(atoms[s], found.shells[s].max_l) for s in symbols])
    return jnp.asarray(radial, jnp.float32)


def are_of(made: Mapping[str, Any]) -> bool:
    """Return whether `solve`, at its bond lengths, gives the orbitals of data of a provenance."""
    known = {
        **{"engine": "dftb", "parameters": "ptbp", "minimum": "downhill"},
        "temperature_k": TEMPERATURE,
    }
    covered = covered_symbols()
    shells = {symbol: top for symbol, top in made.get("max_l", {}).items() if symbol in covered}
    return (
        all(made.get(key) == value for key, value in known.items())
        and made.get("form", "published") == "published"
        and shells == published_shells(covered)
    )


def published_shells(symbols: Sequence[str]) -> dict[str, str]:
    """Return the highest shell of those elements that lack their d in the published dataset."""
    return {symbol: "p" for symbol in symbols if symbol in CONVENTIONS["published"]}


def of_free_atoms(
    names: Sequence[tuple[str, str]], found: Parametrization
) -> Float[np.ndarray, "pairs 2 3"]:
    """Return the electrons of each orbital of both atoms of pairs, neutral and apart, by l."""
    shells = [[found.shells[symbol].electrons for symbol in pair] for pair in names]
    return np.array(shells) / (2 * np.arange(3) + 1)


def _coefficients(
    pairs: two.Pairs,
    found: Parametrization,
    distances: Float[np.ndarray, " n"],
    excess: Float[np.ndarray, "n 2"],
    neutral: Float[np.ndarray, "n 2 3"],
    kt: float,
) -> tuple[np.ndarray, ...]:
    """Return forms, amplitudes and sides of `Orbitals`, `scan.LANES` rows at a time.

    Args:
      pairs: one row a picture.
      found: parameters.
      distances: bohr.
      excess: self-consistent charges.
      neutral: electrons of each orbital of the neutral atoms, by l.
      kt: hartree.
    """
    given = (pairs, distances, excess, neutral)
    return scan.in_lanes(
        len(distances), lambda lanes: _orbitals(*scan.take(given, lanes), found.tables, kt)
    )


def frontier(levels: Array, held: Array) -> tuple[Array, Array]:
    """Return HOMO and LUMO, hartree; ∓∞ without one.

    Args:
      levels: hartree, those of orbitals that are not there above `ABSENT` / 2.
      held: electrons in each.
    """
    there = levels < ABSENT / 2
    homo = jnp.max(jnp.where(there & (held > HOLDS), levels, -jnp.inf))
    # A level that is filled in part is both; of several HOMO and LUMO would cross.
    lumo = jnp.min(jnp.where(there & (held < TAKES), levels, jnp.inf))
    return homo, jnp.maximum(homo, lumo)


def potential_at(
    charges: Float[Array, "*pairs atoms"],
    hubbards: Float[Array, "*pairs atoms"],
    r: Float[Array, "*pairs atoms points"],
) -> Float[Array, "*pairs points"]:
    """Return the potential (V) of charges (e) that are spread out as exp(−3.2 U r), at r bohr."""
    decay = 3.2 * hubbards[..., None]
    r = jnp.maximum(r, 1e-6)  # the first term has a limit at a nucleus, but 0 / 0 there
    one = -jnp.expm1(-decay * r) / r - decay / 2 * jnp.exp(-decay * r)
    return HARTREE_EV * jnp.sum(charges[..., None] * one, axis=-2)


@jax.jit
@functools.partial(jax.vmap, in_axes=(0, 0, 0, 0, None, None))
def _orbitals(
    pair: two.Pairs, distance: Array, excess: Array, neutral: Array, tables: Tables, kt: Array
) -> tuple[Array, Array, Array]:
    return _of_charges(two.problem(pair, tables, distance, kt), excess, neutral)


def _of_charges(problem: scc.Problem, excess: Array, neutral: Array) -> tuple[Array, Array, Array]:
    """Return `forms_of_levels` of a problem with these charges, with first derivatives by both."""
    h = scc.hamiltonian(problem, excess)
    system = spectrum.eigensystem(h, problem.s, 2 * DEGENERATE)
    c = jax.scipy.linalg.block_diag(*system.orbitals)  # [12, level]
    levels = jnp.concatenate(system.levels)
    given = (two.WEIGHTS, problem.electrons, problem.kt)
    filling = spectrum.fill(jax.lax.stop_gradient(system.levels), *given)
    held = 2 * jnp.concatenate(filling.occupations)
    density = jax.scipy.linalg.block_diag(*spectrum.density_matrices(h, problem.s, *given)[0])
    return forms_of_levels(c, levels, density, *frontier(levels, held), neutral)


@jax.jit
@functools.partial(jax.vmap, in_axes=(0, 0, 0, None, None))
def _of_distance(
    pair: two.Pairs, distance: Array, neutral: Array, tables: Tables, kt: Array
) -> tuple[Array, Array, Array, Array]:
    """Return forms, amplitudes, sides and charges as functions of the distance; or NaN."""
    problem = two.problem(pair, tables, distance, kt)
    charges = scc.find(jax.lax.stop_gradient(problem), jnp.zeros(2), two.WEIGHTS)
    excess = scc.implicit(problem, charges, two.WEIGHTS)
    found = (*_of_charges(problem, excess, neutral), -excess)
    bohr = np.array([SHORTEST, FARTHEST_ANG / GEOMETRY_ANG])
    good = charges.converged & (distance >= bohr[0]) & (distance <= bohr[1])
    return jax.tree.map(lambda x: jnp.where(good, x, jnp.nan), found)


def forms_of_levels(
    c: Float[Array, "12 levels"],
    levels: Float[Array, " levels"],
    density: Float[Array, "12 12"],
    homo: Array,
    lumo: Array,
    neutral: Float[Array, "2 3"],
) -> tuple[Array, Array, Array]:
    """Return forms, amplitudes and sides of `Orbitals` for one pair.

    Args:
      c: orbitals of the twelve levels, which have the blocks of `ORBITALS`.
      levels: hartree; those that are not there above `ABSENT` / 2.
      density: density matrix of both spins, of one of ±m.
      homo: hartree.
      lumo: hartree; infinite without one.
      neutral: electrons of each orbital of the neutral atoms, by l.
    """
    there = levels < ABSENT / 2
    copies = jnp.asarray(two.WEIGHTS)[M]

    def matrix(weights: Array) -> Array:
        return (c * weights) @ c.T

    atoms = jnp.diag(neutral[ATOM, SHELL_L])
    of_l = [density * np.outer(k == SHELL_L, k == SHELL_L) for k in range(3)]
    forms, amplitudes, sides = [density, density - atoms, *of_l], [], []
    for level in (homo, lumo):
        chosen = there & (jnp.abs(levels - level) < DEGENERATE)
        forms.append(matrix(chosen / jnp.maximum(jnp.sum(chosen * copies), 1)))
        first = jnp.argmax(chosen)
        one = jnp.where(jnp.any(chosen), c[:, first], 0.0)
        # Equal ones of equal atoms: the first counts, whichever is larger by rounding.
        largest = jnp.argmax(jnp.abs(one) * (1 - 1e-3 * np.arange(12)))
        amplitudes.append(one * jnp.where(one[largest] < 0, -1.0, 1.0))
        sides.append(jnp.where(jnp.asarray(M)[first] == 1, -1.0, 1.0))
    packed = jnp.stack([form[PRODUCTS[0], PRODUCTS[1]] for form in forms])
    return packed * _TWICE, jnp.stack(amplitudes), jnp.stack(sides)


def _relaxed(
    names: Sequence[tuple[str, str]], found: Parametrization, kt: float
) -> Float[np.ndarray, " pairs"]:
    """Return the distances of the minima, bohr; of atoms that repel, where the pull is weak."""
    walks = relax.give_up(names, found, kt, relax.relax(names, found, kt))
    for row, pair in enumerate(names):
        if reason := relax.failure(walks, row):
            raise InputError(f"{_text(pair)}: {reason}; give its distance")
    return walks.distance


def checked(
    names: Sequence[tuple[str, str]], distances: ArrayLike, low: float, why: str
) -> Float[np.ndarray, "*shape"]:
    """Return distances, Å, as float64.

    Args:
      names: symbols of pairs.
      distances: [N] or [N, points] Å.
      low: Å, the shortest.
      why: what begins there.

    Raises:
      InputError: no numbers, of another number than the pairs, or out of range.
    """
    try:
        values = np.asarray(distances, np.float64)
    except (TypeError, ValueError):
        raise InputError(f"distances: expected numbers in Å, got {distances!r:.60}") from None
    if values.ndim not in (1, 2) or len(values) != len(names) or not values.size:
        raise InputError(
            f"distances: expected one for each of {len(names)} pairs, or a row for each, got "
            f"{'a single number' if not values.ndim else f'an array of shape {values.shape}'}"
        )
    for pair, own in zip(names, values, strict=True):
        for value in np.atleast_1d(own):
            if not low <= value <= FARTHEST_ANG:
                raise InputError(
                    f"distance of {_text(pair)}: expected {low:.2f} Å, {why}, to "
                    f"{FARTHEST_ANG:g} Å, got {value:g}"
                )
    return values


def symbols_of(pairs: Sequence[str]) -> list[tuple[str, str]]:
    """Return both symbols of pairs like 'C_O', as they are written.

    Raises:
      InputError: no pair, or none that is written so.
    """
    names = []
    for name in pairs:
        first, *rest = str(name).split("_")
        if len(rest) != 1:
            raise InputError(f"pairs: expected names like C_O, got {name!r}")
        names.append((first, rest[0]))
    if not names:
        raise InputError("pairs: expected names like C_O, got none")
    return names


def _text(pair: tuple[str, str]) -> str:
    return "_".join(pair)
