"""Batches: neighbours, gathering, displacements, periodic shifts."""

import jax.numpy as jnp
import numpy as np

from qc_jax.data.batch import Batch, all_neighbors, from_arrays, from_table


def test_all_neighbors_leave_padding_out():
    got = all_neighbors(np.array([[8, 1, 1], [9, 9, 0]]))
    np.testing.assert_array_equal(got[0], [[1, 2], [0, 2], [0, 1]])
    np.testing.assert_array_equal(got[1], [[1, 3], [0, 3], [3, 3]])


def test_atoms_that_are_alone_have_no_slots():
    batch = from_arrays(np.array([[8], [1], [0]]), np.ones((3, 1, 3)))
    assert batch.neighbors.shape == batch.neighbor_mask.shape == (3, 1, 0)
    assert batch.of_neighbors(jnp.ones((3, 1, 5))).shape == (3, 1, 0, 5)
    assert batch.displacements(batch.positions).shape == (3, 1, 0, 3)
    assert all_neighbors(np.zeros((0, 3), int)).shape == (0, 3, 2)


def test_displacements_and_masks():
    batch = Batch(
        atomic_numbers=jnp.array([[8, 1, 0]]),
        positions=jnp.array([[[0.0, 0, 0], [0, 0, 1], [9, 9, 9]]]),
        neighbors=jnp.array([[[1, 3], [0, 3], [3, 3]]]),
    )
    np.testing.assert_array_equal(batch.atom_mask, [[True, True, False]])
    np.testing.assert_array_equal(batch.neighbor_mask.sum(axis=-1), [[1, 1, 0]])
    vectors = batch.displacements(batch.positions)
    np.testing.assert_array_equal(vectors[0, :2, 0], [[0, 0, 1], [0, 0, -1]])
    shifts = jnp.zeros((1, 3, 2, 3)).at[0, 0, 0].set(jnp.array([5.0, 0, 0]))
    periodic = batch.replace(shifts=shifts)
    np.testing.assert_array_equal(
        periodic.displacements(batch.positions)[0, :2, 0], [[5, 0, 1], [0, 0, -1]]
    )


def test_a_table_as_a_batch(small_table):
    batch = from_table(small_table)
    assert batch.positions.dtype == jnp.float32
    lengths = np.linalg.norm(batch.displacements(batch.positions)[:, :, 0], axis=-1)
    expected = np.repeat(small_table.targets["distance_ang"][:, None], 2, axis=1)
    np.testing.assert_allclose(lengths, expected, rtol=1e-6)
    assert bool(batch.neighbor_mask.all())


def test_pooling_leaves_padding_out():
    batch = Batch(
        atomic_numbers=jnp.array([[8, 1, 0], [0, 0, 0]]),
        positions=jnp.zeros((2, 3, 3)),
        neighbors=jnp.full((2, 3, 2), 3),
    )
    values = jnp.array([[[1.0], [2], [100]], [[100], [100], [100]]])
    np.testing.assert_array_equal(batch.pool(values), [[3], [0]])
    np.testing.assert_array_equal(batch.pool(values, "mean"), [[1.5], [0]])
