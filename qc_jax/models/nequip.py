"""NequIP: S. Batzner et al., Nat. Commun. 13, 2453, 2022 (arXiv 2101.03164), on e3nn-jax.

Of the paper's design: tensor products of features with spherical harmonics, weighted by an MLP of
the distance; self-connections that know the element; gates; atoms' energies summed. Otherwise than
there: only irreps of natural parity (0e, 1o, 2e, …), elements embedded rather than one-hot, Bessel
functions of fixed frequency, and a nonlinearity before the last layer.
"""

import types
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from qc_jax.data.batch import Batch
from qc_jax.errors import InputError
from qc_jax.models import _radial, _start


def _e3nn() -> types.ModuleType:
    """The module e3nn_jax, imported where it is used: who does not use it need not have it.

    Raises:
      InputError: it is not installed.
    """
    try:
        import e3nn_jax
    except ImportError as error:
        raise InputError("model nequip needs e3nn-jax: pip install e3nn-jax") from error
    return e3nn_jax


def silu(x: jax.Array) -> jax.Array:
    """x/(1 + e⁻ˣ), scaled to a mean square of 1 where x is normally distributed, as in e3nn."""
    return 1.6765324703310913 * jax.nn.silu(x)


def bessel(distance: jax.Array, count: int, cutoff: float) -> jax.Array:
    """√(2/c) sin(nπd/c)/d for n = 1 … `count`, equation 8 of the paper: [..., count]."""
    n = np.arange(1, count + 1)
    scale = jnp.asarray(np.sqrt(2 / cutoff) * np.pi * n / cutoff, distance.dtype)
    return scale * jnp.sinc(jnp.asarray(n / cutoff, distance.dtype) * distance[..., None])


def envelope(distance: jax.Array, cutoff: float, p: int = 6) -> jax.Array:
    """From 1 at zero smoothly to 0 at the cutoff and beyond (arXiv 2003.03123, equation 8)."""
    d = distance / cutoff
    inside = (
        1
        - (p + 1) * (p + 2) / 2 * d**p
        + p * (p + 2) * d ** (p + 1)
        - p * (p + 1) / 2 * d ** (p + 2)
    )
    return jnp.where(d < 1, inside, 0)


def linear(name: str, x: Any, features: dict[str, int]) -> Any:
    """The copies of each irrep of an IrrepsArray mixed, without bias, into as many as asked for.

    To be called in a compact method: the weights are Dense layers called `name`_0e, `name`_1o, …

    Args:
      name: of the layers.
      x: an IrrepsArray of one chunk an irrep.
      features: how many of each irrep come out; zeros where `x` has none of it.
    """
    given = {str(irrep): chunk for (_, irrep), chunk in zip(x.irreps, x.chunks, strict=True)}
    mixed: list[jax.Array | None] = []
    for irrep, count in features.items():
        mix = nn.Dense(count, use_bias=False, name=f"{name}_{irrep}") if irrep in given else None
        mixed.append(mix and jnp.swapaxes(mix(jnp.swapaxes(given[irrep], -1, -2)), -1, -2))
    irreps = [(count, irrep) for irrep, count in features.items()]
    return _e3nn().from_chunks(irreps, mixed, x.shape[:-1], x.dtype)


class Interaction(nn.Module):
    """gate(W₂ Σ_j R(d_ij) (W₁ h_j ⊗ Y(r̂_ij)) / √N + W₃ (h_i ⊗ a_i)).

    R is an MLP without biases, so that it vanishes with its input at the cutoff; a_i are the
    element's attributes, N is the average number of neighbours.
    """

    features: int
    degree: int
    radial_hidden: int
    average_neighbors: float

    @nn.compact
    def __call__(
        self, batch: Batch, h: Any, attributes: Any, directions: Any, radial: jax.Array
    ) -> Any:
        """One layer.

        Args:
          batch: of B structures.
          h: IrrepsArray [B, A, ·], each irrep in one chunk.
          attributes: IrrepsArray [B, A, ·] of scalars.
          directions: IrrepsArray [B, A, K, ·], spherical harmonics of the unit vectors.
          radial: [B, A, K, R], zeros where there is no neighbour.

        Returns:
          IrrepsArray [B, A, ·], `features` of each irrep of natural parity up to `degree`.
        """
        e3nn = _e3nn()
        sent = linear("before", h, {str(irrep): count for count, irrep in h.irreps})
        sent = e3nn.IrrepsArray(sent.irreps, batch.of_neighbors(sent.array))
        kept = [irrep for _, irrep in e3nn.s2_irreps(self.degree)]
        message = e3nn.tensor_product(sent, directions, filter_ir_out=kept)
        for i in range(2):
            radial = nn.Dense(self.radial_hidden, use_bias=False, name=f"radial_{i}")(radial)
            radial = silu(radial)
        weights = nn.Dense(message.irreps.num_irreps, use_bias=False, name="radial_2")(radial)
        gathered = e3nn.sum(message * weights, axis=2) / self.average_neighbors**0.5

        wanted = {str(irrep): self.features for irrep in kept}
        wanted["0e"] += self.features * self.degree  # a gate for every vector and tensor
        after = linear("after", gathered, wanted)
        own = linear("own", e3nn.tensor_product(h, attributes), wanted)
        return e3nn.gate(after + own, silu, even_gate_act=silu, normalize_act=False)


class Model(nn.Module):
    """Reads distances below the cutoff (Å), directions and element embeddings.

    Needs e3nn-jax. With the defaults features are 32x0e + 32x1o + 32x2e. Energies are smooth in the
    positions, at the cutoff too, except where two atoms coincide.
    """

    inputs: ClassVar[tuple[str, ...]] = ("atomic_numbers", "positions")

    outputs: int = 1
    features: int = 32  # copies of each irrep
    max_degree: int = 2
    layers: int = 4
    attributes: int = 8  # scalars of each element, in the self-connections
    radial: int = 8  # Bessel functions
    radial_hidden: int = 64
    cutoff: float = 5.0
    average_neighbors: float = 1.0  # sums over neighbours are divided by its root
    max_atomic_number: int = 99

    def check(self) -> None:
        """Raises InputError where e3nn-jax is missing or neighbours are none on average."""
        _e3nn()
        if self.average_neighbors == 0:
            raise InputError("average_neighbors of nequip: expected above 0, got 0.0")

    @nn.compact
    def __call__(self, batch: Batch, train: bool = False) -> jax.Array:
        """A Batch of B structures → [B, outputs]."""
        e3nn = _e3nn()
        distance, there = _radial.distances(batch, self.cutoff)
        vectors = batch.displacements(batch.positions)
        # Of coincident atoms the direction is zero, and so are its harmonics but for the scalar.
        units = vectors / jnp.where(distance > 0, distance, 1)[..., None]
        harmonics = e3nn.s2_irreps(self.max_degree)
        directions = e3nn.spherical_harmonics(harmonics, units, normalize=False)
        radial = bessel(distance, self.radial, self.cutoff)
        radial = radial * jnp.where(there, envelope(distance, self.cutoff), 0)[..., None]

        def embed(name: str, width: int) -> Any:
            table = _start.embed(self.max_atomic_number + 1, width, name=name)
            return e3nn.IrrepsArray(f"{width}x0e", table(batch.atomic_numbers))

        h, attributes = embed("elements", self.features), embed("attributes", self.attributes)
        for i in range(self.layers):
            # Energies are read off scalars alone.
            degree = self.max_degree if i < self.layers - 1 else 0
            layer = Interaction(
                self.features,
                degree,
                self.radial_hidden,
                self.average_neighbors,
                name=f"layer_{i}",
            )
            h = layer(batch, h, attributes, directions, radial)
        h = silu(nn.Dense(self.features // 2, name="out_0")(h.array))
        return batch.pool(nn.Dense(self.outputs, name="out_1")(h))


# The names of a PyTorch network of e3nn's tensor products, copies of an irrep mixed by its Linear.
TORCH = {
    "elements": "embedding",
    "attributes": "attributes",
    "layer_{i}/before_{l}e": "layers.{i}.before.{l}e",
    "layer_{i}/before_{l}o": "layers.{i}.before.{l}o",
    "layer_{i}/radial_{k}": "layers.{i}.radial.{k}",
    "layer_{i}/after_{l}e": "layers.{i}.after.{l}e",
    "layer_{i}/after_{l}o": "layers.{i}.after.{l}o",
    "layer_{i}/own_{l}e": "layers.{i}.own.{l}e",
    "layer_{i}/own_{l}o": "layers.{i}.own.{l}o",
    "out_{k}": "out.{k}",
}
