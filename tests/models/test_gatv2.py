"""GATv2: what its dropout drops, and that attention is smooth where neighbours come and go."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from qc_jax import models
from qc_jax.data.batch import Batch
from qc_jax.models.gatv2 import Attention
from tests.models import structures

ALONE = Batch(
    atomic_numbers=np.array([[6]], np.int32),
    positions=np.zeros((1, 1, 3), np.float32),
    neighbors=np.zeros((1, 1, 0), np.int32),
)


def test_dropout_drops_whole_attentions_of_a_head():
    """A lone atom attends to itself alone: each head counts twice or not at all."""
    layer = Attention(hidden=3, heads=2, dropout=0.5)
    itself = ALONE.replace(neighbors=np.zeros((1, 1, 1), np.int32))
    h, weight = jnp.array([[[1.0, -2.0, 0.5]]]), jnp.ones((1, 1, 1))

    @jax.jit
    def run(key):
        variables = layer.init(jax.random.key(0), itself, h, weight, None, False)
        plain = layer.apply(variables, itself, h, weight, None, False)
        rngs = {"dropout": key}
        return variables, plain, layer.apply(variables, itself, h, weight, None, True, rngs=rngs)

    variables, plain, _ = run(jax.random.key(0))
    source = variables["params"]["source"]
    first, second = np.split(np.asarray(h[0, 0] @ source["kernel"] + source["bias"]), 2)
    np.testing.assert_allclose(plain[0, 0], (first + second) / 2, rtol=1e-5)
    seen = set()
    for seed in range(40):
        _, _, got = run(jax.random.key(seed))
        for one, other in itertools.product((0, 1), repeat=2):
            if np.allclose(got[0, 0], one * first + other * second, rtol=1e-5, atol=1e-6):
                seen.add((one, other))
                break
        else:
            raise AssertionError(f"{got[0, 0]} is none of the four")
    assert len(seen) == 4


def test_dropout_drops_features_one_by_one():
    """Features that are all one come out as nothing or two each, whatever attention does."""
    width = 6
    model = models.create("gatv2", hidden=width, layers=1, heads=1, dropout=0.5, outputs=width)

    @jax.jit
    def run(key):
        variables = model.init(jax.random.key(0), ALONE)
        weights = jax.tree.map(jnp.zeros_like, variables["params"])
        weights["layer_0"]["bias"] += 1
        weights["out"]["kernel"] = jnp.eye(width)
        variables = {"params": weights}
        plain = models.apply(model, variables, ALONE)
        return plain, models.apply_training(model, variables, ALONE, key)[0]

    drawn = np.concatenate([run(jax.random.key(seed))[1] for seed in range(20)])
    np.testing.assert_allclose(run(jax.random.key(0))[0], 1)
    np.testing.assert_allclose(np.unique(drawn), [0, 2])
    assert len(np.unique(drawn, axis=0)) > 10


def test_a_neighbor_at_the_cutoff_is_as_one_beyond():
    model = models.create(
        "gatv2", hidden=8, layers=2, heads=2, edge_features="distance", cutoff=3.0
    )
    batch = structures.awkward(3.0)

    @jax.jit
    def run(batch):
        return models.apply(model, model.init(jax.random.key(0), batch), batch)

    near = run(batch.replace(positions=batch.positions.at[2, 1, 2].set(2.999)))
    at, beyond = run(batch)[2:4]
    np.testing.assert_allclose(at, beyond, rtol=1e-6)
    np.testing.assert_allclose(near[2], beyond, rtol=1e-4)
    assert np.abs(near[2] - beyond).max() > 0
