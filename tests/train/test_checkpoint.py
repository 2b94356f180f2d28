"""Checkpoints come back as they were, or say why not."""

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qc_jax.errors import InputError
from qc_jax.train.checkpoint import Checkpoints


class Small(flax.struct.PyTreeNode):
    """Has what the loop's state has of shapes and types."""

    epoch: jax.Array
    params: dict
    key: jax.Array


def state(epoch: int) -> Small:
    values = np.random.default_rng(epoch).normal(size=(3, 4)).astype(np.float32)
    return Small(jnp.int32(epoch), {"w": jnp.asarray(values)}, jnp.arange(2, dtype=jnp.uint32))


def test_the_newest_of_two_comes_back(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.latest(state(0)) is None
        for epoch in (1, 2, 3):
            checkpoints.save(state(epoch))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2", "3"]
    with Checkpoints(tmp_path) as checkpoints:
        got = checkpoints.latest(jax.eval_shape(lambda: state(0)))
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(state(3)), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def test_another_model_is_named(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(state(1))
    other = state(1).replace(params={"w": jnp.zeros((3, 5))})
    with (
        Checkpoints(tmp_path) as checkpoints,
        pytest.raises(InputError, match=r"params\.w has shape \(3, 4\) there, expected \(3, 5\)"),
    ):
        checkpoints.latest(other)


def test_a_damaged_checkpoint_is_named(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(state(1))
    for path in tmp_path.rglob("*"):
        if path.is_file() and "metadata" not in path.name.lower():
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with (
        Checkpoints(tmp_path) as checkpoints,
        pytest.raises(InputError, match=f"{tmp_path}/1: damaged"),
    ):
        checkpoints.latest(state(1))
