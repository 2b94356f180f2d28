"""Convolution of images, fast on every platform.

XLA's own convolution on a CPU takes up to forty times as long as a matrix product of the same
arithmetic where images are a few pixels wide, and its gradients twice as long where channels are
few. There each pixel's surroundings are gathered and one matrix product does the rest.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from qc_jax.models._start import kernel_init


class Convolution(nn.Module):
    """PyTorch's Conv2d with square kernels, channels last; zeros stand around the image.

    Attributes:
      channels: of the result.
      kernel: pixels along each side of the kernel.
      stride: pixels from one to the next.
      padding: zeros on each side.
      use_bias: whether a constant is added to each channel.
    """

    channels: int
    kernel: int
    stride: int = 1
    padding: int = 0
    use_bias: bool = True

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[B, H, W, C] → [B, H', W', channels], H' = (H + 2 padding − kernel) // stride + 1."""
        shape = (self.kernel, self.kernel, x.shape[-1], self.channels)
        kernel = self.param("kernel", kernel_init, shape)
        dtype = jnp.promote_types(x.dtype, kernel.dtype)
        x, kernel = x.astype(dtype), kernel.astype(dtype)
        y = jax.lax.platform_dependent(x, kernel, cpu=self._gathered, default=self._direct)
        if self.use_bias:
            y = y + self.param("bias", nn.initializers.zeros, self.channels)
        return y

    def _direct(self, x: jax.Array, kernel: jax.Array) -> jax.Array:
        return jax.lax.conv_general_dilated(
            x,
            kernel,
            (self.stride, self.stride),
            [(self.padding, self.padding)] * 2,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )

    def _gathered(self, x: jax.Array, kernel: jax.Array) -> jax.Array:
        sides = (self.padding, self.padding)
        x = jnp.pad(x, ((0, 0), sides, sides, (0, 0)))
        height, width = ((side - self.kernel) // self.stride + 1 for side in x.shape[1:3])

        def seen(start: int, count: int) -> slice:
            """Where `count` outputs see the kernel's pixel number `start`."""
            return slice(start, start + self.stride * (count - 1) + 1, self.stride)

        around = [
            x[:, seen(row, height), seen(column, width)]
            for row in range(self.kernel)
            for column in range(self.kernel)
        ]
        columns = jnp.concatenate(around, axis=-1)  # [B, H', W', kernel² C]
        return columns @ kernel.reshape(-1, self.channels)
