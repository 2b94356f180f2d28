"""A canvas cut into square patches, for models that read each as a token."""

from typing import Any

import numpy as np
from jaxtyping import Array, Float

from qc_jax.data.batch import Batch
from qc_jax.errors import InputError
from qc_jax.models._pair import image
from qc_jax.models._torch import Tensor

_SIDE = 32  # pixels of a canvas, unless a batch has others


def patches(
    batch: Batch, channels: tuple[int, ...], side: int
) -> Float[Array, "batch patches pixels"]:
    """Return the (S / side)² patches of some channels, row after row, of side² · C pixels.

    Raises:
      InputError: they don't fill a canvas of S × S pixels.
    """
    if batch.canvas_size % side:
        raise InputError(
            f"expected patches that {batch.canvas_size} pixels divide into, got {side}"
        )
    pixels = image(batch, channels)
    b, size, _, c = pixels.shape
    along = size // side
    cut = pixels.reshape(b, along, side, along, side, c).swapaxes(2, 3)
    return cut.reshape(b, along * along, side * side * c)


def check_patches(model: str, side: int) -> None:
    """Raise InputError where the patches of `model` don't fill a canvas."""
    if _SIDE % side:
        raise InputError(f"{model}: expected patches that 32 pixels divide into, got {side}")


def torch_patches(ours: str, theirs: str) -> dict[str, Tensor]:
    """Return the names in `TORCH` of a Dense layer of patches, a convolution in the reference."""

    def matrix(weight: np.ndarray) -> np.ndarray:
        """Return [D, C, rows, columns] as [rows · columns · C, D]."""
        return weight.transpose(2, 3, 1, 0).reshape(-1, len(weight))

    def weight(matrix: np.ndarray, model: Any) -> np.ndarray:
        """Return what `matrix` was made of."""
        sides = (model.patch, model.patch, -1, matrix.shape[1])
        return matrix.reshape(sides).transpose(3, 2, 0, 1)

    return {
        f"{ours}/kernel": Tensor(f"{theirs}.weight", matrix, weight),
        f"{ours}/bias": Tensor(f"{theirs}.bias"),
    }
