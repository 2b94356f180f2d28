"""Arrays that are there at a time, by hand, and beside XLA's own account."""

import jax
import jax.numpy as jnp

from qc_jax.train.liveness import peak_bytes
from qc_jax.train.parallel import bytes_of

KB = 1024.0
X = jax.ShapeDtypeStruct((256,), jnp.float32)  # 1 KB


def peak(function, *args) -> float:
    return peak_bytes(jax.make_jaxpr(function)(*args).jaxpr) / KB


def test_results_are_there_until_their_last_use():
    assert peak(lambda x: jnp.sin(jnp.cos(jnp.exp(x))), X) == 2
    # The first of four is used by the last.
    assert peak(lambda x: (a := jnp.exp(x)) + jnp.sin(jnp.cos(a)), X) == 3


def test_bodies_of_loops_count_once():
    def loop(x):
        return jax.lax.scan(lambda carry, _: (jnp.sin(jnp.cos(carry)), carry), x, length=5)

    assert peak(loop, X) == 1 + 5 + 2


def test_it_is_no_less_than_xla_takes():
    weights = [jax.ShapeDtypeStruct((128, 128), jnp.float32)] * 6

    def loss(weights, x):
        for each in weights:
            x = jnp.tanh(x @ each)
        return jnp.sum(x)

    args = weights, jax.ShapeDtypeStruct((512, 128), jnp.float32)
    compiled = jax.jit(jax.grad(loss)).lower(*args).compile()
    given = compiled.memory_analysis().argument_size_in_bytes
    assert 0 < bytes_of(compiled) - given <= KB * peak(jax.grad(loss), *args)
