"""Metrics: of regression in the unit of the target, of classes as parts of one."""

import numpy as np

from qc_jax.data.scaling import decide
from qc_jax.data.targets import target

# What is told of each kind of target, the error that models are ordered by first.
REGRESSION = ("mae", "rmse", "median_ae", "r2")
CLASSIFICATION = ("mae", "accuracy", "balanced_accuracy", "auroc", "cross_entropy")
# What they are called in tables.
WORDS = {
    **{"mae": "MAE", "rmse": "RMSE", "median_ae": "median error", "r2": "R²"},
    **{"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "auroc": "AUROC"},
    "cross_entropy": "cross-entropy",
}
# A probability of 0 that was wrong would cost endlessly much.
_LEAST = 1e-7


def of_target(name: str, predicted: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """Return the errors of M predictions of a target: `regression` or `classification`."""
    found = classification if target(name).is_class else regression
    return found(predicted, true)


def regression(predicted: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """Errors of M predictions, computed in float64.

    Args:
      predicted: [M].
      true: [M], finite.

    Returns:
      `mae`, `rmse` and `median_ae` in the target's unit; `r2` = 1 − Σ(p − t)² / Σ(t − mean t)²,
      NaN where all labels are equal.
    """
    predicted, true = np.asarray(predicted, np.float64), np.asarray(true, np.float64)
    error = predicted - true
    spread = np.sum((true - true.mean()) ** 2)
    return {
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt(np.mean(error**2))),
        "median_ae": float(np.median(np.abs(error))),
        "r2": float(1 - np.sum(error**2) / spread) if spread > 0 else float("nan"),
    }


def classification(probability: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """Errors of M predicted probabilities of class 1, computed in float64.

    Args:
      probability: [M]; what is beyond 0 and 1, as of a rule that knows of no classes, counts as
        these in the cross-entropy.
      true: [M], 0 or 1.

    Returns:
      `mae`, that of the likelier class, which is the part that is wrong; `accuracy`, 1 less that;
      `balanced_accuracy`; `auroc`; `cross_entropy`, the mean in nats.
    """
    probability, true = np.asarray(probability, np.float64), np.asarray(true, np.float64)
    wrong = float(np.abs(decide(probability) - true).mean())
    certain = np.clip(np.where(true == 1, probability, 1 - probability), _LEAST, 1)
    return {
        "mae": wrong,
        "accuracy": 1 - wrong,
        "balanced_accuracy": balanced_accuracy(probability, true),
        "auroc": auroc(probability, true),
        "cross_entropy": float(-np.log(certain).mean()),
    }


def balanced_accuracy(probability: np.ndarray, true: np.ndarray) -> float:
    """Return the mean of both classes' parts that are right; NaN where one class is not there."""
    right = decide(probability) == true
    if not 0 < true.sum() < len(true):
        return float("nan")
    return float((right[true == 1].mean() + right[true == 0].mean()) / 2)


def auroc(probability: np.ndarray, true: np.ndarray) -> float:
    """Return how often a row of class 1 has the higher probability than one of class 0.

    Equal ones count as a half: the area under the ROC curve, by the sum of ranks (J. A. Hanley, B.
    J. McNeil, Radiology 143, 29, 1982). NaN where one class is not there.
    """
    import scipy  # which a prediction does without

    ones = int(true.sum())
    zeros = len(true) - ones
    if not (ones and zeros):
        return float("nan")
    ranks = scipy.stats.rankdata(probability)
    return float((ranks[true == 1].sum() - ones * (ones + 1) / 2) / (ones * zeros))
