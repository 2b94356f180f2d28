"""Regression metrics, in the unit of the target."""

import numpy as np


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
