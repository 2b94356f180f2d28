"""What all rooms share: operations with finite gradients, and how many cores there are."""

import os

import jax.numpy as jnp
from jaxtyping import Array, Float


def safe_sqrt(x: Float[Array, "*any"]) -> Float[Array, "*any"]:
    """Return √x, and 0 where x is not above 0; its gradient there is zero."""
    some = x > 0
    # The inner `where` keeps the root's gradient finite.
    return jnp.where(some, jnp.sqrt(jnp.where(some, x, 1)), 0)


def safe_norm(vectors: Float[Array, "*any axes"]) -> Float[Array, "*any"]:
    """Return the lengths of vectors; the gradient at zero is zero."""
    return safe_sqrt(jnp.sum(vectors**2, axis=-1))


def usable_cores() -> int:
    """Return how many cores of a CPU this process may use, on any system."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
