"""From features to canvases, on the device, at the price of writing them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from qc_jax.canvas.basis import CHANNELS, COPIES, FEATURES, basis, check_size
from qc_jax.errors import InputError

_SEPARATE = len(FEATURES) + len(COPIES)


def render(features: ArrayLike, size: int = 32) -> Float[Array, "*pairs size size 10"]:
    """Draw the canvases of features, a linear function of them; works under jit, vmap and grad.

    Args:
      features: [..., F] in the order of `FEATURES`, any leading shape, or what `separate` makes of
        them. One that is NaN makes all of its canvas NaN.
      size: pixels along each side, S.

    Returns:
      [..., S, S, 10] (row, column, channel); float32, or float64 of float64 features where JAX has
      that switched on.

    Raises:
      InputError: the last axis of `features` has another length, or the size is too small.

    Example:
      >>> import qc_jax
      >>> table = qc_jax.open_table("gfn2_xtb")
      >>> render(qc_jax.features(table)[:2], size=8).shape
      (2, 8, 8, 10)
    """
    size = check_size(size)
    if not isinstance(features, jax.Array):
        features = np.asarray(features)
    shape = features.shape
    if not shape or shape[-1] not in (len(FEATURES), _SEPARATE):
        raise InputError(f"canvas features: expected shape (..., {len(FEATURES)}), got {shape}")
    return _render(features, size)


@functools.partial(jax.jit, static_argnames="size")
def _render(features: jax.Array, size: int) -> jax.Array:
    dtype = jnp.promote_types(features.dtype, jnp.float32)
    features = features.astype(dtype)
    fixed = basis(size)
    count = features.shape[-1]
    line = fixed.line if count == len(FEATURES) else fixed.separate_line
    line = line.reshape(count, -1).astype(dtype)  # [F, S·10]
    picture = fixed.picture.reshape(size, -1).astype(dtype)  # [S, S·10]

    # A matrix product, since XLA keeps its result: one line of S·10 numbers a canvas. What then
    # costs is one multiplication for each number written, along contiguous memory. The highest
    # precision, since accelerators would round to ten bits or fewer.
    lines = jnp.dot(features, line, precision="highest")  # [..., S·10]
    canvases = lines[..., None, :] * picture  # [..., S, S·10]
    return canvases.reshape(*features.shape[:-1], size, size, len(CHANNELS))


def separate(features: ArrayLike) -> Float[Array, "*pairs separated"]:
    """Return features [..., F + len(COPIES)] of the same canvases, no two channels sharing one.

    A channel that holds no number of its own, 'COM charge', takes copies of those that it is drawn
    from, so that each channel can be changed alone.

    Args:
      features: [..., F] in the order of `FEATURES`.
    """
    features = jnp.asarray(features)
    copied = np.array([index for _, index in COPIES])
    return jnp.concatenate([features, features[..., copied]], axis=-1)


def columns_of(channel: int) -> tuple[int, ...]:
    """Return the columns of `separate`'s features that a channel is drawn from."""
    copies = [len(FEATURES) + place for place, (of, _) in enumerate(COPIES) if of == channel]
    own = [index for index, feature in enumerate(FEATURES) if feature.channel == channel]
    return tuple(copies or own)
