"""NequIP: S. Batzner et al., Nat. Commun. 13, 2453, 2022 (arXiv 2101.03164), on e3nn-jax.

Of the paper's design: tensor products of features with spherical harmonics, weighted by an MLP of
the distance; self-connections that know the element; gates; atoms' energies summed. Otherwise than
there: only irreps of natural parity (0e, 1o, 2e, …), elements embedded rather than one-hot, Bessel
functions of fixed frequency, and a nonlinearity before the last layer.

Harmonics and Clebsch-Gordan coefficients are e3nn-jax's. Features are arrays [B, A, 2l + 1, F] for
each degree l rather than its IrrepsArray, so that Dense layers act on the last axis as they lie.
"""

import types
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from qc_jax.data.batch import Batch
from qc_jax.errors import InputError
from qc_jax.models import _start
from qc_jax.models._base import Architecture, field
from qc_jax.ops import safe_norm


def _e3nn() -> types.ModuleType:
    """Return the module e3nn_jax, imported where it is used: who does not use it need not have it.

    Raises:
      InputError: it is not installed.
    """
    try:
        import e3nn_jax
    except ImportError as error:
        raise InputError("model nequip needs e3nn-jax: pip install e3nn-jax") from error
    return e3nn_jax


def silu(x: Float[Array, "*any"]) -> Float[Array, "*any"]:
    """Return x/(1 + e⁻ˣ), scaled to a mean square of 1 of normally distributed x, as in e3nn."""
    return 1.6765324703310913 * jax.nn.silu(x)


class Couplings(NamedTuple):
    """How features times harmonics make features again.

    Attributes:
      paths: of each degree kept, how many pairs of degrees lead there.
      coefficients: [I, J, Q], of the I = Σ (2l + 1) components of a feature and the J of the
        harmonics; the Q go by degree kept, then its components, then its paths.
    """

    paths: tuple[int, ...]
    coefficients: np.ndarray


def couplings(given: int, harmonics: int, kept: int) -> Couplings:
    """Return all paths between natural parities, from and to degrees up to those.

    Coefficients are of e3nn's normalisation 'component'. A degree's paths go by that of the
    feature, then by that of the harmonic.
    """
    e3nn = _e3nn()
    paths, coefficients = [], []
    for into in range(kept + 1):
        found = []
        for one in range(given + 1):
            for two in range(harmonics + 1):
                if abs(one - two) <= into <= one + two and (one + two + into) % 2 == 0:
                    path = np.zeros(((given + 1) ** 2, (harmonics + 1) ** 2, 2 * into + 1))
                    part = slice(one**2, (one + 1) ** 2), slice(two**2, (two + 1) ** 2)
                    path[part] = e3nn.clebsch_gordan(one, two, into) * np.sqrt(2 * into + 1)
                    found.append(path)
        paths.append(len(found))
        coefficients.append(np.stack(found, axis=-1).reshape(*found[0].shape[:2], -1))
    return Couplings(tuple(paths), np.concatenate(coefficients, axis=-1))


def _irrep(degree: int) -> str:
    """Return an irrep's name, with its natural parity: 0e, 1o, 2e, …"""
    return f"{degree}{'eo'[degree % 2]}"


class Own(nn.Module):
    """W (a ⊗ h): all products of features and attributes, mixed, for every component of a degree.

    Of scalars the products are made; of others a matrix for every atom, which is less work.
    """

    features: int

    @nn.compact
    def __call__(self, h: jax.Array, attributes: jax.Array) -> jax.Array:
        """Return features [B, A, 2l + 1, features], mixed as the attributes [B, A, T] say."""
        count, width = attributes.shape[-1], h.shape[-1]
        shape = (count * width, self.features)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)
        if h.shape[2] == 1:
            products = attributes[..., None] @ h  # on a CPU faster than ∗, backwards at least
            return products.reshape(*h.shape[:3], -1) @ kernel
        matrices = attributes @ kernel.reshape(count, -1)
        return h @ matrices.reshape(*h.shape[:2], width, -1)


class Interaction(nn.Module):
    """gate(W₂ Σ_j R(d_ij) (W₁ h_j ⊗ Y(r̂_ij)) / √N + W₃ (a_i ⊗ h_i)).

    R is an MLP without biases, so that it vanishes with its input at the cutoff; a_i are the
    element's attributes, N is the average number of neighbours. W are matrices for each degree.
    """

    features: int
    degree: int
    radial_hidden: int
    average_neighbors: float

    @nn.compact
    def __call__(
        self,
        batch: Batch,
        h: list[jax.Array],
        attributes: jax.Array,
        harmonics: jax.Array,
        radial: jax.Array,
    ) -> list[jax.Array]:
        """Return the features, one layer on.

        Args:
          batch: of B structures.
          h: [B, A, 2l + 1, F] of degrees l = 0, 1, …
          attributes: [B, A, T].
          harmonics: [B, A, K, J], of the unit vectors.
          radial: [B, A, K, R], zeros where there is no neighbour.

        Returns:
          `features` of each degree up to `degree`, as `h`.
        """

        def mix(name: str, degree: int, x: jax.Array, features: int) -> jax.Array:
            return nn.Dense(features, use_bias=False, name=f"{name}_{_irrep(degree)}")(x)

        given, most = len(h) - 1, round(harmonics.shape[-1] ** 0.5) - 1
        paths, coefficients = couplings(given, most, self.degree)
        sent = [mix("before", degree, x, self.features) for degree, x in enumerate(h)]
        for i in range(2):
            radial = nn.Dense(self.radial_hidden, use_bias=False, name=f"radial_{i}")(radial)
            radial = silu(radial)
        weights = nn.Dense(sum(paths) * self.features, use_bias=False, name="radial_2")(radial)

        edges = batch.neighbors.shape  # B, A, K
        met = jnp.concatenate(sent, axis=2)  # [B, A, I, F]
        components = met.shape[2:]
        met = batch.of_neighbors(met.reshape(*edges[:2], -1)).reshape(*edges, *components)
        tensor = jnp.asarray(coefficients, harmonics.dtype)
        messages = jnp.einsum("bakj,ijq->bakqi", harmonics, tensor) @ met  # [B, A, K, Q, F]
        # Each path's weights, once for every component of what it leads to.
        weights = weights.reshape(*edges, sum(paths), self.features)
        each = jnp.split(weights, np.cumsum(paths[:-1]), axis=3)
        each = [weight for degree, weight in enumerate(each) for _ in range(2 * degree + 1)]
        gathered = jnp.sum(messages * jnp.concatenate(each, axis=3), axis=2)  # [B, A, Q, F]
        gathered = gathered / self.average_neighbors**0.5
        sizes = [(2 * degree + 1) * count for degree, count in enumerate(paths)]

        new = []
        for degree, part in enumerate(jnp.split(gathered, np.cumsum(sizes[:-1]), axis=2)):
            part = part.reshape(*part.shape[:2], 2 * degree + 1, -1)
            # The scalars are joined by a gate for every other feature.
            width = self.features * (1 + (self.degree if degree == 0 else 0))
            total = mix("after", degree, part, width)
            if degree < len(h):
                total = total + Own(width, name=f"own_{_irrep(degree)}")(h[degree], attributes)
            new.append(total)
        scalars, *gates = jnp.split(silu(new[0]), 1 + self.degree, axis=-1)
        return [scalars, *(gate * x for gate, x in zip(gates, new[1:], strict=True))]


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


class Model(Architecture):
    """Reads distances below the cutoff (Å), directions and element embeddings.

    Needs e3nn-jax. With the defaults features are 32x0e + 32x1o + 32x2e. Energies are smooth in the
    positions, at the cutoff too, except where two atoms coincide.
    """

    torch_names: ClassVar[Mapping[str, Any]] = TORCH
    inputs: ClassVar[tuple[str, ...]] = ("atomic_numbers", "positions")

    outputs: int = 1
    features: int = field(32, at_least=2)  # of each degree
    max_degree: int = 2
    layers: int = 4
    attributes: int = 12  # of each element, in the self-connections
    radial: int = 8  # Bessel functions
    radial_hidden: int = 64
    cutoff: float = field(5.0, above=0)
    average_neighbors: float = field(1.0, above=0)  # sums over neighbours are divided by its root
    max_atomic_number: int = 99

    def check(self) -> None:
        """Raise InputError where e3nn-jax is missing."""
        _e3nn()

    @nn.compact
    def __call__(self, batch: Batch, train: bool = False) -> Float[Array, "batch outputs"]:
        """Return the outputs of B structures."""
        harmonics, radial = self._edges(batch)

        def embed(name: str, width: int) -> jax.Array:
            table = _start.embed(self.max_atomic_number + 1, width, name=name)
            return table(batch.atomic_numbers)

        h = [embed("elements", self.features)[:, :, None]]
        attributes = embed("attributes", self.attributes)
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
            h = layer(batch, h, attributes, harmonics, radial)
        scalars = silu(nn.Dense(self.features // 2, name="out_0")(h[0][:, :, 0]))
        return batch.pool(nn.Dense(self.outputs, name="out_1")(scalars))

    def _edges(self, batch: Batch) -> tuple[jax.Array, jax.Array]:
        """Return harmonics [B, A, K, J] and radial basis [B, A, K, R]: 0 where nobody is there."""
        e3nn = _e3nn()
        dtype = batch.positions.dtype
        vectors = batch.displacements(batch.positions)
        # Sines of large numbers make nothing of bfloat16.
        vectors = vectors.astype(jnp.promote_types(dtype, jnp.float32))
        distance = safe_norm(vectors)
        # Of coincident atoms the direction is zero, and so are its harmonics but for the scalar.
        units = vectors / jnp.where(distance > 0, distance, 1)[..., None]
        harmonics = e3nn.spherical_harmonics(
            e3nn.s2_irreps(self.max_degree), units, normalize=False, normalization="component"
        )
        # Equation 8 of the paper, and of arXiv 2003.03123 with p = 6.
        envelope = e3nn.poly_envelope(5, 2, self.cutoff)
        within = jnp.where(batch.neighbor_mask, envelope(distance), 0)
        radial = e3nn.bessel(distance, self.radial, self.cutoff) * within[..., None]
        return harmonics.array.astype(dtype), radial.astype(dtype)
