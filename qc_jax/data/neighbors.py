"""Neighbours within a cutoff by jax-md: dense lists in its free and periodic spaces.

jax-md (S. S. Schoenholz, E. D. Cubuk, NeurIPS 2020, arXiv 1912.04232) sees of every atom the
nearest image alone. A cell that is narrower than twice the cutoff is therefore repeated until it is
not, and what is found in the copies is told as periodic images of the cell's own atoms, the atom
itself included.
"""

import dataclasses
import itertools
import threading
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from qc_jax.errors import InputError
from qc_jax.ops import jax_md

_SPARE = 1.25  # room beside what the first structure needs, as jax-md's own default
_MOST = 20_000  # atoms of a repeated cell: all are compared with all


class Found(NamedTuple):
    """The neighbours of n atoms.

    Attributes:
      neighbors: [n, K] int32 into the n atoms; n is padding.
      shifts: [n, K, 3] Å, added to a neighbour's position to reach the image; None without a cell.
    """

    neighbors: np.ndarray
    shifts: np.ndarray | None


@dataclasses.dataclass
class _Buffer:
    """A neighbour list of jax-md for structures of one size, which grows when it overflows."""

    functions: Any
    update: Any
    list: Any


class Neighbors:
    """Finds neighbours of one structure after another, in buffers that are kept and regrown.

    Buffers are sized by jax-md from the first structure of a size. Where a later one has more
    neighbours, jax-md tells of the overflow; the buffer is then allocated anew and the structure
    searched again, so that none is lost. May be used by several threads.

    Attributes:
      cutoff: Å.
      regrown: how often a buffer had to grow.

    Raises:
      InputError: the cutoff is not above 0.
    """

    def __init__(self, cutoff: float):
        if not 0 < cutoff < np.inf:
            raise InputError(f"cutoff: expected a length above 0 Å, got {cutoff}")
        self.cutoff = float(cutoff)
        self.regrown = 0
        self._buffers: dict[tuple[int, bool], _Buffer] = {}
        self._lock = threading.Lock()

    def find(self, positions: np.ndarray, cell: np.ndarray | None = None) -> Found:
        """Return the neighbours of every atom, in no order.

        Args:
          positions: [n, 3] Å.
          cell: [3, 3] Å, a lattice vector a row, periodic in all three; None for none.

        Returns:
          K is the most that an atom of this structure has.

        Raises:
          InputError: a position is not finite, the cell has no volume, or is so much narrower than
            the cutoff that its copies are too many.
        """
        positions = np.asarray(positions, np.float64)
        atoms = len(positions)
        if not np.isfinite(positions).all():
            raise InputError("positions: expected finite ones")
        if cell is None:
            index = self._search(positions, None)
            return Found(*_trimmed(index, atoms, None))
        cell = np.asarray(cell, np.float64)
        repeats = self._repeats(cell, atoms)
        images = np.array(list(itertools.product(*map(range, repeats))))  # [0, 0, 0] first
        fractional = positions @ np.linalg.inv(cell)
        whole = (images[:, None] + fractional).reshape(-1, 3) / repeats
        index = self._search(whole, cell * np.array(repeats)[:, None])[:atoms]
        # Of every neighbour the nearest image, as jax-md's space takes it, in lattice vectors.
        there = index < len(whole)
        target = np.where(there, index, 0)
        apart = whole[target] - whole[:atoms, None]
        nearest = apart - np.round(apart)
        own = target % atoms
        steps = np.round(nearest * repeats - (fractional[own] - fractional[:, None]))
        return Found(*_trimmed(np.where(there, own, atoms), atoms, steps @ cell))

    def _repeats(self, cell: np.ndarray, atoms: int) -> tuple[int, ...]:
        """Return how often the cell must be repeated so that half of it holds the cutoff."""
        volume = abs(np.linalg.det(cell)) if cell.shape == (3, 3) else np.nan
        if not np.isfinite(cell).all() or not volume > 0:
            raise InputError(
                f"cell: expected three vectors that span a volume, got {cell.tolist()}"
            )
        sides = [np.cross(cell[at - 2], cell[at - 1]) for at in range(3)]
        heights = volume / np.linalg.norm(sides, axis=1)
        # A hair more than twice: at exactly half a cell both images are as near.
        repeats = tuple(int(np.ceil(2.001 * self.cutoff / height)) for height in heights)
        if atoms * np.prod(repeats) > _MOST:
            raise InputError(
                f"cell: within {self.cutoff} Å it is repeated {repeats} times, "
                f"{atoms * np.prod(repeats)} atoms; expected at most {_MOST}"
            )
        return repeats

    def _search(self, positions: np.ndarray, cell: np.ndarray | None) -> np.ndarray:
        """Return [n, K] by jax-md; positions are fractional where there is a cell."""
        key = (len(positions), cell is not None)
        where = jnp.asarray(positions, jnp.float32)
        # jax-md's cells have a lattice vector a column.
        box = {} if cell is None else {"box": jnp.asarray(cell.T, jnp.float32)}
        with self._lock:
            buffer = self._buffers.get(key)
            if buffer is None:
                buffer = self._buffers[key] = self._new(cell is not None, where, box)
            else:
                buffer.list = buffer.update(where, buffer.list, **box)
                if buffer.list.did_buffer_overflow:
                    self.regrown += 1
                    buffer.list = buffer.functions.allocate(where, **box)
            assert not buffer.list.did_buffer_overflow, "an allocation holds what it was made for"
            return np.asarray(buffer.list.idx)

    def _new(self, periodic: bool, where: jax.Array, box: dict[str, jax.Array]) -> _Buffer:
        partition, space = jax_md().partition, jax_md().space
        unit = jnp.eye(3, dtype=jnp.float32)
        displacement, _ = (
            space.periodic_general(unit, fractional_coordinates=True) if periodic else space.free()
        )
        functions = partition.neighbor_list(
            displacement,
            unit,
            self.cutoff,
            capacity_multiplier=_SPARE,
            disable_cell_list=True,  # few atoms; and it takes upper triangular cells alone
            fractional_coordinates=periodic,
            format=partition.Dense,
        )
        first = functions.allocate(where, **box)
        return _Buffer(functions, jax.jit(functions.update), first)


def _trimmed(
    index: np.ndarray, atoms: int, shifts: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return only as many slots as an atom fills at most; jax-md fills them from the left."""
    index = index.astype(np.int32)
    there = index < atoms
    slots = int(there.sum(axis=1).max(initial=0))
    assert not there[:, slots:].any(), "slots are filled from the left"
    if shifts is None:
        return index[:, :slots], None
    return index[:, :slots], np.where(there[..., None], shifts, 0)[:, :slots].astype(np.float32)
