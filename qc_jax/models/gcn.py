"""GCN: T. N. Kipf, M. Welling, ICLR 2017 (arXiv 1609.02907), as QuantumCanvas's 'egnn'.

The published benchmark calls this network EGNN. It reads elements and who is whose neighbour, no
positions: a pair's outputs are the same whatever its bond length.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from qc_jax.data.batch import Batch
from qc_jax.models import _radial
from qc_jax.models._base import Architecture, field
from qc_jax.models._layers import Dense, Dropout

# The names of a network of PyTorch Geometric's layers, its head an `nn.Sequential` with dropouts.
TORCH = {
    "elements": "embedding",
    "edge": "edge_weight",
    "layer_{i}": "convs.{i}.lin",
    "bias_{i}": "convs.{i}.bias",
    "out_0": "head.0",
    "out_1": "head.3",
    "out_2": "head.6",
}


class Model(Architecture):
    """H' = ReLU(D^(−1/2) (W + I) D^(−1/2) H Θ + b), D_ii = 1 + Σ_j W_ij; mean over atoms; MLP.

    W_ij is 1 for every neighbour; with `edge_features='distance'` it is between 0 and 1, learned
    from Gaussians of the distance, and falls to 0 at the cutoff (Å).
    """

    torch_names: ClassVar[Mapping[str, Any]] = TORCH
    glorot_layers: ClassVar[tuple[str, ...]] = ("layer_*",)
    not_smooth_reason: ClassVar[str] = "its ReLUs make forces jump"

    # QuantumCanvas calls the head so, with its dropouts and, in weights that are about, without.
    torch_aliases: ClassVar[Mapping[str, str]] = {
        "regressor.0": "head.0",
        "regressor.2": "head.3",
        "regressor.3": "head.3",
        "regressor.4": "head.6",
        "regressor.6": "head.6",
    }

    outputs: int = 1
    hidden: int = field(180, at_least=4)
    layers: int = 7
    dropout: float = field(0.1, at_least=0, below=1)
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
        h = nn.Embed(self.max_atomic_number + 1, self.hidden, name="elements")(batch.atomic_numbers)
        if self.edge_features == "distance":
            distance, there = _radial.distances(batch, self.cutoff)
            radial = _radial.gaussians(distance, self.gaussians, self.cutoff)
            weight = nn.sigmoid(Dense(1, name="edge")(radial))[..., 0]
            weight = weight * _radial.cosine_cutoff(distance, self.cutoff)
        else:
            there, weight = batch.neighbor_mask, jnp.ones(batch.neighbors.shape, h.dtype)
        weight = jnp.where(there, weight, 0)[..., None]  # [B, A, K, 1]
        root = jax.lax.rsqrt(1 + jnp.sum(weight, axis=2))  # [B, A, 1]
        for layer in range(self.layers):
            sent = root * Dense(self.hidden, use_bias=False, name=f"layer_{layer}")(h)
            bias = self.param(f"bias_{layer}", nn.initializers.zeros, self.hidden)
            gathered = sent + jnp.sum(weight * batch.of_neighbors(sent), axis=2)
            h = nn.relu(root * gathered + bias)
        pooled = batch.pool(h, "mean")
        for i, width in enumerate((self.hidden // 2, self.hidden // 4)):
            pooled = nn.relu(Dense(width, name=f"out_{i}")(pooled))
            pooled = Dropout(self.dropout)(pooled, batch, train)
        return Dense(self.outputs, name="out_2")(pooled)
