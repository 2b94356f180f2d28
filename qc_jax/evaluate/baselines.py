"""What every model should beat: the training median, and a closed form in the elements."""

import numpy as np

from qc_jax.chem.elements import MAX_ATOMIC_NUMBER


def training_median(labels: np.ndarray, rows: int) -> np.ndarray:
    """The median of the training labels [N, T] for each of `rows` rows: [rows, T]."""
    return np.broadcast_to(np.median(labels, axis=0), (rows, labels.shape[1]))


def pair_mean(
    train_numbers: np.ndarray, train_labels: np.ndarray, test_numbers: np.ndarray
) -> np.ndarray:
    """Additive least squares: label ≈ c(Z_1) + c(Z_2), one constant an element and target.

    The least-norm solution: an element without a training row gets c = 0 relative to the mean
    label, which is taken out first.

    Args:
      train_numbers: [N, 2] atomic numbers.
      train_labels: [N, T].
      test_numbers: [M, 2].

    Returns:
      [M, T].
    """

    def counts(numbers: np.ndarray) -> np.ndarray:
        return np.eye(MAX_ATOMIC_NUMBER + 1)[numbers].sum(axis=1)  # [N, Z]

    mean = train_labels.mean(axis=0)
    constants, *_ = np.linalg.lstsq(counts(train_numbers), train_labels - mean, rcond=None)
    return counts(test_numbers) @ constants + mean
