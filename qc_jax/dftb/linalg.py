"""Dense linear algebra whose batches cannot stop a program on a CPU.

jaxlib's LAPACK calls share a large batch out among the threads that XLA runs the program on, and
wait on one of these until all is done. As many such calls at a time as there are threads wait for
ever (jaxlib 0.10.2, `ParallelBatchMap` in lapack_kernels.cc; two cores need two calls). So a CPU
takes a batch one matrix after another here, which these calls do not share out.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap


def one_by_one(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that a CPU takes a batch of one matrix after another.

    It runs under jit, vmap and forward derivatives; reverse ones are not supported.

    Args:
      function: maps arrays to arrays.
    """

    @custom_vmap
    @functools.wraps(function)
    def call(*arrays: Any) -> Any:
        return function(*arrays)

    @call.def_vmap
    def rule(size: int, batched: list[bool], *arrays: Any) -> Any:
        every = tuple(
            x if has else jnp.broadcast_to(x, (size, *jnp.shape(x)))
            for x, has in zip(arrays, batched, strict=True)
        )
        found = jax.lax.platform_dependent(
            *every,
            cpu=lambda *rows: jax.lax.map(lambda row: call(*row), rows),
            default=jax.vmap(function),
        )
        return found, jax.tree.map(lambda _: True, found)

    return call


solve = one_by_one(jnp.linalg.solve)
inverse = one_by_one(jnp.linalg.inv)
