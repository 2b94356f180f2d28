"""GATv2: S. Brody, U. Alon, E. Yahav, ICLR 2022 (arXiv 2105.14491), as in QuantumCanvas.

As published it reads elements and who is whose neighbour, no positions: a pair's outputs are the
same whatever its bond length.
"""

import functools
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from qc_jax.data.batch import Batch
from qc_jax.models import _radial
from qc_jax.models._base import Architecture, field
from qc_jax.models._layers import Dropout
from qc_jax.models._start import dense, embed, open_bias
from qc_jax.models._torch import Tensor

_SLOPE = 0.2  # of the leaky ReLU
# Keeps the quotient of attentions finite where all underflow, as PyTorch Geometric does.
_TINY = 1e-16


class Attention(nn.Module):
    """h'_i = mean over heads of Σ_j α_ij Θ_s h_j, plus a bias; j goes over neighbours and i itself.

    α_ij ∝ w_ij exp(a · LeakyReLU(Θ_t h_i + Θ_s h_j + Θ_e e_ij)) with Σ_j α_ij = 1 for each head.
    """

    hidden: int
    heads: int
    dropout: float

    @nn.compact
    def __call__(
        self,
        batch: Batch,
        h: Float[Array, "batch atoms features"],
        weight: Float[Array, "batch atoms neighbors"],
        edges: Float[Array, "batch atoms neighbors gaussians"] | None,
        train: bool,
    ) -> Float[Array, "batch atoms features"]:
        """Return features, of the atoms' features, weights (0 where nobody is) and edges' features.

        The K neighbours in `batch` are those that are attended to, the atom itself among them.
        """
        wide = self.heads * self.hidden
        # PyTorch Geometric starts these as Glorot did, but for their biases.
        glorot = nn.initializers.xavier_uniform()
        of_atoms = functools.partial(dense, wide, kernel_init=glorot, bias_init=open_bias)
        sent = of_atoms(name="source")(h)
        sent = batch.of_neighbors(sent)  # [B, A, K, heads · H]
        met = sent + of_atoms(name="target")(h)[:, :, None]
        if edges is not None:
            met = met + dense(wide, use_bias=False, kernel_init=glorot, name="edge")(edges)
        vectors = self.param("attention", glorot, (self.heads, self.hidden))
        # As one matrix [heads · H, heads] they are much faster than head by head.
        by_head = jnp.eye(self.heads, dtype=h.dtype)[:, None] * vectors[..., None]
        scores = nn.leaky_relu(met, _SLOPE) @ by_head.reshape(wide, self.heads)

        scores = jnp.where(weight[..., None] > 0, scores, -jnp.inf)
        largest = jax.lax.stop_gradient(jnp.max(scores, axis=2, keepdims=True))
        attention = weight[..., None] * jnp.exp(scores - largest)
        attention = attention / (jnp.sum(attention, axis=2, keepdims=True) + _TINY)
        attention = Dropout(self.dropout)(attention, batch, train)  # [B, A, K, heads]
        sent = sent.reshape(*attention.shape, self.hidden)
        gathered = jnp.einsum("bakh,bakhc->bac", attention, sent) / self.heads
        return gathered + self.param("bias", nn.initializers.zeros, self.hidden)


# The names of a network of PyTorch Geometric's layers and a linear head.
TORCH = {
    "elements": "embedding",
    "layer_{i}/source": "convs.{i}.lin_l",
    "layer_{i}/target": "convs.{i}.lin_r",
    "layer_{i}/edge": "convs.{i}.lin_edge",
    "layer_{i}/attention": Tensor(
        "convs.{i}.att", lambda tensor: tensor[0], lambda array, _: array[None]
    ),
    "layer_{i}/bias": Tensor("convs.{i}.bias"),
    "out": "fc",
}


class Model(Architecture):
    """Embeddings, attention layers with ReLU and dropout, the mean over the atoms, a linear layer.

    With `edge_features='distance'` attention also reads Gaussians of the distances, and falls to 0
    at the cutoff (Å) by the factor (cos(πd/cutoff) + 1)/2. An image of an atom in another cell is a
    neighbour like any other.
    """

    torch_names: ClassVar[Mapping[str, Any]] = TORCH
    not_smooth_reason: ClassVar[str] = "its ReLUs make forces jump"

    outputs: int = 1
    hidden: int = 96
    layers: int = 5
    heads: int = 4
    dropout: float = field(0.1, at_least=0, below=1)  # of features and of attentions
    edge_features: Literal["none", "distance"] = "none"
    gaussians: int = field(50, at_least=2)
    cutoff: float = field(5.0, above=0)
    max_atomic_number: int = 99

    @property
    def inputs(self) -> tuple[str, ...]:
        """Return what it reads, in the words of `qc_jax.data.targets.INPUTS`."""
        positions = ("positions",) if self.edge_features == "distance" else ()
        return ("atomic_numbers", *positions)

    @nn.compact
    def __call__(self, batch: Batch, train: bool = False) -> Float[Array, "batch outputs"]:
        """Return the outputs of B structures."""
        h = embed(self.max_atomic_number + 1, self.hidden, name="elements")(batch.atomic_numbers)
        atoms = batch.atomic_numbers.shape[1]
        edges = None
        if self.edge_features == "distance":
            distance, there = _radial.distances(batch, self.cutoff)
            edges = _radial.gaussians(distance, self.gaussians, self.cutoff)
            edges = jnp.pad(edges, [(0, 0), (0, 0), (1, 0), (0, 0)])
            weight = jnp.where(there, _radial.cosine_cutoff(distance, self.cutoff), 0)
        else:
            weight = batch.neighbor_mask.astype(h.dtype)
        # Each atom attends to itself first, with weight 1 and edge features that are 0.
        weight = jnp.pad(weight, [(0, 0), (0, 0), (1, 0)], constant_values=1)
        own = jnp.broadcast_to(jnp.arange(atoms)[:, None], (*batch.atomic_numbers.shape, 1))
        around = batch.replace(neighbors=jnp.concatenate([own, batch.neighbors], axis=2))
        for i in range(self.layers):
            layer = Attention(self.hidden, self.heads, self.dropout, name=f"layer_{i}")
            h = nn.relu(layer(around, h, weight, edges, train))
            h = Dropout(self.dropout)(h, batch, train)
        return dense(self.outputs, name="out")(batch.pool(h, "mean"))
