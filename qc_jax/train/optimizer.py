"""Adam and the learning rate, from optax, as the published code sets them in PyTorch."""

import fnmatch
from typing import Any

import jax
import jax.numpy as jnp
import optax

from qc_jax.errors import InputError
from qc_jax.train.config import TrainConfig


def adam(settings: TrainConfig) -> optax.GradientTransformation:
    """Return Adam, or AdamW, whose learning rate and weight decay are part of its state.

    Trainings that run as one program may differ in them; the learning rate is set anew every epoch.
    """

    def build(learning_rate, weight_decay):
        clip = settings.grad_clip_norm
        steps = (
            optax.clip_by_global_norm(clip) if clip else optax.identity(),
            *(
                (optax.adamw(learning_rate, weight_decay=weight_decay),)
                if settings.optimizer == "adamw"
                else (optax.add_decayed_weights(weight_decay), optax.adam(learning_rate))
            ),
        )
        if not settings.layer_lr:
            return optax.chain(*steps)
        # The gradients of frozen layers do not count for the norm either.
        return optax.chain(_by_layer(settings, frozen=True), *steps, _by_layer(settings))

    return optax.inject_hyperparams(build)(
        learning_rate=settings.lr, weight_decay=settings.weight_decay
    )


def _by_layer(settings: TrainConfig, frozen: bool = False) -> optax.GradientTransformation:
    """Multiply what is to be done to each layer by its factor; `frozen`: by 0 or 1 alone."""

    def update(updates, params):
        del params
        factors = layer_factors(settings, updates)
        return jax.tree.map(lambda step, by: step * (by > 0 if frozen else by), updates, factors)

    return optax.stateless(update)


def layer_factors(settings: TrainConfig, params: Any) -> Any:
    """Return the factor of the learning rate of each leaf, by `TrainConfig.layer_lr`.

    Raises:
      InputError: a pattern fits none of them.
    """
    patterns = settings.layer_factors()
    unused = {pattern for pattern, _ in patterns}

    def factor(path: Any, leaf: Any) -> float:
        del leaf
        name, found = jax.tree_util.keystr(path, simple=True, separator="/"), 1.0
        for pattern, by in patterns:
            if fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(name, f"{pattern}/*"):
                unused.discard(pattern)
                found = by
        return found

    factors = jax.tree_util.tree_map_with_path(factor, params)
    if unused:
        layers = ", ".join(sorted(params))
        raise InputError(f"layer_lr: {min(unused)!r} fits no layer; they are {layers}")
    return factors


def get_lr(opt_state: optax.InjectStatefulHyperparamsState) -> jax.Array:
    """Return the learning rate in Adam's state."""
    return opt_state.hyperparams["learning_rate"]


def set_rates(
    opt_state: optax.InjectStatefulHyperparamsState, **rates: jax.Array
) -> optax.InjectStatefulHyperparamsState:
    """Return Adam's state with another `learning_rate` or `weight_decay`."""
    assert rates.keys() <= opt_state.hyperparams.keys()
    return opt_state._replace(hyperparams={**opt_state.hyperparams, **rates})


class Schedule:
    """The learning rate of the next epoch: `init()` → state, `update(…)` → rate, state.

    Args:
      settings: of the schedule.
      lr: the rate at the start, which may be traced.
    """

    def __init__(self, settings: TrainConfig, lr: jax.Array | float):
        self._settings, self._lr = settings, lr
        # PyTorch lowers the rate after more than `patience` bad epochs, optax after `patience`.
        # Both compare with the best value by a relative threshold of 1e-4.
        self._plateau = optax.contrib.reduce_on_plateau(
            factor=settings.plateau_factor,
            patience=settings.plateau_patience + 1,
            rtol=1e-4,
            min_scale=settings.min_lr / lr,
        )

    def init(self) -> optax.OptState:
        """Return the state before the first epoch."""
        return self._plateau.init({})

    def update(
        self, state: optax.OptState, validation_loss: jax.Array, epoch: jax.Array
    ) -> tuple[jax.Array, optax.OptState]:
        """Return the learning rate after `epoch` (from 1) ended with `validation_loss`."""
        if self._settings.schedule == "cosine":
            part = epoch / self._settings.epochs
            return jnp.asarray(self._lr * (1 + jnp.cos(jnp.pi * part)) / 2), state
        _, state = self._plateau.update({}, state, value=validation_loss)
        return jnp.asarray(self._lr * state.scale), state
