"""What every architecture must do, from one table."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from qc_jax import models, testing
from qc_jax.data.batch import Batch, all_neighbors, from_table
from qc_jax.errors import InputError

# Small sizes of each architecture: compilation is what tests cost.
SMALL = {"egnn": {"hidden": 16, "layers": 2}}


def test_every_model_is_in_the_table():
    assert set(SMALL) == set(models.available())


@pytest.fixture(params=sorted(SMALL))
def name(request):
    return request.param


OUTPUTS = 3


@functools.cache
def made(name: str):
    """The small model, jitted, and weights away from their special first values."""
    model = models.create(name, **SMALL[name], outputs=OUTPUTS)
    params = jax.jit(lambda key: model.init(key, molecules())["params"])(jax.random.key(0))
    leaves, structure = jax.tree.flatten(params)
    rng = np.random.default_rng(1)
    noisy = [leaf + jnp.asarray(0.1 * rng.normal(size=leaf.shape), leaf.dtype) for leaf in leaves]
    return jax.jit(
        lambda params, batch: models.apply(model, {"params": params}, batch)
    ), jax.tree.unflatten(structure, noisy)


def molecules() -> Batch:
    """Six random molecules of three to five atoms, padded to five."""
    rng = np.random.default_rng(7)
    numbers = rng.integers(1, 87, size=(6, 5))
    numbers[0, 3:] = numbers[1, 4:] = 0
    return Batch(
        atomic_numbers=jnp.asarray(numbers, jnp.int32),
        positions=jnp.asarray(rng.normal(scale=1.5, size=(6, 5, 3)), jnp.float32),
        neighbors=jnp.asarray(all_neighbors(numbers)),
    )


@functools.cache
def gradients(name: str):
    """(params, batch) → gradients of the summed outputs by weights and positions, jitted."""
    function, _ = made(name)

    def total(params, positions, batch):
        return jnp.sum(function(params, batch.replace(positions=positions)))

    by_both = jax.jit(jax.grad(total, argnums=(0, 1)))
    return lambda params, batch: by_both(params, batch.positions, batch)


def test_outputs_differ_between_structures(name):
    function, params = made(name)
    got = function(params, molecules())
    assert got.shape == (6, OUTPUTS) and got.dtype == jnp.float32
    assert np.ptp(np.asarray(got), axis=0).min() > 1e-3


def test_symmetries(name):
    function, params = made(name)
    testing.assert_invariant(functools.partial(function, params), molecules())


def test_padding_is_inert(name):
    function, params = made(name)
    batch = molecules()
    padded = testing.pad(batch, atoms=2, neighbors=3)
    testing.assert_close(function(params, padded), function(params, batch))
    _, expected = gradients(name)(params, batch)
    _, got = gradients(name)(params, padded)
    testing.assert_close(got[:, :5], expected, rtol=1e-4)
    assert not got[:, 5:].any()


def test_reads_what_it_says(name):
    """Outputs change with every input that the model names."""
    function, params = made(name)
    batch = molecules()
    changed = {
        "atomic_numbers": batch.replace(
            atomic_numbers=jnp.where(batch.atom_mask, batch.atomic_numbers % 86 + 1, 0)
        ),
        "positions": batch.replace(positions=1.1 * batch.positions),
    }
    inputs = models.create(name).inputs
    for key, other in changed.items():
        difference = float(jnp.abs(function(params, other) - function(params, batch)).min())
        assert (difference > 1e-6) == (key in inputs), key


def test_gradients_are_finite_where_atoms_coincide(name):
    _, params = made(name)
    batch = molecules()
    together = batch.replace(positions=batch.positions.at[:, 1].set(batch.positions[:, 0]))
    assert all(
        np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients(name)(params, together))
    )


def test_every_weight_is_used(name):
    """No idle layers: each weight array moves some output."""
    _, params = made(name)
    by_weights, _ = gradients(name)(params, molecules())
    for path, leaf in jax.tree_util.tree_leaves_with_path(by_weights):
        assert np.abs(leaf).max() > 0, jax.tree_util.keystr(path)


def test_overfits_sixteen_pairs(name, small_table):
    batch = from_table(small_table.take(np.arange(16)))
    labels = small_table.columns(("e_homo_ev", "total_energy_ev", "dipole_z_d"))[:16]
    labels = jnp.asarray((labels - labels.mean(axis=0)) / labels.std(axis=0), jnp.float32)
    function, params = made(name)
    adam = optax.adam(3e-3)

    @jax.jit
    def train(params):
        def step(carry, _):
            params, state = carry
            loss, grads = jax.value_and_grad(
                lambda params: jnp.abs(function(params, batch) - labels).mean()
            )(params)
            updates, state = adam.update(grads, state)
            return (optax.apply_updates(params, updates), state), loss

        return jax.lax.scan(step, (params, adam.init(params)), length=1500)[1]

    losses = train(params)
    assert losses[-100:].min() < 0.1 < 0.5 < losses[0]


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"name": "foo"}, "unknown model 'foo'; choose one of: egnn"),
        ({"name": "egnn", "width": 3}, "unknown hyper-parameter of egnn 'width'"),
        ({"name": "egnn", "hidden": "many"}, "hidden of egnn: expected int like"),
        ({"name": "egnn", "layers": 0}, "layers of egnn: expected at least 1, got 0"),
        ({"name": "egnn", "layers": True}, "expected int"),
    ],
)
def test_bad_hyper_parameters(overrides, words):
    with pytest.raises(InputError, match=words):
        models.create(**overrides)
