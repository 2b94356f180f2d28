"""Predictions of a trained model, in natural units."""

import operator

import flax.linen as nn
import jax
import numpy as np

from qc_jax import models
from qc_jax.data.batch import Batch
from qc_jax.data.scaling import Scaler
from qc_jax.train.state import Params


def predict(
    model: nn.Module, params: Params, scaler: Scaler, structures: Batch, batch_size: int = 256
) -> np.ndarray:
    """Labels of N structures: [N, T] float32, in the targets' units.

    Rows are taken `batch_size` at a time, so that one compilation serves any N and a row's numbers
    do not depend on how many others are asked for.
    """

    @jax.jit
    def forward(params: Params, rows: Batch) -> jax.Array:
        return scaler.unscale(models.apply(model, params, rows))

    n = structures.positions.shape[0]
    index = np.arange(-(-n // batch_size) * batch_size).reshape(-1, batch_size)
    index = np.minimum(index, n - 1)  # the last row fills the last batch
    parts = []
    for rows in index:
        chosen = jax.tree.map(operator.itemgetter(rows), structures)
        parts.append(np.asarray(forward(params, chosen)))
    return np.concatenate(parts)[:n]
