"""Convolution of images, fast on every platform.

XLA's own convolution on a CPU takes up to forty times as long as a matrix product of the same
arithmetic where images are a few pixels wide, and its gradients twice as long where channels are
few. There each pixel's surroundings are gathered and one matrix product does the rest.

A convolution is linear, and so is a canvas: the first convolution of a network may be applied to
the few pictures that all canvases are sums of, `qc_jax.models._pair.pictures`, instead of to each
canvas of a batch.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from qc_jax.models._start import kernel_init


class Convolution(nn.Module):
    """PyTorch's Conv2d with square kernels, channels last; zeros stand around the image.

    Rows and columns of the kernel that see nothing but those zeros cost nothing.

    Attributes:
      channels: of the result.
      kernel: pixels along each side of the kernel.
      stride: pixels from one to the next.
      padding: zeros on each side.
      use_bias: whether a constant is added to each channel.
      start: of the kernel [kernel, kernel, C, channels].
    """

    channels: int
    kernel: int
    stride: int = 1
    padding: int = 0
    use_bias: bool = True
    start: nn.initializers.Initializer = kernel_init

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "images height width channels"],
        factors: Float[Array, "batch images"] | None = None,
        constant_bias: bool = False,
    ) -> Float[Array, "batch height_out width_out channels_out"]:
        """Return the convolution, of height (height + 2 padding − kernel) // stride + 1.

        Args:
          x: images, channels last.
          factors: [B, N], where the images to convolve are the sums Σ_n factors[b, n] · x[n] of N
            images x. Those are convolved, and their results added up.
          constant_bias: no gradient reaches the bias. For a batch norm in training, which takes
            every constant away: the bias's gradient would be zero but for rounding, and an
            optimiser like Adam makes full steps of that.
        """
        shape = (self.kernel, self.kernel, x.shape[-1], self.channels)
        kernel = self.param("kernel", self.start, shape)
        dtype = jnp.promote_types(x.dtype, kernel.dtype)
        x, kernel = x.astype(dtype), kernel.astype(dtype)
        y = jax.lax.platform_dependent(x, kernel, cpu=self._gathered, default=self._direct)
        if factors is not None:
            # As in `render`: accelerators would round the factors to ten bits or fewer.
            y = jnp.tensordot(factors.astype(dtype), y, axes=1, precision="highest")
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros, self.channels)
            y = y + (jax.lax.stop_gradient(bias) if constant_bias else bias)
        return y

    def _seeing(self, side: int) -> tuple[slice, tuple[int, int]]:
        """Return which rows of the kernel see any of `side` pixels, and the zeros around them."""
        outputs = (side + 2 * self.padding - self.kernel) // self.stride + 1
        first = max(0, self.padding - self.stride * (outputs - 1))
        last = min(self.kernel, self.padding + side)
        return slice(first, last), (self.padding - first, self.padding + last - self.kernel)

    def _direct(self, x: jax.Array, kernel: jax.Array) -> jax.Array:
        (rows, above), (columns, beside) = map(self._seeing, x.shape[1:3])
        return jax.lax.conv_general_dilated(
            x,
            kernel[rows, columns],
            (self.stride, self.stride),
            (above, beside),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )

    def _gathered(self, x: jax.Array, kernel: jax.Array) -> jax.Array:
        (seeing_rows, above), (seeing_columns, beside) = map(self._seeing, x.shape[1:3])
        x, kernel = jnp.pad(x, ((0, 0), above, beside, (0, 0))), kernel[seeing_rows, seeing_columns]
        rows, columns = kernel.shape[:2]
        height = (x.shape[1] - rows) // self.stride + 1
        width = (x.shape[2] - columns) // self.stride + 1

        def seen(start: int, count: int) -> slice:
            """Return where `count` outputs see the kernel's pixel number `start`."""
            return slice(start, start + self.stride * (count - 1) + 1, self.stride)

        around = [
            x[:, seen(row, height), seen(column, width)]
            for row in range(rows)
            for column in range(columns)
        ]
        surroundings = jnp.concatenate(around, axis=-1)  # [B, H', W', rows · columns · C]
        return surroundings @ kernel.reshape(-1, self.channels)
