"""What models of two atoms read of a Batch: elements, their distance, the canvas."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from qc_jax.canvas import FEATURES, render
from qc_jax.data.batch import Batch
from qc_jax.errors import InputError
from qc_jax.ops import safe_norm, safe_sqrt


def pair(batch: Batch) -> tuple[Int[Array, "batch 2"], Float[Array, "batch 1"]]:
    """Return atomic numbers and distances (Å).

    Raises:
      InputError: the structures have room for another number of atoms.
    """
    atoms = batch.atomic_numbers.shape[1]
    if atoms != 2:
        raise InputError(f"the model reads pairs: expected 2 atoms a structure, got {atoms}")
    distance = safe_norm(batch.positions[:, 1] - batch.positions[:, 0])
    return batch.atomic_numbers, distance[:, None]


def image(batch: Batch, channels: tuple[int, ...]) -> Float[Array, "batch size size channels"]:
    """Return some channels of the canvases, of the batch's `canvas_size`."""
    assert batch.canvas_features is not None, "`check` refuses structures without"
    canvas = render(batch.canvas_features, batch.canvas_size)
    return canvas if channels == tuple(range(canvas.shape[-1])) else canvas[..., np.array(channels)]


def pictures(
    batch: Batch, channels: tuple[int, ...]
) -> tuple[Float[Array, "pictures size size channels"], Float[Array, "batch pictures"]]:
    """Return fixed pictures, and the factors with which they add up to `image`.

    What is linear costs less for the pictures, once a step, than for a batch of canvases.
    """
    factors = batch.canvas_features
    assert factors is not None, "`check` refuses structures without"
    if factors.shape[-1] > max(len(factors), len(FEATURES)):  # of larger structures
        return image(batch, channels), jnp.eye(len(factors), dtype=factors.dtype)
    unit = batch.replace(canvas_features=jnp.eye(factors.shape[-1], dtype=factors.dtype))
    return image(unit, channels), factors


def statistics(batch: Batch, channels: tuple[int, ...]) -> Float[Array, "batch channels 4"]:
    """Return mean, standard deviation, maximum and minimum of each channel's pixels.

    The variance is the unbiased one, as in PyTorch; the deviation's gradient at zero is zero.
    """
    canvas = image(batch, channels)
    variance = jnp.var(canvas, axis=(1, 2), ddof=1)
    mean, largest, least = (f(canvas, axis=(1, 2)) for f in (jnp.mean, jnp.max, jnp.min))
    return jnp.stack([mean, safe_sqrt(variance), largest, least], axis=-1)
