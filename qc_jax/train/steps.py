"""Pure steps: one epoch as a function of the state, for one device among those that share it.

Where D devices share a batch, every device sees all rows, works on its share of each batch, and
adds up with the others through the collective axis `AXIS`; sums are weighted so that the result
does not depend on D. What a model computes across the batch it learns from `Batch.row_mask` and
`Batch.axis_name`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree

from qc_jax import models
from qc_jax.canvas import images
from qc_jax.data.batch import Batch
from qc_jax.data.dataset import Dataset
from qc_jax.train import optimizer
from qc_jax.train.config import PRODUCTS, TrainConfig
from qc_jax.train.forces import Slopes, with_slopes
from qc_jax.train.rows import Batches, Rows, shuffled
from qc_jax.train.state import Params, State, add_replica_axis, select_replica

AXIS = "devices"

_NONE = Slopes(None, None)
_ERRORS = {"mae": jnp.abs, "mse": jnp.square}


class Replica(flax.struct.PyTreeNode):
    """What one training has to itself, beside its state, among those that run as one program.

    Attributes:
      labels: [N, T] in natural units.
      train_rows: of its batches, into the N structures.
      validation_rows: likewise.
      lr: () the learning rate at the start.
      dropout: () the model's rate where a sweep varies it, else None.
    """

    labels: jax.Array
    train_rows: Rows
    validation_rows: Rows
    lr: jax.Array
    dropout: jax.Array | None = None


# Forces are an argument only where they are learned.
Epoch = Callable[..., tuple[State, dict[str, jax.Array]]]


class Shares(NamedTuple):
    """One device's shares of an epoch's batches.

    Attributes:
      rows: [room, batch_size / devices] int32, of as many batches as there may be.
      weights: [room, batch_size / devices], 0 for what fills the last batch, and behind it.
    """

    rows: jax.Array
    weights: jax.Array


class Steps:
    """What an epoch is made of; `epoch` does all of it, for structures that are on the device.

    Args:
      model: its outputs are the T targets.
      settings: those that all trainings of a program share.
      devices: how many share each batch; where it is 1, no collective axis is needed.
      flat: keep the weights of an epoch in one vector, with a third fewer kernels on a GPU; on a
        CPU a step takes a third longer (SchNet, GCN).
      uneven: whether a training may have fewer steps than its epoch runs, and then rests.
    """

    def __init__(
        self,
        model: models.Architecture,
        settings: TrainConfig,
        devices: int = 1,
        flat: bool = False,
        uneven: bool = False,
    ):
        self._flat, self._uneven = flat, uneven
        self._model, self._settings, self._devices = model, settings, devices
        self._adam = optimizer.adam(settings)
        self._axis = AXIS if devices > 1 else None

    def order(self, state: State, replica: Replica) -> tuple[Shares, jax.Array]:
        """Return this epoch's shuffled batches, and the keys [room, ...] of their dropout."""
        key = jax.random.fold_in(jax.random.wrap_key_data(state.key), state.epoch)
        order_key, dropout_key = jax.random.split(key)
        shares = self.shares(shuffled(order_key, replica.train_rows))
        # The same keys on every device.
        return shares, jax.random.split(dropout_key, shares.rows.shape[0])

    def shares(self, rows: Rows) -> Shares:
        """Cut rows into batches and takes this device's share of each."""
        shape = (-1, self._devices, self._settings.batch_size // self._devices)
        weights = jnp.arange(rows.numbers.shape[0]) < rows.count
        mine = 0 if self._axis is None else jax.lax.axis_index(self._axis)
        return Shares(
            rows.numbers.reshape(shape)[:, mine],
            weights.reshape(shape)[:, mine].astype(jnp.float32),
        )

    def train(
        self,
        state: State,
        replica: Replica,
        batch: Dataset,
        weights: jax.Array,
        key: jax.Array,
        unravel: Callable[[Params], Params] = lambda params: params,
    ) -> tuple[State, jax.Array]:
        """Take a step on this device's share of a batch; return the state, and the loss ().

        `unravel` makes the weights that the model takes of those in the state.
        """
        model = self._model
        if replica.dropout is not None:
            model = model.clone(dropout=replica.dropout)
        total = jnp.maximum(self._add_up(jnp.sum(weights)), 1)  # of no rows, in a step of rest
        structures = batch.structures.replace(row_mask=weights > 0, axis_name=self._axis)
        if self._settings.augment:  # dropout has the key itself, noise that of 1
            changed = jax.random.fold_in(key, 2)
            structures = images.augment(structures, changed, self._settings.augment)

        def loss_share(params):
            # Running averages move by little and would not move at all in bfloat16.
            variables = {"params": self._cast_compute_dtype(unravel(params)), **state.statistics}

            def outputs(moved):
                given = self._cast_compute_dtype(moved)
                predicted, statistics = models.apply_training(
                    model, variables, given, key, self._settings.embedding_noise
                )
                return predicted.astype(jnp.float32), statistics

            predicted, statistics, slopes = self._outputs(outputs, structures)
            error, *_ = self._errors(predicted, slopes, state, batch, weights)
            return error / total, statistics

        with self._precision():
            (share, statistics), grads = jax.value_and_grad(loss_share, has_aux=True)(state.params)
        loss, grads = self._add_up((share, grads))
        updates, opt_state = self._adam.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        average = self._average(state.average, params, opt_state.count)
        state = state.replace(params=params, statistics=statistics, average=average)
        return state.replace(opt_state=opt_state), loss

    def _average(self, average, params, step: jax.Array):
        """Return the moving average after `step` steps, of the first ones a shorter one."""
        if average is None:
            return None
        keep = jnp.minimum(self._settings.average_decay, step / (step + 9))
        return jax.tree.map(lambda old, new: keep * old + (1 - keep) * new, average, params)

    def init_validation_sums(self, replica: Replica) -> tuple[jax.Array, ...]:
        """Return what `validate` adds to, before the first batch."""
        settings = self._settings
        natural = replica.labels.shape[1]
        natural += (settings.force_weight > 0) + (settings.virial_weight > 0)
        return (jnp.float32(0), jnp.float32(0), jnp.zeros(natural), jnp.zeros(natural))

    def validate(
        self,
        sums: tuple[jax.Array, ...],
        state: State,
        batch: Dataset,
        weights: jax.Array,
    ) -> tuple[jax.Array, ...]:
        """Add this device's share of a batch to the sums.

        Those are scaled errors, their weight, natural errors [T], and of how many labels these are.

        Where forces are learned those of the forces, eV/Å, are one more, and so of virials, eV.
        """

        def outputs(structures):
            return models.apply(self._model, state.variables, structures), None

        with jax.default_matmul_precision("float32"):
            predicted, _, slopes = self._outputs(outputs, batch.structures)
        new = self._errors(predicted, slopes, state, batch, weights)
        return jax.tree.map(jnp.add, sums, new)

    def end(
        self, state: State, replica: Replica, sums: tuple[jax.Array, ...]
    ) -> tuple[State, dict[str, jax.Array]]:
        """Return state and metrics after the last step: schedule and best weights."""
        error, count, natural, known = self._add_up(sums)
        validation_loss = error / count
        rate = optimizer.get_lr(state.opt_state)
        done = state.epoch + 1
        schedule = optimizer.Schedule(self._settings, replica.lr)
        next_rate, schedule_state = schedule.update(state.schedule_state, validation_loss, done)
        better = validation_loss < state.best_loss
        kept = better if self._settings.keep == "best" else jnp.bool_(True)
        best_params, best_statistics = jax.tree.map(
            lambda new, old: jnp.where(kept, new, old),
            (state.variables["params"], state.statistics),
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
            "validation_loss": validation_loss,
            "validation_mae": natural / known,
            "lr": rate,
            "best_epoch": state.best_epoch,
        }

    def epoch(
        self,
        state: State,
        replica: Replica,
        structures: Batch,
        batches: Batches,
        known: Slopes = _NONE,
    ) -> tuple[State, dict[str, jax.Array]]:
        """Run an epoch over the training rows, then the validation, schedule and best weights.

        Args:
          state: before it.
          replica: of this training.
          structures: N of them.
          batches: that are run.
          known: forces and virials, where they are learned.

        Returns:
          The state, and `losses` [room] of its steps, then zeros, `validation_loss` (),
          `validation_mae` [T] in natural units, and one more of forces and of virials where they
          are learned, `lr` () of this epoch, `best_epoch` ().
        """
        dataset = Dataset(structures, replica.labels, *known)
        (order, keys), (given, unravel) = self.order(state, replica), self._given(state)

        def train(step: jax.Array, made: tuple[State, jax.Array]) -> tuple[State, jax.Array]:
            state, losses = made
            (rows, weights), key = jax.tree.map(lambda leaf: leaf[step], (order, keys))
            new, loss = self.train(state, replica, dataset.take(rows), weights, key, unravel)
            if self._uneven:
                own = step * self._settings.batch_size < replica.train_rows.count
                new, loss = jax.tree.map(
                    lambda new, old: jnp.where(own, new, old), (new, loss), (state, losses[step])
                )
            return new, losses.at[step].set(loss)

        losses = jnp.zeros(keys.shape)
        stepped, losses = jax.lax.fori_loop(0, batches.train, train, (given, losses))
        state = _nested(state, stepped, unravel)
        shares = self.shares(replica.validation_rows)

        def validate(step: jax.Array, sums: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
            rows, weights = jax.tree.map(lambda leaf: leaf[step], shares)
            return self.validate(sums, state, dataset.take(rows), weights)

        sums = jax.lax.fori_loop(
            0, batches.validation, validate, self.init_validation_sums(replica)
        )
        state, metrics = self.end(state, replica, sums)
        return state, {"losses": losses, **metrics}

    def _given(self, state: State) -> tuple[State, Callable[[Params], Params]]:
        """Return the state as steps take it, and what makes the weights of it that a model takes.

        In one vector, weights are added up over devices at once, and Adam is one kernel instead of
        one a weight. What depends on the weights' names cannot be done there.
        """
        if not self._flat or self._settings.layer_lr:
            return state, lambda params: params

        def flat(tree):
            return ravel_pytree(tree)[0] if _alike(tree, state.params) else tree

        raveled = jax.tree.map(flat, state, is_leaf=lambda tree: _alike(tree, state.params))
        kept = state.replace(
            params=raveled.params, opt_state=raveled.opt_state, average=raveled.average
        )
        return kept, ravel_pytree(state.params)[1]

    def _outputs(self, outputs, structures: Batch):
        """Return what `outputs` gives of structures, and its slopes where they are learned."""
        settings = self._settings
        if not (settings.force_weight or settings.virial_weight):
            return *outputs(structures), _NONE
        return with_slopes(outputs, structures, strained=settings.virial_weight > 0)

    def _errors(self, predicted, slopes: Slopes, state: State, batch: Dataset, weights):
        """Return weighted scaled-error sum, its weight, natural error sums [T], their weights.

        A label that is missing, NaN, costs nothing.
        """
        error_of = _ERRORS[self._settings.loss]
        known = ~jnp.isnan(batch.labels)
        labels = jnp.where(known, batch.labels, 1)  # which every scale can hold
        errors = state.scaler.loss(predicted, labels, error_of)
        scaled = jnp.where(known, errors, 0).mean(axis=-1)
        natural = jnp.where(known, jnp.abs(state.scaler.predict(predicted) - labels), 0)
        known = known.astype(weights.dtype)
        scale = (state.scaler.high - state.scaler.low)[0] / 2  # eV of a scaled energy of 1
        if self._settings.force_weight:
            assert batch.forces is not None and slopes.positions is not None, "`learned` has looked"
            wrong = -slopes.positions - batch.forces / scale
            there = batch.structures.atom_mask[..., None]

            def mean(errors):
                """Return [B], over the components of the atoms that are there."""
                total = jnp.sum(jnp.where(there, errors, 0), axis=(1, 2))
                return total / (3 * jnp.sum(there, axis=(1, 2)))

            scaled += self._settings.force_weight * mean(error_of(wrong))
            natural = jnp.column_stack([natural, mean(jnp.abs(wrong)) * scale])
        if self._settings.virial_weight:
            assert batch.virials is not None and slopes.strain is not None, "`learned` has looked"
            atoms = jnp.sum(batch.structures.atom_mask, axis=1)[:, None, None]
            wrong = (slopes.strain - batch.virials / scale) / atoms
            scaled += self._settings.virial_weight * error_of(wrong).mean(axis=(1, 2))
            natural = jnp.column_stack([natural, jnp.abs(wrong).mean(axis=(1, 2)) * scale])
        more = natural.shape[1] - known.shape[1]  # of forces and virials, which all rows have
        known = jnp.pad(known, ((0, 0), (0, more)), constant_values=1)
        return weights @ scaled, jnp.sum(weights), weights @ natural, weights @ known

    def _add_up(self, tree):
        """Return the sum over the devices that share a batch."""
        return tree if self._axis is None else jax.lax.psum(tree, self._axis)

    def _precision(self):
        return jax.default_matmul_precision(PRODUCTS[self._settings.precision])

    def _cast_compute_dtype(self, tree):
        if self._settings.precision != "bfloat16":
            return tree
        return jax.tree.map(
            lambda leaf: leaf.astype(jnp.bfloat16) if leaf.dtype == jnp.float32 else leaf, tree
        )


def _alike(tree: Any, params: Params) -> bool:
    structure: Any = jax.tree.structure(tree)
    return structure == jax.tree.structure(params)


def _nested(before: State, after: State, unravel: Callable[[Params], Params]) -> State:
    """Return the state after steps with its weights, and what Adam has of each, as before them."""

    def nested(like, tree):
        # The best weights have kept their names.
        flat = _alike(like, before.params) and not _alike(tree, before.params)
        return unravel(tree) if flat else tree

    return jax.tree.map(nested, before, after, is_leaf=lambda tree: _alike(tree, before.params))


def stacked(epoch: Epoch, size: int) -> Callable[..., tuple[State, dict[str, jax.Array]]]:
    """Return the epoch of a stack of R trainings, of which some have stopped.

    Args:
      epoch: of one.
      size: R.

    Returns:
      (states, active, replicas, structures, batches, slopes) → (states, metrics): the first three
      and the results with a new first axis R; `active` [R] bool, False for those that stay as they
      are.
    """

    def one(state: State, active: jax.Array, replica: Replica, *shared: Any):
        new, metrics = epoch(state, replica, *shared)
        return jax.tree.map(lambda new, old: jnp.where(active, new, old), new, state), metrics

    if size > 1:
        return jax.vmap(one, in_axes=(0, 0, 0, None, None, None))

    def alone(states: State, active: jax.Array, replicas: Replica, *shared: Any):
        """Run a stack of one without a map: it stays bit for bit what it is without a stack."""
        return add_replica_axis(
            epoch(select_replica(states, 0), select_replica(replicas, 0), *shared)
        )

    return alone
