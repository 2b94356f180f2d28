"""The rows that a training takes its batches from, filled up to whole batches, and their order."""

from collections.abc import Sequence

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np


class Rows(flax.struct.PyTreeNode):
    """The rows of whole batches: trainings of as many batches, whatever rows, run as one program.

    Attributes:
      numbers: [steps · batch size] int32; what fills the last batch is at the end.
      count: () int32, of those that are no filling.
    """

    numbers: jax.Array
    count: jax.Array


def filled(rows: Sequence[np.ndarray], size: int) -> Rows:
    """Return rows [R, ...] of R trainings that have as many batches of `size`, filled up."""
    steps = {-(-len(each) // size) for each in rows}
    assert len(steps) == 1, steps
    length = steps.pop() * size
    return Rows(
        jnp.asarray(
            [np.pad(each, (0, length - len(each)), mode="edge") for each in rows], jnp.int32
        ),
        jnp.asarray([len(each) for each in rows], jnp.int32),
    )


def shuffled(key: jax.Array, rows: Rows) -> Rows:
    """Return the rows in the order that `jax.random.permutation` gives to those that count.

    That of JAX is for lengths that a program knows. Sorts by random keys, as often as the number
    of rows asks for, and leaves what fills the last batch at the end.
    """
    places = jnp.arange(rows.numbers.shape[0])
    last, numbers = np.uint32(2**32 - 1), rows.numbers
    most = 0  # rows up to which so many sorts do
    for sort in range(1, 4):
        key, own = jax.random.split(key)
        by = jnp.where(places < rows.count, jax.random.bits(own, places.shape), last)
        by = jnp.where(rows.count > most, by, places.astype(jnp.uint32))
        _, numbers = jax.lax.sort_key_val(by, numbers)
        most = int(float(last) ** (sort / 3))
        if most >= places.shape[0]:
            break
    return rows.replace(numbers=numbers)
