"""The shared assertions catch what they are for."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qc_jax import testing
from qc_jax.data.batch import Batch, all_neighbors
from qc_jax.models import Architecture


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    numbers = np.array([[8, 1, 1], [6, 8, 0]])
    return Batch(
        atomic_numbers=jnp.asarray(numbers),
        positions=jnp.asarray(rng.normal(size=(2, 3, 3)), jnp.float32),
        neighbors=jnp.asarray(all_neighbors(numbers)),
    )


def lengths(batch):
    """Sum of neighbour distances: invariant, padding inert."""
    vectors = batch.displacements(batch.positions)
    squared = jnp.where(batch.neighbor_mask, jnp.sum(vectors**2, axis=-1), 1.0)
    return jnp.sum(jnp.where(batch.neighbor_mask, jnp.sqrt(squared), 0.0), axis=(1, 2))[:, None]


def test_an_invariant_function_passes(batch):
    testing.assert_invariant(lengths, batch)
    testing.assert_close(lengths(testing.pad(batch, atoms=2, neighbors=3)), lengths(batch))


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda b: b.positions[:, 0, :1] - b.positions[:, 1, :1], "rotation"),
        (lambda b: jnp.linalg.norm(b.positions[:, 0], axis=-1)[:, None], "rotation"),
        (lambda b: b.atomic_numbers[:, :1].astype(jnp.float32), "another order"),
    ],
    ids=["component", "origin", "first atom"],
)
def test_a_function_that_is_not_invariant_fails(batch, function, words):
    with pytest.raises(AssertionError, match=words):
        testing.assert_invariant(function, batch)


@pytest.mark.parametrize(
    "function",
    [
        lambda b: b.positions.sum(axis=(1, 2))[:, None],
        lambda b: b.neighbors.sum(axis=(1, 2))[:, None].astype(jnp.float32),
    ],
    ids=["positions", "neighbors"],
)
def test_padding_that_is_read_shows(batch, function):
    padded = testing.pad(batch, atoms=2, neighbors=3)
    with pytest.raises(AssertionError):
        testing.assert_close(function(padded), function(batch))


def test_periodic_shifts_turn_with_the_structure(batch):
    shifts = jnp.asarray(np.random.default_rng(1).normal(size=(2, 3, 2, 3)), jnp.float32)
    testing.assert_invariant(lengths, batch.replace(shifts=shifts))
    testing.assert_close(
        lengths(testing.pad(batch.replace(shifts=shifts), 1, 1)),
        lengths(batch.replace(shifts=shifts)),
    )


def test_compilations_are_counted():
    def fresh(x):
        return jax.jit(lambda x: x * 3 + 1)(x)

    with testing.count_compilations() as compilations:
        fresh(np.ones(3, np.float32))
    first = len(compilations)
    function = jax.jit(lambda x: x * 5 - 1)
    function(np.ones(3, np.float32))
    with testing.count_compilations() as none:
        function(np.ones(3, np.float32))
    with testing.count_compilations() as another:
        function(np.ones(4, np.float32))
    assert (first, len(none), len(another)) == (1, 0, 1)


class Good(Architecture):
    """Elements and distance through one layer each."""

    outputs: int = 1

    @nn.compact
    def __call__(self, batch, train=False):
        bond = batch.positions[:, 1] - batch.positions[:, 0]
        distance = jnp.sqrt((bond**2).sum(-1, keepdims=True))
        atoms = batch.pool(nn.Embed(100, 16)(batch.atomic_numbers))
        return nn.Dense(self.outputs)(nn.silu(nn.Dense(32)(jnp.append(atoms, distance, axis=1))))


class Turns(Good):
    """Its output changes when a pair is turned."""

    @nn.compact
    def __call__(self, batch, train=False):
        return nn.Dense(self.outputs)(batch.positions[:, 1])


class Constant(Good):
    """It learns nothing of a structure."""

    @nn.compact
    def __call__(self, batch, train=False):
        bias = self.param("bias", nn.initializers.zeros, (self.outputs,))
        return jnp.tile(bias, (len(batch.atomic_numbers), 1))


def test_check_architecture():
    testing.check_architecture(Good)
    testing.check_architecture("pair_mean")
    with pytest.raises(AssertionError, match="under rotation"):
        testing.check_architecture(Turns)
    with pytest.raises(AssertionError, match="eight labels"):
        testing.check_architecture(Constant)
