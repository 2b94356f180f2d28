"""Two atoms along z, many at once: the orbitals part into σ, π and δ, and no rotation is needed."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from qc_jax.dftb import coulomb, rotation, scc
from qc_jax.dftb.arrays import Array
from qc_jax.dftb.hamiltonian import ABSENT, Repulsion, Tables
from qc_jax.dftb.parametrization import Parametrization
from qc_jax.dftb.scc import Charges, Problem

WEIGHTS = (1.0, 2.0, 2.0)  # one σ block; π and δ stand for ±m
_SHELLS = (np.arange(3), np.arange(1, 3), np.arange(2, 3))  # l of an atom's orbitals in each
_SITES = tuple(np.repeat(np.eye(2), len(ls), axis=0) for ls in _SHELLS)
# Orbital of an atom (`rotation`) of each row of a block's half, once for each of its copies.
_COPIES = (((0, 2, 6),), ((1, 5), (3, 7)), ((4,), (8,)))


class Pairs(NamedTuple):
    """Pairs of atoms, without their distances.

    Attributes:
      row: in the tables.
      swapped: whether the row names the second atom's element first.
      energies: on-site energies of s, p and d of both atoms, hartree; `ABSENT` where there is none.
      hubbards: of both atoms, hartree.
      neutral: electrons of both neutral atoms.
    """

    row: Int[Array, "*n"]
    swapped: Bool[Array, "*n"]
    energies: Float[Array, "*n 2 3"]
    hubbards: Float[Array, "*n 2"]
    neutral: Float[Array, "*n 2"]


class Point(NamedTuple):
    """Energy of a pair at a distance.

    Attributes:
      energy: Mermin free energy with the repulsion, hartree.
      gradient: its derivative by the distance, hartree/bohr.
      charges: self-consistent.
    """

    energy: Float[Array, ""]
    gradient: Float[Array, ""]
    charges: Charges


def build(names: list[tuple[str, str]], parametrization: Parametrization) -> Pairs:
    """Return the arrays of pairs of symbols, the atom named first at the origin."""
    rows = [parametrization.row(a, b) for a, b in names]
    shells = [[parametrization.shells[s] for s in pair] for pair in names]
    energies = [
        [[e if k <= s.max_l else ABSENT for k, e in enumerate(s.energies)] for s in both]
        for both in shells
    ]
    return Pairs(
        np.array([row for row, _ in rows], dtype=np.int32),
        np.array([swapped for _, swapped in rows]),
        np.array(energies).reshape(-1, 2, 3),
        np.array([[s.hubbards[0] for s in both] for both in shells]).reshape(-1, 2),
        np.array([[sum(s.electrons) for s in both] for both in shells]).reshape(-1, 2),
    )


def problem(
    pair: Pairs, tables: Tables, distance: Float[Array, ""], kt: Float[Array, ""]
) -> Problem:
    """Return what the charges of one pair are to be found for; distance in bohr."""
    present = pair.energies < ABSENT / 2
    blocks = []
    for columns, diagonal in zip(
        tables.evaluate_one(distance, pair.row), (pair.energies, jnp.ones((2, 3))), strict=True
    ):
        v = rotation.by_shells(jnp.where(pair.swapped, columns[::-1], columns))
        v = jnp.where((present[0][:, None] & present[1][None, :])[..., None], v, 0.0)
        for m, ls in enumerate(_SHELLS):
            n = len(ls)
            part = v[ls][:, ls, m]
            block = jnp.zeros((2 * n, 2 * n), part.dtype).at[:n, n:].set(part)
            blocks.append(block + block.T + jnp.diag(diagonal[:, ls].ravel()))
    off = coulomb.gamma(distance, pair.hubbards[0], pair.hubbards[1])
    gamma = jnp.diag(pair.hubbards) + off * (1 - jnp.eye(2))
    return Problem(
        tuple(blocks[:3]),
        tuple(blocks[3:]),
        tuple(map(jnp.asarray, _SITES)),
        gamma,
        pair.neutral,
        jnp.sum(pair.neutral),
        kt,
    )


def point(
    pair: Pairs,
    tables: Tables,
    repulsion: Repulsion,
    distance: Float[Array, ""],
    start: Float[Array, " 2"],
    kt: Float[Array, ""],
) -> Point:
    """Return energy, gradient and charges of one pair at a distance (bohr).

    Args:
      pair: of `Pairs`, without a leading axis.
      tables: integrals.
      repulsion: of the elements.
      distance: bohr.
      start: trial charges, electrons beyond the neutral atoms'.
      kt: electronic temperature, hartree.
    """
    charges = scc.find(problem(pair, tables, distance, kt), start, WEIGHTS)

    def energy(at):
        electronic = scc.electronic_free_energy(
            problem(pair, tables, at, kt), charges.excess, WEIGHTS
        )
        return electronic + repulsion.evaluate_one(at, pair.row)

    value, gradient = jax.jvp(energy, (distance,), (jnp.ones_like(distance),))
    return Point(value, gradient, charges)


def describe(
    pair: Pairs,
    tables: Tables,
    repulsion: Repulsion,
    distance: Float[Array, ""],
    start: Float[Array, " 2"],
    kt: Float[Array, ""],
) -> dict[str, Any]:
    """Return everything that is reported of one pair at a distance (bohr); arguments as of `point`.

    Returns:
      energies and levels in hartree; 'levels' [18], 'occupations' [18] (0 to 2) and 'present'
      [18], σ before π before δ; 'populations' [2, 9]; 'excess' [2]; 'distance'.
    """
    here = point(pair, tables, repulsion, distance, start, kt)
    charges = here.charges
    rest = scc.describe(problem(pair, tables, distance, kt), charges, charges.excess, WEIGHTS)
    populations = jnp.zeros((2, rotation.ORBITALS))
    for copies, block in zip(_COPIES, rest["populations"], strict=True):
        for orbitals in copies:
            populations = populations.at[:, np.array(orbitals)].set(block.reshape(2, -1))
    return {
        **rest,
        "distance": distance,
        "mermin_free_energy": here.energy,
        "total_energy": here.energy + kt * rest["entropy"],
        "repulsive_energy": repulsion.evaluate_one(distance, pair.row),
        "present": rest["levels"] < ABSENT / 2,
        "populations": populations,
        "gradient": here.gradient,
    }
