"""Geometry only: a baseline of QuantumCanvas (arXiv 2512.01519), without the canvas."""

from collections.abc import Mapping
from typing import Any, ClassVar

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from qc_jax.data.batch import Batch
from qc_jax.models._base import Architecture, field
from qc_jax.models._layers import Dropout
from qc_jax.models._pair import pair
from qc_jax.models._start import dense, embed, layer_norm

TORCH = {
    "elements": "element_embedding",
    "layer_{i}": "layers.{i}.0",
    "norm_{i}": "layers.{i}.1",
    "distance": "dist_proj",
    "out_0": "head.0",
    "out_1": "head.3",
}


class Model(Architecture):
    """Reads a pair's two elements and its bond length (Å).

    Each atom's embedding goes by itself through h += ReLU(LayerNorm(W h + b)); both atoms' and a
    linear map of the distance go through an MLP. The atoms' order matters.
    """

    torch_names: ClassVar[Mapping[str, Any]] = TORCH
    as_pairs: ClassVar[bool] = True
    inputs: ClassVar[tuple[str, ...]] = ("atomic_numbers", "positions")
    not_smooth_reason: ClassVar[str] = "its ReLUs make forces jump"

    outputs: int = 1
    hidden: int = 192
    layers: int = 5
    dropout: float = field(0.1, at_least=0, below=1)
    max_atomic_number: int = 103

    @nn.compact
    def __call__(self, batch: Batch, train: bool = False) -> Float[Array, "batch outputs"]:
        """Return the outputs of B pairs.

        Raises:
          InputError: the structures are no pairs.
        """
        numbers, distance = pair(batch)
        dropout = Dropout(self.dropout)
        h = embed(self.max_atomic_number + 1, self.hidden, name="elements")(numbers)  # [B, 2, H]
        for i in range(self.layers):
            new = layer_norm(name=f"norm_{i}")(dense(self.hidden, name=f"layer_{i}")(h))
            h = h + dropout(nn.relu(new), batch, train)
        far = dense(self.hidden, name="distance")(distance)
        x = jnp.concatenate([h.reshape(len(h), -1), far], axis=-1)  # [B, 3H]
        x = nn.relu(dense(self.hidden, name="out_0")(x))
        return dense(self.outputs, name="out_1")(dropout(x, batch, train))
