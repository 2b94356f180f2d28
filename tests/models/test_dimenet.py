"""DimeNet++: its triplets among periodic images and in one-sided lists of neighbours."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qc_jax import models
from qc_jax.data.batch import from_arrays
from tests.models import structures
from tests.models.rows.dimenet import ROW


@pytest.fixture(scope="module")
def energies():
    """Batch → outputs [B], of the small model with random weights."""
    model = models.create("dimenet", **ROW.small)
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), models.sample()))
    rng = np.random.default_rng(3)
    variables = jax.tree.map(lambda leaf: jnp.asarray(rng.normal(size=leaf.shape) / 3), shapes)
    return jax.jit(lambda batch: models.apply(model, variables, batch)[:, 0])


def test_a_cell_twice_as_large_has_twice_the_energy(energies):
    """An atom's images are atoms: a message's way back is to one of them alone."""
    cell = structures._cell(np.random.default_rng(5), 2)
    batch = structures.pack([cell, cell.repeat((2, 1, 1)), cell.repeat((1, 1, 2))])
    assert (batch.neighbors[0, :2] == np.arange(2)[:, None]).any(), "no image of an atom itself"
    one, *two = energies(batch)
    np.testing.assert_allclose(two, 2 * one, rtol=1e-5)


def test_a_neighbor_counts_where_both_list_each_other(energies):
    """Of three atoms one does not list another: as if neither did."""
    positions = np.array([[[0, 0, 0], [1, 0, 0.2], [0, 1.3, 0]]])
    batch = from_arrays(np.array([[8, 1, 6]]), positions)
    one_sided = batch.neighbors.at[0, 0, 1].set(3)
    neither = one_sided.at[0, 2, 0].set(3)
    got, expected, whole = (
        energies(batch.replace(neighbors=lists)) for lists in (one_sided, neither, batch.neighbors)
    )
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    assert np.abs(whole - got) > 1e-3
