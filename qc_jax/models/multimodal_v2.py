"""Multimodal v2: a fusion of QuantumCanvas (arXiv 2512.01519), patches and atoms in attention.

The published sizes leave the layout open. Two gates, means of the tokens and no norm behind the
MLPs of cross-attention agree with the number of parameters and with the authors' network.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from qc_jax.data.batch import Batch
from qc_jax.models._attention import (
    Attention,
    EncoderLayer,
    check_heads,
    torch_attention,
    torch_encoder_layer,
)
from qc_jax.models._base import Architecture, channels, field
from qc_jax.models._layers import Dropout
from qc_jax.models._pair import pair
from qc_jax.models._patches import check_patches, patches, torch_patches
from qc_jax.models._start import dense, embed, layer_norm
from qc_jax.models._torch import Tensor


class Asking(nn.Module):
    """Tokens x + attention to others, normalised, and an MLP with GELU added."""

    heads: int
    mlp: int
    dropout: float

    @nn.compact
    def __call__(
        self,
        asking: Float[Array, "batch asking features"],
        asked: Float[Array, "batch asked features"],
        batch: Batch,
        train: bool,
    ) -> Float[Array, "batch asking features"]:
        """Return the asking tokens, with what they gather from those that are asked."""
        attention = Attention(self.heads, self.dropout, name="attention")
        x = layer_norm(name="norm")(asking + attention(asking, asked, batch, train))
        hidden = nn.gelu(dense(self.mlp, name="mlp_0")(x), approximate=False)
        hidden = Dropout(self.dropout)(hidden, batch, train)
        return x + dense(x.shape[-1], name="mlp_1")(hidden)


def _torch_asking(ours: str, attention: str, letter: str) -> dict:
    theirs = "cross_attention_layers.{i}."
    return {
        **torch_attention(f"{ours}/attention", theirs + attention),
        f"{ours}/norm": f"{theirs}norm_{letter}",
        f"{ours}/mlp_0": f"{theirs}ffn_{letter}.0",
        f"{ours}/mlp_1": f"{theirs}ffn_{letter}.3",
    }


TORCH = {
    **torch_patches("patches", "patch_embed"),
    "places": Tensor("pos_embed"),
    **torch_encoder_layer("layer_{i}", "img_transformer.layers.{i}"),
    "elements": "element_embedding",
    "atoms_in": "atom_proj",
    **_torch_asking("patches_ask_{i}", "attn_a_to_b", "a"),
    **_torch_asking("atoms_ask_{i}", "attn_b_to_a", "b"),
    "gate_0": "gated_fusion.gate_net.0",
    "gate_1": "gated_fusion.gate_net.2",
    "of_patches": "gated_fusion.proj_a",
    "of_atoms": "gated_fusion.proj_b",
    "out_0": "head.0",
    "norm": "head.1",
    "out_1": "head.4",
    "out_2": "head.6",
}


class Model(Architecture):
    """A transformer of patches; patches ask atoms, atoms ask patches; two gates mix their means.

    An atom's token comes from its element and the bond length (Å). Nothing tells the first atom
    from the second but the canvas. The canvas leaks dipole and charges.
    """

    torch_names: ClassVar[Mapping[str, Any]] = TORCH
    as_pairs: ClassVar[bool] = True
    inputs: ClassVar[tuple[str, ...]] = ("atomic_numbers", "positions", "canvas")

    outputs: int = 1
    channels: tuple[int, ...] = channels(*range(10))
    patch: int = 4  # pixels along each side
    hidden: int = 80
    heads: int = 4
    image_layers: int = 2
    cross_layers: int = 1
    element_embedding: int = 48
    mlp_ratio: int = 4
    dropout: float = field(0.1, at_least=0, below=1)
    max_atomic_number: int = 103

    def check(self) -> None:
        """Raise InputError where heads cannot share the width, or patches not the canvas."""
        check_heads("multimodal_v2", self.hidden, self.heads)
        check_patches("multimodal_v2", self.patch)

    @nn.compact
    def __call__(self, batch: Batch, train: bool = False) -> Float[Array, "batch outputs"]:
        """Return the outputs of B pairs.

        Raises:
          InputError: the structures are no pairs.
        """
        numbers, distance = pair(batch)
        seen = dense(self.hidden, name="patches")(patches(batch, self.channels, self.patch))
        seen += self.param("places", nn.initializers.normal(0.02), (1, *seen.shape[1:]))
        sizes = (self.heads, self.mlp_ratio * self.hidden, self.dropout)
        for i in range(self.image_layers):
            seen = EncoderLayer(*sizes, name=f"layer_{i}")(seen, batch, train)

        elements = embed(self.max_atomic_number + 1, self.element_embedding, name="elements")
        far = jnp.broadcast_to(distance[:, None], (len(distance), 2, 1))
        atoms = jnp.concatenate([elements(numbers), far], axis=-1)
        atoms = dense(self.hidden, name="atoms_in")(atoms)
        for i in range(self.cross_layers):
            seen = Asking(*sizes, name=f"patches_ask_{i}")(seen, atoms, batch, train)
            atoms = Asking(*sizes, name=f"atoms_ask_{i}")(atoms, seen, batch, train)

        both = (seen.mean(axis=1), atoms.mean(axis=1))
        gates = nn.relu(dense(self.hidden, name="gate_0")(jnp.concatenate(both, axis=-1)))
        gates = nn.softmax(dense(2, name="gate_1")(gates))
        x = gates[:, :1] * dense(self.hidden, name="of_patches")(both[0])
        x += gates[:, 1:] * dense(self.hidden, name="of_atoms")(both[1])

        x = nn.relu(layer_norm(name="norm")(dense(self.hidden, name="out_0")(x)))
        x = Dropout(self.dropout)(x, batch, train)
        x = nn.relu(dense(self.hidden // 2, name="out_1")(x))
        return dense(self.outputs, name="out_2")(x)
