"""EGNN: V. G. Satorras, E. Hoogeboom, M. Welling, ICML 2021 (arXiv 2102.09844)."""

from collections.abc import Mapping
from typing import Any, ClassVar

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from qc_jax.data.batch import Batch
from qc_jax.models._base import Architecture
from qc_jax.models._layers import Dense


class Layer(nn.Module):
    """One equivariant convolution, equations 3 to 6, with the edge gate of equation 8.

    m_ij = φ_e(h_i, h_j, |x_i − x_j|²), x_i += mean_j (x_i − x_j)/(|x_i − x_j| + 1) φ_x(m_ij),
    m_i = Σ_j φ_inf(m_ij) m_ij, h_i += φ_h(h_i, m_i).

    The division in the second keeps positions from running away, as the authors' code offers: with
    bare differences one training in four ended in a loss that was not finite.
    """

    hidden: int
    move_atoms: bool

    @nn.compact
    def __call__(
        self,
        batch: Batch,
        h: Float[Array, "batch atoms features"],
        x: Float[Array, "batch atoms 3"],
    ) -> tuple[Float[Array, "batch atoms features"], Float[Array, "batch atoms 3"]]:
        """Return features and positions (Å), one layer on."""
        to_neighbors = batch.displacements(x)  # [B, A, K, 3] Å
        squared = jnp.sum(to_neighbors**2, axis=-1, keepdims=True)
        there = batch.neighbor_mask[..., None]  # [B, A, K, 1]
        ours = jnp.broadcast_to(h[:, :, None], (*there.shape[:3], h.shape[-1]))
        message = jnp.concatenate([ours, batch.of_neighbors(h), squared], axis=-1)
        message = nn.silu(Dense(self.hidden, name="edge_0")(message))
        message = nn.silu(Dense(self.hidden, name="edge_1")(message))  # [B, A, K, H]
        gate = nn.sigmoid(Dense(1, name="gate")(message))
        gathered = jnp.sum(jnp.where(there, gate * message, 0), axis=2)  # [B, A, H]

        if self.move_atoms:
            weight = nn.silu(Dense(self.hidden, name="move_0")(message))
            # The authors start this layer near zero: positions hardly move at first.
            start = nn.initializers.variance_scaling(1e-6, "fan_avg", "uniform")
            weight = Dense(1, use_bias=False, kernel_init=start, name="move_1")(weight)
            count = jnp.maximum(jnp.sum(there, axis=2), 1)  # [B, A, 1]
            # The inner `where` keeps the square root's gradient finite where atoms coincide.
            length = jnp.sqrt(jnp.where(squared > 0, squared, 1.0))
            steps = to_neighbors / (length + 1) * weight
            x = x - jnp.sum(jnp.where(there, steps, 0), axis=2) / count

        update = jnp.concatenate([h, gathered], axis=-1)
        update = nn.silu(Dense(self.hidden, name="node_0")(update))
        return h + Dense(self.hidden, name="node_1")(update), x


# The names of the authors' network for QM9, elements embedded by their number.
TORCH = {
    "elements": "embedding",
    "layer_{i}/edge_0": "gcl_{i}.edge_mlp.0",
    "layer_{i}/edge_1": "gcl_{i}.edge_mlp.2",
    "layer_{i}/gate": "gcl_{i}.att_mlp.0",
    "layer_{i}/move_0": "gcl_{i}.coord_mlp.0",
    "layer_{i}/move_1": "gcl_{i}.coord_mlp.2",
    "layer_{i}/node_0": "gcl_{i}.node_mlp.0",
    "layer_{i}/node_1": "gcl_{i}.node_mlp.2",
    "atom_0": "node_dec.0",
    "atom_1": "node_dec.2",
    "out_0": "graph_dec.0",
    "out_1": "graph_dec.2",
}


class Model(Architecture):
    """E(n)-equivariant graph network; its outputs are invariant.

    Reads squared distances (Å²) and element embeddings; as on QM9 in the paper, atoms' features are
    mapped by one MLP, summed over the atoms, and mapped by another.
    """

    torch_names: ClassVar[Mapping[str, Any]] = TORCH
    inputs: ClassVar[tuple[str, ...]] = ("atomic_numbers", "positions")

    outputs: int = 1
    hidden: int = 94
    layers: int = 7
    move_atoms: bool = True  # equation 4; invariant targets can do without
    max_atomic_number: int = 99

    @nn.compact
    def __call__(self, batch: Batch, train: bool = False) -> Float[Array, "batch outputs"]:
        """Return the outputs of B structures."""
        h = nn.Embed(self.max_atomic_number + 1, self.hidden, name="elements")(batch.atomic_numbers)
        x = batch.positions
        for layer in range(self.layers):
            # Nothing reads the positions after the last layer.
            moves = self.move_atoms and layer < self.layers - 1
            h, x = Layer(self.hidden, moves, name=f"layer_{layer}")(batch, h, x)
        h = nn.silu(Dense(self.hidden, name="atom_0")(h))
        h = Dense(self.hidden, name="atom_1")(h)
        pooled = jnp.sum(jnp.where(batch.atom_mask[..., None], h, 0), axis=1)  # [B, H]
        pooled = nn.silu(Dense(self.hidden, name="out_0")(pooled))
        return Dense(self.outputs, name="out_1")(pooled)
