"""Pure steps: one epoch as a function of the state, for one device among those that share it.

Where D devices share a batch, every device sees all rows, works on its share of each batch, and
adds up with the others through the collective axis `AXIS`; sums are weighted so that the result
does not depend on D. What a model computes across the batch it learns from `Batch.row_mask` and
`Batch.axis_name`.
"""

from collections.abc import Callable

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import optax

from qc_jax import models
from qc_jax.data.batch import Batch
from qc_jax.data.dataset import Dataset
from qc_jax.train import optimizer
from qc_jax.train.settings import PRODUCTS, Settings
from qc_jax.train.state import State

AXIS = "devices"

_ERRORS = {"mae": jnp.abs, "mse": jnp.square}


class Replica(flax.struct.PyTreeNode):
    """What one training has to itself, beside its state, among those that run as one program.

    Attributes:
      labels: [N, T] in natural units.
      train_rows: [M] int32, into the N structures.
      validation_rows: [V] int32.
      lr: () the learning rate at the start.
      dropout: () the model's rate where a sweep varies it, else None.
    """

    labels: jax.Array
    train_rows: jax.Array
    validation_rows: jax.Array
    lr: jax.Array
    dropout: jax.Array | None = None


Epoch = Callable[[State, Replica, Batch], tuple[State, dict[str, jax.Array]]]


def make_epoch(model: nn.Module, settings: Settings, devices: int = 1) -> Epoch:
    """One epoch over the training rows, then the validation, schedule and best weights.

    Args:
      model: its outputs are the T targets.
      settings: those that all trainings of a program share.
      devices: how many share each batch; where it is 1, no collective axis is needed.

    Returns:
      (state, replica, structures) → (state, metrics): `losses` [steps], `validation_loss` (),
      `validation_mae` [T] in natural units, `lr` () of this epoch, `best_epoch` ().
    """
    adam = optimizer.adam(settings)
    error_of = _ERRORS[settings.loss]
    axis = AXIS if devices > 1 else None

    def add_up(tree):
        return tree if axis is None else jax.lax.psum(tree, axis)

    def narrow(tree):
        if settings.precision != "bfloat16":
            return tree
        return jax.tree.map(
            lambda leaf: leaf.astype(jnp.bfloat16) if leaf.dtype == jnp.float32 else leaf, tree
        )

    def shares(rows: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Cuts rows [M] into batches and takes this device's share of each.

        Returns:
          Row indices [steps, batch_size / devices]; weights, 0 for what fills the last batch.
        """
        steps = -(-rows.shape[0] // settings.batch_size)
        fill = steps * settings.batch_size - rows.shape[0]
        rows = jnp.pad(rows, (0, fill), mode="edge")
        weights = jnp.arange(steps * settings.batch_size) < steps * settings.batch_size - fill
        shape = (steps, devices, settings.batch_size // devices)
        mine = 0 if axis is None else jax.lax.axis_index(axis)
        return (
            rows.reshape(shape)[:, mine],
            weights.reshape(shape)[:, mine].astype(jnp.float32),
        )

    def errors(predicted, state: State, batch: Dataset, weights):
        """Weighted scaled-error sum, its weight, and natural absolute-error sums [T]."""
        scaled = error_of(predicted - state.scaler.scale(batch.labels)).mean(axis=-1)
        natural = jnp.abs(state.scaler.unscale(predicted) - batch.labels)
        return weights @ scaled, jnp.sum(weights), weights @ natural

    def train_step(
        of: nn.Module, state: State, batch: Dataset, weights, key
    ) -> tuple[State, jax.Array]:
        total = add_up(jnp.sum(weights))
        structures = batch.structures.replace(row_mask=weights > 0, axis_name=axis)

        def loss_share(params):
            # Running averages move by little and would not move at all in bfloat16.
            variables = {"params": narrow(params), **state.statistics}
            predicted, statistics = models.apply_training(of, variables, narrow(structures), key)
            predicted = predicted.astype(jnp.float32)
            error, _, _ = errors(predicted, state, batch, weights)
            return error / total, statistics

        (share, statistics), grads = jax.value_and_grad(loss_share, has_aux=True)(state.params)
        loss, grads = add_up((share, grads))
        updates, opt_state = adam.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        return state.replace(params=params, statistics=statistics, opt_state=opt_state), loss

    def validate(
        state: State, dataset: Dataset, validation_rows: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        def add(sums, share):
            rows, weights = share
            batch = dataset.take(rows)
            predicted = models.apply(model, state.variables, batch.structures)
            new = errors(predicted, state, batch, weights)
            return jax.tree.map(jnp.add, sums, new), None

        zeros = (jnp.float32(0), jnp.float32(0), jnp.zeros(dataset.labels.shape[1]))
        sums, _ = jax.lax.scan(add, zeros, shares(validation_rows))
        error, count, natural = add_up(sums)
        return error / count, natural / count

    def epoch(
        state: State, replica: Replica, structures: Batch
    ) -> tuple[State, dict[str, jax.Array]]:
        dataset = Dataset(structures, replica.labels)
        of = model if replica.dropout is None else model.clone(dropout=replica.dropout)
        order_key, dropout_key = jax.random.split(
            jax.random.fold_in(jax.random.wrap_key_data(state.key), state.epoch)
        )
        order = jax.random.permutation(order_key, replica.train_rows)
        rows, weights = shares(order)
        keys = jax.random.split(dropout_key, rows.shape[0])  # the same on every device

        def step(state, share):
            rows, weights, key = share
            return train_step(of, state, dataset.take(rows), weights, key)

        rate = optimizer.get_lr(state.opt_state)
        state, losses = jax.lax.scan(step, state, (rows, weights, keys))
        validation_loss, validation_mae = validate(state, dataset, replica.validation_rows)

        done = state.epoch + 1
        schedule = optimizer.Schedule(settings, replica.lr)
        next_rate, schedule_state = schedule.update(state.schedule_state, validation_loss, done)
        better = validation_loss < state.best_loss
        best_params, best_statistics = jax.tree.map(
            lambda new, old: jnp.where(better, new, old),
            (state.params, state.statistics),
            (state.best_params, state.best_statistics),
        )
        state = state.replace(
            epoch=done,
            opt_state=optimizer.set_rates(state.opt_state, learning_rate=next_rate),
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

    def precise(*args):
        with jax.default_matmul_precision(PRODUCTS[settings.precision]):
            return epoch(*args)

    return precise


def stacked(epoch: Epoch, size: int) -> Callable[..., tuple[State, dict[str, jax.Array]]]:
    """The epoch of a stack of R trainings, of which some have stopped.

    Args:
      epoch: of one.
      size: R.

    Returns:
      (states, active, replicas, structures) → (states, metrics): everything but `structures` with a
      new first axis R; `active` [R] bool, False for those that stay as they are.
    """

    def one(state: State, active: jax.Array, replica: Replica, structures: Batch):
        new, metrics = epoch(state, replica, structures)
        return jax.tree.map(lambda new, old: jnp.where(active, new, old), new, state), metrics

    if size > 1:
        return jax.vmap(one, in_axes=(0, 0, 0, None))

    def alone(states: State, active: jax.Array, replicas: Replica, structures: Batch):
        """A stack of one is not mapped: it stays bit for bit what it is without a stack."""
        (state, replica) = jax.tree.map(lambda leaf: leaf[0], (states, replicas))
        return jax.tree.map(lambda leaf: leaf[None], epoch(state, replica, structures))

    return alone
