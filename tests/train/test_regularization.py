"""Averaged weights, noisy embeddings, decoupled decay, labels that are missing."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from qc_jax import models
from qc_jax.errors import InputError
from qc_jax.models import Architecture
from qc_jax.train import loop, optimizer
from qc_jax.train.config import TrainConfig

# One step an epoch, so that the weights after every step can be asked for.
WHOLE = TrainConfig(batch_size=256, epochs=3, lr=1e-2, keep="last")


def test_average_is_that_of_the_weights_after_each_step(model, task):
    after = [
        loop.fit(model, task, dataclasses.replace(WHOLE, epochs=epochs)).state.params
        for epochs in (1, 2, 3)
    ]
    got = loop.fit(model, task, dataclasses.replace(WHOLE, average_decay=0.15)).state
    start = loop.fit(model, task, dataclasses.replace(WHOLE, epochs=1, lr=1e-30, min_lr=0)).state
    # The first step's decay is 1/10, that of later ones no more than what was asked for.
    expected = start.params
    for params, keep in zip(after, (1 / 10, 0.15, 0.15), strict=True):
        expected = jax.tree.map(lambda a, b, k=keep: k * a + (1 - k) * b, expected, params)
    for found in (got.average, got.best_params):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), found, expected)
    jax.tree.map(np.testing.assert_array_equal, got.params, after[-1])


def test_averaged_training_goes_on_after_an_interruption(model, task, workdir):
    config = TrainConfig(epochs=4, average_decay=0.9, checkpoint_every=2)
    whole = loop.fit(model, task, config)
    loop.fit(model, task, dataclasses.replace(config, epochs=2), [workdir])
    again = loop.fit(model, task, config, [workdir])
    jax.tree.map(np.testing.assert_array_equal, whole.state, again.state)


def test_decoupled_decay_is_that_of_adamw():
    made = optimizer.adam(TrainConfig(optimizer="adamw", weight_decay=0.3, lr=0.1))
    params = {"w": jnp.array([2.0, -3.0])}
    updates, _ = made.update({"w": jnp.array([1.0, 0.0])}, made.init(params), params)
    expected = optax.adamw(0.1, weight_decay=0.3)
    wanted, _ = expected.update({"w": jnp.array([1.0, 0.0])}, expected.init(params), params)
    np.testing.assert_allclose(updates["w"], wanted["w"])
    np.testing.assert_allclose(updates["w"][1], 0.1 * 0.3 * 3, rtol=1e-6)


class Embedded(Architecture):
    """The embeddings themselves, of one atom."""

    outputs: int = 2

    @nn.compact
    def __call__(self, batch, train=False):
        return nn.Embed(20, self.outputs, name="elements")(batch.atomic_numbers[:, 0])


class Compared(Embedded):
    """Elements as they differ from carbon."""

    @nn.compact
    def __call__(self, batch, train=False):
        elements = nn.Embed(20, self.outputs, name="elements")
        return elements(batch.atomic_numbers[:, 0]) - elements(jnp.array([6]))


def test_noise_is_normal_and_follows_from_the_place_in_the_batch(task):
    model, structures = Embedded(), task.dataset.structures
    variables = model.init(jax.random.key(0), structures)
    clean = models.apply(model, variables, structures)

    def noise(batch, key=1):
        noisy, _ = models.apply_training(model, variables, batch, jax.random.key(key), 0.5)
        return noisy - models.apply(model, variables, batch)

    whole = noise(structures)
    assert abs(float(whole.mean())) < 0.1 and abs(float(whole.std()) - 0.5) < 0.05
    assert abs(float((whole**4).mean()) - 3 * 0.5**4) < 0.08  # of a normal distribution
    assert not np.allclose(whole, noise(structures, key=2))
    off, _ = models.apply_training(model, variables, structures, jax.random.key(1))
    np.testing.assert_array_equal(off, clean)

    half = jax.tree.map(lambda leaf: leaf[:200].reshape(2, 100, *leaf.shape[1:]), structures)
    shared = jax.vmap(lambda part: noise(part.replace(axis_name="devices")), axis_name="devices")(
        half
    )
    np.testing.assert_allclose(shared.reshape(200, 2), noise(structures)[:200], atol=1e-6)


def test_what_is_no_part_of_the_batch_has_no_noise(task):
    structures = task.dataset.structures
    variables = Embedded().init(jax.random.key(0), structures)
    plain, compared = (
        models.apply_training(model, variables, structures, jax.random.key(1), 0.5)[0]
        for model in (Embedded(), Compared())
    )
    carbon = variables["params"]["elements"]["embedding"][6]
    np.testing.assert_allclose(compared, plain - carbon, atol=1e-6)


def test_a_model_without_elements_takes_no_noise(model, task):
    with pytest.raises(
        InputError, match="expected a model whose layer 'elements' embeds the atoms"
    ):
        loop.fit(model, task, dataclasses.replace(WHOLE, embedding_noise=0.1))


@pytest.fixture
def nans_are_labels():
    """Let arrays hold NaN, which every test else takes for a mistake."""
    with jax.debug_nans(False):
        yield


def test_a_missing_label_costs_its_own_term_only(model, task, nans_are_labels):
    labels = np.array(task.dataset.labels)
    rows = np.concatenate([task.split.train[::2], task.split.validation[::2]])
    labels[rows, 1] = np.nan
    masked = task._replace(dataset=task.dataset.replace(labels=jnp.asarray(labels)))
    got = loop.fit(model, masked, dataclasses.replace(WHOLE, epochs=1))
    start = loop.fit(model, task, dataclasses.replace(WHOLE, epochs=1, lr=1e-30, min_lr=0)).state

    def mean(params, rows):
        outputs = models.apply(model, {"params": params}, task.dataset.take(rows).structures)
        scaled = np.asarray(task.scaler.scale(task.dataset.labels[rows]))
        wrong = np.abs(np.asarray(outputs) - scaled)
        return np.where(np.isfinite(labels[rows]), wrong, 0).mean()

    line = got.history[0]
    assert line["loss"] == pytest.approx(mean(start.params, task.split.train), rel=1e-5)
    validation = task.split.validation
    assert line["validation_loss"] == pytest.approx(mean(got.state.params, validation), rel=1e-5)
    predicted = task.scaler.unscale(
        models.apply(model, got.state.variables, task.dataset.take(validation).structures)
    )
    expected = np.nanmean(np.abs(np.asarray(predicted) - labels[validation]), axis=0)
    np.testing.assert_allclose(list(line["validation_mae"].values()), expected, rtol=1e-5)
