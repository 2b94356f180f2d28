"""Adam and the learning rate, from optax, as the published code sets them in PyTorch."""

import jax
import jax.numpy as jnp
import optax

from qc_jax.train.settings import Settings


def adam(settings: Settings) -> optax.GradientTransformation:
    """Adam with a learning rate that is part of its state, set anew every epoch."""

    def build(learning_rate):
        return optax.chain(
            optax.clip_by_global_norm(settings.grad_clip_norm)
            if settings.grad_clip_norm
            else optax.identity(),
            optax.add_decayed_weights(settings.weight_decay)
            if settings.weight_decay
            else optax.identity(),
            optax.adam(learning_rate),
        )

    return optax.inject_hyperparams(build)(learning_rate=settings.lr)


def get_lr(opt_state: optax.InjectStatefulHyperparamsState) -> jax.Array:
    """The learning rate in Adam's state."""
    return opt_state.hyperparams["learning_rate"]


def set_lr(
    opt_state: optax.InjectStatefulHyperparamsState, lr: jax.Array
) -> optax.InjectStatefulHyperparamsState:
    """Adam's state with another learning rate."""
    return opt_state._replace(hyperparams={**opt_state.hyperparams, "learning_rate": lr})


class Schedule:
    """The learning rate of the next epoch: `init()` → state, `update(…)` → rate, state."""

    def __init__(self, settings: Settings):
        self._settings = settings
        # PyTorch lowers the rate after more than `patience` bad epochs, optax after `patience`.
        # Both compare with the best value by a relative threshold of 1e-4.
        self._plateau = optax.contrib.reduce_on_plateau(
            factor=settings.plateau_factor,
            patience=settings.plateau_patience + 1,
            rtol=1e-4,
            min_scale=settings.min_lr / settings.lr,
        )

    def init(self) -> optax.OptState:
        """The state before the first epoch."""
        return self._plateau.init({})

    def update(
        self, state: optax.OptState, validation_loss: jax.Array, epoch: jax.Array
    ) -> tuple[jax.Array, optax.OptState]:
        """The learning rate after `epoch` (from 1) ended with `validation_loss`."""
        if self._settings.schedule == "cosine":
            part = epoch / self._settings.epochs
            return self._settings.lr * (1 + jnp.cos(jnp.pi * part)) / 2, state
        _, state = self._plateau.update({}, state, value=validation_loss)
        return self._settings.lr * state.scale, state
