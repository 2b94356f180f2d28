"""How far an error can be trusted: intervals over test rows, and paired tests."""

from collections.abc import Callable

import numpy as np
import scipy

RESAMPLES = 2000  # of each bootstrap and permutation test
CONFIDENCE = 0.95
_AT_ONCE = 20_000_000  # resampled errors in memory


def interval(errors: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """The 95 % bootstrap interval of the mean of M absolute errors, over test rows.

    Percentiles of the means of resampled rows (B. Efron, Ann. Stat. 7, 1, 1979).

    Args:
      errors: [M] absolute errors.
      seed: of the resampling.

    Returns:
      The lower and the upper end; both are the mean where M is 1.
    """
    errors = np.asarray(errors, np.float64)
    if len(errors) < 2:
        return float(errors.mean()), float(errors.mean())
    found = scipy.stats.bootstrap(
        (errors,),
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        batch=max(1, _AT_ONCE // len(errors)),
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(found.low), float(found.high)


def interval_of(
    metric: Callable[[np.ndarray, np.ndarray], float],
    predicted: np.ndarray,
    true: np.ndarray,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of a metric that is no mean over rows.

    As `interval`; resampled rows that the metric is not defined of, as those of one class, are
    passed over.

    Args:
      metric: of predictions and labels.
      predicted: [M].
      true: [M].
      seed: of the resampling.
    """
    rows = np.random.default_rng(seed).integers(len(true), size=(RESAMPLES, len(true)))
    found = np.array([metric(predicted[row], true[row]) for row in rows])
    if np.isnan(found).all():
        return float("nan"), float("nan")
    low, high = np.nanquantile(found, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def paired_test(first: dict[str, float], second: dict[str, float], seed: int = 0) -> float:
    """The p-value of 'both models have the same mean absolute error on the same pairs'.

    A permutation test: under the hypothesis each difference of two errors may as well have the
    other sign (R. A. Fisher, The Design of Experiments, 1935). Two-sided.

    Args:
      first: a model's absolute error by the pair's name; where several trainings tested a pair,
        its mean over them.
      second: another model's; pairs that only one of them has say nothing and are not used.
      seed: of the permutations.

    Returns:
      p; 1 where no pair is in both or all errors are equal.
    """
    common = sorted(first.keys() & second.keys())
    differences = np.array([first[name] - second[name] for name in common])
    if len(common) < 2 or not differences.any():
        return 1.0
    found = scipy.stats.permutation_test(
        (differences,),
        np.mean,
        permutation_type="samples",
        n_resamples=RESAMPLES,
        vectorized=True,
        rng=np.random.default_rng(seed),
    )
    return float(found.pvalue)


def holm(values: np.ndarray) -> np.ndarray:
    """p-values of M tests, made larger because there are M of them.

    p_(k) of the k-th smallest becomes the largest of (M − j + 1) p_(j), j ≤ k, at most 1: how often
    any of the M hypotheses that are true is rejected stays below the threshold (S. Holm, Scand. J.
    Stat. 6, 65, 1979).

    Args:
      values: [M].

    Returns:
      [M], in the same order.
    """
    values = np.asarray(values, np.float64)
    order = np.argsort(values)
    factors = np.arange(len(values), 0, -1)
    corrected = np.empty_like(values)
    corrected[order] = np.minimum(np.maximum.accumulate(factors * values[order]), 1)
    return corrected


def skill(error: float, baseline: float) -> float:
    """1 − error/baseline: 1 is perfect, 0 as good as the baseline; NaN where that is perfect."""
    return 1 - error / baseline if baseline > 0 else float("nan")
