"""Functions of distance that several architectures share, their gradients finite at zero."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from qc_jax.data.batch import Batch
from qc_jax.ops import safe_norm


def distances(
    batch: Batch, cutoff: float
) -> tuple[Float[Array, "batch atoms neighbors"], Bool[Array, "batch atoms neighbors"]]:
    """Return distances (Å) to the neighbours, and which are there, within the cutoff (Å)."""
    far = safe_norm(batch.displacements(batch.positions))
    return far, batch.neighbor_mask & (far <= cutoff)


def gaussians(
    distance: Float[Array, "*edges"], count: int, cutoff: float
) -> Float[Array, "*edges count"]:
    """Return exp(−(d − μ_k)²/2δ²) at centres μ_k from 0 to the cutoff, δ apart."""
    centres = np.linspace(0, cutoff, count)
    steepness = -0.5 / (centres[1] - centres[0]) ** 2
    apart = distance[..., None] - jnp.asarray(centres, distance.dtype)
    return jnp.exp(steepness * apart**2)


def cosine_cutoff(distance: Float[Array, "*edges"], cutoff: float) -> Float[Array, "*edges"]:
    """Return (cos(πd/cutoff) + 1)/2 within the cutoff, 0 beyond."""
    inside = (jnp.cos(jnp.pi / cutoff * distance) + 1) / 2
    return jnp.where(distance <= cutoff, inside, 0)
