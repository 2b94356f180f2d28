"""What is particular to the CNNs of the canvas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from qc_jax import models
from tests.models import structures
from tests.models.rows import rows


@pytest.mark.parametrize("name", ["film_cnn", "qsn_v2"])
def test_what_a_batch_norm_takes_away_is_not_trained(name, small_table):
    """A bias in front of it has no gradient at all in training; every other weight has one."""
    batch = structures.pairs(small_table, slice(6))
    model = models.create(name, **rows()[name].small)
    variables = jax.jit(model.init)(jax.random.key(0), batch)

    @jax.jit
    @jax.grad
    def slope(params):
        outputs, _ = models.apply_training(
            model, {**variables, "params": params}, batch, jax.random.key(1)
        )
        return jnp.sum(outputs**2)

    slopes = flatten_dict(slope(variables["params"]), sep="/")
    still = {path for path, leaf in slopes.items() if not np.abs(leaf).max() > 0}
    assert still == {"conv_0/bias", "conv_1/bias"}


def test_quantumshellnet_reads_the_sum_of_the_elements(small_table):
    """Another pair with the same sum and canvas is the same to it."""
    batch = structures.pairs(small_table, slice(6))
    model = models.create("quantumshellnet", **rows()["quantumshellnet"].small)
    variables = jax.jit(model.init)(jax.random.key(0), batch)
    numbers = batch.atomic_numbers
    moved = jnp.stack([numbers[:, 0] + 1, numbers[:, 1] - 1], axis=1)

    @jax.jit
    def outputs(numbers):
        return models.apply(model, variables, batch.replace(atomic_numbers=numbers))

    expected = outputs(numbers)
    np.testing.assert_array_equal(outputs(moved), expected)
    more = outputs(numbers + 1)
    assert np.abs(more - expected).min() > 1e-4
