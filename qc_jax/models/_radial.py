"""Functions of distance that several architectures share, their gradients finite at zero."""

import jax
import jax.numpy as jnp
import numpy as np

from qc_jax.data.batch import Batch


def length(vectors: jax.Array) -> jax.Array:
    """Lengths [...] of vectors [..., 3]; their gradient at zero is zero."""
    squared = jnp.sum(vectors**2, axis=-1)
    some = squared > 0
    # The inner `where` keeps the root's gradient finite.
    return jnp.where(some, jnp.sqrt(jnp.where(some, squared, 1)), 0)


def distances(batch: Batch, cutoff: float) -> tuple[jax.Array, jax.Array]:
    """Distances [B, A, K] Å to the neighbours, and which of them are there, within the cutoff."""
    far = length(batch.displacements(batch.positions))
    return far, batch.neighbor_mask & (far <= cutoff)


def gaussians(distance: jax.Array, count: int, cutoff: float) -> jax.Array:
    """exp(−(d − μ_k)²/2δ²) at `count` centres μ_k from 0 to the cutoff, δ apart: [..., count]."""
    centres = np.linspace(0, cutoff, count)
    steepness = -0.5 / (centres[1] - centres[0]) ** 2
    apart = distance[..., None] - jnp.asarray(centres, distance.dtype)
    return jnp.exp(steepness * apart**2)


def cosine_cutoff(distance: jax.Array, cutoff: float) -> jax.Array:
    """(cos(πd/cutoff) + 1)/2 within the cutoff, 0 beyond."""
    inside = (jnp.cos(jnp.pi / cutoff * distance) + 1) / 2
    return jnp.where(distance <= cutoff, inside, 0)
