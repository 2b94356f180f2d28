"""How much arithmetic a training step takes, and how fast a device multiplies matrices."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from qc_jax import models
from qc_jax.data.dataset import Task
from qc_jax.studies.turns import take_turns

_PRODUCT_SIZE = {"cpu": 2048}  # of the matrix product that a device's speed is measured by


class Operations(NamedTuple):
    """Arithmetic of one batch, by XLA's count before it optimises.

    Attributes:
      step: of the forward and backward pass.
      forward: of the prediction.
    """

    step: float
    forward: float


def operations(model: models.Architecture, task: Task, batch_size: int) -> Operations:
    """Count the arithmetic of a whole batch of `batch_size` structures."""
    rows = np.arange(batch_size) % len(task.dataset)
    batch = task.dataset.take(rows).structures
    variables = jax.eval_shape(model.init, jax.random.key(0), batch)
    others = {name: value for name, value in variables.items() if name != "params"}

    def loss(params: Any, others: Any, batch: Any) -> jax.Array:
        outputs, _ = models.apply_training(
            model, {"params": params, **others}, batch, jax.random.key(0)
        )
        return jnp.sum(outputs)

    def count(function: Callable[..., Any], *args: Any) -> float:
        return float((jax.jit(function).lower(*args).cost_analysis() or {}).get("flops", np.nan))

    return Operations(
        step=count(jax.grad(loss), variables["params"], others, batch),
        forward=count(functools.partial(models.apply, model), variables, batch),
    )


def product_gigaflops() -> float:
    """Return what a device reaches in a large float32 matrix product, 10^9 operations a second."""
    device = jax.local_devices()[0]
    size = _PRODUCT_SIZE.get(device.platform, 8192)
    x = jax.device_put(jnp.ones((size, size), jnp.float32), device)
    product = jax.jit(lambda x: jnp.dot(x, x, precision="highest"))
    seconds = take_turns({"product": lambda: product(x)}, rounds=5)["product"]
    return 2 * size**3 / float(np.median(seconds)) / 1e9
