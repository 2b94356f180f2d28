"""From features to canvases, on the device, at the price of writing them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from qc_jax.canvas.basis import CHANNELS, FEATURES, basis, check_size
from qc_jax.errors import InputError


def render(features: ArrayLike, size: int = 32) -> jax.Array:
    """The canvases of `features`: a linear function of them; works under jit, vmap and grad.

    Args:
      features: [..., F] in the order of `FEATURES`, any leading shape. One that is NaN makes all
        of its canvas NaN.
      size: pixels along each side, S.

    Returns:
      [..., S, S, 10] (row, column, channel); float32, or float64 of float64 features where JAX has
      that switched on.

    Raises:
      InputError: the last axis of `features` has another length, or the size is too small.
    """
    size = check_size(size)
    if not isinstance(features, jax.Array):
        features = np.asarray(features)
    shape = features.shape
    if not shape or shape[-1] != len(FEATURES):
        raise InputError(f"canvas features: expected shape (..., {len(FEATURES)}), got {shape}")
    return _render(features, size)


@functools.partial(jax.jit, static_argnames="size")
def _render(features: jax.Array, size: int) -> jax.Array:
    dtype = jnp.promote_types(features.dtype, jnp.float32)
    features = features.astype(dtype)
    fixed = basis(size)
    line = fixed.line.reshape(len(FEATURES), -1).astype(dtype)  # [F, S·10]
    picture = fixed.picture.reshape(size, -1).astype(dtype)  # [S, S·10]

    # A matrix product, since XLA keeps its result: one line of S·10 numbers a canvas. What then
    # costs is one multiplication for each number written, along contiguous memory. The highest
    # precision, since accelerators would round to ten bits or fewer.
    lines = jnp.dot(features, line, precision="highest")  # [..., S·10]
    canvases = lines[..., None, :] * picture  # [..., S, S·10]
    return canvases.reshape(*features.shape[:-1], size, size, len(CHANNELS))
