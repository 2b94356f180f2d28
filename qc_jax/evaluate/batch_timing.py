"""How fast a model predicts, by the size of its batches."""

import operator
from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

from qc_jax import models
from qc_jax.data.batch import Batch
from qc_jax.evaluate.timing import take_turns
from qc_jax.train.state import count_parameters

_SECONDS = 20.0  # after which no further round starts


class BatchTiming(NamedTuple):
    """One model.

    Attributes:
      parameters: of it.
      seconds: median over rounds, by the size of the batch.
    """

    parameters: int
    seconds: dict[int, float]


def time_batches(
    model: models.Architecture, structures: Batch, sizes: Sequence[int], rounds: int
) -> BatchTiming:
    """Times predictions with the weights that the model starts from.

    Args:
      model: any.
      structures: N of them; a larger batch has some of them several times.
      sizes: of the batches, which take turns.
      rounds: at most; fewer where they would take long.

    Raises:
      InputError: a structure that the model cannot take.
    """
    models.check(model, structures)
    # Jitted, or each operation of the model would be compiled by itself.
    first = jax.tree.map(lambda leaf: leaf[:1], structures)
    variables = jax.jit(model.init)(jax.random.key(0), first)
    forward = jax.jit(lambda variables, batch: models.apply(model, variables, batch))
    n = len(structures.positions)
    batches = {
        size: jax.device_put(jax.tree.map(operator.itemgetter(np.arange(size) % n), structures))
        for size in sizes
    }

    def predict(size: int) -> np.ndarray:
        return np.asarray(forward(variables, batches[size]))

    work = {str(size): (lambda size=size: predict(size)) for size in sizes}
    taken = take_turns(work, rounds, _SECONDS)
    return BatchTiming(
        count_parameters(variables["params"]),
        {size: float(np.median(taken[str(size)])) for size in sizes},
    )
