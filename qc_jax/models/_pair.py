"""What models of two atoms read of a Batch: elements, their distance, their image."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from qc_jax.canvas import FEATURES, images
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
    """Return some channels of the canvases, or all of other images, of the batch's `canvas_size`.

    Channels are chosen of the canvas; of other images the batch says which there are.
    """
    drawn = images.of_batch(batch)
    if batch.images != images.CANVAS or channels == tuple(range(drawn.shape[-1])):
        return drawn
    return drawn[..., np.array(channels)]


def pictures(
    batch: Batch, channels: tuple[int, ...]
) -> tuple[Float[Array, "pictures size size channels"], Float[Array, "batch pictures"] | None]:
    """Return fixed pictures, and the factors with which they add up to `image`.

    What is linear costs less for the pictures, once a step, than for a batch of canvases. Of images
    that are no such sums, or of fewer canvases of larger structures than there are pictures, the
    images themselves come, and None.
    """
    if batch.images != images.CANVAS:
        return image(batch, channels), None
    factors = batch.canvas_features
    assert factors is not None, "`check` refuses structures without"
    if factors.shape[-1] > max(len(factors), len(FEATURES)):  # fewer structures than pictures
        return image(batch, channels), None
    unit = batch.replace(canvas_features=jnp.eye(factors.shape[-1], dtype=factors.dtype))
    return image(unit, channels), factors


def statistics(batch: Batch, channels: tuple[int, ...]) -> Float[Array, "batch channels 4"]:
    """Return mean, standard deviation, maximum and minimum of each channel's pixels.

    The variance is the unbiased one, as in PyTorch; the deviation's gradient at zero is zero.
    """
    drawn = image(batch, channels)
    variance = jnp.var(drawn, axis=(1, 2), ddof=1)
    mean, largest, least = (f(drawn, axis=(1, 2)) for f in (jnp.mean, jnp.max, jnp.min))
    return jnp.stack([mean, safe_sqrt(variance), largest, least], axis=-1)
