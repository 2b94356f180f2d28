"""Steps on weights that lie in one vector."""

import jax
import numpy as np
import pytest

from qc_jax.train import steps
from qc_jax.train.config import TrainConfig
from qc_jax.train.stack import Stack, Training
from qc_jax.train.state import select_replica
from tests.train.conftest import Noisy


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
