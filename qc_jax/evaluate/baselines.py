"""What every model should beat: the training median, and a closed form in the elements."""

import numpy as np

from qc_jax.data.scaling import additive_constants


def training_median(labels: np.ndarray, rows: int) -> np.ndarray:
    """Return the median of the labels [N, T] that are known, for each of `rows`: [rows, T]."""
    return np.broadcast_to(np.nanmedian(labels, axis=0), (rows, labels.shape[1]))


def pair_mean(
    train_numbers: np.ndarray, train_labels: np.ndarray, test_numbers: np.ndarray
) -> np.ndarray:
    """What the model `pair_mean` predicts: label ≈ mean + Σ_atoms c(Z), by least squares.

    Args:
      train_numbers: [N, A] atomic numbers; 0 is padding.
      train_labels: [N, T].
      test_numbers: [M, A].

    Returns:
      [M, T].
    """

    constants, mean = additive_constants(train_numbers, train_labels)
    return constants[test_numbers].sum(axis=1) + mean
