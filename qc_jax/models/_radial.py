"""Functions of distance that several architectures share, their gradients finite at zero."""

import jax
import jax.numpy as jnp
import numpy as np

from qc_jax.data.batch import Batch
from qc_jax.ops import safe_norm


def distances(batch: Batch, cutoff: float) -> tuple[jax.Array, jax.Array]:
    """Distances [B, A, K] Å to the neighbours, and which of them are there, within the cutoff."""
    far = safe_norm(batch.displacements(batch.positions))
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
