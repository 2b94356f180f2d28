"""State: all that a training remembers, one pytree, what a checkpoint holds."""

import contextlib
import hashlib
from collections.abc import Mapping
from typing import Any, TypeVar

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.traverse_util import flatten_dict

from qc_jax.data.batch import Batch
from qc_jax.data.scaling import Scaler
from qc_jax.errors import InputError
from qc_jax.models import Architecture, as_torch
from qc_jax.ops import on_host
from qc_jax.train import optimizer
from qc_jax.train.config import TrainConfig

Params = Any  # a nested dict of arrays
T = TypeVar("T")


class State(flax.struct.PyTreeNode):
    """A training between two epochs.

    Attributes:
      epoch: () int32, epochs done.
      params: of the model, now.
      statistics: the model's other collections, now: running averages of batch norm; {} where it
        has none.
      opt_state: Adam's moments and learning rate.
      schedule_state: of the learning-rate schedule.
      best_params: at the best epoch, or the last one where `TrainConfig.keep` says so; a copy,
        not a view of `params`.
      best_statistics: likewise.
      best_loss: () validation loss there, scaled.
      best_epoch: () int32, from 1; 0 before the first.
      key: of dropout and batch order, folded with the epoch.
      scaler: of the labels, kept so that a checkpoint alone can predict.
      average: of `params` over the steps, where `TrainConfig.average_decay` asks for it; else None.
    """

    epoch: jax.Array
    params: Params
    statistics: Params
    opt_state: optax.OptState
    schedule_state: optax.OptState
    best_params: Params
    best_statistics: Params
    best_loss: jax.Array
    best_epoch: jax.Array
    key: jax.Array
    scaler: Scaler
    average: Params = None

    @property
    def variables(self) -> Params:
        """Return what `qc_jax.models.apply` takes, now: averaged weights, where there are some."""
        params = self.params if self.average is None else self.average
        return {"params": params, **self.statistics}

    @property
    def best_variables(self) -> Params:
        """Return what `qc_jax.models.apply` takes, of the epoch that is kept: the result."""
        return {"params": self.best_params, **self.best_statistics}


def init(
    model: Architecture,
    sample: Batch,
    scaler: Scaler,
    settings: TrainConfig,
    seed: jax.Array | None = None,
) -> State:
    """Return the state before the first epoch; weights follow from the seed.

    Args:
      model: of this architecture.
      sample: a structure with all that the model reads.
      scaler: of the labels.
      settings: of the training.
      seed: () instead of `settings.seed`; may be traced.
    """
    weights_key, key = jax.random.split(jax.random.key(settings.seed if seed is None else seed))
    as_asked = as_torch(model) if settings.init == "torch" else contextlib.nullcontext()
    with as_asked:
        statistics = dict(model.init(weights_key, sample))
    params = statistics.pop("params")
    return State(
        epoch=jnp.int32(0),
        params=params,
        statistics=statistics,
        opt_state=optimizer.adam(settings).init(params),
        schedule_state=optimizer.Schedule(settings, settings.lr).init(),
        best_params=jax.tree.map(jnp.copy, params),
        best_statistics=jax.tree.map(jnp.copy, statistics),
        best_loss=jnp.float32(jnp.inf),
        best_epoch=jnp.int32(0),
        # Raw bits: what a checkpoint can hold.
        key=jax.random.key_data(key),
        scaler=scaler,
        average=jax.tree.map(jnp.copy, params) if settings.average_decay else None,
    )


def start_from(state: State, initial: Mapping[str, Any]) -> State:
    """Return the state with those of its variables replaced that `initial` holds at the same path.

    Args:
      state: before the first epoch.
      initial: a part of `state.variables`: nested dicts of arrays, those of 'params' and of the
        other collections.

    Raises:
      InputError: what it holds is not in the model, of another shape or not finite; the message
        lists it all.
    """
    given = flatten_dict(initial, sep="/")
    wrong = []

    def replaced(path: Any, leaf: jax.Array) -> jax.Array:
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        if name not in given:
            return leaf
        value = np.asarray(given.pop(name))
        if value.shape != leaf.shape:
            wrong.append(f"{name} has shape {value.shape}, expected {leaf.shape}")
            return leaf
        if not np.isfinite(value).all():
            wrong.append(f"{name} is not finite")
        return jnp.asarray(value, leaf.dtype)

    statistics = dict(jax.tree_util.tree_map_with_path(replaced, state.variables))
    wrong += [f"{name} is not in it" for name in given]
    if wrong:
        raise InputError(f"these initial weights are not of the model: {'; '.join(wrong)}")
    params = statistics.pop("params")
    return state.replace(
        params=params,
        best_params=params,
        average=None if state.average is None else params,
        statistics=statistics,
        best_statistics=statistics,
    )


def select_replica(stack: T, index: int) -> T:
    """Return one training's part of what a stack of them has, [R, ...], such as their states.

    It is in host memory, or traced.
    """
    return jax.tree.map(lambda leaf: on_host(leaf)[index], stack)


def add_replica_axis(tree: T) -> T:
    """Return what a stack of one training has, [1, ...]."""
    return jax.tree.map(lambda leaf: on_host(leaf)[None], tree)


def sha256_of(variables: Params) -> str:
    """Return the SHA-256 of the numbers of variables, or of a part of them."""
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(variables):
        digest.update(np.ascontiguousarray(leaf).tobytes())
    return digest.hexdigest()


def count_parameters(params: Params) -> int:
    """Return how many numbers the weights are."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))
