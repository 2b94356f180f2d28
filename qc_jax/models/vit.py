"""Vision Transformer: A. Dosovitskiy et al., ICLR 2021 (arXiv 2010.11929), as in QuantumCanvas.

The published model sees three of the canvas's ten channels, and so does this one unless `channels`
says otherwise. As there, and unlike in the paper, norms follow the sums and the MLPs have ReLU.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from qc_jax.data.batch import Batch
from qc_jax.models._attention import EncoderLayer, check_heads, torch_encoder_layer
from qc_jax.models._base import Architecture, channels, field
from qc_jax.models._patches import check_patches, patches, torch_patches
from qc_jax.models._start import dense, layer_norm
from qc_jax.models._torch import Tensor

TORCH = {
    **torch_patches("patches", "patch_embed"),
    "class_token": Tensor("cls_token"),
    "places": Tensor("pos_embed"),
    **torch_encoder_layer("layer_{i}", "transformer.layers.{i}"),
    "norm": "head.0",
    "out": "head.1",
}


class Model(Architecture):
    """A transformer of a class token and one token a patch of the canvas; the class token is read.

    The canvas leaks dipole and charges, in those of its channels that are read.
    """

    torch_names: ClassVar[Mapping[str, Any]] = TORCH
    inputs: ClassVar[tuple[str, ...]] = ("canvas",)

    outputs: int = 1
    channels: tuple[int, ...] = channels(0, 1, 2)
    patch: int = 4  # pixels along each side
    hidden: int = 96
    heads: int = 4
    layers: int = 4
    mlp_ratio: int = 4
    dropout: float = field(0.1, at_least=0, below=1)

    def check(self) -> None:
        """Raise InputError where heads cannot share the width, or patches not the canvas."""
        check_heads("vit", self.hidden, self.heads)
        check_patches("vit", self.patch)

    @nn.compact
    def __call__(self, batch: Batch, train: bool = False) -> Float[Array, "batch outputs"]:
        """Return the outputs of B pairs."""
        cut = patches(batch, self.channels, self.patch)
        b, count, _ = cut.shape
        start = nn.initializers.normal(1)
        first = self.param("class_token", start, (1, 1, self.hidden))
        first = jnp.broadcast_to(first, (b, 1, self.hidden))
        tokens = jnp.concatenate([first, dense(self.hidden, name="patches")(cut)], axis=1)
        tokens += self.param("places", start, (1, 1 + count, self.hidden))
        for i in range(self.layers):
            layer = EncoderLayer(
                self.heads, self.mlp_ratio * self.hidden, self.dropout, name=f"layer_{i}"
            )
            last = i == self.layers - 1
            tokens = layer(tokens, batch, train, first=1 if last else None)
        return dense(self.outputs, name="out")(layer_norm(name="norm")(tokens[:, 0]))
