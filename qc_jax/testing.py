"""Assertions about models, shared by the tests here and in other projects."""

import contextlib
from collections.abc import Callable, Iterator

import jax
import jax.monitoring
import jax.numpy as jnp
import numpy as np

from qc_jax.data.batch import Batch

Function = Callable[[Batch], jax.Array]  # a batch of B structures → [B, T]


def rotate(batch: Batch, seed: int = 0) -> Batch:
    """The batch turned by a random rotation or reflection, and moved by a few Å."""
    rng = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    dtype = batch.positions.dtype
    turn = jnp.asarray(rotation, dtype)
    shifts = None if batch.shifts is None else batch.shifts @ turn
    moved = batch.positions @ turn + jnp.asarray(rng.normal(size=3), dtype)
    return batch.replace(positions=moved, shifts=shifts)


def reorder(batch: Batch) -> Batch:
    """The batch with the atoms of every structure, and the neighbours of every atom, reversed."""
    atoms = batch.atomic_numbers.shape[1]
    renamed = jnp.where(batch.neighbor_mask, atoms - 1 - batch.neighbors, atoms)
    return batch.replace(
        atomic_numbers=batch.atomic_numbers[:, ::-1],
        positions=batch.positions[:, ::-1],
        neighbors=renamed[:, ::-1, ::-1],
        shifts=None if batch.shifts is None else batch.shifts[:, ::-1, ::-1],
    )


def pad(batch: Batch, atoms: int, neighbors: int) -> Batch:
    """The batch with this many more atoms and neighbour slots, and rubbish in their fields."""
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
    """Fails where arrays differ by more than `rtol` of the largest expected value."""
    scale = rtol * float(jnp.abs(expected).max())
    np.testing.assert_allclose(got, expected, rtol=rtol, atol=scale, err_msg=what)


def assert_invariant(function: Function, batch: Batch, rtol: float = 1e-5) -> None:
    """Fails where rotation, reflection, translation or atom order changes the outputs."""
    expected = function(batch)
    assert_close(function(rotate(batch)), expected, rtol, "under rotation")
    assert_close(function(reorder(batch)), expected, rtol, "under another order of atoms")


@contextlib.contextmanager
def count_compilations() -> Iterator[list[float]]:
    """Collects the seconds of every XLA compilation in the `with` block, one entry each."""
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
