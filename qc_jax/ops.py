"""Operations whose gradients are finite where the usual ones are not, written once."""

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
