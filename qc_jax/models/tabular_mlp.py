"""Tabular MLP: a baseline of QuantumCanvas (arXiv 2512.01519), on the canvas's statistics."""

from collections.abc import Mapping
from typing import Any, ClassVar

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from qc_jax.data.batch import Batch
from qc_jax.models._base import Architecture, channels, field
from qc_jax.models._layers import Dropout
from qc_jax.models._pair import pair, statistics
from qc_jax.models._start import dense, embed, layer_norm

TORCH = {"elements": "element_embedding", "mlp_{i}": "mlp.{i}"}


class Model(Architecture):
    """An MLP with layer norm of 4 numbers a channel, both elements and the bond length (Å).

    Mean, deviation, maximum and minimum of a channel's pixels still hold what the canvas leaks:
    dipole and charges. The atoms' order matters.
    """

    torch_names: ClassVar[Mapping[str, Any]] = TORCH
    as_pairs: ClassVar[bool] = True
    inputs: ClassVar[tuple[str, ...]] = ("atomic_numbers", "positions", "canvas")

    outputs: int = 1
    channels: tuple[int, ...] = channels(*range(10))
    element_embedding: int = 64
    hidden: tuple[int, ...] = (512, 256, 256, 128)
    dropout: float = field(0.2, at_least=0, below=1)
    max_atomic_number: int = 103

    @property
    def head_layers(self) -> tuple[str, ...]:
        """Return the last layer, by its name."""
        return (f"mlp_{4 * len(self.hidden)}",)

    @nn.compact
    def __call__(self, batch: Batch, train: bool = False) -> Float[Array, "batch outputs"]:
        """Return the outputs of B pairs.

        Raises:
          InputError: the structures are no pairs.
        """
        numbers, distance = pair(batch)
        pooled = statistics(batch, self.channels).mT  # [B, 4, C]
        elements = embed(self.max_atomic_number + 1, self.element_embedding, name="elements")
        parts = [pooled, elements(numbers), distance]
        x = jnp.concatenate([part.reshape(len(part), -1) for part in parts], axis=-1)
        # A layer's number is its place in the reference: linear, norm, ReLU, dropout, and again.
        for i, width in enumerate(self.hidden):
            x = layer_norm(name=f"mlp_{4 * i + 1}")(dense(width, name=f"mlp_{4 * i}")(x))
            x = Dropout(self.dropout)(nn.relu(x), batch, train)
        return dense(self.outputs, name=self.head_layers[0])(x)
