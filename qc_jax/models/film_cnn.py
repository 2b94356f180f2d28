"""FiLM CNN: E. Perez et al., AAAI 2018 (arXiv 1709.07871), as in QuantumCanvas (arXiv 2512.01519).

The published sizes do not say what the head reads and where it is normalised. That it reads every
pixel left, with a layer norm after its first layer alone, agrees with the number of parameters and
with the authors' network.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from qc_jax.data.batch import Batch
from qc_jax.models._base import Architecture, channels, field
from qc_jax.models._convolution import Convolution
from qc_jax.models._layers import BatchNorm, Dropout
from qc_jax.models._pair import pair, pictures
from qc_jax.models._start import dense, embed, layer_norm

TORCH = {
    "elements": "element_embedding",
    "conv_{i}": "conv_layers.{i}",
    "norm_{i}": "bn_layers.{i}",
    "scale_{i}": "film_gamma.{i}",
    "shift_{i}": "film_beta.{i}",
    "head_{i}": "head.{i}",
}


class Model(Architecture):
    """Convolutions of the canvas, modulated by elements and bond length (Å), then an MLP.

    Each convolution halves the image and is normalised over the batch. Linear layers that read both
    elements' embeddings and the bond length give each of its channels a scale and a shift; ReLU and
    dropout follow. The atoms' order matters. The canvas leaks dipole and charges.
    """

    torch_names: ClassVar[Mapping[str, Any]] = TORCH
    as_pairs: ClassVar[bool] = True
    head_layers: ClassVar[tuple[str, ...]] = ("head_*",)
    inputs: ClassVar[tuple[str, ...]] = ("atomic_numbers", "positions", "canvas")

    outputs: int = 1
    channels: tuple[int, ...] = channels(*range(10))
    element_embedding: int = 56
    convolutions: tuple[int, ...] = (48, 96, 104, 52)
    hidden: tuple[int, ...] = (256, 128)
    dropout: float = field(0.2, at_least=0, below=1)
    max_atomic_number: int = 103

    @nn.compact
    def __call__(self, batch: Batch, train: bool = False) -> Float[Array, "batch outputs"]:
        """Return the outputs of B pairs.

        Raises:
          InputError: the structures are no pairs.
        """
        numbers, distance = pair(batch)
        elements = embed(self.max_atomic_number + 1, self.element_embedding, name="elements")
        of_pair = elements(numbers).reshape(len(numbers), -1)
        of_pair = jnp.concatenate([of_pair, distance], axis=1)

        x, factors = pictures(batch, self.channels)
        for i, width in enumerate(self.convolutions):
            convolution = Convolution(width, 3, stride=2, padding=1, name=f"conv_{i}")
            x = convolution(x, factors if i == 0 else None, constant_bias=train)
            x = BatchNorm(name=f"norm_{i}")(x, batch, train)
            scale, shift = (
                dense(width, name=f"{what}_{i}")(of_pair)[:, None, None]
                for what in ("scale", "shift")
            )
            x = Dropout(self.dropout)(nn.relu(scale * x + shift), batch, train)
        x = jnp.moveaxis(x, -1, 1).reshape(len(x), -1)  # channel by channel, as in PyTorch

        # The head's layers have their place in the reference as their number.
        x = layer_norm(name="head_2")(dense(self.hidden[0], name="head_1")(x))
        x = Dropout(self.dropout)(nn.relu(x), batch, train)
        for i, width in enumerate(self.hidden[1:]):
            x = nn.relu(dense(width, name=f"head_{2 * i + 5}")(x))
        return dense(self.outputs, name=f"head_{2 * len(self.hidden) + 3}")(x)
