"""Layers against their formulas, and the same however a batch is shared out."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qc_jax import models
from qc_jax.models._layers import BatchNorm, Dense, Dropout

B = 6


def batch(**changes):
    some = jax.tree.map(lambda leaf: jnp.repeat(leaf, B, axis=0), models.sample())
    return some.replace(**changes)


@pytest.fixture(scope="module")
def x():
    return jnp.asarray(np.random.default_rng(0).normal(2, 3, size=(B, 4, 5, 3)), jnp.float32)


@pytest.mark.parametrize("axes", [1, 2, 4])
def test_dense_is_that_of_flax(x, axes):
    rows = x.reshape(*x.shape[: axes - 1], -1)
    variables = nn.Dense(7).init(jax.random.key(0), rows)

    def gradients(layer):
        return jax.grad(lambda v, rows: jnp.sum(jnp.sin(layer.apply(v, rows))), (0, 1))(
            variables, rows
        )

    np.testing.assert_array_equal(
        Dense(7).apply(variables, rows), nn.Dense(7).apply(variables, rows)
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4),
        *(gradients(layer) for layer in (Dense(7), nn.Dense(7))),
    )


def train_norm(x, of, variables=None):
    norm = BatchNorm()
    if variables is None:
        variables = {
            "params": {"scale": jnp.array([1.0, 2, -1]), "bias": jnp.array([0.5, 0, 1])},
            "batch_stats": {"mean": jnp.array([1.0, 2, 3]), "var": jnp.array([1.0, 4, 9])},
        }
    return norm.apply(variables, x, of, True, mutable=["batch_stats"])


def test_batch_norm_is_that_of_pytorch(x):
    """Normalised by the biased variance; the unbiased one is averaged, with weight 0.1."""
    got, updated = train_norm(x, batch())
    values = np.asarray(x, np.float64).reshape(-1, 3)
    normal = (values - values.mean(axis=0)) / np.sqrt(values.var(axis=0) + 1e-5)
    expected = (normal * [1, 2, -1] + [0.5, 0, 1]).reshape(x.shape)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
    averages = updated["batch_stats"]
    mean, variance = values.mean(axis=0), values.var(axis=0, ddof=1)
    np.testing.assert_allclose(averages["mean"], 0.9 * np.array([1, 2, 3]) + 0.1 * mean, rtol=1e-5)
    np.testing.assert_allclose(
        averages["var"], 0.9 * np.array([1, 4, 9]) + 0.1 * variance, rtol=1e-5
    )


def test_batch_norm_uses_its_averages_when_not_training(x):
    norm = BatchNorm()
    variables = {
        "params": {"scale": jnp.array([1.0, 2, -1]), "bias": jnp.array([0.5, 0, 1])},
        "batch_stats": {"mean": jnp.array([1.0, 2, 3]), "var": jnp.array([1.0, 4, 9])},
    }
    got = norm.apply(variables, x, batch(), False)
    expected = (x - jnp.array([1, 2, 3])) / jnp.sqrt(jnp.array([1, 4, 9]) + 1e-5)
    np.testing.assert_allclose(
        got, expected * jnp.array([1, 2, -1]) + jnp.array([0.5, 0, 1]), rtol=1e-4, atol=1e-5
    )


def test_rows_that_fill_the_batch_do_not_count(x):
    mask = jnp.arange(B) < 4
    littered = x.at[4:].set(1e4)
    got, updated = train_norm(littered, batch(row_mask=mask))
    few = jax.tree.map(lambda leaf: leaf[:4], batch())
    expected, alone = train_norm(x[:4], few)
    np.testing.assert_allclose(got[:4], expected, rtol=1e-5)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), dict(updated), dict(alone)
    )


def test_no_rows_at_all_are_no_trouble(x):
    got, updated = train_norm(x, batch(row_mask=jnp.zeros(B, bool)))
    assert np.isfinite(got).all()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(updated))


def shared_out(function, parts=3):
    """`function` of a share of the batch, run on shares that know the collective axis."""
    whole = batch(row_mask=jnp.arange(B) < 5)

    def split(tree):
        return jax.tree.map(lambda leaf: leaf.reshape(parts, -1, *leaf.shape[1:]), tree)

    def one(x, share):
        return function(x, share.replace(axis_name="axis"))

    def run(x):
        return jax.vmap(one, axis_name="axis")(split(x), split(whole))

    return run, whole


def test_batch_norm_of_a_batch_that_is_shared_out(x):
    """Outputs, averages and gradients; the last share has a row that only fills it."""
    run, whole = shared_out(lambda x, of: train_norm(x, of))
    got, updated = run(x)
    expected, alone = train_norm(x, whole)
    np.testing.assert_allclose(got.reshape(x.shape), expected, rtol=1e-5, atol=1e-6)
    for leaf, one in zip(jax.tree.leaves(updated), jax.tree.leaves(alone), strict=True):
        np.testing.assert_allclose(leaf, jnp.broadcast_to(one, leaf.shape), rtol=1e-5)
    weights = jnp.cos(jnp.arange(x.size)).reshape(x.shape)
    slopes = jax.grad(lambda x: jnp.sum(run(x)[0].reshape(x.shape) * weights))(x)
    expected = jax.grad(lambda x: jnp.sum(train_norm(x, whole)[0] * weights))(x)
    np.testing.assert_allclose(slopes, expected, rtol=1e-4, atol=1e-5)


def drop(x, of, rate=0.3, key=0, train=True):
    return Dropout(rate).apply({}, x, of, train, rngs={"dropout": jax.random.key(key)})


def test_dropout():
    x = jnp.ones((B, 50, 40))
    got = np.asarray(drop(x, batch()))
    assert set(np.unique(got)) == {0, np.float32(1 / 0.7)}
    assert abs((got == 0).mean() - 0.3) < 0.02
    assert not np.array_equal(got[0], got[1])
    assert not np.array_equal(got, drop(x, batch(), key=1))
    np.testing.assert_array_equal(drop(x, batch(), train=False), x)
    np.testing.assert_array_equal(drop(x, batch(), rate=0.0), x)


def test_dropout_has_no_pattern():
    """Neighbours, rows and keys are independent, within five deviations."""
    x = jnp.ones((B, 200, 96))
    kept = np.asarray(drop(x, batch())) > 0
    other = np.asarray(drop(x, batch(), key=1)) > 0
    for one, two in (
        (kept, other),
        (kept[1:], kept[:-1]),
        (kept[:, 1:], kept[:, :-1]),
        (kept[..., 1:], kept[..., :-1]),
    ):
        covariance = np.mean((one - 0.7) * (two - 0.7))
        assert abs(covariance) < 5 * 0.21 / np.sqrt(one.size)


def test_dropout_of_a_batch_that_is_shared_out():
    x = jnp.ones((B, 7))
    run, whole = shared_out(drop)
    np.testing.assert_array_equal(run(x).reshape(x.shape), drop(x, whole))
