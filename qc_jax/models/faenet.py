"""FAENet: A. Duval et al., ICML 2023 (arXiv 2305.05577), as in QuantumCanvas.

The published network reads vectors between atoms as they stand, so its outputs change when the
structure is turned. Here, as in the paper, they are averaged over frames of the structure's own
axes; `frame_averaging='none'` is the published network.
"""

import itertools
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from qc_jax.data.batch import Batch
from qc_jax.errors import InputError
from qc_jax.models import _radial
from qc_jax.models._base import Architecture, field
from qc_jax.models._start import dense, embed
from qc_jax.models._torch import Tensor
from qc_jax.ops import safe_norm

# Rows of the published tables, more than there are tags, periods and groups.
_TAGS, _PERIODS, _GROUPS = 3, 17, 29
_LAST = np.array([0, 2, 10, 18, 36, 54, 86, 118, 168])  # element of each period

_glorot = nn.initializers.xavier_uniform()


def periods_and_groups(count: int) -> tuple[Int[np.ndarray, " count"], Int[np.ndarray, " count"]]:
    """Return those of the atomic numbers below `count`, as the reference has them.

    Group 19 is Ce to Lu and Th to Lr; number 0 stands where hydrogen does.
    """
    number = np.maximum(np.arange(count), 1)
    period = np.searchsorted(_LAST, number)
    place, left = number - _LAST[period - 1], _LAST[period] - number
    group = np.select([left < 15, place < 4], [18 - left, place], 19)
    return period, np.where((place < 3) & (number != 2), place, group)


@jax.custom_jvp
def principal_axes(moments: Float[Array, "*any 3 3"]) -> Float[Array, "*any 3 3"]:
    """Return eigenvectors, in columns, of symmetric matrices, the largest eigenvalue's first.

    Where eigenvalues are equal they are one of many choices, and derivatives are those at which
    these axes do not turn into each other: finite, and right for what reads none of their vectors.
    """
    wide = moments.astype(jnp.promote_types(moments.dtype, jnp.float32))
    return jnp.linalg.eigh(wide)[1][..., ::-1].astype(moments.dtype)


@principal_axes.defjvp
def _(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    """First-order perturbation theory, in functions that can be differentiated again."""
    (moments,), (change,) = primals, tangents
    axes = principal_axes(moments)
    across = jnp.swapaxes(axes, -1, -2)
    values = jnp.diagonal(across @ moments @ axes, axis1=-2, axis2=-1)
    gaps = values[..., None, :] - values[..., :, None]
    rounding = 100 * jnp.finfo(moments.dtype).eps * jnp.max(jnp.abs(values), axis=-1)
    apart = jnp.abs(gaps) > rounding[..., None, None]
    turns = jnp.where(apart, (across @ change @ axes) / jnp.where(apart, gaps, 1), 0)
    return axes, axes @ turns


class GraphNorm(nn.Module):
    """γ y/√mean(y²) + β with y = x − α mean(x), over each structure's atoms, channel by channel."""

    @nn.compact
    def __call__(self, batch: Batch, x: jax.Array) -> jax.Array:
        """Return the features [F, B, A, H], one layer on."""
        there = batch.atom_mask[..., None]
        count = jnp.maximum(jnp.sum(there, axis=1, keepdims=True), 1).astype(x.dtype)

        def mean(values: jax.Array) -> jax.Array:
            return jnp.sum(values, axis=2, where=there, keepdims=True) / count

        def learned(name: str, start: nn.initializers.Initializer) -> jax.Array:
            return self.param(name, start, x.shape[-1])

        y = x - learned("mean_scale", nn.initializers.zeros) * mean(x)
        y = y * jax.lax.rsqrt(mean(y**2) + 1e-5)
        return y * learned("scale", nn.initializers.ones) + learned("bias", nn.initializers.zeros)


class Interaction(nn.Module):
    """σ(W norm(Σ_j h_j ∘ σ(V (e_ij, h_j, h_i) + b)) + c), σ(x) = x/(1 + e^(−x)) as everywhere.

    With the norm another σ follows it.
    """

    graph_norm: bool

    @nn.compact
    def __call__(self, batch: Batch, h: jax.Array, edges: jax.Array, there: jax.Array) -> jax.Array:
        """Return what is added to the features.

        Args:
          batch: of B structures.
          h: [F, B, A, H] in F frames, or [1, B, A, H], the same in all.
          edges: e [F, B, A, K, E].
          there: [B, A, K] bool, the neighbours within the cutoff.

        Returns:
          [F, B, A, H].
        """
        hidden, e = h.shape[-1], edges.shape[-1]
        kernel = self.param("filter_kernel", _glorot, (e + 2 * hidden, hidden))
        bias = self.param("filter_bias", nn.initializers.zeros, hidden)
        # An atom's part of a filter is computed once an atom, not once an edge.
        of_edge, of_sender, of_receiver = jnp.split(kernel, [e, e + hidden])
        of_atom = h @ jnp.concatenate([of_sender, of_receiver], axis=1)
        sent = jnp.concatenate([h, of_atom[..., :hidden]], axis=-1)
        sent = jax.vmap(batch.of_neighbors)(sent)  # [F, B, A, K, 2 H]
        met = sent[..., hidden:] + (of_atom[..., hidden:] + bias)[..., None, :]
        # Copies side by side: the gradient of a broadcast is a slow sum.
        copies = len(edges) // len(h)
        sent, met = (jnp.concatenate([x] * copies) for x in (sent[..., :hidden], met))
        message = sent * nn.silu(met + edges @ of_edge)
        gathered = jnp.sum(message, axis=3, where=there[..., None])
        if self.graph_norm:
            gathered = nn.silu(GraphNorm(name="norm")(batch, gathered))
        return nn.silu(dense(hidden, kernel_init=_glorot, name="update")(gathered))


TORCH = {
    "elements": "embed_block.emb",
    "tags": "embed_block.tag_embedding",
    "periods": "embed_block.period_embedding",
    "groups": "embed_block.group_embedding",
    "mix": "embed_block.lin",
    "edge_vector": "embed_block.lin_e1",
    "edge_distance": "embed_block.lin_e12",
    "interaction_{i}/filter_kernel": Tensor("interaction_blocks.{i}.lin_geom.weight", np.transpose),
    "interaction_{i}/filter_bias": Tensor("interaction_blocks.{i}.lin_geom.bias"),
    "interaction_{i}/norm/mean_scale": Tensor("interaction_blocks.{i}.graph_norm.mean_scale"),
    "interaction_{i}/norm": "interaction_blocks.{i}.graph_norm",
    "interaction_{i}/update": "interaction_blocks.{i}.lin_h",
    "out_0": "output_block.lin1",
    "out_1": "output_block.lin2",
}


class Model(Architecture):
    """Reads vectors between atoms below the cutoff (Å), and elements, their periods and groups.

    A frame is the principal axes of the vectors between neighbours, in order of size, with a sign
    each; on molecules whose atoms are all neighbours they are the paper's, those of the positions.
    'full' averages over all signs, which rotations and reflections only permute. 'stochastic'
    draws one frame a structure in training and averages else. Outputs jump where two axes change
    places; a structure in which two have the same size, like a symmetric top, has no frame of its
    own and takes one of many, by rounding: there, outputs do depend on how it is turned. Linear
    structures are none of these: nothing has a component along their short axes.

    The published norm is over the batch, which lets each output depend on the other structures.
    Here it is over the structure, equal to the reference run on one structure at a time. Taking the
    mean off leaves of a pair little but signs, so its weight α starts at 0, in the reference at 1:
    the experiment card's test error would be a fifth larger. Without the norm it is 0.42 eV. The
    energy jumps at the cutoff, as in the reference.
    """

    torch_names: ClassVar[Mapping[str, Any]] = TORCH
    inputs: ClassVar[tuple[str, ...]] = ("atomic_numbers", "positions")
    published: ClassVar[Mapping[str, Any]] = {"frame_averaging": "none"}
    not_smooth_reason: ClassVar[str] = "outputs jump at the cutoff and where two axes change places"

    outputs: int = 1
    hidden: int = 128
    filters: int = field(128, at_least=2)
    interactions: int = 4
    gaussians: int = field(8, at_least=2)
    tag_hidden: int = 8  # of the tag, which marks atoms of a surface: as published all have tag 0
    pg_hidden: int = 8  # of period and group each
    cutoff: float = field(5.0, above=0)
    graph_norm: bool = True
    frame_averaging: Literal["full", "stochastic", "none"] = "full"
    max_atomic_number: int = 119

    def check(self) -> None:
        """Raise InputError where tag, period and group leave no room."""
        taken = self.tag_hidden + 2 * self.pg_hidden
        if self.hidden <= taken:
            raise InputError(
                f"hidden of faenet: expected more than tag, period and group take, {taken}, "
                f"got {self.hidden}"
            )

    @nn.compact
    def __call__(self, batch: Batch, train: bool = False) -> Float[Array, "batch outputs"]:
        """Return the outputs of B structures."""
        distance, there = _radial.distances(batch, self.cutoff)
        vectors = self._in_frames(batch, train)  # [F, B, A, K, 3]
        radial = _radial.gaussians(distance, self.gaussians, self.cutoff)
        half = self.filters // 2
        directed = dense(half, kernel_init=_glorot, name="edge_vector")(vectors)
        radial = dense(self.filters - half, name="edge_distance")(radial)
        radial = jnp.broadcast_to(radial, (*directed.shape[:-1], radial.shape[-1]))
        edges = nn.silu(jnp.concatenate([directed, radial], axis=-1))

        h = self._elements(batch.atomic_numbers)[None]  # [1, B, A, H]
        # Energies are read off the features before each interaction and after the last.
        stages = [h]
        for i in range(self.interactions):
            block = Interaction(self.graph_norm, name=f"interaction_{i}")
            h = h + block(batch, h, edges, there)
            stages.append(h)
        read = nn.silu(dense(self.hidden // 2, name="out_0")(jnp.concatenate(stages)))
        frames, count = len(vectors), len(stages)
        share = np.array([1] + [1 / frames] * (frames * self.interactions)) / count
        mean = jnp.einsum("fbah,f->bah", read, jnp.asarray(share, read.dtype))
        return batch.pool(count * dense(self.outputs, name="out_1")(mean))

    def _elements(self, numbers: jax.Array) -> jax.Array:
        """Return features [B, A, H] of the elements."""
        rows = self.max_atomic_number + 1
        period, group = map(jnp.asarray, periods_and_groups(rows))
        free = self.hidden - self.tag_hidden - 2 * self.pg_hidden
        parts = [
            embed(rows, free, name="elements")(numbers),
            embed(_TAGS, self.tag_hidden, name="tags")(jnp.zeros_like(numbers)),
            embed(_PERIODS, self.pg_hidden, name="periods")(period[numbers]),
            embed(_GROUPS, self.pg_hidden, name="groups")(group[numbers]),
        ]
        mix = dense(self.hidden, kernel_init=_glorot, name="mix")
        return nn.silu(mix(jnp.concatenate(parts, axis=-1)))

    def _in_frames(self, batch: Batch, train: bool) -> jax.Array:
        """Return vectors [F, B, A, K, 3] from each atom to its neighbours in each frame."""
        vectors = batch.displacements(batch.positions)
        if self.frame_averaging == "none":
            return vectors[None]
        b, atoms, _, _ = vectors.shape
        if atoms == 2 and batch.shifts is None:
            # A pair's one axis is its own line: no eigenvectors are needed.
            along = safe_norm(vectors) * jnp.array([1, -1], vectors.dtype)[:, None]
            vectors = along[..., None]
        else:
            seen = jnp.where(batch.neighbor_mask[..., None], vectors, 0)
            axes = principal_axes(jnp.einsum("baki,bakj->bij", seen, seen))
            # n atoms span n − 1 dimensions.
            span = min(atoms - 1, 3) if batch.shifts is None else 3
            vectors = jnp.einsum("baki,bij->bakj", vectors, axes[..., :span])
        span = vectors.shape[-1]
        if self.frame_averaging == "stochastic" and train:
            signs = self._random_signs(batch, span).reshape(1, b, 1, 1, span)
        else:
            # An atom alone spans none: one frame, of no vectors.
            signs = jnp.array(list(itertools.product([1, -1], repeat=span))).reshape(
                2**span, 1, 1, 1, span
            )
        vectors = vectors * signs.astype(vectors.dtype)
        return jnp.pad(vectors, [(0, 0)] * 4 + [(0, 3 - span)])

    def _random_signs(self, batch: Batch, span: int) -> jax.Array:
        """Return ±1 [B, span]; a row's follow from the key and its place in the whole batch."""
        rows = batch.first_row + jnp.arange(len(batch.atomic_numbers), dtype=jnp.uint32)
        keys = jax.vmap(jax.random.fold_in, (None, 0))(self.make_rng("dropout"), rows)
        return jax.vmap(lambda key: jax.random.rademacher(key, (span,)))(keys)

    def torch_constants(self) -> dict[str, Any]:
        """Return the centres of the Gaussians, which tell the cutoff, and the periodic table."""
        period, group = periods_and_groups(101)
        return {
            "distance_expansion.offset": np.linspace(0, self.cutoff, self.gaussians),
            "embed_block.phys_emb.period": period,
            "embed_block.phys_emb.group": group,
        }
