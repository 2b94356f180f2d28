"""A training may start from given variables; the seed gives the others."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qc_jax import models
from qc_jax.errors import InputError
from qc_jax.runs.workdir import Workdir
from qc_jax.train import loop
from qc_jax.train.config import TrainConfig
from qc_jax.train.observers import Callbacks
from qc_jax.train.stack import Stack, Training

PATHS = (("params", "Dense_0", "kernel"), ("batch_stats", "BatchNorm_0", "mean"))
SETTINGS = TrainConfig(epochs=3, batch_size=32, lr=0.05, checkpoint_every=1)


def part(shapes: dict[tuple[str, ...], tuple[int, ...]]) -> dict:
    """Random arrays by path, as nested dicts."""
    rng = np.random.default_rng(5)
    tree: dict = {}
    for path, shape in shapes.items():
        node = tree
        for name in path[:-1]:
            node = node.setdefault(name, {})
        node[path[-1]] = rng.normal(size=shape)
    return tree


@pytest.fixture
def initial() -> dict:
    return part(dict(zip(PATHS, ((7, 8), (8,)), strict=True)))


def leaves(tree) -> dict[tuple[str, ...], np.ndarray]:
    found = jax.tree_util.tree_leaves_with_path(tree)
    return {tuple(key.key for key in path): np.asarray(leaf) for path, leaf in found}


def test_a_part_is_replaced(noisy, task, workdir, initial):
    """In weights, averages and the best of both; nothing else moves, nor does a neighbour."""
    settings = TrainConfig()
    stack = Stack(
        [Training(noisy, task, settings, (workdir,), each) for each in (None, initial, None)]
    )
    plain = Stack([Training(noisy, task, settings, (workdir,))] * 3).first_states()
    states = stack.first_states()
    for name in ("variables", "best_variables"):
        before, after = leaves(getattr(plain, name)), leaves(getattr(states, name))
        for path, leaf in after.items():
            expected = before[path].copy()
            if path in PATHS:
                node = initial
                for key in path:
                    node = node[key]
                assert not np.allclose(expected[1], node)
                expected[1] = node
            np.testing.assert_array_equal(leaf, expected)
    jax.tree.map(np.testing.assert_array_equal, states.opt_state, plain.opt_state)
    np.testing.assert_array_equal(states.key, plain.key)


def test_the_training_starts_there(model, task, workdir):
    """At hardly any learning rate it ends there, too."""
    settings = TrainConfig(epochs=1, batch_size=32, lr=1e-9, min_lr=0)
    initial = part(
        {("params", "Embed_0", "embedding"): (20, 2), ("params", "Dense_0", "bias"): (2,)}
    )
    trained = loop.fit(model, task, settings, [workdir], initial=initial)
    np.testing.assert_allclose(
        trained.state.params["Embed_0"]["embedding"],
        initial["params"]["Embed_0"]["embedding"],
        rtol=1e-5,
    )
    rows = task.dataset.take(task.split.validation)
    outputs = models.apply(model, trained.state.variables, rows.structures)
    loss = jnp.abs(outputs - task.scaler.scale(rows.labels)).mean()
    assert trained.history[0]["validation_loss"] == pytest.approx(float(loss), rel=1e-4)


def test_interrupted_it_goes_on_from_its_checkpoint(noisy, task, workdir, tmp_path, initial):
    whole = loop.fit(noisy, task, SETTINGS, [workdir], initial=initial)
    other = Workdir(tmp_path / "interrupted")
    other.claim({})
    with pytest.raises(loop.Interrupted):
        loop.fit(noisy, task, SETTINGS, [other, Callbacks(stop=lambda: True)], initial=initial)
    resumed = loop.fit(noisy, task, SETTINGS, [other], initial=initial)
    assert len(resumed.history) == 3
    jax.tree.map(np.testing.assert_array_equal, resumed.state, whole.state)


def test_what_does_not_fit_is_listed(noisy, task, workdir, initial):
    initial["params"]["Dense_0"]["kernel"] = np.zeros((3, 8))
    initial["params"]["Dense_7"] = {"kernel": np.zeros(2)}
    initial["batch_stats"]["BatchNorm_0"]["mean"] = np.full(8, np.nan)
    with pytest.raises(InputError) as error:
        loop.fit(noisy, task, SETTINGS, [workdir], initial=initial)
    for words in (
        "these initial weights are not of the model: ",
        "params/Dense_0/kernel has shape (3, 8), expected (7, 8)",
        "batch_stats/BatchNorm_0/mean is not finite",
        "params/Dense_7/kernel is not in it",
    ):
        assert words in str(error.value)


def test_a_model_that_is_solved_has_none(task, workdir):
    model = models.create("pair_mean", outputs=2)
    with pytest.raises(InputError, match="solved at once starts from no weights"):
        loop.fit(model, task, SETTINGS, [workdir], initial={"params": {}})
