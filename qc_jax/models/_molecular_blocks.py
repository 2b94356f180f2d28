"""A minimal basis's matrix of a molecule from blocks of its pairs, and what fills its levels.

The blocks of a pair are those of σ, π and δ symmetry, of s, p and d orbitals that are oriented from
their own atom to the other one. In a molecule they are turned into common axes (J. C. Slater,
G. F. Koster, Phys. Rev. 94, 1498, 1954), and what a neighbour does to an atom's own orbitals adds
up over the neighbours.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from qc_jax.data.batch import Batch
from qc_jax.dftb.rotation import ORBITALS, SHELL, block
from qc_jax.errors import InputError
from qc_jax.models._eigen import eigh_large
from qc_jax.models._pair_blocks import ABSENT_EV
from qc_jax.ops import safe_norm

LEAST_ANG = 0.1  # atoms that are closer are taken to be so far apart
MOST_ATOMS = 128  # whose eigenproblem has 1,152 rows
_WHOLE = 11 / 12  # of the cutoff, up to which a pair is as it is alone
# Orbitals an atom that the eigenproblem has room for: the least that holds all of a batch.
_ROOM = (2, 4, ORBITALS)
# Of an orbital (l, m) oriented to the other atom and mirrored: as one oriented from it.
_MIRRORED = np.array([[(-1.0) ** (shell + m) for m in range(3)] for shell in range(3)])


class Geometry(NamedTuple):
    """What every atom sees of every other one.

    Attributes:
      distance: [B, A, A] Å, at least `LEAST_ANG`.
      direction: [B, A, A, 3] unit vectors, from the atom of the first axis to that of the second.
      weight: [B, A, A] what a pair counts: 1 of two atoms alone, 0 where neither sees the other.
      positions: [B, A, 3] Å, 0 of atoms that are not there.
      shortest: [B] Å, the least distance of two atoms; 0 where one is alone.
    """

    distance: jax.Array
    direction: jax.Array
    weight: jax.Array
    positions: jax.Array
    shortest: jax.Array


class Solution(NamedTuple):
    """What fills the levels of B structures from below.

    Attributes:
      homo: [B] eV.
      lumo: [B] eV.
      band: [B] eV, the sum over the electrons.
      held: [B, A] electrons of each atom.
    """

    homo: jax.Array
    lumo: jax.Array
    band: jax.Array
    held: jax.Array


def geometry(batch: Batch, cutoff: float) -> Geometry:
    """Return distances, directions and weights of all pairs of atoms.

    A pair's weight is 1 up to 11/12 of the cutoff and falls smoothly to 0 there. Third atoms screen
    it (as in M. S. Tang et al., Phys. Rev. B 53, 979, 1996): the nearer one is to the line between
    the two, (r_ac + r_bc)/r_ab from 2 down to 1, the less is left of the weight. So neighbours
    see each other as if alone, the next ones, which no pair has taught the network, hardly.

    Raises:
      InputError: the structures have cells, or too many atoms.
    """
    atoms = batch.atomic_numbers.shape[1]
    if atoms > MOST_ATOMS:
        raise InputError(
            f"tight_binding solves for all orbitals at once: expected at most {MOST_ATOMS} atoms "
            f"a structure, got {atoms}"
        )
    there = batch.atom_mask
    positions = jnp.where(there[..., None], batch.positions, 0)
    vectors = positions[:, None] - positions[:, :, None]
    length = safe_norm(vectors)
    distance = jnp.maximum(length, LEAST_ANG)
    seen = jax.nn.one_hot(batch.neighbors, atoms, dtype=bool).any(axis=2)
    seen &= seen.swapaxes(1, 2) & there[:, :, None] & there[:, None]
    away = (length - _WHOLE * cutoff) / ((1 - _WHOLE) * cutoff)
    # [B, a, b, c]: how far the way over c is longer than the straight one.
    detour = (distance[:, :, None] + distance[:, None]) / distance[..., None]
    third = np.ones((atoms, atoms, atoms), bool)
    every = np.arange(atoms)
    third[every, :, every] = third[:, every, every] = False
    screening = jnp.where(third & there[:, None, None], _step(detour - 1), 1)
    weight = jnp.where(seen, jnp.prod(screening, axis=-1) * (1 - _step(away)), 0)
    two = there[:, :, None] & there[:, None] & (every != every[:, None])
    shortest = jnp.min(distance, axis=(1, 2), where=two, initial=jnp.inf)
    shortest = jnp.where(jnp.isfinite(shortest), shortest, 0)
    return Geometry(distance, vectors / distance[..., None], weight, positions, shortest)


def matrices(
    seen: Geometry,
    own: list[Float[Array, "batch atoms atoms n n"]],
    between: list[Float[Array, "batch atoms atoms n n"]],
    onsite: Float[Array, "batch atoms 3"],
    present: Bool[Array, "batch atoms 3"],
) -> Float[Array, "batch rows rows"]:
    """Return the matrix of B structures in eV, 9 rows an atom, those of orbitals not there alone.

    Args:
      seen: of the structures.
      own: of σ, π and δ symmetry, shells in rows and columns, n = 3, 2, 1: what the atom of the
        second axis adds to the orbitals of the atom of the first.
      between: likewise, the hoppings, of both atoms' orbitals oriented to the other atom.
      onsite: of s, p and d shells, eV.
      present: whether an atom has them.
    """
    b, atoms = onsite.shape[:2]

    def turned(blocks: list[jax.Array], factors: jax.Array | float) -> jax.Array:
        """Return [B, A, A, 9, 9] in common axes, each pair's times its weight."""
        wide = [jnp.pad(each, [(0, 0)] * 3 + [(m, 0)] * 2) for m, each in enumerate(blocks)]
        integrals = jnp.stack(wide, axis=-1) * factors * seen.weight[..., None, None, None]
        flat = (seen.direction.reshape(-1, 3), integrals.reshape(-1, 3, 3, 3))
        return jax.vmap(block)(*flat).reshape(b, atoms, atoms, ORBITALS, ORBITALS)

    one = turned(own, 1.0).sum(axis=2)  # [B, A, 9, 9]
    two = turned(between, jnp.asarray(_MIRRORED, seen.distance.dtype))
    every = np.arange(atoms)
    found = two.swapaxes(2, 3).at[:, every, :, every].add(one.swapaxes(0, 1))
    found = found.reshape(b, atoms * ORBITALS, atoms * ORBITALS)
    there = present[..., SHELL].reshape(b, -1)
    found = jnp.where(there[:, :, None] & there[:, None], found, 0)
    alone = jnp.where(there, onsite[..., SHELL].reshape(b, -1), ABSENT_EV)
    return found + jnp.eye(atoms * ORBITALS, dtype=found.dtype) * alone[..., None]


def solve(
    matrices: Float[Array, "batch rows rows"],
    present: Bool[Array, "batch atoms 3"],
    electrons: Int[Array, "batch atoms"],
) -> Solution:
    """Return what fills the levels of `matrices` of B structures from below.

    Of the rows only those of orbitals that are there are solved, in a matrix of the least of three
    sizes that holds those of every structure.

    Args:
      matrices: of the structures.
      present: whether an atom has s, p and d shells.
      electrons: of the neutral atoms.
    """
    b, atoms = electrons.shape
    matrices = matrices.astype(jnp.promote_types(matrices.dtype, jnp.float32))
    there = present[..., SHELL].reshape(b, -1)
    first = jnp.argsort(~there, axis=1, stable=True)  # those that are there
    count = electrons.sum(axis=1)

    def of_size(rows: int) -> Solution:
        chosen = first[:, :rows]
        some = jnp.take_along_axis(matrices, chosen[:, :, None], axis=1)
        some = jnp.take_along_axis(some, chosen[:, None], axis=2)
        levels, vectors = eigh_large(some)
        filled = jnp.clip(count[:, None] - 2 * np.arange(rows), 0, 2)

        def level(index: jax.Array) -> jax.Array:
            index = index[:, None]
            found = jnp.take_along_axis(levels, jnp.clip(index, 0, rows - 1), axis=1)
            return jnp.where(index < rows, found, ABSENT_EV)[:, 0]

        held = jnp.einsum("bij,bj->bi", vectors**2, filled.astype(levels.dtype))
        of_atom = chosen[..., None] // ORBITALS == np.arange(atoms)
        return Solution(
            level((count + 1) // 2 - 1),
            level(count // 2),
            jnp.sum(filled * levels, axis=1),
            jnp.einsum("bi,bia->ba", held, of_atom.astype(held.dtype)),
        )

    rooms = [atoms * each for each in _ROOM]
    needed = jnp.max(jnp.sum(there, axis=1))
    size = jnp.sum(needed > np.array(rooms[:-1]))
    return jax.lax.switch(size, [lambda rows=rows: of_size(rows) for rows in rooms])


def _step(x: Float[Array, "*any"]) -> Float[Array, "*any"]:
    """Return 0 below 0, 1 above 1 and 6x⁵ − 15x⁴ + 10x³ between: twice differentiable."""
    x = jnp.clip(x, 0, 1)
    return x**3 * (10 + x * (6 * x - 15))
