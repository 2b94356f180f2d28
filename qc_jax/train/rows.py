"""The rows that a training takes its batches from, filled up to whole batches, and their order.

How many batches there are is no constant of a program but one of its arguments: trainings on parts
of a table, large or small, are one program.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np


class Rows(flax.struct.PyTreeNode):
    """The rows of whole batches, and room for as many batches as there may be.

    Attributes:
      numbers: [room · batch size] int32; what fills it is at the end.
      count: () int32, of those that are no filling.
    """

    numbers: jax.Array
    count: jax.Array


class Batches(NamedTuple):
    """How many batches an epoch has.

    Attributes:
      train: () int32, steps.
      validation: () int32.
    """

    train: Any
    validation: Any


def num_batches(rows: np.ndarray, size: int) -> int:
    """Return how many batches of `size` rows are, the last one filled up."""
    return -(-len(rows) // size)


def filled(rows: Sequence[np.ndarray], size: int, room: int = 0) -> Rows:
    """Return rows [R, ...] of R trainings in batches of `size`, with room for so many at least."""
    length = size * max(room, *(num_batches(each, size) for each in rows))
    numbers = [np.pad(each, (0, length - len(each)), mode="edge") for each in rows]
    counts = [len(each) for each in rows]
    # Not `jnp.asarray`, of which JAX compiles a program for each shape.
    return Rows(*(jax.device_put(np.asarray(each, np.int32)) for each in (numbers, counts)))


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
