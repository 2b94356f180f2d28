"""The planted channel is the important one; what no channel tells has no important one."""

import functools

import jax.numpy as jnp
import numpy as np
import pytest

from qc_jax import canvas, models
from qc_jax.canvas import CHANNELS
from qc_jax.data import dataset
from qc_jax.data.table import open_table
from qc_jax.errors import InputError
from qc_jax.evaluate import ablation, importance
from qc_jax.evaluate.predict import predict
from qc_jax.runs.workdir import Workdir
from qc_jax.train import loop
from qc_jax.train.config import TrainConfig
from tests import planted


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """MAEs [R, 2] by channel, of a network that learned a channel's number and noise."""
    table = planted.plant(open_table("gfn2_xtb").take(np.arange(0, 2671, 2)))
    task = dataset.prepare(table, (planted.CHANNEL, planted.NOISE), 42, canvas.features(table))
    model = models.create("tabular_mlp", outputs=2, hidden=(64,), element_embedding=1, dropout=0.0)
    workdir = Workdir(tmp_path_factory.mktemp("importance"))
    trained = loop.fit(model, task, TrainConfig(epochs=30, lr=3e-3), [workdir])
    test = task.dataset.take(task.split.test)
    return ablation.errors(
        functools.partial(predict, model, trained.state.best_variables, task.scaler),
        test.structures,
        np.asarray(test.labels),
        importance.of_channels(model),
        repeats=5,
    ), np.asarray(test.labels)


def test_the_planted_channel_is_the_important_one(asked):
    errors, _ = asked
    grown = {name: (e.mae - errors["nothing"].mae).mean(axis=0)[0] for name, e in errors.items()}
    single = {name: grown[name] for name in CHANNELS}
    assert max(single, key=single.get) == CHANNELS[3]
    others = [value for name, value in single.items() if name != CHANNELS[3]]
    assert single[CHANNELS[3]] > 5 * max(others)
    groups = {name: grown[name] for name in importance.GROUPS if name != "all channels"}
    assert max(groups, key=groups.get) == "GAF"
    assert grown["nothing"] == 0


def test_noise_has_no_important_channel_and_no_skill(asked):
    errors, labels = asked
    plain = errors["nothing"].mae[0, 1]
    assert plain > 0.95 * np.abs(labels[:, 1] - np.median(labels[:, 1])).mean()
    for name, each in errors.items():
        assert abs(each.mae[:, 1].mean() - plain) < 0.15 * plain, name


def test_groups_hold_every_channel_once():
    groups = [channels for name, channels in importance.GROUPS.items() if name != "all channels"]
    assert sorted(channel for group in groups for channel in group) == list(range(10))


@pytest.mark.parametrize("name", [CHANNELS[3], "COM charge", "Q+", "charge"])
def test_only_what_is_exchanged_changes(small_table, name):
    features = jnp.asarray(canvas.features(small_table))
    model = models.create("vision_only")
    numbers = jnp.asarray(small_table.atomic_numbers)
    batch = models.sample().replace(atomic_numbers=numbers, canvas_features=features)
    made = importance.of_channels(model)[name].apply(batch, np.random.default_rng(3))
    before, after = canvas.render(features), canvas.render(made.canvas_features)
    channels = importance.GROUPS.get(name) or (CHANNELS.index(name),)
    others = [channel for channel in range(10) if channel not in channels]
    np.testing.assert_allclose(after[..., others], before[..., others], rtol=1e-6, atol=1e-7)
    other = np.random.default_rng(3).permutation(len(features))
    chosen = np.array(channels)
    np.testing.assert_allclose(after[..., chosen], before[other][..., chosen], rtol=1e-6, atol=1e-7)


def test_a_model_without_canvas():
    with pytest.raises(InputError, match="reads no canvas"):
        importance.of_channels(models.create("schnet"))
