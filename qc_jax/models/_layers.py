"""Layers that are Flax's but for what a batch, its devices or a CPU ask of them.

Training looks across the batch in two of them, the same on any number of devices: Flax's own would
draw other dropout masks on each device, and average the devices' batch means whatever number of
rows each is of.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from qc_jax.data.batch import Batch


def _one_product(x: jax.Array, kernel: jax.Array, dimensions: Any, **options: Any) -> jax.Array:
    """Return `lax.dot_general` of rows x [..., I] and a kernel [I, O], by two matrices.

    Of more axes than two XLA makes a matrix by a copy, for the kernel's gradient. On a CPU a step
    of a small model takes a tenth longer with it.
    """
    assert dimensions == (((x.ndim - 1,), (0,)), ((), ())), dimensions
    rows = x.reshape(-1, x.shape[-1])
    product = jax.lax.dot_general(rows, kernel, (((1,), (0,)), ((), ())), **options)
    return product.reshape(*x.shape[:-1], kernel.shape[-1])


Dense = functools.partial(nn.Dense, dot_general=_one_product)


class Dropout(nn.Module):
    """Zeroes each number with probability `rate` and scales the others by 1/(1 − rate).

    Whether a number stays follows from the key and from its place in the whole batch.
    """

    rate: float  # or a traced number, where trainings of several rates run as one program

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch ..."], batch: Batch, train: bool
    ) -> Float[Array, "batch ..."]:
        """Return the values with some of them zeroed; unchanged unless `train`."""
        if not train or (isinstance(self.rate, float) and self.rate == 0):
            return x
        row = x.size // x.shape[0]
        places = batch.first_row * row + jax.lax.iota(jnp.uint32, x.size)
        below = (jnp.float32(self.rate) * 2.0**32).astype(jnp.uint32)
        keep = _hashed(self.make_rng("dropout"), places) >= below
        return jnp.where(keep.reshape(x.shape), x / (1 - self.rate), 0)


@contextlib.contextmanager
def noisy_embeddings(key: jax.Array, batch: Batch, deviation: float) -> Iterator[list[str]]:
    """Add Gaussian noise to what layers called `elements` make of the batch, in the `with` block.

    What is added follows from the key and from the place in the whole batch. What they make of
    other elements, which have no place in it, stays as it is. Yields a list that the layers' names
    are added to as they are called.
    """
    called: list[str] = []
    if not deviation:
        yield called
        return
    key = jax.random.fold_in(key, 1)  # dropout has the key itself

    def intercept(call: Callable[..., jax.Array], args: Any, options: Any, context: Any) -> Any:
        embedded, module = call(*args, **options), context.module
        if module.name != "elements" or context.method_name != "__call__":
            return embedded
        atoms = batch.atomic_numbers
        if np.shape(args[0])[0] != atoms.shape[0] and np.size(args[0]) != atoms.size:
            return embedded
        called.append(module.name)
        row = embedded.size // atoms.shape[0]
        places = batch.first_row * row + jax.lax.iota(jnp.uint32, embedded.size)
        # The middles of 2**23 equal parts of [-1, 1], none of which is an end.
        uniform = ((_hashed(key, places) >> 9).astype(jnp.float32) + 0.5) / 2**22 - 1
        noise = deviation * np.sqrt(2) * jax.lax.erf_inv(uniform).reshape(embedded.shape)
        return embedded + noise.astype(embedded.dtype)

    with nn.intercept_methods(intercept):
        yield called


def _hashed(key: jax.Array, places: jax.Array) -> jax.Array:
    """Return random bits, 32 for each of the places [N], both uint32.

    Two rounds of MurmurHash3's finaliser (A. Appleby, in the public domain) with half a key in
    front of each. On a CPU the bits of jax.random take as long as all the rest of a transformer.
    """
    for half in jax.random.bits(key, (2,), jnp.uint32):
        places = places ^ half
        places = (places ^ places >> 16) * jnp.uint32(0x85EBCA6B)
        places = (places ^ places >> 13) * jnp.uint32(0xC2B2AE35)
        places = places ^ places >> 16
    return places


class BatchNorm(nn.Module):
    """(x − mean)/√(variance + ε) · scale + bias, a channel at a time, as PyTorch's BatchNorm.

    In training mean and variance are the whole batch's, over the rows that count and over all axes
    but the last; else running averages of them, to which each step adds a part of `momentum`. The
    averaged variance is the unbiased one, as in PyTorch.
    """

    momentum: float = 0.1
    epsilon: float = 1e-5

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch *pixels channels"], batch: Batch, train: bool
    ) -> Float[Array, "batch *pixels channels"]:
        """Return the values, normalised."""
        channels = x.shape[-1]
        mean = self.variable("batch_stats", "mean", jnp.zeros, channels)
        variance = self.variable("batch_stats", "var", jnp.ones, channels)
        scale = self.param("scale", nn.initializers.ones, channels)
        bias = self.param("bias", nn.initializers.zeros, channels)
        if train:
            used_mean, used_variance, count = _moments(x, batch)
            unbiased = used_variance * count / jnp.maximum(count - 1, 1)
            mean.value += self.momentum * (used_mean - mean.value)
            variance.value += self.momentum * (unbiased - variance.value)
        else:
            used_mean, used_variance = mean.value, variance.value
        factor = scale * jax.lax.rsqrt(used_variance + self.epsilon)
        return (x * factor + (bias - used_mean * factor)).astype(x.dtype)


def _moments(x: jax.Array, batch: Batch) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return mean [C] and variance [C] of x [B, …, C], and () how many numbers each channel has."""
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    axes = tuple(range(x.ndim - 1))
    rows = jnp.ones(x.shape[0], bool) if batch.row_mask is None else batch.row_mask
    counts = rows.reshape(-1, *(1 for _ in x.shape[1:]))

    def add(values: jax.Array) -> jax.Array:
        return values if batch.axis_name is None else jax.lax.psum(values, batch.axis_name)

    pixels = x[0, ..., 0].size
    count = jnp.maximum(add(jnp.sum(rows)) * pixels, 1).astype(x.dtype)
    mean = add(jnp.sum(x, axis=axes, where=counts)) / count
    variance = add(jnp.sum((x - mean) ** 2, axis=axes, where=counts)) / count
    return mean, variance, count
