"""Density images of records that hold the numbers behind them: drawn when read."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
import tensorflow_datasets as tfds

from qc_jax.canvas import coefficients, densities
from qc_jax.canvas.images import Images
from qc_jax.errors import choose


class DrawDensities(tfds.decode.Decoder):
    """Make of the feature `densities`, the numbers, an image [size, size, channels] float32.

    Args:
      size: pixels along each side.
      channels: names of `qc_jax.canvas.densities.CHANNELS`, which has their units.
      scale: of `qc_jax.canvas.densities.SCALES`; 'linear' is in these units, 'log' what the
        networks of qc_jax see.

    Raises:
      InputError: a size out of range, or an unknown channel or scale.

    Example:
      >>> import tensorflow_datasets as tfds
      >>> draw = {"densities": DrawDensities(size=64, channels=["density", "homo"])}
      >>> tfds.load("quantum_canvas/ptbp_densities", decoders=draw)  # doctest: +SKIP
    """

    def __init__(
        self,
        size: int = 32,
        channels: Sequence[str] = tuple(densities.CHANNELS),
        scale: str = coefficients.SCALE,
    ):
        super().__init__()
        for name in channels:
            choose("channel of densities", name, densities.CHANNELS)
        choose("scale", scale, densities.SCALES)
        self._channels, self._scale = tuple(channels), scale
        self._size = Images("densities", self._channels).check_size(size)

    def decode_example_np(self, serialized_example: Any) -> np.ndarray:
        """Return the image of one record."""
        row = self.feature.decode_example_np(serialized_example)
        return self._draw(np.asarray(row))

    def decode_example(self, serialized_example: Any) -> Any:
        """Return the image of one record, in a `tf.data` pipeline."""
        import tensorflow as tf

        row = self.feature.decode_example(serialized_example)
        image = tf.numpy_function(self._draw, [row], tf.float32, stateful=False)
        image.set_shape((self._size, self._size, len(self._channels)))
        return image

    def _draw(self, row: np.ndarray) -> np.ndarray:
        rows = jnp.asarray(row)[None]
        return np.asarray(coefficients.draw(rows, self._size, self._channels, self._scale)[0])
