"""Hamiltonian, overlap, Coulomb matrix and repulsion of any geometry, in padded arrays."""

from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from qc_jax.dftb import coulomb, rotation
from qc_jax.dftb.arrays import Array
from qc_jax.dftb.rotation import ORBITALS
from qc_jax.dftb.scc import Problem

# Hartree: level of an orbital that is not there, far above all that are.
ABSENT = 30.0


class Tables(Protocol):
    """Two-centre integrals of pairs of elements."""

    def evaluate_one(
        self, distance: Float[Array, ""], row: Int[Array, ""]
    ) -> tuple[Float[Array, "2 10"], Float[Array, "2 10"]]:
        """Return H and S at a distance (bohr), of the files A-B and B-A of a row; hartree."""
        ...


class Repulsion(Protocol):
    """Repulsive energies of pairs of elements."""

    def evaluate_one(self, distance: Float[Array, ""], row: Int[Array, ""]) -> Float[Array, ""]:
        """Return the energy in hartree at a distance (bohr) of a row."""
        ...


class Bonds(NamedTuple):
    """All pairs of atoms i < j.

    Attributes:
      first: index of atom i.
      second: of atom j.
      row: of their elements in the tables.
      swapped: whether the row names the element of j first.
      present: False where padded.
    """

    first: Int[Array, " bonds"]
    second: Int[Array, " bonds"]
    row: Int[Array, " bonds"]
    swapped: Bool[Array, " bonds"]
    present: Bool[Array, " bonds"]


class Molecule(NamedTuple):
    """Atoms without their positions; padded orbitals, sites and bonds change nothing.

    Attributes:
      bonds: pairs of atoms.
      slots: of the orbitals, 9 × atom + orbital (`rotation`).
      present: False where an orbital is padded.
      energies: on-site, hartree; `ABSENT` where padded.
      sites: 1 where an orbital belongs to a site (an atom, or a shell).
      site_atoms: index of each site's atom.
      hubbards: of the sites, hartree; 1 where padded.
      neutral: electrons of the sites in the neutral atom.
      electrons: of all.
    """

    bonds: Bonds
    slots: Int[Array, " orbitals"]
    present: Bool[Array, " orbitals"]
    energies: Float[Array, " orbitals"]
    sites: Float[Array, "orbitals sites"]
    site_atoms: Int[Array, " sites"]
    hubbards: Float[Array, " sites"]
    neutral: Float[Array, " sites"]
    electrons: Float[Array, ""]


def bond_vectors(
    bonds: Bonds, positions: Float[Array, "atoms 3"]
) -> tuple[Float[Array, "bonds 3"], Float[Array, " bonds"]]:
    """Return the unit vectors from i to j and the distances; along z at 1 where padded."""
    vectors = positions[bonds.second] - positions[bonds.first]
    vectors = jnp.where(bonds.present[:, None], vectors, jnp.array([0.0, 0.0, 1.0]))
    distances = jnp.sqrt(jnp.sum(vectors**2, axis=1))
    return vectors / distances[:, None], distances


def matrices(
    molecule: Molecule, tables: Tables, positions: Float[Array, "atoms 3"]
) -> tuple[Float[Array, "orbitals orbitals"], Float[Array, "orbitals orbitals"]]:
    """Return H0 and S, hartree; positions in bohr."""
    bonds = molecule.bonds
    units, distances = bond_vectors(bonds, positions)

    def of_bond(unit, distance, row, swapped):
        both = tables.evaluate_one(distance, row)
        columns = [jnp.where(swapped, one[::-1], one) for one in both]
        return jnp.stack([rotation.block(unit, rotation.by_shells(one)) for one in columns])

    blocks = jax.vmap(of_bond)(units, distances, bonds.row, bonds.swapped)
    blocks = jnp.where(bonds.present[:, None, None, None], blocks, 0.0)
    n = len(positions)
    full = jnp.zeros((n, n, 2, ORBITALS, ORBITALS), blocks.dtype)
    full = full.at[bonds.first, bonds.second].add(blocks)
    full = full.transpose(2, 0, 3, 1, 4).reshape(2, n * ORBITALS, n * ORBITALS)
    chosen = full[:, molecule.slots][:, :, molecule.slots]
    both_there = molecule.present[:, None] & molecule.present[None, :]
    h, s = jnp.where(both_there, chosen + jnp.swapaxes(chosen, 1, 2), 0.0)
    return h + jnp.diag(molecule.energies), s + jnp.eye(len(molecule.slots))


def coulomb_matrix(
    molecule: Molecule, positions: Float[Array, "atoms 3"]
) -> Float[Array, "sites sites"]:
    """Return γ between the sites, hartree; positions in bohr."""
    places = positions[molecule.site_atoms]
    same = molecule.site_atoms[:, None] == molecule.site_atoms[None, :]
    vectors = jnp.where(same[..., None], 1.0, places[:, None] - places[None, :])
    distances = jnp.sqrt(jnp.sum(vectors**2, axis=-1))
    hubbards = molecule.hubbards
    apart = coulomb.gamma(distances, hubbards[:, None], hubbards[None, :])
    return jnp.where(same, coulomb.on_site(hubbards[:, None], hubbards[None, :]), apart)


def problem(
    molecule: Molecule,
    tables: Tables,
    positions: Float[Array, "atoms 3"],
    kt: Float[Array, ""],
) -> Problem:
    """Return what self-consistent charges are to be found for, in one block."""
    h, s = matrices(molecule, tables, positions)
    return Problem(
        (h,),
        (s,),
        (molecule.sites,),
        coulomb_matrix(molecule, positions),
        molecule.neutral,
        molecule.electrons,
        kt,
    )


def repulsive_energy(
    molecule: Molecule, repulsion: Repulsion, positions: Float[Array, "atoms 3"]
) -> Float[Array, ""]:
    """Return the sum over all pairs of atoms, hartree; positions in bohr."""
    _, distances = bond_vectors(molecule.bonds, positions)
    energies = jax.vmap(repulsion.evaluate_one)(distances, molecule.bonds.row)
    return jnp.sum(jnp.where(molecule.bonds.present, energies, 0.0))
