"""Predictions of a trained model, in natural units."""

import functools
import operator

import jax
import jax.numpy as jnp
import numpy as np

from qc_jax import models
from qc_jax.data.batch import Batch
from qc_jax.data.scaling import Scaler
from qc_jax.train.forces import with_slopes


def predict(
    model: models.Architecture,
    variables: models.Variables,
    scaler: Scaler,
    structures: Batch,
    batch_size: int = 256,
) -> np.ndarray:
    """Labels of N structures: [N, T] float32, in the targets' units.

    Rows are taken `batch_size` at a time, so that of pairs one compilation serves any N and a row's
    numbers do not depend on how many others are asked for. Of few larger structures it is a smaller
    power of two: one alone is not computed 256 times.

    Args:
      model: of these outputs.
      variables: its weights, like `State.best_variables`.
      scaler: of the labels that it was trained on.
      structures: N of them.
      batch_size: rows at a time, at most.

    Raises:
      InputError: a structure that the model cannot take.
    """
    return _in_batches(_forward, model, variables, scaler, structures, batch_size)


def predict_forces(
    model: models.Architecture,
    variables: models.Variables,
    scaler: Scaler,
    structures: Batch,
    batch_size: int = 256,
) -> np.ndarray:
    """Forces on the atoms of N structures, −∂E/∂R of the model's one output: [N, A, 3] eV/Å.

    As `predict`; zero for padding.
    """
    return _in_batches(_slope, model, variables, scaler, structures, batch_size)


def _in_batches(function, model, variables, scaler, structures, batch_size) -> np.ndarray:
    models.check(model, structures)
    structures = jax.tree.map(np.asarray, structures)  # whose rows are taken without a compilation
    n = structures.positions.shape[0]
    if not structures.is_pairs:
        batch_size = min(batch_size, 1 << (n - 1).bit_length())
    parts = []
    for rows in batches_of(n, batch_size):
        chosen = jax.tree.map(operator.itemgetter(rows), structures)
        parts.append(np.asarray(function(model, variables, scaler, chosen)))
    return np.concatenate(parts)[:n]


def batches_of(n: int, batch_size: int) -> np.ndarray:
    """The rows below n in batches [steps, batch_size]; the last row fills the last batch."""
    index = np.arange(-(-n // batch_size) * batch_size).reshape(-1, batch_size)
    return np.minimum(index, n - 1)


# One compilation serves all trainings of an architecture.
@functools.partial(jax.jit, static_argnames="model")
def _forward(
    model: models.Architecture, variables: models.Variables, scaler: Scaler, rows: Batch
) -> jax.Array:
    # GPUs and TPUs would round the factors of matrix products.
    with jax.default_matmul_precision("float32"):
        return scaler.unscale(models.apply(model, variables, rows))


@functools.partial(jax.jit, static_argnames="model")
def _slope(
    model: models.Architecture, variables: models.Variables, scaler: Scaler, rows: Batch
) -> jax.Array:
    def energies(moved: Batch) -> tuple[jax.Array, None]:
        return scaler.unscale(models.apply(model, variables, moved)), None

    with jax.default_matmul_precision("float32"):
        slope = with_slopes(energies, rows)[2].positions
    assert slope is not None, "it was asked for"
    return jnp.where(rows.atom_mask[..., None], -slope, 0)
