"""Assertions about models, shared by the tests here and in other projects."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.monitoring
import jax.numpy as jnp
import numpy as np
import optax

from qc_jax import models
from qc_jax.canvas import FEATURES
from qc_jax.data.batch import Batch
from qc_jax.errors import InputError
from qc_jax.models._base import build

Function = Callable[[Batch], jax.Array]  # a batch of B structures → [B, T]


def rotate(batch: Batch, seed: int = 0) -> Batch:
    """Return the batch turned by a random rotation or reflection, and moved by a few Å."""
    rng = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    dtype = batch.positions.dtype
    turn = jnp.asarray(rotation, dtype)
    shifts = None if batch.shifts is None else batch.shifts @ turn
    moved = batch.positions @ turn + jnp.asarray(rng.normal(size=3), dtype)
    return batch.replace(positions=moved, shifts=shifts)


def reorder(batch: Batch) -> Batch:
    """Return the batch with atoms, and the neighbours of every atom, in reversed order."""
    atoms = batch.atomic_numbers.shape[1]
    renamed = jnp.where(batch.neighbor_mask, atoms - 1 - batch.neighbors, atoms)
    return batch.replace(
        atomic_numbers=batch.atomic_numbers[:, ::-1],
        positions=batch.positions[:, ::-1],
        neighbors=renamed[:, ::-1, ::-1],
        shifts=None if batch.shifts is None else batch.shifts[:, ::-1, ::-1],
    )


def pad(batch: Batch, atoms: int, neighbors: int) -> Batch:
    """Return the batch with so many more atoms and neighbour slots, rubbish in their fields."""
    rng = np.random.default_rng(0)
    b, a, k = batch.neighbors.shape
    dtype = batch.positions.dtype
    index = jnp.where(batch.neighbor_mask, batch.neighbors, a + atoms)
    shifts = batch.shifts
    if shifts is not None:
        wide = jnp.asarray(rng.normal(size=(b, a + atoms, k + neighbors, 3)), dtype)
        shifts = wide.at[:, :a, :k].set(shifts)
    rubbish = jnp.asarray(100 * rng.normal(size=(b, atoms, 3)), dtype)
    return batch.replace(
        atomic_numbers=jnp.pad(batch.atomic_numbers, ((0, 0), (0, atoms))),
        positions=jnp.concatenate([batch.positions, rubbish], axis=1),
        neighbors=jnp.pad(index, ((0, 0), (0, atoms), (0, neighbors)), constant_values=a + atoms),
        shifts=shifts,
    )


def assert_close(got: jax.Array, expected: jax.Array, rtol: float = 1e-5, what: str = "") -> None:
    """Fail where arrays differ by more than `rtol` of the largest expected value."""
    scale = rtol * float(np.abs(np.asarray(expected)).max())
    np.testing.assert_allclose(got, expected, rtol=rtol, atol=scale, err_msg=what)


def assert_invariant(function: Function, batch: Batch, rtol: float = 1e-5) -> None:
    """Fail where rotation, reflection, translation or atom order changes the outputs."""
    expected = function(batch)
    assert_close(function(rotate(batch)), expected, rtol, "under rotation")
    assert_close(function(reorder(batch)), expected, rtol, "under another order of atoms")


@contextlib.contextmanager
def count_compilations() -> Iterator[list[float]]:
    """Collect the seconds of every XLA compilation in the `with` block, one entry each."""
    seconds: list[float] = []
    counting = True

    def listen(event: str, duration_secs: float, **_: str | int) -> None:
        if counting and event == "/jax/core/compile/backend_compile_duration":
            seconds.append(duration_secs)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield seconds
    finally:
        counting = False  # JAX has no public way to take a listener back


def check_architecture(
    architecture: str | type[models.Architecture], ordered: bool = False, **hyper_parameters: Any
) -> None:
    """Fail where a model breaks the contract of `qc_jax.models.Architecture`, on eight pairs.

    Its outputs are [B, outputs] and finite; the same under rotation, reflection, translation and
    another order of atoms, and whatever fills up a batch; gradients are finite; a second call does
    not compile; and eight labels can be learned.

    Args:
      architecture: A name that `qc_jax.create` knows, 'module:Class' or a class.
      ordered: Whether the order of atoms may matter.
      **hyper_parameters: Those that differ from the defaults: small ones make this fast.

    Raises:
      AssertionError: It breaks the contract; the message says where.

    Example:
      >>> import qc_jax
      >>> qc_jax.testing.check_architecture("egnn", hidden=8, layers=1)
    """
    if isinstance(architecture, str):
        model = models.create(architecture, outputs=2, **hyper_parameters)
    else:
        changes = {"outputs": 2, **hyper_parameters}
        model = build(architecture.__name__, architecture, changes)
    batch, labels = _eight_pairs()
    variables = model.init(jax.random.key(0), batch)
    forward = jax.jit(lambda variables, batch: models.apply(model, variables, batch))

    outputs = forward(variables, batch)
    assert outputs.shape == (8, 2), f"expected outputs [8, 2], got {list(outputs.shape)}"
    assert jnp.isfinite(outputs).all(), "outputs are not finite"
    longer = batch.replace(positions=1.01 * batch.positions)
    with count_compilations() as compilations:
        forward(variables, longer)
    assert not compilations, "a second batch of the same shape compiled again"
    assert_close(forward(variables, rotate(batch)), outputs, 1e-4, "under rotation")
    if not ordered:
        assert_close(forward(variables, reorder(batch)), outputs, 1e-4, "under another atom order")
    with contextlib.suppress(InputError):  # of a model of pairs alone, which says so
        assert_close(forward(variables, pad(batch, 1, 2)), outputs, 1e-4, "with padding")
    if model.closed_form:
        return

    def loss(params, positions):
        moved = batch.replace(positions=positions)
        found = models.apply(model, {**variables, "params": params}, moved)
        return jnp.mean((found - labels) ** 2)

    slopes = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))
    start, gradients = slopes(variables["params"], batch.positions)
    finite = jax.tree.map(lambda leaf: bool(jnp.isfinite(leaf).all()), gradients)
    assert all(jax.tree.leaves(finite)), "gradients are not finite"
    optimizer = optax.adam(1e-2)

    @jax.jit
    def train(params):
        def step(carry, _):
            params, state = carry
            value, slope = jax.value_and_grad(loss)(params, batch.positions)
            updates, state = optimizer.update(slope, state)
            return (optax.apply_updates(params, updates), state), value

        return jax.lax.scan(step, (params, optimizer.init(params)), length=300)[1]

    best = float(train(variables["params"]).min())
    assert best < 0.2 * float(start), f"eight labels: the loss fell from {start:.3g} to {best:.3g}"


def _eight_pairs() -> tuple[Batch, jax.Array]:
    """Return different pairs with a canvas each, and labels [8, 2]."""
    rng = np.random.default_rng(0)
    numbers = np.array([[1, 1], [1, 8], [6, 8], [7, 7], [3, 9], [11, 17], [26, 8], [47, 13]])
    bonds = rng.normal(size=(8, 1, 3))
    bonds *= rng.uniform(0.8, 2.5, (8, 1, 1)) / np.linalg.norm(bonds, axis=-1, keepdims=True)
    batch = Batch(
        atomic_numbers=jnp.asarray(numbers, jnp.int32),
        positions=jnp.asarray(np.concatenate([np.zeros((8, 1, 3)), bonds], axis=1), jnp.float32),
        neighbors=jnp.tile(jnp.array([[[1], [0]]], jnp.int32), (8, 1, 1)),
        canvas_features=jnp.asarray(rng.uniform(0, 2, (8, len(FEATURES))), jnp.float32),
    )
    return batch, jnp.asarray(rng.normal(size=(8, 2)), jnp.float32)
