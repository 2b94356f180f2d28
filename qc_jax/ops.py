"""What all rooms share: operations with finite gradients, how many cores there are, and jax-md."""

import os
import sys
import threading
import types
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def safe_sqrt(x: Float[Array, "*any"]) -> Float[Array, "*any"]:
    """Return √x, and 0 where x is not above 0; its gradient there is zero."""
    some = x > 0
    # The inner `where` keeps the root's gradient finite.
    return jnp.where(some, jnp.sqrt(jnp.where(some, x, 1)), 0)


def safe_norm(vectors: Float[Array, "*any axes"]) -> Float[Array, "*any"]:
    """Return the lengths of vectors; the gradient at zero is zero."""
    return safe_sqrt(jnp.sum(vectors**2, axis=-1))


def on_host(leaf: Any) -> Any:
    """Return an array as NumPy's, unless it is traced.

    What JAX does to arrays one by one it compiles a program for, for each operation and shape.
    """
    return leaf if isinstance(leaf, jax.core.Tracer) else np.asarray(leaf)


def usable_cores() -> int:
    """Return how many cores of a CPU this process may use, on any system."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_JAX_MD = threading.Lock()


def jax_md() -> types.ModuleType:
    """Import jax-md when it is needed: it takes seconds.

    Most of them go to its rigid bodies, which compile shapes of their own as they are imported.
    They are left out here; `import jax_md.rigid_body` finds them.
    """
    left_out = "jax_md.rigid_body"
    with _JAX_MD:
        first = "jax_md" not in sys.modules
        if first:
            sys.modules[left_out] = types.ModuleType(left_out)
        import jax_md as imported

        if first:
            del sys.modules[left_out], imported.rigid_body
    return imported
