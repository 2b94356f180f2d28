"""EGNN against its equations, written with loops in float64 NumPy."""

import jax
import numpy as np
import pytest

from qc_jax import models, testing
from qc_jax.models import egnn as architecture
from tests.models.structures import crowd

TURN, _ = np.linalg.qr(np.random.default_rng(4).normal(size=(3, 3)))
TURN *= np.linalg.det(TURN)  # a rotation


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


@pytest.fixture(scope="module")
def layers():
    """Two layers with random weights: a batch in float64 → features and positions after them."""
    with jax.enable_x64(True):
        batch = crowd().replace(positions=crowd().positions.astype(np.float64))
        batch = batch.replace(shifts=batch.shifts.astype(np.float64))
        layer = architecture.Layer(hidden=6, move_atoms=True)
        rng = np.random.default_rng(5)
        table = jax.numpy.asarray(rng.normal(size=(100, 6)))
        shapes = jax.eval_shape(
            layer.init, jax.random.key(0), batch, table[batch.atomic_numbers], batch.positions
        )
        weights = jax.tree.map(lambda leaf: 0.7 * rng.normal(size=leaf.shape), shapes)

        @jax.jit
        def run(batch):
            h, x = table[batch.atomic_numbers], batch.positions
            for _ in range(2):
                h, x = layer.apply(weights, batch, h, x)
            return h, x

        moved = run(batch)[1] - batch.positions
        assert np.abs(moved[batch.atom_mask]).min() > 1e-4  # or nothing below could fail
        yield batch, run


@pytest.mark.parametrize(
    ("turn", "step"),
    [
        (TURN, np.zeros(3)),
        (np.eye(3), np.array([3.0, -1.0, 2.0])),
        (np.diag([1.0, 1.0, -1.0]), np.zeros(3)),
    ],
    ids=["rotation", "translation", "reflection"],
)
def test_moved_atoms_turn_with_the_structure(layers, turn, step):
    batch, run = layers
    with jax.enable_x64(True):
        h, x = run(batch)
        turned = batch.replace(positions=batch.positions @ turn + step, shifts=batch.shifts @ turn)
        h_turned, x_turned = run(turned)
    there = np.asarray(batch.atom_mask)
    np.testing.assert_allclose(x_turned[there], (x @ turn + step)[there], rtol=0, atol=1e-12)
    np.testing.assert_allclose(h_turned[there], h[there], rtol=1e-11, atol=1e-12)


def test_moved_atoms_follow_their_order(layers):
    batch, run = layers
    with jax.enable_x64(True):
        (h, x), (h_reversed, x_reversed) = run(batch), run(testing.reorder(batch))
    there = np.asarray(batch.atom_mask)
    np.testing.assert_allclose(x_reversed[:, ::-1][there], x[there], rtol=0, atol=1e-12)
    np.testing.assert_allclose(h_reversed[:, ::-1][there], h[there], rtol=1e-11, atol=1e-12)


def test_default_size():
    """About the 460 k parameters of the published models."""
    assert models.describe("egnn").parameters == 465_496
