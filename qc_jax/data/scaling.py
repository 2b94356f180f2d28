"""Labels on the scale that a model is trained on: [−1, 1] over the training rows."""

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from qc_jax.data.targets import target
from qc_jax.errors import InputError


class Scaler(flax.struct.PyTreeNode):
    """Maps each target to [−1, 1] between its smallest and largest training label, and back.

    Targets that explode near a zero gap (`Target.log_scale`) are scaled by their logarithm.

    Attributes:
      low: [T] smallest training label, after the logarithm where there is one.
      high: [T] largest.
      log: [T] bool.
    """

    low: jax.Array
    high: jax.Array
    log: jax.Array

    def scale(self, labels: jax.Array) -> jax.Array:
        """Return labels [..., T] in natural units → scaled."""
        # The inner `where` keeps the logarithm of an untransformed label out of the gradient.
        logs = jnp.log(jnp.where(self.log, labels, 1.0))
        labels = jnp.where(self.log, logs, labels)
        return 2 * (labels - self.low) / (self.high - self.low) - 1

    def unscale(self, scaled: jax.Array) -> jax.Array:
        """Return scaled [..., T] → natural units."""
        labels = self.low + (scaled + 1) / 2 * (self.high - self.low)
        return jnp.where(self.log, jnp.exp(jnp.where(self.log, labels, 0.0)), labels)


def fit(labels: np.ndarray, names: tuple[str, ...]) -> Scaler:
    """Return the scaler of the training rows' labels.

    Args:
      labels: [N, T] of training rows only, finite, in natural units.
      names: the T targets.

    Raises:
      InputError: a target is constant, or has a label that its scale can't hold.
    """
    labels = np.asarray(labels, dtype=np.float32)
    log = np.array([target(name).log_scale for name in names])
    for column, name in enumerate(names):
        values = labels[:, column]
        if log[column] and values.min() <= 0:
            raise InputError(
                f"target {name}: expected positive labels (it is trained on a logarithmic scale), "
                f"got {values.min()}"
            )
        if values.min() == values.max():
            raise InputError(
                f"target {name}: all {len(values)} training labels are {values.min()}; "
                "there is nothing to learn"
            )
    logs = np.where(log, np.log(np.where(log, labels, 1.0)), labels)
    return Scaler(
        low=jnp.asarray(logs.min(axis=0)), high=jnp.asarray(logs.max(axis=0)), log=jnp.asarray(log)
    )
