"""Orbitals of pairs by GFN2-xTB as the numbers that `densities` draws, one row a pair.

The Slater functions are those of `qc_jax.xtb.basis`. tblite's orbitals are sorted into σ, π and δ:
of each block the matrix that they diagonalise is put together again and solved, so that degenerate
ones come out as cos mφ and sin mφ. Electrons are held as tblite holds them, at 1000 K.
"""

import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float
from scipy.linalg import eigh

from qc_jax.canvas.orbitals import (
    ATOM,
    SHELL_L,
    M,
    Orbitals,
    checked,
    forms_of_levels,
    packed,
    symbols_of,
)
from qc_jax.canvas.radial import KNOTS, STEP, through_knots
from qc_jax.chem.elements import GFN2_SYMBOLS, element, pair_name
from qc_jax.chem.units import BOHR_ANG, HARTREE_EV
from qc_jax.data.labels import frontier_levels
from qc_jax.data.table import ORBITAL_L, PairTable, open_table
from qc_jax.dftb.convergence import NotConverged
from qc_jax.dftb.hamiltonian import ABSENT
from qc_jax.errors import InputError, choose
from qc_jax.xtb import basis
from qc_jax.xtb.solutions import (
    METHOD,
    MIXERS,
    XTBConfig,
    all_solutions,
    new_calculator,
    place,
    require,
    single_point,
    with_charges,
)

if TYPE_CHECKING:
    from tblite.interface import Calculator, Result

NAME = "gfn2_xtb"  # of the method and of its shipped table
SHORTEST_ANG = 0.3
# e, of one atom: solutions with more are none of the engine's, and as a rule the charges ran away.
_MOST_CHARGE = 1.0
# Å, from the distance: solutions there are starts of those that are not found at once.
_BESIDE_ANG = (0.0, 0.1, -0.1, 0.5, 1.0, 2.0, 4.0)
_SAME_EV = 1e-4  # two solutions of one pair whose energies are nearer are the same
_UNEVEN = 1e-5  # hartree: by so much may cos mφ and sin mφ differ


class Known(NamedTuple):
    """What tells which self-consistent solution a pair has, N rows.

    Attributes:
      distances: Å.
      energies: Mermin free energies, eV.
      populations: of s, p and d orbitals of both atoms, e.
    """

    distances: Float[np.ndarray, " N"]
    energies: Float[np.ndarray, " N"]
    populations: Float[np.ndarray, "N 2 3"]


def are_of(made: Mapping[str, Any]) -> bool:
    """Return whether data of a provenance are by this method at its usual temperature."""
    known = {
        **{"engine": "tblite", "method": METHOD},
        "temperature_k": XTBConfig().temperature_k,
    }
    return all(made.get(key) == value for key, value in known.items())


def known_of(table: PairTable) -> Known:
    """Return what a table knows of its pairs' solutions."""
    lengths = np.linalg.norm(table.positions[:, 1] - table.positions[:, 0], axis=1)
    energies = np.asarray(table.targets["mermin_free_energy_ev"], np.float64)
    by_l = [table.populations[:, :, k == ORBITAL_L].sum(axis=-1) for k in range(3)]
    return Known(lengths, energies, np.stack(by_l, axis=-1))


def solve(
    pairs: Sequence[str], distances: ArrayLike | None = None
) -> tuple[Float[Array, "elements knots 12"], Orbitals]:
    """Return what pairs are drawn from, as `orbitals.solve` does with PTBP.

    Self-consistent charges are not unique. At given distances they are those of the lowest of the
    solutions that tblite's guesses and the mixers lead to with at most one electron moved.

    Args:
      pairs: names like 'C_O', the atom named first on the left.
      distances: [N] or [N, points], Å; those of the shipped table, and its solutions, unless given.

    Raises:
      InputError: no such pair, distances of another number or out of range, a pair that the shipped
        table lacks, or tblite is not installed.
      NotConverged: it finds no solution.
    """
    names = _checked_symbols(pairs)
    if distances is None:
        require()
        return solve_known(pairs, _relaxed(names))
    if isinstance(distances, jax.core.Tracer):
        raise InputError(f"distances: expected numbers, not traced: {METHOD} has no derivatives")
    lengths = checked(names, distances, SHORTEST_ANG, "the shortest")
    require()
    return _solved(names, lengths, None)


def solve_known(
    pairs: Sequence[str], known: Known
) -> tuple[Float[Array, "elements knots 12"], Orbitals]:
    """Return what pairs of a table are drawn from: its own solutions, told by their energies.

    Raises:
      InputError: no such pair, or tblite is not installed or finds no solution with an energy.
      NotConverged: it finds none at all.
    """
    return _solved(_checked_symbols(pairs), known.distances, known)


def _checked_symbols(pairs: Sequence[str]) -> list[tuple[str, str]]:
    names = symbols_of(pairs)
    for symbol in sorted({symbol for pair in names for symbol in pair}):
        choose(f"element of {METHOD}", symbol, GFN2_SYMBOLS)
    return names


def _solved(
    names: Sequence[tuple[str, str]], lengths: Float[np.ndarray, "*shape"], known: Known | None
) -> tuple[Float[Array, "elements knots 12"], Orbitals]:
    """Return `solve` of pairs of symbols at distances in Å."""
    config, shells = XTBConfig(), basis.shipped()
    given, numbers = [], np.array([[element(symbol).atomic_number for symbol in p] for p in names])
    at = np.repeat(np.arange(len(names)), lengths.size // len(names))
    for row, length in zip(at.tolist(), lengths.ravel(), strict=True):
        where = f"{'_'.join(names[row])} at {length:.3f} Å"
        calculator = new_calculator(numbers[row].tolist(), config)
        calculator.set("accuracy", config.final_accuracy)
        calculator.set("save-integrals", 1)
        if known is None:
            result = _lowest(calculator, length, where)
        else:
            electrons = shells.electrons[numbers[row] - 1] - known.populations[row]
            result = _as_known(calculator, length, known.energies[row], electrons, where)
        given.append((*_levels(calculator, result, where), result.get("charges")))
    *levels, charges = (np.stack(part) for part in zip(*given, strict=True))
    neutral = shells.electrons[numbers - 1] / (2 * np.arange(3) + 1)
    with jax.enable_x64(True), jax.debug_nans(False):
        found = _forms(*map(jnp.asarray, (*levels, neutral[at])))
    columns = (*found, charges, shells.hubbards[numbers - 1][at])
    symbols = sorted({symbol for pair in names for symbol in pair})
    radial = np.stack([splines(element(symbol).atomic_number) for symbol in symbols])
    orbitals = packed(names, symbols, lengths / BOHR_ANG, columns)
    return jnp.asarray(radial, jnp.float32), orbitals


def _relaxed(pairs: Sequence[tuple[str, str]]) -> Known:
    """Return what the shipped table knows of pairs, whose atoms may be named the other way."""
    table = open_table(NAME)
    rows = []
    for pair in pairs:
        try:
            rows.append(table.row(pair_name(*pair)))
        except InputError as error:
            raise InputError(f"{error}; give its distance") from error
    some = table.take(np.array(rows))
    known = known_of(some)
    turned = some.names != ["_".join(pair) for pair in pairs]
    populations = np.where(turned[:, None, None], known.populations[:, ::-1], known.populations)
    return known._replace(populations=populations)


@functools.cache
def splines(number: int) -> Float[np.ndarray, "knots 12"]:
    """Return an element's R_l as `radial.splines` gives those of PTBP's pseudo-atoms."""
    return through_knots(basis.radial(number, (STEP * np.arange(KNOTS + 1)) ** 2))


_forms = jax.jit(jax.vmap(forms_of_levels))


def _all(calculator: "Calculator", distance: float) -> Iterator[tuple[float, "Result"]]:
    """Yield energies (eV) and solutions from every guess by every mixer, in a fixed order."""
    place(calculator, distance)
    for result in all_solutions(calculator):
        yield float(result.get("energy")) * HARTREE_EV, result


def _lowest(calculator: "Calculator", distance: float, where: str) -> "Result":
    found = [
        (energy, result)
        for energy, result in _all(calculator, distance)
        if np.abs(result.get("charges")).max() <= _MOST_CHARGE
    ]
    if not found:
        raise NotConverged(f"{where}: no charges settle")
    return min(found, key=lambda one: one[0])[1]


def _as_known(
    calculator: "Calculator",
    distance: float,
    wanted: float,
    charges: Float[np.ndarray, "2 3"],
    where: str,
) -> "Result":
    """Return the solution with an energy (eV): found like others, or from its shells' charges."""
    energies = []
    for energy, result in _all(calculator, distance):
        if abs(energy - wanted) < _SAME_EV:
            return result
        energies.append(energy)
    own = charges[calculator.get("shell-map"), calculator.get("angular-momenta")]
    for beside in _BESIDE_ANG:
        tried: list[float] = []
        for energy, other in list(_all(calculator, distance + beside)):
            if tried and np.abs(np.array(tried) - energy).min() < _SAME_EV:
                continue
            tried.append(energy)
            place(calculator, distance)
            guess = with_charges(other, charges.sum(axis=1), own)
            for start, mixer in itertools.product((guess, other), range(len(MIXERS))):
                found = single_point(calculator, mixer, start)
                if found is None:
                    continue
                if abs(float(found.get("energy")) * HARTREE_EV - wanted) < _SAME_EV:
                    return found
    if not energies:
        raise NotConverged(f"{where}: no charges settle")
    raise InputError(
        f"{where}: expected a solution of {METHOD} with the data's energy, {wanted:.4f} eV, got "
        f"none; the lowest has {min(energies):.4f} eV"
    )


def _levels(calculator: "Calculator", result: "Result", where: str) -> tuple[np.ndarray, ...]:
    """Return orbitals, levels, density matrix, HOMO and LUMO as `forms_of_levels` has them."""
    coefficients, energies = result.get("orbital-coefficients"), result.get("orbital-energies")
    s = result.get("overlap-matrix")
    half = s @ coefficients
    f = (half * energies) @ half.T
    shells = calculator.get("orbital-map")
    atoms = calculator.get("shell-map")[shells]
    momenta = calculator.get("angular-momenta")[shells]
    first = np.searchsorted(shells, shells)  # orbital of each shell, which go by m = −l … l
    m = np.arange(len(shells)) - first - momenta
    place = {key: k for k, key in enumerate(zip(atoms, momenta, m, strict=True))}
    orbitals, levels = np.zeros((12, 12)), np.full(12, np.inf)
    copies = np.where(M > 0, 2, 1)
    for turns in range(3):
        block = np.flatnonzero(turns == M)
        there = [k for k in block if (ATOM[k], SHELL_L[k], turns) in place]
        if not there:
            continue
        parts = []
        for sign in (1, -1):
            rows = [place[ATOM[k], SHELL_L[k], sign * turns] for k in there]
            parts.append((f[np.ix_(rows, rows)], s[np.ix_(rows, rows)]))
        (f_cos, s_cos), (f_sin, s_sin) = parts
        if np.abs(f_cos - f_sin).max() > _UNEVEN:
            raise InputError(f"{where}: its orbitals are not symmetric about the axis")
        own = block[: len(there)]
        levels[own], c = eigh((f_cos + f_sin) / 2, (s_cos + s_sin) / 2)
        orbitals[np.ix_(there, own)] = c
    at = np.repeat(np.arange(12), copies)
    at = at[np.isfinite(levels[at])]
    at = at[np.argsort(levels[at], kind="stable")]
    occupations = np.sort(result.get("orbital-occupations"))[::-1]
    held = np.zeros(12)
    np.add.at(held, at, occupations)
    held /= copies
    electrons = round(float(occupations.sum()))
    homo, lumo = frontier_levels(levels[at] * HARTREE_EV, electrons)
    frontier = [homo / HARTREE_EV, np.inf if np.isnan(lumo) else lumo / HARTREE_EV]
    # Of atoms that nearly coincide empty levels lie higher still, and are no frontier.
    levels = np.minimum(levels, ABSENT)
    return orbitals, levels, (orbitals * held) @ orbitals.T, *map(np.array, frontier)
