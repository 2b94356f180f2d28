"""Adam and the learning rate, from optax, as the published code sets them in PyTorch."""

import jax
import jax.numpy as jnp
import optax

from qc_jax.train.settings import Settings


def adam(settings: Settings) -> optax.GradientTransformation:
    """Adam whose learning rate and weight decay are part of its state.

    Trainings that run as one program may differ in them; the learning rate is set anew every epoch.
    """

    def build(learning_rate, weight_decay):
        return optax.chain(
            optax.clip_by_global_norm(settings.grad_clip_norm)
            if settings.grad_clip_norm
            else optax.identity(),
            optax.add_decayed_weights(weight_decay),
            optax.adam(learning_rate),
        )

    return optax.inject_hyperparams(build)(
        learning_rate=settings.lr, weight_decay=settings.weight_decay
    )


def get_lr(opt_state: optax.InjectStatefulHyperparamsState) -> jax.Array:
    """The learning rate in Adam's state."""
    return opt_state.hyperparams["learning_rate"]


def set_rates(
    opt_state: optax.InjectStatefulHyperparamsState, **rates: jax.Array
) -> optax.InjectStatefulHyperparamsState:
    """Adam's state with another `learning_rate` or `weight_decay`."""
    assert rates.keys() <= opt_state.hyperparams.keys()
    return opt_state._replace(hyperparams={**opt_state.hyperparams, **rates})


class Schedule:
    """The learning rate of the next epoch: `init()` → state, `update(…)` → rate, state.

    Args:
      settings: of the schedule.
      lr: the rate at the start, which may be traced.
    """

    def __init__(self, settings: Settings, lr: jax.Array | float):
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
        """The state before the first epoch."""
        return self._plateau.init({})

    def update(
        self, state: optax.OptState, validation_loss: jax.Array, epoch: jax.Array
    ) -> tuple[jax.Array, optax.OptState]:
        """The learning rate after `epoch` (from 1) ended with `validation_loss`."""
        if self._settings.schedule == "cosine":
            part = epoch / self._settings.epochs
            return jnp.asarray(self._lr * (1 + jnp.cos(jnp.pi * part)) / 2), state
        _, state = self._plateau.update({}, state, value=validation_loss)
        return jnp.asarray(self._lr * state.scale), state
