"""Pure steps: one epoch as a function of the state, for one device among D.

Every device sees all rows, works on its share of each batch, and adds up with the others through
the collective axis `AXIS`; sums are weighted so that the result does not depend on D. What a model
computes across the batch it learns from `Batch.row_mask` and `Batch.axis_name`.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from qc_jax import models
from qc_jax.data.dataset import Dataset
from qc_jax.train import optimizer
from qc_jax.train.settings import Settings
from qc_jax.train.state import State

AXIS = "devices"

_ERRORS = {"mae": jnp.abs, "mse": jnp.square}


def _shares(rows: jax.Array, batch_size: int, devices: int) -> tuple[jax.Array, jax.Array]:
    """Cuts rows [M] into batches and takes this device's share of each.

    Returns:
      Row indices [steps, batch_size / devices] and their weights, 0 for what fills the last batch.
    """
    steps = -(-rows.shape[0] // batch_size)
    fill = steps * batch_size - rows.shape[0]
    rows = jnp.pad(rows, (0, fill), mode="edge")
    weights = jnp.arange(steps * batch_size) < steps * batch_size - fill
    shape = (steps, devices, batch_size // devices)
    mine = jax.lax.axis_index(AXIS)
    return (
        rows.reshape(shape)[:, mine],
        weights.reshape(shape)[:, mine].astype(jnp.float32),
    )


def make_epoch(
    model: nn.Module,
    settings: Settings,
    train_rows: np.ndarray,
    validation_rows: np.ndarray,
    devices: int,
) -> Callable[[State, Dataset], tuple[State, dict[str, jax.Array]]]:
    """One epoch over the training rows, then the validation, schedule and best weights.

    Returns:
      (state, dataset) → (state, metrics): `losses` [steps], `validation_loss` (),
      `validation_mae` [T] in natural units, `lr` () of this epoch, `best_epoch` ().
    """
    adam = optimizer.adam(settings)
    schedule = optimizer.Schedule(settings)
    error_of = _ERRORS[settings.loss]

    def errors(predicted, state: State, batch: Dataset, weights):
        """Weighted scaled-error sum, its weight, and natural absolute-error sums [T]."""
        scaled = error_of(predicted - state.scaler.scale(batch.labels)).mean(axis=-1)
        natural = jnp.abs(state.scaler.unscale(predicted) - batch.labels)
        return weights @ scaled, jnp.sum(weights), weights @ natural

    def train_step(state: State, dataset: Dataset, rows, weights, key) -> tuple[State, jax.Array]:
        total = jax.lax.psum(jnp.sum(weights), AXIS)
        batch = dataset.take(rows)
        structures = batch.structures.replace(row_mask=weights > 0, axis_name=AXIS)

        def loss_share(params):
            variables = {"params": params, **state.statistics}
            predicted, statistics = models.apply_training(model, variables, structures, key)
            error, _, _ = errors(predicted, state, batch, weights)
            return error / total, statistics

        (share, statistics), grads = jax.value_and_grad(loss_share, has_aux=True)(state.params)
        loss, grads = jax.lax.psum((share, grads), AXIS)
        updates, opt_state = adam.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        return state.replace(params=params, statistics=statistics, opt_state=opt_state), loss

    def validate(state: State, dataset: Dataset) -> tuple[jax.Array, jax.Array]:
        def add(sums, share):
            rows, weights = share
            batch = dataset.take(rows)
            predicted = models.apply(model, state.variables, batch.structures)
            new = errors(predicted, state, batch, weights)
            return jax.tree.map(jnp.add, sums, new), None

        zeros = (jnp.float32(0), jnp.float32(0), jnp.zeros(dataset.labels.shape[1]))
        shares = _shares(jnp.asarray(validation_rows), settings.batch_size, devices)
        sums, _ = jax.lax.scan(add, zeros, shares)
        error, count, natural = jax.lax.psum(sums, AXIS)
        return error / count, natural / count

    def epoch(state: State, dataset: Dataset) -> tuple[State, dict[str, jax.Array]]:
        order_key, dropout_key = jax.random.split(
            jax.random.fold_in(jax.random.wrap_key_data(state.key), state.epoch)
        )
        order = jax.random.permutation(order_key, jnp.asarray(train_rows))
        rows, weights = _shares(order, settings.batch_size, devices)
        keys = jax.random.split(dropout_key, rows.shape[0])  # the same on every device

        def step(state, share):
            return train_step(state, dataset, *share)

        rate = optimizer.get_lr(state.opt_state)
        state, losses = jax.lax.scan(step, state, (rows, weights, keys))
        validation_loss, validation_mae = validate(state, dataset)

        done = state.epoch + 1
        next_rate, schedule_state = schedule.update(state.schedule_state, validation_loss, done)
        better = validation_loss < state.best_loss
        best_params, best_statistics = jax.tree.map(
            lambda new, old: jnp.where(better, new, old),
            (state.params, state.statistics),
            (state.best_params, state.best_statistics),
        )
        state = state.replace(
            epoch=done,
            opt_state=optimizer.set_lr(state.opt_state, next_rate),
            schedule_state=schedule_state,
            best_params=best_params,
            best_statistics=best_statistics,
            best_loss=jnp.where(better, validation_loss, state.best_loss),
            best_epoch=jnp.where(better, done, state.best_epoch),
        )
        return state, {
            "losses": losses,
            "validation_loss": validation_loss,
            "validation_mae": validation_mae,
            "lr": rate,
            "best_epoch": state.best_epoch,
        }

    return epoch
