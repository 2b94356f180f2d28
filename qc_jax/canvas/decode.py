"""From canvases back to features, and how much of a canvas they do not explain."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from qc_jax.canvas.basis import CHANNELS, FEATURES, MIN_SIZE, basis
from qc_jax.canvas.render import render
from qc_jax.errors import InputError

# A canvas of a pair that was written in float32 leaves about 1e-7; what leaves more is no sum of
# the fixed pictures.
SOUND_RESIDUAL = 1e-5
# A channel below this part of its canvas holds nothing but rounding, and in float32 perhaps
# numbers too small for their digits: what it leaves is compared with the canvas.
_LEAST_CHANNEL = 1e-6


def decode(canvases: ArrayLike) -> tuple[Float[Array, "*pairs features"], Float[Array, "*pairs"]]:
    """Return the features that explain each canvas best (least squares), and what is left over.

    Every feature is found from its own channel (`Feature.channel`), so that one damaged channel
    leaves the others' features alone. All are identified at every size; 'COM charge' holds no
    number of its own, and only checks the charges of Q+ and Q−. Signed charges are charge_plus −
    charge_minus. Not in a canvas, and so not to be had from it: the populations of single orbitals,
    the sign of Σ m P, the dipole's direction, the bond length.

    Args:
      canvases: [..., S, S, 10] (row, column, channel), any leading shape, any size S that `render`
        takes.

    Returns:
      features: [..., F] in the order of `FEATURES`; NaN where their channel is not finite.
      residual: [...]: the largest over the channels of ‖canvas − render(features)‖ / ‖canvas‖, with
        the larger of the two pictures' norms below the line, at least 1e-6 of the canvas's largest
        channel. About 1e-7 for a sound float32 canvas; inf where a canvas is not finite. A wrong
        amplitude leaves no residual: a channel lost to zeros is told by features of zero.

    Raises:
      InputError: the shape is another one; canvases with the channels first are not guessed at.
    """
    if not isinstance(canvases, jax.Array):
        canvases = np.asarray(canvases)
    shape = canvases.shape
    if (
        len(shape) < 3
        or shape[-1] != len(CHANNELS)
        or shape[-2] != shape[-3]
        or shape[-2] < MIN_SIZE
    ):
        raise InputError(
            f"canvases: expected shape (..., S, S, {len(CHANNELS)}) with the channels last and S "
            f"from {MIN_SIZE} up, got {shape}"
        )
    return _decode(canvases)


@jax.jit
def _decode(canvases: jax.Array) -> tuple[jax.Array, jax.Array]:
    dtype = jnp.promote_types(canvases.dtype, jnp.float32)
    canvases = canvases.astype(dtype)
    size = canvases.shape[-2]
    fixed = basis(size)
    lines = jnp.sum(canvases * fixed.picture.astype(dtype), axis=-3)  # [..., S, 10]
    found = jnp.stack(
        [
            jnp.sum(lines[..., feature.channel] * inverse[:, feature.channel], axis=-1)
            for feature, inverse in zip(FEATURES, fixed.inverse.astype(dtype), strict=True)
        ],
        axis=-1,
    )

    fitted = render(found, size)
    norm = functools.partial(jnp.linalg.norm, axis=-2)
    pixels = (*canvases.shape[:-3], size * size, len(CHANNELS))
    ours, theirs = fitted.reshape(pixels), canvases.reshape(pixels)
    # Squares of a small channel would underflow; a channel's scale cancels from its residual.
    scale = jnp.maximum(jnp.max(jnp.abs(ours), axis=-2), jnp.max(jnp.abs(theirs), axis=-2))
    scale = jnp.where(scale > 0, scale, 1)[..., None, :]
    ours, theirs = ours / scale, theirs / scale
    channel = jnp.maximum(norm(ours), norm(theirs))
    # The least channel, in units of each channel's scale; where that is tiny, this is large.
    largest = jnp.max(channel * scale[..., 0, :], axis=-1, keepdims=True)
    channel = jnp.maximum(channel, _LEAST_CHANNEL * largest / scale[..., 0, :])
    residual = norm(theirs - ours) / jnp.where(channel > 0, channel, 1)
    sound = jnp.isfinite(canvases).all(axis=(-3, -2, -1))
    return found, jnp.where(sound, jnp.max(residual, axis=-1), jnp.inf)
