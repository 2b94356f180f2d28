"""QuantumShellNet: C. Polat et al., Comput. Mater. Sci. 2025 (doi 10.1016/j.commatsci.2024.113366).

The sizes are those of QuantumCanvas (arXiv 2512.01519). It reads no positions: a pair's outputs are
the same whatever its bond length.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from qc_jax.data.batch import Batch
from qc_jax.models._base import Architecture, channels, field
from qc_jax.models._convolution import Convolution
from qc_jax.models._layers import Dropout
from qc_jax.models._pair import pair, pictures
from qc_jax.models._start import dense

TORCH = {"conv_{i}": "conv{i}", "dense_{i}": "fc{i}"}


class Model(Architecture):
    """Convolutions that halve the canvas, then an MLP, with ReLU and dropout after each.

    The MLP's layers but the first also read mass number, atomic number and neutrons of the pair.
    As published the mass number is twice the atomic number, so that the three are (2S, S, S) with S
    the sum of both elements: one number, not scaled. The canvas leaks dipole and charges.
    """

    torch_names: ClassVar[Mapping[str, Any]] = TORCH
    as_pairs: ClassVar[bool] = True
    inputs: ClassVar[tuple[str, ...]] = ("atomic_numbers", "canvas")

    outputs: int = 1
    channels: tuple[int, ...] = channels(*range(10))
    convolutions: tuple[int, ...] = (80, 160, 96, 48, 24)
    hidden: tuple[int, ...] = (200, 100, 50)
    dropout: float = field(0.3, at_least=0, below=1)

    @property
    def head_layers(self) -> tuple[str, ...]:
        """Return the last layer, by its name."""
        return (f"dense_{len(self.hidden) + 1}",)

    @nn.compact
    def __call__(self, batch: Batch, train: bool = False) -> Float[Array, "batch outputs"]:
        """Return the outputs of B pairs.

        Raises:
          InputError: the structures are no pairs.
        """

        def activate(x: jax.Array) -> jax.Array:
            return Dropout(self.dropout)(nn.relu(x), batch, train)

        x, factors = pictures(batch, self.channels)
        for i, width in enumerate(self.convolutions, start=1):
            convolution = Convolution(width, 3, stride=2, padding=1, name=f"conv_{i}")
            x = activate(convolution(x, factors if i == 1 else None))
        x = jnp.moveaxis(x, -1, 1).reshape(len(x), -1)  # channel by channel, as in PyTorch

        numbers, _ = pair(batch)
        total = jnp.sum(numbers, axis=1, keepdims=True)
        facts = jnp.concatenate([2 * total, total, total], axis=1).astype(x.dtype)
        for i, width in enumerate((*self.hidden, self.outputs), start=1):
            x = x if i == 1 else jnp.concatenate([activate(x), facts], axis=1)
            x = dense(width, name=f"dense_{i}")(x)
        return x
