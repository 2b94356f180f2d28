"""What the contract does not see of FAENet: its frames, its norm, its periodic table."""

import functools

import ase
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qc_jax import models, testing
from qc_jax.chem.elements import MAX_ATOMIC_NUMBER, element
from qc_jax.errors import InputError
from qc_jax.models.faenet import periods_and_groups, principal_axes
from tests.models import structures
from tests.models.rows.faenet import ROW


@functools.cache
def weights():
    model = models.create("faenet", **ROW.small)
    return jax.jit(model.init)(jax.random.key(0), models.sample())


def made(**overrides):
    return models.create("faenet", **ROW.small, **overrides), weights()


apply = jax.jit(models.apply, static_argnums=0)


def test_pairs_have_two_frames_of_their_own(small_table):
    """The short way for pairs gives what the eigenvectors give."""
    pairs = structures.pairs(small_table, slice(8))
    model, variables = made()
    expected = apply(model, variables, testing.pad(pairs, 1, 1))
    testing.assert_close(apply(model, variables, pairs), expected)


def test_published_outputs_turn_with_the_structure():
    crowd = structures.crowd()
    model, variables = made(frame_averaging="none")
    difference = apply(model, variables, testing.rotate(crowd)) - apply(model, variables, crowd)
    assert np.abs(difference).min() > 1e-4


@pytest.mark.slow
def test_stochastic_frames_are_those_that_full_averages(small_table):
    """Each training draws one of a pair's two; evaluation averages them."""
    pairs = structures.pairs(small_table, slice(16))
    full, variables = made()
    stochastic = full.clone(frame_averaging="stochastic")
    expected = apply(full, variables, pairs)
    np.testing.assert_array_equal(apply(stochastic, variables, pairs), expected)
    drawn = jax.vmap(lambda key: models.apply_training(stochastic, variables, pairs, key)[0])(
        jax.random.split(jax.random.key(1), 24)
    )
    high, low = drawn.max(axis=0), drawn.min(axis=0)
    middle = jnp.minimum(jnp.abs(drawn - high), jnp.abs(drawn - low))
    testing.assert_close((high + low) / 2, expected)
    assert middle.max() < 1e-5 and (high - low).max() > 1e-3


@pytest.mark.parametrize("bent", [0, 1e-3])
def test_forces_of_linear_molecules(bent):
    """Short axes that mean nothing, or that are short, leave the forces right."""
    with jax.enable_x64(True):
        batch = structures.pack(
            [ase.Atoms("HCNO", [[0, 0, 0], [0, bent, 1.1], [bent, 0, 2.3], [0, 0, 3.5]])]
        )
        batch = batch.replace(positions=batch.positions.astype(jnp.float64), shifts=None)
        model, variables = made()
        variables = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), variables)

        @jax.jit
        def energy(positions):
            return apply(model, variables, batch.replace(positions=positions)).sum()

        forces = jax.grad(energy)(batch.positions)
        for axis in range(3):
            step = jnp.zeros_like(forces).at[0, 1, axis].set(1e-6)
            slope = (energy(batch.positions + step) - energy(batch.positions - step)) / 2e-6
            np.testing.assert_allclose(slope, forces[0, 1, axis], rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_principal_axes_of_equal_moments_are_differentiable():
    moments = jnp.eye(3) * jnp.array([2.0, 2.0, 0.0])
    first, second = jax.jacfwd(principal_axes), jax.hessian(principal_axes)
    assert jnp.isfinite(first(moments)).all() and jnp.isfinite(second(moments)).all()


def test_each_structure_is_normalised_by_itself(small_table):
    pairs = structures.pairs(small_table, slice(8))
    model, variables = made()
    alone = apply(model, variables, structures.pairs(small_table, slice(3, 4)))
    testing.assert_close(apply(model, variables, pairs)[3:4], alone)


def test_periods_and_groups():
    """As the table of elements has them; where groups are disputed, as the reference does."""
    periods, groups = periods_and_groups(120)
    for number in range(1, MAX_ATOMIC_NUMBER + 1):
        known = element(number)
        assert periods[number] == known.period
        disputed = number in (57, 71, 89)
        assert disputed or groups[number] == (known.group or 19)
    assert groups[[57, 71, 89]].tolist() == [3, 19, 3]
    assert (periods[118], groups[118], periods[119], groups[119]) == (7, 18, 8, 1)


def test_bad_sizes():
    with pytest.raises(InputError, match=r"hidden of faenet: expected more than .* 24, got 24"):
        models.create("faenet", hidden=24)
    with pytest.raises(InputError, match="gaussians of faenet: expected at least 2, got 1"):
        models.create("faenet", gaussians=1)
