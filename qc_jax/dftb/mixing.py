"""Anderson's mixing, for self-consistent atoms."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

HISTORY = 6


def fixed_point(
    respond: Callable[[Array, Any], tuple[Array, Any]],
    start: Float[Array, " points"],
    state: Any,
    *,
    scale: Float[Array, " points"],
    change: Callable[[Any, Any], Float[Array, ""]],
    tolerance: float = 1e-9,
    most: int = 200,
    weight: float = 0.3,
) -> tuple[Float[Array, " points"], Any, Float[Array, ""], Int[Array, ""]]:
    """Return (x, state, change, iterations) where respond(x, state)[0] = x.

    D. G. Anderson, J. ACM 12, 547 (1965), with the last `HISTORY` steps.

    Args:
      respond: maps x and the last state to the next x and state.
      start: first x.
      state: first state, of the structure that `respond` returns.
      scale: x · scale is what is mixed, and its differences are what is measured.
      change: how far two states are apart; converged where it is below `tolerance`.
      tolerance: of `change`.
      most: iterations at most.
      weight: of the residual in each step.
    """
    points = start.shape[0]

    def unfinished(carry):
        return (carry[2] > tolerance) & (carry[3] < most)

    def improve(carry):
        x, state, _, count, xs, fs = carry
        answer, new = respond(x, state)
        residual = (answer - x) * scale
        y = x * scale
        seen = jnp.minimum(count, HISTORY)
        filled = jnp.arange(HISTORY) < seen
        dx = jnp.where(filled[:, None], y - xs, 0.0)
        df = jnp.where(filled[:, None], residual - fs, 0.0)
        overlap = df @ df.T
        size = jnp.diagonal(overlap)
        size = jnp.where(filled & (size > 0), size, 1.0)
        normal = overlap / jnp.sqrt(size[:, None] * size) + jnp.diag(jnp.where(filled, 1e-12, 1.0))
        mix = jnp.linalg.solve(normal, (df @ residual) / jnp.sqrt(size)) / jnp.sqrt(size)
        mix = jnp.where(filled, mix, 0.0)
        stepped = y + weight * residual - mix @ (dx + weight * df)
        xs = jnp.concatenate([y[None], xs[:-1]])
        fs = jnp.concatenate([residual[None], fs[:-1]])
        return stepped / scale, new, change(state, new), count + 1, xs, fs

    zeros = jnp.zeros((HISTORY, points), start.dtype)
    first = (start, state, jnp.asarray(jnp.inf, start.dtype), jnp.asarray(0), zeros, zeros)
    x, state, moved, count, _, _ = jax.lax.while_loop(unfinished, improve, first)
    return x, state, moved, count
