"""ResNet-18: K. He et al., CVPR 2016 (arXiv 1512.03385), as torchvision makes and starts it."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from qc_jax.data.batch import Batch
from qc_jax.models._convolution import Convolution
from qc_jax.models._layers import BatchNorm

STAGES = 4
_BLOCKS = 2  # a stage

# Kaiming normal of what goes out: variance 2/(kernel² · channels).
_start = nn.initializers.variance_scaling(2, "fan_out", "normal")


def _convolution(channels: int, kernel: int, stride: int, name: str) -> Convolution:
    return Convolution(
        channels, kernel, stride, kernel // 2, use_bias=False, start=_start, name=name
    )


class _Block(nn.Module):
    """Two convolutions with batch norm, around which the image goes, projected where need be."""

    channels: int
    stride: int

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width in"], batch: Batch, train: bool
    ) -> Float[Array, "batch height_out width_out out"]:
        """Return the images, one block on, of 1/stride their size."""
        around = x
        if self.stride > 1 or x.shape[-1] != self.channels:
            around = _convolution(self.channels, 1, self.stride, "around")(x)
            around = BatchNorm(name="norm_around")(around, batch, train)
        x = _convolution(self.channels, 3, self.stride, "convolution_1")(x)
        x = nn.relu(BatchNorm(name="norm_1")(x, batch, train))
        x = _convolution(self.channels, 3, 1, "convolution_2")(x)
        return nn.relu(BatchNorm(name="norm_2")(x, batch, train) + around)


class ResNet18(nn.Module):
    """A convolution, a pooling, four stages of two blocks, the mean over the pixels.

    The last stage's kernels are 3 × 3, as in all others. Of a canvas of 32 × 32 pixels nothing is
    left there but one pixel, so that most of those weights see only the zeros around it: no output
    depends on them, and training leaves them as they start.
    """

    widths: tuple[int, ...] = (64, 128, 256, 512)

    @nn.compact
    def __call__(
        self,
        pictures: Float[Array, "pictures height width channels"],
        factors: Float[Array, "batch pictures"] | None,
        batch: Batch,
        train: bool,
    ) -> Float[Array, "batch features"]:
        """Return features of the images Σ_n factors[b, n] · pictures[n].

        Args:
          pictures: [N, H, W, C].
          factors: [B, N]; None where the pictures are the images.
          batch: of which they are.
          train: whether batch norm is by the batch.
        """
        x = _convolution(self.widths[0], 7, 2, "convolution")(pictures, factors)
        x = max_pool(nn.relu(BatchNorm(name="norm")(x, batch, train)))
        for stage, channels in enumerate(self.widths, 1):
            for block in range(_BLOCKS):
                stride = 2 if stage > 1 and block == 0 else 1
                x = _Block(channels, stride, name=f"stage_{stage}_{block}")(x, batch, train)
        return jnp.mean(x, axis=(1, 2))


def max_pool(
    x: Float[Array, "batch height width channels"],
) -> Float[Array, "batch half_height half_width channels"]:
    """Return the largest of 3 × 3 pixels around every second one."""
    for axis in (1, 2):
        side = x.shape[axis]
        sides = [(0, 0)] * x.ndim
        sides[axis] = (1, 1)
        padded = jnp.pad(x, sides, constant_values=-jnp.inf)
        before, here, after = (
            jax.lax.slice_in_dim(padded, start, start + side, 2, axis) for start in range(3)
        )
        x = jnp.maximum(jnp.maximum(before, here), after)
    return x


def torch_names(ours: str, stem: str, norm: str, stages: tuple[str, ...]) -> dict[str, str]:
    """Return torchvision's names in `TORCH` of the weights of a `ResNet18`.

    Args:
      ours: ends with '/', unless it is empty.
      stem: what the first convolution is called,
      norm: its batch norm,
      stages: and each of the stages.
    """
    names = {f"{ours}convolution": stem, f"{ours}norm": norm}
    for stage, theirs in enumerate(stages, 1):
        names |= {
            f"{ours}stage_{stage}_{{i}}/convolution_{{j}}": f"{theirs}.{{i}}.conv{{j}}",
            f"{ours}stage_{stage}_{{i}}/norm_{{j}}": f"{theirs}.{{i}}.bn{{j}}",
            f"{ours}stage_{stage}_{{i}}/around": f"{theirs}.{{i}}.downsample.0",
            f"{ours}stage_{stage}_{{i}}/norm_around": f"{theirs}.{{i}}.downsample.1",
        }
    return names
