"""QuantumShellNet V2: a fusion model of QuantumCanvas (arXiv 2512.01519).

The published sizes do not say where the last MLP is normalised: layer norms after each of its
hidden layers give the published number of parameters.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from qc_jax.data.batch import Batch
from qc_jax.models._attention import Attention, check_heads, torch_attention
from qc_jax.models._base import Architecture, channels, field
from qc_jax.models._convolution import Convolution
from qc_jax.models._layers import BatchNorm, Dropout
from qc_jax.models._pair import pair, pictures
from qc_jax.models._start import dense, embed, layer_norm

TORCH = {
    "conv_{i}": "conv_layers.{i}",
    "norm_{i}": "bn_layers.{i}",
    "elements": "element_embedding",
    "atoms_in": "atom_proj",
    **torch_attention("attention", "cross_attention"),
    "distance_{i}": "dist_encoding.{i}",
    "fusion_{i}": "fusion.{i}",
}


class Model(Architecture):
    """A CNN of the canvas whose result asks both atoms by attention; an MLP reads what comes of it.

    Convolutions that halve the image are normalised over the batch; the mean over the pixels that
    are left, one by default, is the query. The atoms' embeddings, projected to its width, are keys
    and values. The MLP reads the attended one, the embeddings' mean and the encoded bond length
    (Å). The canvas leaks dipole and charges.
    """

    torch_names: ClassVar[Mapping[str, Any]] = TORCH
    as_pairs: ClassVar[bool] = True
    inputs: ClassVar[tuple[str, ...]] = ("atomic_numbers", "positions", "canvas")

    outputs: int = 1
    channels: tuple[int, ...] = channels(*range(10))
    element_embedding: int = 80
    convolutions: tuple[int, ...] = (64, 128, 112, 56, 32)
    heads: int = 4
    distance_hidden: int = 32
    hidden: tuple[int, ...] = (256, 128)
    dropout: float = field(0.2, at_least=0, below=1)
    max_atomic_number: int = 103

    def check(self) -> None:
        """Raise InputError where the heads cannot share the last convolution's channels."""
        check_heads("qsn_v2", self.convolutions[-1], self.heads)

    @property
    def head_layers(self) -> tuple[str, ...]:
        """Return the last layer, by its name."""
        return (f"fusion_{4 * len(self.hidden)}",)

    @nn.compact
    def __call__(self, batch: Batch, train: bool = False) -> Float[Array, "batch outputs"]:
        """Return the outputs of B pairs.

        Raises:
          InputError: the structures are no pairs.
        """

        def activate(x: jax.Array) -> jax.Array:
            return Dropout(self.dropout)(nn.relu(x), batch, train)

        x, factors = pictures(batch, self.channels)
        for i, width in enumerate(self.convolutions):
            convolution = Convolution(width, 3, stride=2, padding=1, name=f"conv_{i}")
            x = convolution(x, factors if i == 0 else None, constant_bias=train)
            x = activate(BatchNorm(name=f"norm_{i}")(x, batch, train))
        query = jnp.mean(x, axis=(1, 2))[:, None]  # [B, 1, D]

        numbers, distance = pair(batch)
        width = query.shape[-1]
        elements = embed(self.max_atomic_number + 1, self.element_embedding, name="elements")
        atoms = dense(width, name="atoms_in")(elements(numbers))  # [B, 2, D]
        attended = Attention(self.heads, self.dropout, name="attention")(query, atoms, batch, train)
        far = nn.relu(dense(self.distance_hidden, name="distance_0")(distance))
        far = dense(width, name="distance_2")(far)

        # A layer's number is its place in the reference: linear, norm, ReLU, dropout, and again.
        x = jnp.concatenate([attended[:, 0], jnp.mean(atoms, axis=1), far], axis=-1)
        for i, width in enumerate(self.hidden):
            x = dense(width, name=f"fusion_{4 * i}")(x)
            x = activate(layer_norm(name=f"fusion_{4 * i + 1}")(x))
        return dense(self.outputs, name=self.head_layers[0])(x)
