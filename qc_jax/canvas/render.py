"""From features to canvases, on the device, at the price of writing them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from qc_jax.canvas.basis import CHANNELS, FEATURES, MOLECULES, PAIRS, Layout, basis, check_size
from qc_jax.errors import InputError

# Layouts by their number of features, and of those that `separate` makes.
_PLAIN = {len(layout.features): layout for layout in (PAIRS, MOLECULES)}
_SEPARATE = {len(layout.features) + len(layout.copies): layout for layout in (PAIRS, MOLECULES)}


def render(features: ArrayLike, size: int = 32) -> Float[Array, "*pairs size size 10"]:
    """Draw the canvases of features, a linear function of them; works under jit, vmap and grad.

    Args:
      features: [..., F] in the order of `FEATURES`, or those of larger structures, of
        `molecule_features`; any leading shape; or what `separate` makes of them. One that is NaN
        makes all of its canvas NaN.
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
    if not shape or shape[-1] not in _PLAIN | _SEPARATE:
        raise InputError(
            f"canvas features: expected shape (..., {len(FEATURES)}), got {shape}; of larger "
            f"structures (..., {len(MOLECULES.features)})"
        )
    return _render(features, size)


@functools.partial(jax.jit, static_argnames="size")
def _render(features: jax.Array, size: int) -> jax.Array:
    dtype = jnp.promote_types(features.dtype, jnp.float32)
    features = features.astype(dtype)
    count = features.shape[-1]
    plain = count in _PLAIN
    fixed = basis(size, (_PLAIN if plain else _SEPARATE)[count])
    line = fixed.line if plain else fixed.separate_line
    line = line.reshape(count, -1).astype(dtype)  # [F, S·10]
    picture = fixed.picture.reshape(size, -1).astype(dtype)  # [S, S·10]

    # A matrix product, since XLA keeps its result: one line of S·10 numbers a canvas. What then
    # costs is one multiplication for each number written, along contiguous memory. The highest
    # precision, since accelerators would round to ten bits or fewer.
    lines = jnp.dot(features, line, precision="highest")  # [..., S·10]
    canvases = lines[..., None, :] * picture  # [..., S, S·10]
    return canvases.reshape(*features.shape[:-1], size, size, len(CHANNELS))


def separate(features: ArrayLike) -> Float[Array, "*pairs separated"]:
    """Return features [..., F + copies] of the same canvases, no two channels sharing one.

    A channel that holds no number of its own, 'COM charge', takes copies of those that it is drawn
    from, so that each channel can be changed alone.

    Args:
      features: [..., F] as `render` takes them.
    """
    features = jnp.asarray(features)
    copied = np.array([index for _, index in _PLAIN[features.shape[-1]].copies])
    return jnp.concatenate([features, features[..., copied]], axis=-1)


def columns_of(channel: int, features: int = len(FEATURES)) -> tuple[int, ...]:
    """Return the columns of `separate`'s features that a channel is drawn from.

    Args:
      channel: an index of `CHANNELS`.
      features: how many the canvases have, F.
    """
    layout: Layout = _PLAIN[features]
    copies = [features + place for place, (of, _) in enumerate(layout.copies) if of == channel]
    own = [index for index, feature in enumerate(layout.features) if feature.channel == channel]
    return tuple(copies or own)
