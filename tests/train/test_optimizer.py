"""Adam and the schedules against PyTorch's and against their formulas."""

import json
import pathlib

import jax
import numpy as np
import optax
import pytest

from qc_jax.errors import InputError
from qc_jax.train import optimizer
from qc_jax.train.config import TrainConfig

PLATEAU = pathlib.Path(__file__).parents[1] / "fixtures" / "plateau.json"


def test_plateau_is_that_of_pytorch():
    recorded = json.loads(PLATEAU.read_text())
    schedule = optimizer.Schedule(TrainConfig(plateau_patience=3, min_lr=3e-4), 1e-3)
    state = schedule.init()
    rates = []
    update = jax.jit(schedule.update)
    for epoch, loss in enumerate(recorded["losses"], start=1):
        rate, state = update(state, loss, epoch)
        rates.append(float(rate))
    assert len(set(recorded["lr"])) > 4
    np.testing.assert_allclose(rates, recorded["lr"], rtol=1e-6)


def test_cosine_ends_at_zero():
    schedule = optimizer.Schedule(TrainConfig(schedule="cosine", epochs=10), 0.1)
    rates = [float(schedule.update(schedule.init(), 1.0, epoch)[0]) for epoch in (0, 5, 10)]
    np.testing.assert_allclose(rates, [0.1, 0.05, 0], atol=1e-8)


def test_weight_decay_is_added_to_the_gradient():
    """As torch.optim.Adam does: with no gradient, the first step is lr · sign(weight)."""
    adam = optimizer.adam(TrainConfig(weight_decay=0.1))
    params = {"w": np.array([2.0, -3.0], np.float32)}
    updates, _ = adam.update({"w": np.zeros(2, np.float32)}, adam.init(params), params)
    np.testing.assert_allclose(updates["w"], [-1e-3, 1e-3], rtol=1e-4)


def test_gradients_are_clipped():
    # Clipped to norm 1, the second step sees equal gradients; unclipped, the first is remembered.
    params = {"w": np.array([0.0], np.float32)}
    steps = {}
    for norm in (0.0, 1.0):
        adam = optimizer.adam(TrainConfig(grad_clip_norm=norm))
        state = adam.init(params)
        for gradient in (1000.0, 1.0):
            updates, state = adam.update({"w": np.array([gradient], np.float32)}, state, params)
        steps[norm] = float(updates["w"][0])
    expected = optax.adam(1e-3)
    state = expected.init(params)
    for _ in range(2):
        updates, state = expected.update({"w": np.array([1.0], np.float32)}, state, params)
    np.testing.assert_allclose(steps[1.0], updates["w"][0], rtol=1e-5)
    assert abs(steps[0.0] / steps[1.0] - 1) > 0.1


def test_learning_rate_can_be_set():
    adam = optimizer.adam(TrainConfig(lr=0.1))
    params = {"w": np.array([1.0], np.float32)}
    state = optimizer.set_rates(adam.init(params), learning_rate=np.float32(0.02))
    assert float(optimizer.get_lr(state)) == np.float32(0.02)
    updates, _ = adam.update({"w": np.array([5.0], np.float32)}, state, params)
    np.testing.assert_allclose(updates["w"], -0.02, rtol=1e-4)


def test_layers_have_learning_rates_of_their_own():
    """Of several patterns that fit the last counts; frozen layers count for no norm either."""
    some = np.ones(3, np.float32)
    params = {"layer_0": {"kernel": some}, "layer_1": {"kernel": some}, "out": {"bias": some}}
    gradients = {**params, "layer_0": {"kernel": 1e6 * some}}
    adam = optimizer.adam(TrainConfig(lr=0.1, layer_lr="layer_*=0.5,layer_0=0", grad_clip_norm=1.0))
    steps, state = adam.update(gradients, adam.init(params), params)
    np.testing.assert_array_equal(steps["layer_0"]["kernel"], 0)
    np.testing.assert_allclose(steps["layer_1"]["kernel"], -0.05, rtol=1e-3)  # Adam's first step
    np.testing.assert_allclose(steps["out"]["bias"], -0.1, rtol=1e-3)
    mean = optax.tree_utils.tree_get(state, "mu")
    np.testing.assert_allclose(mean["out"]["bias"], 0.1 / np.sqrt(6), rtol=1e-5)
    with pytest.raises(InputError, match="'layer_2' fits no layer; they are layer_0, layer_1, out"):
        optimizer.layer_factors(TrainConfig(layer_lr="out=1,layer_2=0"), params)
