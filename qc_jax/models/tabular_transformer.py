"""Tabular transformer: a baseline of QuantumCanvas (arXiv 2512.01519), a token a channel."""

from collections.abc import Mapping
from typing import Any, ClassVar

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from qc_jax.data.batch import Batch
from qc_jax.models._attention import EncoderLayer, check_heads, torch_encoder_layer
from qc_jax.models._base import Architecture, channels, field
from qc_jax.models._layers import Dropout
from qc_jax.models._pair import pair, statistics
from qc_jax.models._start import dense, embed, layer_norm
from qc_jax.models._torch import Tensor

TORCH = {
    "channels_in": "channel_proj",
    "elements": "element_embedding",
    "atoms_in": "atom_proj",
    "class_token": Tensor("cls_token"),
    "places": Tensor("pos_encoding"),
    **torch_encoder_layer("layer_{i}", "transformer.layers.{i}"),
    "norm": "head.0",
    "out_0": "head.1",
    "out_1": "head.4",
}


class Model(Architecture):
    """A transformer of a class token, a token for each channel and one for each atom.

    A channel's token comes from mean, deviation, maximum and minimum of its pixels, which still
    hold what the canvas leaks; an atom's from its element and the bond length (Å). Each place
    among the tokens has its own learned vector, so the atoms' order matters. The class token is
    read.
    """

    torch_names: ClassVar[Mapping[str, Any]] = TORCH
    as_pairs: ClassVar[bool] = True
    inputs: ClassVar[tuple[str, ...]] = ("atomic_numbers", "positions", "canvas")

    outputs: int = 1
    channels: tuple[int, ...] = channels(*range(10))
    element_embedding: int = 64
    hidden: int = 80
    heads: int = 4
    layers: int = 4
    mlp_ratio: int = 4
    dropout: float = field(0.1, at_least=0, below=1)
    max_atomic_number: int = 103

    def check(self) -> None:
        """Raise InputError where the heads cannot share the width."""
        check_heads("tabular_transformer", self.hidden, self.heads)

    @nn.compact
    def __call__(self, batch: Batch, train: bool = False) -> Float[Array, "batch outputs"]:
        """Return the outputs of B pairs.

        Raises:
          InputError: the structures are no pairs.
        """
        numbers, distance = pair(batch)
        of_channels = dense(self.hidden, name="channels_in")(statistics(batch, self.channels))
        elements = embed(self.max_atomic_number + 1, self.element_embedding, name="elements")
        far = jnp.broadcast_to(distance[:, None], (len(distance), 2, 1))
        atoms = jnp.concatenate([elements(numbers), far], axis=-1)
        of_atoms = dense(self.hidden, name="atoms_in")(atoms)

        start = nn.initializers.normal(1)
        first = self.param("class_token", start, (1, 1, self.hidden))
        first = jnp.broadcast_to(first, (len(distance), 1, self.hidden))
        tokens = jnp.concatenate([first, of_channels, of_atoms], axis=1)
        tokens += self.param("places", start, (1, tokens.shape[1], self.hidden))
        for i in range(self.layers):
            layer = EncoderLayer(
                self.heads, self.mlp_ratio * self.hidden, self.dropout, name=f"layer_{i}"
            )
            last = i == self.layers - 1
            tokens = layer(tokens, batch, train, first=1 if last else None)

        x = layer_norm(name="norm")(tokens[:, 0])
        x = nn.relu(dense(self.hidden // 2, name="out_0")(x))
        x = Dropout(self.dropout)(x, batch, train)
        return dense(self.outputs, name="out_1")(x)
