"""Steps on weights that lie in one vector."""

import re

import jax
import numpy as np
import pytest

from qc_jax.train import steps
from qc_jax.train.config import TrainConfig
from qc_jax.train.parallel import shapes_of
from qc_jax.train.stack import Stack, Training
from qc_jax.train.state import select_replica
from tests.train.conftest import Noisy


@pytest.mark.parametrize("precision", ["tf32", "bfloat16"])
def test_validation_is_in_float32(task, precision):
    """Whatever training is in."""
    settings = TrainConfig(batch_size=32, precision=precision)
    stack = Stack([Training(Noisy(), task, settings)])
    made = steps.Steps(stack.model, settings)
    state = shapes_of(stack.state_shapes(), lambda leaf: leaf.shape[1:])
    sums = made.init_validation_sums(select_replica(stack.replicas, 0))
    batch, weights = task.dataset.take(np.arange(32)), np.ones(32, np.float32)
    jaxpr = str(jax.make_jaxpr(made.validate)(sums, state, batch, weights))
    assert "bf16" not in jaxpr
    products = re.findall(r"precision=\((\S+), (\S+)\)", jaxpr)
    assert len(products) == 2 and {*products} == {("Precision.HIGHEST", "Precision.HIGHEST")}


@pytest.mark.parametrize(
    "changed", [{}, {"optimizer": "adamw", "average_decay": 0.9, "grad_clip_norm": 0.1}]
)
def test_weights_in_one_vector_give_the_same(task, changed):
    """What a GPU does, within rounding, all of the state in its place again."""
    settings = TrainConfig(batch_size=32, weight_decay=0.1, lr=0.01, **changed)
    stack = Stack([Training(Noisy(), task, settings)])
    state, replica = select_replica((stack.first_states(), stack.replicas), 0)
    expected, got = (
        jax.jit(steps.Steps(stack.model, settings, flat=flat).epoch)(
            state, replica, stack.structures, stack.batches()
        )
        for flat in (False, True)
    )
    assert jax.tree.structure(got) == jax.tree.structure(expected)
    for one, other in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        assert one.shape == other.shape and one.dtype == other.dtype
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
