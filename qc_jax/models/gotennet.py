"""GotenNet: S. Aykent, T. Xia, ICLR 2025, as in QuantumCanvas (arXiv 2512.01519).

The paper is at openreview.net/forum?id=5wxCQDtbMo. The published network is the authors' with the
defaults of their package: tensors of degree 1 alone, attention times the root of the number of
neighbours, and a linear layer behind the mean of the atoms. Their own trainings have
`max_degree=2, scale_by_neighbors=False`.
"""

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from qc_jax.data.batch import Batch
from qc_jax.errors import InputError
from qc_jax.models import _radial
from qc_jax.models._base import Architecture, field
from qc_jax.models._layers import Dropout
from qc_jax.models._start import dense, embed, layer_norm

_glorot = nn.initializers.xavier_uniform()

Tensors = tuple[jax.Array, ...]  # of degrees 1, 2, …: [B, A, 2l + 1, H] each


class Edges(NamedTuple):
    """What is known of an atom's neighbours, itself first.

    Attributes:
      batch: the structures, every atom the first of its neighbours.
      there: [B, A, K] bool, the neighbours within the cutoff.
      smooth: [B, A, K, 1], from 1 at zero to 0 at the cutoff.
      directions: harmonics of the unit vectors to them, [B, A, K, 2l + 1] of degrees 1, 2, ….
      scale: [B, A, K, 1], what attention is multiplied by.
    """

    batch: Batch
    there: jax.Array
    smooth: jax.Array
    directions: tuple[jax.Array, ...]
    scale: jax.Array


def with_itself(batch: Batch) -> Batch:
    """Return the structures with every atom as the first of its own neighbours."""
    b, atoms, _ = batch.neighbors.shape
    own = jnp.arange(atoms, dtype=batch.neighbors.dtype)[:, None]
    own = jnp.broadcast_to(own, (b, atoms, 1))
    neighbors = jnp.concatenate([own, batch.neighbors], axis=2)
    shifts = batch.shifts
    if shifts is not None:
        shifts = jnp.pad(shifts, [(0, 0), (0, 0), (1, 0), (0, 0)])
    return batch.replace(neighbors=neighbors, shifts=shifts)


def harmonics(units: Float[Array, "*any 3"], max_degree: int) -> tuple[jax.Array, ...]:
    """Return real spherical harmonics of unit vectors, [..., 2l + 1] of each degree from 1 to 2.

    Of norm 1 each; zeros where the vector is zero.
    """
    if max_degree == 1:
        return (units,)
    x, y, z = units[..., 0], units[..., 1], units[..., 2]
    root = math.sqrt(3)
    second = [
        root * x * y,
        root * y * z,
        (2 * z**2 - x**2 - y**2) / 2,
        root * x * z,
        root / 2 * (x**2 - y**2),
    ]
    return units, jnp.stack(second, axis=-1)


def radial_basis(count: int, cutoff: float) -> tuple[Float[np.ndarray, " count"], float]:
    """Return centres, and steepness, of Gaussians of e^(−5 d/cutoff)."""
    least = math.exp(-cutoff)
    return np.linspace(least, 1, count), (2 / count * (1 - least)) ** -2


class Part(nn.Module):
    """A linear layer of which only the first outputs are computed, the others being idle."""

    features: int
    used: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Return the features, of other numbers."""
        kernel = self.param("kernel", _glorot, (x.shape[-1], self.features))
        bias = self.param("bias", nn.initializers.zeros, self.features)
        return x @ kernel[:, : self.used] + bias[: self.used]


def _dense(width: int, name: str, use_bias: bool = True) -> nn.Dense:
    return dense(width, use_bias, kernel_init=_glorot, name=name)


class Attention(nn.Module):
    """Messages along each edge: attention and a filter, each with parts for h and every degree.

    m_ij = a_ij v(h_j) + W t_ij ∘ s(h_j) smooth(d_ij), where for every head
    a_ij = softmax_j Σ q(h_i) ∘ k(h_j) ∘ σ(V t_ij) and σ(x) = x/(1 + e^(−x)), as everywhere here;
    h_i += Σ_j m⁰_ij, and x_i^l += Σ_j (m_ij^(l) Y_l(r̂_ij) + m_ij^(L+l) ∘ x_j^l).
    """

    heads: int
    dropout: float

    @nn.compact
    def __call__(
        self, edges: Edges, h: jax.Array, x: Tensors | None, t: jax.Array, train: bool
    ) -> tuple[jax.Array, Tensors]:
        """Return features h [B, A, H] and tensors of h, x (None: all zero), edges t."""
        hidden, degrees = h.shape[-1], len(edges.directions)
        width = (1 + 2 * degrees) * hidden
        used = width if x is not None else (1 + degrees) * hidden

        def gamma(name: str) -> jax.Array:
            inner = nn.silu(_dense(hidden, f"{name}_0")(h))
            return Part(width, used, name=f"{name}_1")(inner)

        key = _dense(hidden, "key")(h)
        sent = [key, gamma("scalar"), gamma("value")]
        sizes = [hidden, used, used]
        for tensor in x or ():
            sent.append(tensor.reshape(*tensor.shape[:2], -1))
            sizes.append(sent[-1].shape[-1])
        received = edges.batch.of_neighbors(jnp.concatenate(sent, axis=-1))
        key, scalar, value, *others = jnp.split(received, np.cumsum(sizes)[:-1], axis=-1)

        product = _dense(hidden, "query")(h)[:, :, None] * key
        product = product * nn.silu(_dense(hidden, "edge")(t))
        weights = jnp.sum(product.reshape(*product.shape[:3], self.heads, -1), axis=-1)
        weights = jnp.where(edges.there[..., None], weights, -jnp.inf)
        weights = jax.nn.softmax(weights, axis=2) * edges.scale
        weights = Dropout(self.dropout)(weights, edges.batch, train)
        # A head is a stretch of all parts' channels, one part behind the other.
        weights = jnp.repeat(weights, width // self.heads, axis=-1)[..., :used]
        filters = Part(width, used, name="filter")(t) * edges.smooth
        message = weights * value + filters * scalar
        own, *parts = jnp.split(message, used // hidden, axis=-1)
        h = h + jnp.sum(own, axis=2)

        new = []
        for degree, direction in enumerate(edges.directions):
            step = direction[..., None] * parts[degree][..., None, :]
            if x is not None:
                theirs = others[degree].reshape(step.shape)
                step = step + theirs * parts[degrees + degree][..., None, :]
            step = jnp.sum(step, axis=2)
            new.append(step if x is None else x[degree] + step)
        return h, tuple(new)


class Refinement(nn.Module):
    """t_ij += σ(W t_ij + b) ∘ Σ_l (Q x_i^l)⊥ · (K_l x_j^l)⊥, ⊥ without the part along Y_l(r̂_ij)."""

    @nn.compact
    def __call__(self, edges: Edges, x: Tensors, t: jax.Array) -> jax.Array:
        """Return the edges [B, A, K, H], refined by the tensors."""
        hidden = t.shape[-1]
        query = _dense(hidden, "query", False)
        total = jnp.zeros_like(t)
        for degree, (tensor, direction) in enumerate(zip(x, edges.directions, strict=True)):
            ours = query(tensor)[:, :, None]
            key = _dense(hidden, f"key_{degree}", False)(tensor)
            theirs = edges.batch.of_neighbors(key.reshape(*key.shape[:2], -1))
            theirs = theirs.reshape(*t.shape[:3], -1, hidden)
            along = direction[..., None]
            # Two vectors without their parts along a unit vector: a·b − (a·r)(b·r).
            both = jnp.sum(ours * along, axis=3) * jnp.sum(theirs * along, axis=3)
            total = total + jnp.sum(ours * theirs, axis=3) - both
        return t + nn.silu(_dense(hidden, "edge")(t)) * total


class FeedForward(nn.Module):
    """h += m, x^l += n ∘ U x^l, with m and n an MLP of h and the length of all U x^l together."""

    last: bool

    @nn.compact
    def __call__(self, h: jax.Array, x: Tensors) -> tuple[jax.Array, Tensors]:
        """Return features [B, A, H] and tensors, one layer on; nobody reads the last tensors."""
        hidden = h.shape[-1]
        mix = _dense(hidden, "mix", False)
        mixed = [mix(tensor) for tensor in x]
        squared = sum(jnp.sum(tensor**2, axis=2) for tensor in mixed)
        both = jnp.concatenate([h, jnp.sqrt(squared + 1e-8)], axis=-1)
        inner = nn.silu(_dense(hidden, "0")(both))
        step = Part(2 * hidden, hidden if self.last else 2 * hidden, name="1")(inner)
        h = h + step[..., :hidden]
        if self.last:
            return h, x
        gate = step[:, :, None, hidden:]
        return h, tuple(old + gate * new for old, new in zip(x, mixed, strict=True))


def _twice(prefix: str, rest: str) -> tuple[str, str]:
    """Return the two names under which the reference's MLPs store a layer."""
    return f"gotennet.{prefix}.dense_layers.{rest}", f"gotennet.{prefix}.layers.{rest}"


_ATTENTION = {"query": "W_q", "key": "W_k", "edge": "W_re", "filter": "W_rs"} | {
    "scalar_{k}": "gamma_s.{k}",
    "value_{k}": "gamma_v.{k}",
}
TORCH = {
    "elements": "gotennet.A_na",
    "neighbors": "gotennet.node_init.A_nbr",
    "around": _twice("node_init.W_ndp", "0"),
    "atom_norm": _twice("node_init.W_nrd_nru", "0.norm"),
    "atom_{k}": _twice("node_init.W_nrd_nru", "{k}"),
    "edge": "gotennet.edge_init.W_erp",
    **{f"attention_{{i}}/{a}": f"gotennet.gata_list.{{i}}.{b}" for a, b in _ATTENTION.items()},
    "refinement_{i}/query": "gotennet.gata_list.{i}.W_vq",
    "refinement_{i}/key_{l}": "gotennet.gata_list.{i}.W_vk.{l}",
    "refinement_{i}/edge": _twice("gata_list.{i}.gamma_t", "0"),
    "feed_forward_{i}/mix": "gotennet.eqff_list.{i}.W_vu",
    "feed_forward_{i}/{k}": "gotennet.eqff_list.{i}.gamma_m.{k}",
    "out": "regressor",
}


class Model(Architecture):
    """Reads distances and directions below the cutoff (Å) and element embeddings.

    Equivariant tensors inside, invariant outputs. As in the reference an atom attends to itself
    too, and attention does not vanish at the cutoff: outputs jump where a neighbour leaves.
    """

    torch_names: ClassVar[Mapping[str, Any]] = TORCH
    inputs: ClassVar[tuple[str, ...]] = ("atomic_numbers", "positions")
    not_smooth_reason: ClassVar[str] = "outputs jump where a neighbour crosses the cutoff"

    outputs: int = 1
    hidden: int = 64
    interactions: int = 3
    heads: int = 2
    radial: int = 10  # Gaussians
    max_degree: int = field(1, at_least=1, at_most=2)  # of the tensors
    cutoff: float = field(5.0, above=0)
    scale_by_neighbors: bool = True  # attention times √ of how many neighbours the neighbour has
    readout: Literal["add", "mean"] = "mean"
    dropout: float = field(0.0, at_least=0, below=1)  # of attention
    max_atomic_number: int = 99

    def check(self) -> None:
        """Raise InputError where heads do not divide features."""
        if self.hidden % self.heads:
            raise InputError(
                f"hidden of gotennet: expected a multiple of heads, {self.heads}, got {self.hidden}"
            )

    @nn.compact
    def __call__(self, batch: Batch, train: bool = False) -> Float[Array, "batch outputs"]:
        """Return the outputs of B structures."""
        edges, radial = self._edges(batch)
        h = self._atoms(edges, radial)
        near = edges.batch.of_neighbors(h) + h[:, :, None]
        t = near * _dense(self.hidden, "edge")(radial)
        x: Tensors | None = None
        for i in range(self.interactions):
            last = i == self.interactions - 1
            attention = Attention(self.heads, self.dropout, name=f"attention_{i}")
            h, x = attention(edges, h, x, t, train)
            if not last:
                t = Refinement(name=f"refinement_{i}")(edges, x, t)
            h, x = FeedForward(last, name=f"feed_forward_{i}")(h, x)
        return dense(self.outputs, name="out")(batch.pool(h, self.readout))

    def _edges(self, batch: Batch) -> tuple[Edges, jax.Array]:
        """Return the edges, and their radial basis [B, A, K, G]."""
        batch = with_itself(batch)
        distance, there = _radial.distances(batch, self.cutoff)
        vectors = batch.displacements(batch.positions)
        # Of coincident atoms, as of an atom and itself, the direction is zero.
        units = vectors / jnp.where(distance > 0, distance, 1)[..., None]
        smooth = jnp.where(there, _radial.cosine_cutoff(distance, self.cutoff), 0)[..., None]
        centres, steepness = radial_basis(self.radial, self.cutoff)
        near = jnp.exp(-5 / self.cutoff * distance)[..., None]
        radial = smooth * jnp.exp(-steepness * (near - jnp.asarray(centres, near.dtype)) ** 2)
        scale = jnp.ones_like(smooth)
        if self.scale_by_neighbors:
            count = jnp.sum(there, axis=2)[..., None].astype(smooth.dtype)
            scale = jnp.sqrt(batch.of_neighbors(count))
        edges = Edges(
            batch=batch,
            there=there,
            smooth=smooth,
            directions=harmonics(units, self.max_degree),
            scale=scale / math.sqrt(self.hidden),
        )
        return edges, radial

    def _atoms(self, edges: Edges, radial: jax.Array) -> jax.Array:
        """Return features [B, A, H] of the elements and of those around them."""
        numbers, rows = edges.batch.atomic_numbers, self.max_atomic_number + 1
        filters = _dense(self.hidden, "around")(radial) * edges.smooth
        sent = edges.batch.of_neighbors(embed(rows, self.hidden, name="neighbors")(numbers))
        around = jnp.sum((sent * filters)[:, :, 1:], axis=2)
        h = jnp.concatenate([embed(rows, self.hidden, name="elements")(numbers), around], axis=-1)
        h = nn.silu(layer_norm(name="atom_norm")(_dense(self.hidden, "atom_0")(h)))
        return _dense(self.hidden, "atom_1")(h)

    def torch_constants(self) -> dict[str, Any]:
        """Return centres and steepness of the Gaussians, which tell the cutoff."""
        centres, steepness = radial_basis(self.radial, self.cutoff)
        return {
            "gotennet.radial_basis.means": centres,
            "gotennet.radial_basis.betas": np.full(self.radial, steepness),
        }
