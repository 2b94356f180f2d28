"""DimeNet++: J. Gasteiger et al., NeurIPS 2020 workshop (arXiv 2011.14115)."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from qc_jax.data.batch import Batch
from qc_jax.models import _spherical
from qc_jax.models._base import Architecture, field
from qc_jax.models._start import dense
from qc_jax.models._torch import Tensor

# Å. Nearer atoms count as so far apart: the basis grows without bounds as they meet.
_NEAREST = 0.01
# Å². Shifts that differ by less lead to the same image.
_SAME_SHIFT = 0.01


class Edges(NamedTuple):
    """What messages j → i are made with, for every atom i and each of its neighbours j.

    Attributes:
      radial: [B, A, K, N], the radial basis; 0 where nobody is there within the cutoff.
      spherical: [L, B, A, K, N], the radial part of the angular one, likewise.
      angular: [L, B, A, K, K], its other part, of the angle at an atom between the way to one
        neighbour and the way from another; 0 for one and the same.
      reverse: [B, A·K], where among these edges i → j stands.
    """

    radial: jax.Array
    spherical: jax.Array
    angular: jax.Array
    reverse: jax.Array


def _orthogonal(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
    """Return a random orthogonal matrix, its numbers' variance 2/(fan in + fan out)."""
    matrix = nn.initializers.orthogonal()(key, shape, dtype)
    variance = jnp.var(matrix, ddof=1) if matrix.size > 1 else 1.0  # of one number there is none
    return matrix * jnp.sqrt(2 / (sum(shape) * variance))


def _uniform(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
    """Return numbers of variance 1."""
    return jax.random.uniform(key, shape, dtype, -math.sqrt(3), math.sqrt(3))


def _dense(width: int, name: str, use_bias: bool = True) -> nn.Dense:
    return nn.Dense(width, use_bias, kernel_init=_orthogonal, name=name)


class Residual(nn.Module):
    """x + σ(W' σ(W x + b) + b'), σ(x) = x/(1 + e^(−x)) as everywhere here."""

    @nn.compact
    def __call__(self, x: Float[Array, "*rest features"]) -> Float[Array, "*rest features"]:
        """Return the features, one block on."""
        new = nn.silu(_dense(x.shape[-1], "0")(x))
        return x + nn.silu(_dense(x.shape[-1], "1")(new))


class Interaction(nn.Module):
    """m_ji ← f(m_ji, Σ_k g(m_kj, d_kj, angle between k → j and j → i)), k ≠ i."""

    hidden: int
    int_emb_size: int
    basis_emb_size: int
    before_skip: int
    after_skip: int

    @nn.compact
    def __call__(
        self, batch: Batch, edges: Edges, x: Float[Array, "batch atoms neighbors features"]
    ) -> Float[Array, "batch atoms neighbors features"]:
        """Return the messages, one interaction on."""
        h = nn.silu(_dense(self.hidden, "ji")(x))
        # The weights of triplets must be there even if the first batch is of pairs.
        if _may_have_triplets(batch) or self.is_initializing():
            h = h + self._from_triplets(edges, x)
        for i in range(self.before_skip):
            h = Residual(name=f"before_{i}")(h)
        h = nn.silu(_dense(self.hidden, "skip")(h)) + x
        for i in range(self.after_skip):
            h = Residual(name=f"after_{i}")(h)
        return h

    def _from_triplets(self, edges: Edges, x: jax.Array) -> jax.Array:
        sent = nn.silu(_dense(self.hidden, "kj")(x))
        radial = _dense(self.basis_emb_size, "radial_0", False)(edges.radial)
        sent = sent * _dense(self.hidden, "radial_1", False)(radial)
        sent = nn.silu(_dense(self.int_emb_size, "down", False)(sent))
        orders, functions = len(edges.spherical), edges.radial.shape[-1]
        shape = (orders * functions, self.basis_emb_size)
        first = self.param("angular_0", _orthogonal, shape)
        second = self.param("angular_1", _orthogonal, (self.basis_emb_size, self.int_emb_size))
        weights = (first @ second).reshape(orders, functions, -1).astype(sent.dtype)
        passed = _sum_of_triplets(edges, sent, weights)
        passed = jax.lax.collapse(passed, 1, 3)  # [B, A·K, C]
        passed = jnp.take_along_axis(passed, edges.reverse[..., None], axis=1)
        return nn.silu(_dense(self.hidden, "up", False)(passed.reshape(sent.shape)))


def _may_have_triplets(batch: Batch) -> bool:
    """Return False where no atom can have a neighbour beside the one it is met from."""
    return batch.atomic_numbers.shape[1] > 2 or batch.shifts is not None


def _sum_of_triplets(edges: Edges, sent: jax.Array, weights: jax.Array) -> jax.Array:
    """Return what every atom j passes on to its neighbours i, of what it was sent: [B, A, K, C].

    Σ_k Σ_ln Y_l0(angle of k → j and j → i) f_ln(d_kj) W_ln ∘ m_kj, of m_kj [B, A, K, C] and
    W [L, N, C]. One order l at a time, which on a CPU is faster and takes a tenth of the memory.
    """

    @jax.checkpoint
    def add(total: jax.Array, order: tuple[jax.Array, ...]) -> tuple[jax.Array, None]:
        angular, spherical, weight = order  # [B, A, K, K], [B, A, K, N], [N, C]
        return total + angular @ (spherical @ weight * sent), None

    every = (edges.angular, edges.spherical, weights)
    return jax.lax.scan(add, jnp.zeros_like(sent), every)[0]


class Output(nn.Module):
    """What the messages to each atom add to the outputs."""

    out_emb: int
    layers: int
    outputs: int

    @nn.compact
    def __call__(
        self,
        radial: Float[Array, "batch atoms neighbors functions"],
        x: Float[Array, "batch atoms neighbors features"],
    ) -> Float[Array, "batch atoms outputs"]:
        """Return each atom's part of the outputs, of the radial basis and the messages."""
        width = self.out_emb
        x = jnp.sum(_dense(x.shape[-1], "radial", False)(radial) * x, axis=2)
        # Two matrices with nothing between them: their product is less work than both.
        up = self.param("up", _orthogonal, (x.shape[-1], width))
        first = self.param("first_kernel", _orthogonal, (width, width))
        x = nn.silu(x @ (up @ first) + self.param("first_bias", nn.initializers.zeros, width))
        for i in range(1, self.layers):
            x = nn.silu(_dense(width, f"layer_{i}")(x))
        return nn.Dense(self.outputs, False, kernel_init=nn.initializers.zeros, name="out")(x)


_INTERACTION = {"ji": "lin_ji", "kj": "lin_kj", "down": "lin_down", "up": "lin_up"} | {
    "radial_0": "lin_rbf1",
    "radial_1": "lin_rbf2",
    "skip": "lin",
    "before_{n}/0": "layers_before_skip.{n}.lin1",
    "before_{n}/1": "layers_before_skip.{n}.lin2",
    "after_{n}/0": "layers_after_skip.{n}.lin1",
    "after_{n}/1": "layers_after_skip.{n}.lin2",
}

_OUTPUT = {"radial": "lin_rbf", "layer_{n}": "lins.{n}", "out": "lin"}
TORCH = {
    "frequencies": Tensor("rbf.freq"),
    "elements": "emb.emb",
    "radial": "emb.lin_rbf",
    "message": "emb.lin",
    "interaction_{i}/angular_0": Tensor("interaction_blocks.{i}.lin_sbf1.weight", np.transpose),
    "interaction_{i}/angular_1": Tensor("interaction_blocks.{i}.lin_sbf2.weight", np.transpose),
    **{f"interaction_{{i}}/{a}": f"interaction_blocks.{{i}}.{b}" for a, b in _INTERACTION.items()},
    **{f"output_{{i}}/{a}": f"output_blocks.{{i}}.{b}" for a, b in _OUTPUT.items()},
    "output_{i}/up": Tensor("output_blocks.{i}.lin_up.weight", np.transpose),
    "output_{i}/first_kernel": Tensor("output_blocks.{i}.lins.0.weight", np.transpose),
    "output_{i}/first_bias": Tensor("output_blocks.{i}.lins.0.bias"),
}


class Model(Architecture):
    """Messages between neighbours within the cutoff (Å), with the angles between them.

    A pair has no angles: the weights of the interactions' triplets are idle, and cost nothing. Up
    to second derivatives nothing jumps at the cutoff, nor at angles of 0° and 180°: the basis is a
    polynomial of the cosine. Neighbours count where each is in the other's list.
    """

    torch_names: ClassVar[Mapping[str, Any]] = TORCH
    inputs: ClassVar[tuple[str, ...]] = ("atomic_numbers", "positions")

    outputs: int = 1
    hidden: int = field(56, at_least=2)
    blocks: int = 3
    int_emb_size: int = 56
    basis_emb_size: int = 8
    out_emb: int = 112
    num_spherical: int = 7
    num_radial: int = 6
    cutoff: float = field(5.0, above=0)
    envelope_exponent: int = 5
    before_skip: int = 1
    after_skip: int = 2
    output_layers: int = 3
    max_atomic_number: int = 94

    @nn.compact
    def __call__(self, batch: Batch, train: bool = False) -> Float[Array, "batch outputs"]:
        """Return the outputs of B structures."""
        edges = self._edges(batch)
        elements = nn.Embed(
            self.max_atomic_number + 1,
            self.hidden,
            embedding_init=_uniform,
            name="elements",
        )(batch.atomic_numbers)
        far = nn.silu(dense(self.hidden, name="radial")(edges.radial))
        ours = jnp.broadcast_to(elements[:, :, None], far.shape)
        x = jnp.concatenate([ours, batch.of_neighbors(elements), far], axis=-1)
        x = nn.silu(dense(self.hidden, name="message")(x))  # [B, A, K, H]
        atoms = self._output(0)(edges.radial, x)
        for i in range(self.blocks):
            x = Interaction(
                self.hidden,
                self.int_emb_size,
                self.basis_emb_size,
                self.before_skip,
                self.after_skip,
                name=f"interaction_{i}",
            )(batch, edges, x)
            atoms = atoms + self._output(i + 1)(edges.radial, x)
        return batch.pool(atoms)

    def _output(self, i: int) -> Output:
        return Output(self.out_emb, self.output_layers, self.outputs, name=f"output_{i}")

    def _edges(self, batch: Batch) -> Edges:
        """Return the bases: u(x) sin(ν_n x), u(x) N_ln j_l(z_ln x) with x = d/cutoff, and Y_l0."""
        frequencies = self.param(
            "frequencies", lambda _: jnp.pi * jnp.arange(1, self.num_radial + 1, dtype=jnp.float32)
        )
        dtype = batch.positions.dtype
        vectors = batch.displacements(batch.positions)
        # Sines of large numbers make nothing of bfloat16.
        vectors = vectors.astype(jnp.promote_types(dtype, jnp.float32))
        squared = jnp.sum(vectors**2, axis=-1)
        distance = jnp.sqrt(jnp.maximum(squared, _NEAREST**2))
        reverse, returns = _reverse(batch)
        there = returns & (distance <= self.cutoff)
        # All bases are 0 at the cutoff, where those that are not there are put.
        x = jnp.where(there, distance / self.cutoff, 1)[..., None]  # [B, A, K, 1]
        p = self.envelope_exponent + 1
        envelope = (
            1 / x
            - (p + 1) * (p + 2) / 2 * x ** (p - 1)
            + p * (p + 2) * x**p
            - p * (p + 1) / 2 * x ** (p + 1)
        )
        envelope = jnp.where(x < 1, envelope, 0)
        radial = envelope * jnp.sin(frequencies * x)
        roots, norms = _spherical.roots_and_norms(self.num_spherical, self.num_radial)
        shape = (self.num_spherical, 1, 1, 1, self.num_radial)
        spherical = norms.reshape(shape) * _spherical.bessel(jnp.asarray(roots.reshape(shape)) * x)
        direction = vectors / distance[..., None]
        cosine = -direction @ jnp.swapaxes(direction, -1, -2)  # [B, A, K, K]
        angular = _spherical.harmonics(cosine, self.num_spherical)
        angular = angular * (1 - jnp.eye(cosine.shape[-1], dtype=cosine.dtype))
        return Edges(
            radial=radial.astype(dtype),
            spherical=(envelope * spherical).astype(dtype),
            angular=angular.astype(dtype),
            reverse=reverse,
        )


def _reverse(batch: Batch) -> tuple[jax.Array, jax.Array]:
    """Return where each edge's opposite stands [B, A·K], and whether there is one [B, A, K]."""
    b, atoms, slots = batch.neighbors.shape
    leads_back = batch.of_neighbors(batch.neighbors) == jnp.arange(atoms)[:, None, None]
    if batch.shifts is not None:
        theirs = batch.of_neighbors(batch.shifts.reshape(b, atoms, -1))
        theirs = theirs.reshape(b, atoms, slots, slots, 3)
        apart = jnp.sum((theirs + batch.shifts[..., None, :]) ** 2, axis=-1)
        leads_back &= apart < _SAME_SHIFT
    leads_back &= batch.neighbor_mask[..., None]
    slot = jnp.max(jnp.where(leads_back, jnp.arange(slots), 0), axis=-1, initial=0)
    reverse = jnp.minimum(batch.neighbors, atoms - 1) * slots + slot
    return reverse.reshape(b, -1), jnp.any(leads_back, axis=-1)
