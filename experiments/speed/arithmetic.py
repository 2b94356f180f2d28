"""How much arithmetic a training step takes, and how fast a device multiplies matrices."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qc_jax import models
from qc_jax.accelerators import programs
from qc_jax.data.batch import Batch
from qc_jax.data.dataset import Task
from qc_jax.studies.turns import take_turns

_PRODUCT_SIZE = {"cpu": 2048}  # of the matrix product that a device's speed is measured by


def of_step(model: models.Architecture, task: Task, batch_size: int) -> float:
    """Return the operations of a forward and backward pass over a whole batch of structures."""

    def loss(params: Any, others: Any, batch: Any) -> jax.Array:
        outputs, _ = models.apply_training(
            model, {"params": params, **others}, batch, jax.random.key(0)
        )
        return jnp.sum(outputs)

    variables, batch = _described(model, task, batch_size)
    others = {name: value for name, value in variables.items() if name != "params"}
    lowered = jax.jit(jax.grad(loss)).lower(variables["params"], others, batch)
    return programs.count_operations(lowered)


def of_prediction(model: models.Architecture, task: Task, batch_size: int) -> float:
    """Return the operations of a prediction of a whole batch of structures."""
    lowered = jax.jit(functools.partial(models.apply, model)).lower(
        *_described(model, task, batch_size)
    )
    return programs.count_operations(lowered)


def _described(model: models.Architecture, task: Task, batch_size: int) -> tuple[Any, Batch]:
    """Return the shapes of a model's variables, and a batch."""
    batch = task.dataset.take(np.arange(batch_size) % len(task.dataset)).structures
    return jax.eval_shape(model.init, jax.random.key(0), batch), batch


def product_gigaflops() -> float:
    """Return what all local devices reach in float32 matrix products, 10^9 operations a second.

    One is measured, with large ones; those of a CPU share its cores.
    """
    device = jax.local_devices()[0]
    size = _PRODUCT_SIZE.get(device.platform, 8192)
    x = jax.device_put(jnp.ones((size, size), jnp.float32), device)
    product = jax.jit(lambda x: jnp.dot(x, x, precision="highest"))
    seconds = take_turns({"product": lambda: product(x)}, rounds=5)["product"]
    devices = 1 if device.platform == "cpu" else jax.local_device_count()
    return devices * 2 * size**3 / float(np.median(seconds)) / 1e9
