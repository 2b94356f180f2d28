"""SchNet: K. T. Schütt et al., J. Chem. Phys. 148, 241722, 2018 (arXiv 1712.06113)."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from qc_jax.data.batch import Batch
from qc_jax.models import _radial
from qc_jax.models._base import Architecture, field
from qc_jax.models._layers import Dense


@jax.custom_jvp
def shifted_softplus(x: Float[Array, "*any"]) -> Float[Array, "*any"]:
    """Return ln((eˣ + 1)/2), to a rounding error of ln 2: JAX's own is more exact and slower."""
    return jnp.maximum(x, 0) + jnp.log((1 + jnp.exp(-jnp.abs(x))) / 2)


@shifted_softplus.defjvp
def _(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    (x,), (change,) = primals, tangents
    return shifted_softplus(x), nn.sigmoid(x) * change


class Interaction(nn.Module):
    """Continuous-filter convolution and what follows it, to be added to the features.

    v_i = Σ_j (W h_j) ∘ filter(d_ij), within the cutoff; the filter is an MLP of Gaussians of d_ij
    times the cosine cutoff.
    """

    hidden: int
    filters: int

    @nn.compact
    def __call__(
        self,
        batch: Batch,
        h: Float[Array, "batch atoms features"],
        radial: Float[Array, "batch atoms neighbors gaussians"],
        smooth: Float[Array, "batch atoms neighbors 1"],
    ) -> Float[Array, "batch atoms features"]:
        """Return what is added to the features, of Gaussians and cutoffs of the distances.

        Gaussians [B, 1, K, G] are those of all the atoms.
        """
        weights = shifted_softplus(Dense(self.filters, name="filter_0")(radial))
        weights = Dense(self.filters, name="filter_1")(weights) * smooth  # [B, A, K, F]
        sent = batch.of_neighbors(Dense(self.filters, use_bias=False, name="before")(h))
        gathered = jnp.sum(sent * weights, axis=2)  # [B, A, F]
        gathered = shifted_softplus(Dense(self.hidden, name="after")(gathered))
        return Dense(self.hidden, name="update")(gathered)


TORCH = {
    "elements": "embedding",
    # The reference stores each filter's MLP under two names.
    "interaction_{i}/filter_0": ("interactions.{i}.mlp.0", "interactions.{i}.conv.nn.0"),
    "interaction_{i}/filter_1": ("interactions.{i}.mlp.2", "interactions.{i}.conv.nn.2"),
    "interaction_{i}/before": "interactions.{i}.conv.lin1",
    "interaction_{i}/after": "interactions.{i}.conv.lin2",
    "interaction_{i}/update": "interactions.{i}.lin",
    "out_0": "lin1",
    "out_1": "lin2",
}


class Model(Architecture):
    """Reads distances below the cutoff (Å) and element embeddings, as in PyTorch Geometric.

    Weights start as Flax's layers do. With the reference's start, `init=torch` (embeddings of
    deviation 1 instead of 1/√hidden), the experiment card's test error is half as large again.
    """

    torch_names: ClassVar[Mapping[str, Any]] = TORCH
    glorot_layers: ClassVar[tuple[str, ...]] = ("*",)
    inputs: ClassVar[tuple[str, ...]] = ("atomic_numbers", "positions")

    outputs: int = 1
    hidden: int = field(96, at_least=2)
    filters: int = 96
    interactions: int = 6
    gaussians: int = field(50, at_least=2)
    cutoff: float = field(5.0, above=0)
    readout: Literal["add", "mean"] = "add"
    max_atomic_number: int = 99

    def setup(self) -> None:
        """Make its layers."""
        self.elements = nn.Embed(self.max_atomic_number + 1, self.hidden)
        self.interaction = [
            Interaction(self.hidden, self.filters) for _ in range(self.interactions)
        ]
        self.out_0 = Dense(self.hidden // 2)
        self.out_1 = Dense(self.outputs)

    def __call__(self, batch: Batch, train: bool = False) -> Float[Array, "batch outputs"]:
        """Return the outputs of B structures."""
        h = shifted_softplus(self.out_0(self.atoms(batch)))
        return batch.pool(self.out_1(h), self.readout)

    def atoms(self, batch: Batch) -> Float[Array, "batch atoms features"]:
        """Return features of the atoms, before the last layers."""
        distance, there = _radial.distances(batch, self.cutoff)
        # Both atoms of a pair see one distance: one filter serves both.
        same = distance[:, :1] if batch.is_pairs else distance
        radial = _radial.gaussians(same, self.gaussians, self.cutoff)
        smooth = jnp.where(there, _radial.cosine_cutoff(distance, self.cutoff), 0)[..., None]
        h = self.elements(batch.atomic_numbers)
        for interaction in self.interaction:
            h = h + interaction(batch, h, radial, smooth)
        return h

    def torch_constants(self) -> dict[str, Any]:
        """Return the centres of the Gaussians, which tell the cutoff."""
        return {"distance_expansion.offset": np.linspace(0, self.cutoff, self.gaussians)}
