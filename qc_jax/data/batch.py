"""Batch: padded atoms and neighbours, what every model reads."""

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from qc_jax.data.table import PairTable


class Batch(flax.struct.PyTreeNode):
    """B structures of up to A atoms with up to K neighbours each.

    Pairs, molecules and crystals differ only in padding: an atom with number 0 and a neighbour with
    index A are not there, whatever stands in their other fields.

    Attributes:
      atomic_numbers: [B, A] int32; 0 is padding.
      positions: [B, A, 3] Å.
      neighbors: [B, A, K] int32 into the A atoms of the same structure; A is padding.
      shifts: [B, A, K, 3] Å, added to a neighbour's position to reach its periodic image; None
        where nothing is periodic.
      canvas_features: [B, F], the numbers that `qc_jax.canvas.images.of_batch` draws an image of
        each structure from; None where the structures have none.
      canvas_size: pixels along each side of an image.
      images: what the images are, in the words of `qc_jax.canvas.images.parse`; 'canvas', or
        'densities' with or without channels.
      turns: [B, 2, 2], an orthogonal matrix by which each image is turned or mirrored in its plane;
        None turns none.
      average_symmetries: whether `models.apply` averages a model's outputs over the eight
        symmetries of a square image.
      row_mask: [B] bool, False for structures that only fill the batch up; None where all count.
        Read by what looks across the batch, like batch norm.
      axis_name: the collective axis that a larger batch is shared out on, of which this is this
        device's share; None where it is the whole batch.
    """

    atomic_numbers: jax.Array
    positions: jax.Array
    neighbors: jax.Array
    shifts: jax.Array | None = None
    canvas_features: jax.Array | None = None
    canvas_size: int = flax.struct.field(pytree_node=False, default=32)
    images: str = flax.struct.field(pytree_node=False, default="canvas")
    turns: jax.Array | None = None
    average_symmetries: bool = flax.struct.field(pytree_node=False, default=False)
    row_mask: jax.Array | None = None
    axis_name: str | None = flax.struct.field(pytree_node=False, default=None)

    @property
    def atom_mask(self) -> Bool[Array, "batch atoms"]:
        """Return [B, A] bool: the atoms that are there."""
        return self.atomic_numbers > 0

    @property
    def neighbor_mask(self) -> Bool[Array, "batch atoms neighbors"]:
        """Return [B, A, K] bool: the neighbours that are there."""
        return self.neighbors < self.atomic_numbers.shape[-1]

    @property
    def is_pairs(self) -> bool:
        """Return whether the structures have two atoms, which see each other at one distance."""
        return self.neighbors.shape[1:] == (2, 1) and self.shifts is None

    @property
    def first_row(self) -> jax.Array:
        """Return () uint32: where in the whole batch these structures begin."""
        if self.axis_name is None:
            return jnp.uint32(0)
        mine = jax.lax.axis_index(self.axis_name).astype(jnp.uint32)
        return mine * self.atomic_numbers.shape[0]

    def of_neighbors(
        self, values: Float[Array, "batch atoms features"]
    ) -> Float[Array, "batch atoms neighbors features"]:
        """Return the values of each atom's neighbours.

        Padding gets the values of some atom; mask what comes of it.
        """
        structures, atoms, slots = self.neighbors.shape
        # Atoms that are alone have no slots: no size may be left open then.
        index = jnp.minimum(self.neighbors, atoms - 1).reshape(structures, atoms * slots, 1)
        gathered = jnp.take_along_axis(values, index, axis=1, mode="clip")
        return gathered.reshape(*self.neighbors.shape, values.shape[-1])

    def displacements(
        self, positions: Float[Array, "batch atoms 3"]
    ) -> Float[Array, "batch atoms neighbors 3"]:
        """Return vectors (Å) from each atom to its neighbours, at `positions`."""
        vectors = self.of_neighbors(positions) - positions[:, :, None]
        return vectors if self.shifts is None else vectors + self.shifts

    def strained(self, strain: Float[Array, "batch 3 3"]) -> "Batch":
        """Return the structures with positions and cells at r (1 + strain)."""
        grown = jnp.eye(3, dtype=strain.dtype) + strain

        def moved(vectors: jax.Array) -> jax.Array:
            # Accelerators would round the factors.
            return jnp.einsum("b...i,bij->b...j", vectors, grown, precision="highest")

        shifts = None if self.shifts is None else moved(self.shifts)
        return self.replace(positions=moved(self.positions), shifts=shifts)

    def pool(
        self, values: Float[Array, "batch atoms features"], how: str = "add"
    ) -> Float[Array, "batch features"]:
        """Pool values over the atoms that are there, by their sum ('add') or 'mean'."""
        there = self.atom_mask[..., None]
        total = jnp.sum(jnp.where(there, values, 0), axis=1)
        if how == "add":
            return total
        assert how == "mean", how
        return total / jnp.maximum(jnp.sum(there, axis=1), 1).astype(total.dtype)


def all_neighbors(
    atomic_numbers: Int[np.ndarray, "batch atoms"],
) -> Int[np.ndarray, "batch atoms others"]:
    """Return every other atom of the structure as a neighbour, without a cutoff.

    Args:
      atomic_numbers: [B, A], 0 for padding.

    Returns:
      [B, A, A − 1] int32, in atom order; A is padding.
    """
    structures, atoms = atomic_numbers.shape
    others = np.array([[j for j in range(atoms) if j != i] for i in range(atoms)], dtype=np.int32)
    others = others.reshape(atoms, atoms - 1)
    present = atomic_numbers > 0
    there = present[:, :, None] & present[:, others]
    return np.where(there, others, atoms).astype(np.int32).reshape(structures, atoms, atoms - 1)


def from_arrays(
    atomic_numbers: Int[np.ndarray, "batch atoms"],
    positions: Float[np.ndarray, "batch atoms 3"],
    canvas_features: Float[Array, "batch features"] | None = None,
) -> Batch:
    """Return B structures whose atoms are all neighbours of each other, as float32.

    Args:
      atomic_numbers: [B, A], 0 for padding.
      positions: [B, A, 3] Å.
      canvas_features: [B, F] or None.
    """
    numbers, where, neighbors = jax.device_put(  # which compiles nothing
        (
            np.asarray(atomic_numbers, np.int32),
            np.asarray(positions, np.float32),
            all_neighbors(atomic_numbers),
        )
    )
    return Batch(numbers, where, neighbors, canvas_features=canvas_features)


def from_table(table: PairTable, canvas_features: jax.Array | None = None) -> Batch:
    """Return all pairs of a table as one Batch, float32, neighbours of each other."""
    return from_arrays(table.atomic_numbers, table.positions, canvas_features)
