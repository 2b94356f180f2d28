"""EGNN against its equations, written with loops in float64 NumPy."""

import jax
import numpy as np

from qc_jax import models
from tests.models.structures import crowd


def silu(x):
    return x / (1 + np.exp(-x))


def dense(weights, name, x):
    layer = weights[name]
    return x @ layer["kernel"] + layer.get("bias", 0)


def egnn(weights, numbers, positions, layers):
    """Equations 3 to 6 and 8 of Satorras et al. for one molecule without padding."""
    h, x = weights["elements"]["embedding"][numbers], positions
    atoms = range(len(numbers))
    for layer in range(layers):
        w = weights[f"layer_{layer}"]
        new_h, new_x = h.copy(), x.copy()
        for i in atoms:
            total, shift = 0.0, np.zeros(3)
            for j in atoms:
                if i == j:
                    continue
                d2 = np.sum((x[i] - x[j]) ** 2)
                m = silu(dense(w, "edge_0", np.concatenate([h[i], h[j], [d2]])))
                m = silu(dense(w, "edge_1", m))
                total = total + m / (1 + np.exp(-dense(w, "gate", m)))
                if layer < layers - 1:
                    phi = dense(w, "move_1", silu(dense(w, "move_0", m)))
                    shift = shift + (x[i] - x[j]) / (np.sqrt(d2) + 1) * phi
            new_h[i] = h[i] + dense(
                w, "node_1", silu(dense(w, "node_0", np.concatenate([h[i], total])))
            )
            new_x[i] = x[i] + shift / (len(numbers) - 1)
        h, x = new_h, new_x
    pooled = sum(dense(weights, "atom_1", silu(dense(weights, "atom_0", h[i]))) for i in atoms)
    return dense(weights, "out_1", silu(dense(weights, "out_0", pooled)))


def test_equals_the_equations():
    with jax.enable_x64(True):
        batch = jax.tree.map(lambda leaf: leaf[:6], crowd())  # those that are not periodic
        batch = batch.replace(positions=batch.positions.astype(np.float64))
        model = models.create("egnn", hidden=8, layers=3, outputs=2)
        params = jax.jit(lambda: model.init(jax.random.key(0), batch)["params"])()
        rng = np.random.default_rng(3)
        params = jax.tree.map(
            lambda leaf: np.asarray(leaf, np.float64) + 0.2 * rng.normal(size=leaf.shape), params
        )
        got = np.asarray(jax.jit(lambda p: models.apply(model, {"params": p}, batch))(params))
    for row in range(len(got)):
        there = np.asarray(batch.atom_mask[row])
        expected = egnn(
            params,
            np.asarray(batch.atomic_numbers[row])[there],
            np.asarray(batch.positions[row])[there],
            layers=3,
        )
        np.testing.assert_allclose(got[row], expected, rtol=1e-10)


def test_default_size():
    """About the 460 k parameters of the published models."""
    assert models.describe("egnn").parameters == 465_496
