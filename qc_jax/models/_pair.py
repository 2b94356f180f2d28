"""What models of two atoms read of a Batch: elements, their distance, the canvas."""

import jax
import jax.numpy as jnp
import numpy as np

from qc_jax.canvas import render
from qc_jax.data.batch import Batch
from qc_jax.errors import InputError
from qc_jax.ops import safe_norm, safe_sqrt


def pair(batch: Batch) -> tuple[jax.Array, jax.Array]:
    """Atomic numbers [B, 2] and distances [B, 1] Å.

    Raises:
      InputError: the structures have room for another number of atoms.
    """
    atoms = batch.atomic_numbers.shape[1]
    if atoms != 2:
        raise InputError(f"the model reads pairs: expected 2 atoms a structure, got {atoms}")
    distance = safe_norm(batch.positions[:, 1] - batch.positions[:, 0])
    return batch.atomic_numbers, distance[:, None]


def image(batch: Batch, channels: tuple[int, ...]) -> jax.Array:
    """Channels [B, S, S, C] of the canvases, S of the batch's `canvas_size`."""
    assert batch.canvas_features is not None, "`check` refuses structures without"
    canvas = render(batch.canvas_features, batch.canvas_size)
    return canvas if channels == tuple(range(canvas.shape[-1])) else canvas[..., np.array(channels)]


def pictures(batch: Batch, channels: tuple[int, ...]) -> tuple[jax.Array, jax.Array]:
    """F fixed pictures [F, S, S, C] and the factors [B, F] whose sums Σ_f are `image`.

    What is linear costs less for the pictures, once a step, than for a batch of canvases.
    """
    factors = batch.canvas_features
    assert factors is not None, "`check` refuses structures without"
    unit = batch.replace(canvas_features=jnp.eye(factors.shape[-1], dtype=factors.dtype))
    return image(unit, channels), factors


def statistics(batch: Batch, channels: tuple[int, ...]) -> jax.Array:
    """Mean, standard deviation, maximum and minimum of each channel's pixels: [B, C, 4].

    The variance is the unbiased one, as in PyTorch; the deviation's gradient at zero is zero.
    """
    canvas = image(batch, channels)
    variance = jnp.var(canvas, axis=(1, 2), ddof=1)
    mean, largest, least = (f(canvas, axis=(1, 2)) for f in (jnp.mean, jnp.max, jnp.min))
    return jnp.stack([mean, safe_sqrt(variance), largest, least], axis=-1)
