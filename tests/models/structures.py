"""Batches that the contract is tested on; those of one shape share a compilation."""

import functools

import ase
import ase.neighborlist
import jax
import jax.numpy as jnp
import numpy as np

from qc_jax import canvas
from qc_jax.data.batch import Batch, all_neighbors, from_table
from qc_jax.data.table import PairTable

ATOMS, SLOTS = 8, 12  # of `crowd` and `awkward`
_RADIUS = 3.0  # Å, of the cells' neighbours


def pack(molecules: list[ase.Atoms], atoms: int = ATOMS, slots: int = SLOTS) -> Batch:
    """Molecules, all of whose atoms are neighbours, and cells, padded."""
    b = len(molecules)
    numbers = np.zeros((b, atoms), np.int32)
    positions = np.zeros((b, atoms, 3), np.float32)
    neighbors = np.full((b, atoms, slots), atoms, np.int32)
    shifts = np.zeros((b, atoms, slots, 3), np.float32)
    for row, molecule in enumerate(molecules):
        n = len(molecule)
        numbers[row, :n] = molecule.numbers
        positions[row, :n] = molecule.positions
        if not molecule.pbc.any():
            here = all_neighbors(numbers[row : row + 1])[0]
            neighbors[row, :, : atoms - 1] = here
            continue
        used = np.zeros(n, int)
        found = zip(*ase.neighborlist.neighbor_list("ijS", molecule, _RADIUS), strict=True)
        for i, j, image in found:
            neighbors[row, i, used[i]] = j
            shifts[row, i, used[i]] = image @ molecule.cell
            used[i] += 1
    return Batch(*map(jnp.asarray, (numbers, positions, neighbors, shifts)))


def _random(rng: np.random.Generator, atoms: int) -> ase.Atoms:
    """Atoms at random, 0.8 Å apart at least."""
    positions = np.zeros((0, 3))
    while len(positions) < atoms:
        new = rng.normal(scale=0.8 * atoms ** (1 / 3), size=3)
        if np.linalg.norm(positions - new, axis=1).min(initial=9) > 0.8:
            positions = np.vstack([positions, new])
    return ase.Atoms(rng.integers(1, 87, size=atoms), positions)


def _cell(rng: np.random.Generator, atoms: int) -> ase.Atoms:
    """A skewed cell; some neighbours of its atoms are images, one of themselves among them."""
    made = _random(rng, atoms)
    made.cell = np.diag([2.7, 3.3, 3.8]) + rng.uniform(-0.2, 0.2, (3, 3))
    made.pbc = True
    return made


@functools.cache
def crowd(cells: bool = True) -> Batch:
    """Six random molecules of two to eight atoms, and two periodic cells or two more molecules."""
    rng = np.random.default_rng(7)
    molecules = [_random(rng, atoms) for atoms in (2, 3, 4, 5, 6, 8)]
    if cells:
        return pack([*molecules, _cell(rng, 2), _cell(rng, 2)])
    return pack([*molecules, _random(rng, 3), _random(rng, 7)]).replace(shifts=None)


@functools.cache
def large(cells: bool = True) -> Batch:
    """The first seven of `crowd`, and a molecule of 29 atoms, in a batch of that size."""
    big = pack([_random(np.random.default_rng(8), 29)], atoms=29, slots=28)

    def widen(name: str) -> jax.Array:
        fill = getattr(big, name)
        few = getattr(crowd(cells), name)[:7]
        if name == "neighbors":
            few = jnp.where(crowd(cells).neighbor_mask[:7], few, 29)
        widths = [(0, w - h) for w, h in zip(fill.shape[1:], few.shape[1:], strict=True)]
        value = 29 if name == "neighbors" else 0
        return jnp.concatenate([jnp.pad(few, [(0, 0), *widths], constant_values=value), fill])

    names = ("atomic_numbers", "positions", "neighbors", "shifts")
    return Batch(*map(widen, names if cells else names[:3]))


def awkward(cutoff: float, cells: bool = True) -> Batch:
    """Coincident atoms, atoms on lines, at the cutoff, beyond it, alone, equal and symmetric."""
    line = np.outer(np.arange(4), [0, 0, 1.1])
    square = np.array([[1, 1, 0], [1, -1, 0], [-1, 1, 0], [-1, -1, 0]])
    packed = pack(
        [
            ase.Atoms("COHH", [[0, 0, 0], [0, 0, 0], [0, 1, 0], [1, 0, 0.5]]),
            ase.Atoms("C2H2", line),
            ase.Atoms("CO", [[0, 0, 0], [0, 0, np.float32(cutoff)]]),
            ase.Atoms("CO", [[0, 0, 0], [0, 0, cutoff + 1]]),
            ase.Atoms("C", [[0, 0, 0]]),
            ase.Atoms("C4", square),
            ase.Atoms("CO", [[1, 1, 1], [1, 1, 1]]),
            ase.Atoms("C", [[0, 0, 0]], cell=2.5 * np.eye(3) if cells else None, pbc=cells),
        ]
    )
    return packed if cells else packed.replace(shifts=None)


def littered(batch: Batch) -> Batch:
    """The same structures, of the same shape, with rubbish wherever nothing is there."""
    rng = np.random.default_rng(0)
    atoms, slots = batch.atom_mask[..., None], batch.neighbor_mask[..., None]
    rubbish = jnp.asarray(30 * rng.normal(size=batch.positions.shape), jnp.float32)
    if batch.shifts is None:
        return batch.replace(positions=jnp.where(atoms, batch.positions, rubbish))
    far = jnp.asarray(30 * rng.normal(size=batch.shifts.shape), jnp.float32)
    return batch.replace(
        positions=jnp.where(atoms, batch.positions, rubbish),
        shifts=jnp.where(slots, batch.shifts, far),
    )


def wrapped(batch: Batch) -> Batch:
    """The first atom of every structure at another place, its neighbours' shifts to match."""
    step = jnp.array([2.0, -3.0, 4.0])
    to_first = (batch.neighbors == 0) & batch.neighbor_mask
    shifts = batch.shifts - jnp.where(to_first[..., None], step, 0)
    shifts = shifts.at[:, 0].add(step)
    return batch.replace(positions=batch.positions.at[:, 0].add(step), shifts=shifts)


def pairs(table: PairTable, rows: slice) -> Batch:
    """Pairs of a table, with their canvases."""
    some = table.take(np.arange(len(table))[rows])
    return from_table(some, jnp.asarray(canvas.features(some)))
