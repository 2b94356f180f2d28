"""Trained models as one, and intervals that say how sure it is.

The prediction is the mean of the members, which were trained on the same rows from different seeds.
An interval is that of normalised split conformal prediction (Lei et al., J. Am. Stat. Assoc. 113,
1094 (2018), arXiv 1604.04173): the validation rows' absolute errors, each over the members'
deviation there plus a constant, are ranked; the half width at coverage c is their c-quantile times
the same of the row that is asked about. No distribution is assumed, only that the row could have
been a validation row: outside of what was trained on, intervals are too short. The validation rows
have chosen the epoch, too, by which intervals are a little short everywhere; `score` measures it.
"""

import functools
import os
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from qc_jax.data.batch import Batch
from qc_jax.data.targets import leaking_inputs, target
from qc_jax.errors import InputError
from qc_jax.runs.loading import load
from qc_jax.runs.saved import SavedRun

COVERAGES = (0.5, 0.8, 0.95)
COVERAGE = 0.8  # of intervals where one is shown


class Estimate(NamedTuple):
    """What an ensemble predicts.

    Attributes:
      mean: [N, T] in the targets' units.
      deviation: [N, T] of the members, likewise; 0 for one member.
    """

    mean: Float[np.ndarray, "structures targets"]
    deviation: Float[np.ndarray, "structures targets"]


class Ensemble:
    """Several trainings of one task.

    Args:
      runs: trained models or what `load` opens; of the same targets, data and split
        (`--config.split_seed`), and of different seeds. One gives intervals of one width.

    Raises:
      InputError: they are none, of different tasks, of one seed, or of a class.

    Example:
      >>> import qc_jax
      >>> table = qc_jax.open_table("gfn2_xtb")
      >>> task = qc_jax.prepare(table, "e_homo_ev", train_fraction=0.1)
      >>> ensemble = Ensemble([qc_jax.fit(qc_jax.create("pair_mean"), task)])
      >>> estimate = ensemble.predict(["Ag_Al", "C_O"])
      >>> estimate.mean.shape, ensemble.half_width(estimate, coverage=0.8).shape
      ((2, 1), (2, 1))
    """

    def __init__(self, runs: Sequence[str | os.PathLike | SavedRun]):
        if isinstance(runs, str | os.PathLike | SavedRun) or not len(runs):
            raise InputError(f"expected a list of trained models, got {runs!r}")
        self.members = tuple(one if isinstance(one, SavedRun) else load(one) for one in runs)
        first = self.members[0]
        if len(self.members) > 1:
            self._check_numbers()
        for one in self.members[1:]:
            for what, ours, theirs in (
                ("targets", first.targets, one.targets),
                ("data", first.config.data_fingerprint, one.config.data_fingerprint),
                ("split", _parts(first), _parts(one)),
            ):
                if ours != theirs:
                    raise InputError(
                        f"{one.path or one.config.model.name}: expected the {what} of "
                        f"{first.path or first.config.model.name}; members are trained with one "
                        "--config.split_seed and different --config.seed"
                    )

        seeds = [one.settings.seed for one in self.members]
        if len(set(seeds)) < len(seeds):
            shown = ", ".join(map(str, seeds))
            raise InputError(f"expected members of different --config.seed, got {shown}")

    def _check_numbers(self) -> None:
        for name in self.targets:
            if target(name).is_class:
                raise InputError(f"{name}: expected a number, got a class, which has no interval")

    @property
    def targets(self) -> tuple[str, ...]:
        """Return the names of the outputs."""
        return self.members[0].targets

    def predict(self, what: Any, distance: ArrayLike | None = None) -> Estimate:
        """Predict the targets of what `SavedRun.predict` takes.

        Raises:
          InputError: As there.
        """
        return _estimate(self._predict_each(what, distance))

    def _predict_each(
        self, what: Any, distance: ArrayLike | None = None
    ) -> list[Float[np.ndarray, "structures targets"]]:
        found = [self.members[0].predict(what, distance)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the first has said how it is out of the domain
            found += [one.predict(what, distance) for one in self.members[1:]]
        return found

    def half_width(
        self, estimate: Estimate, coverage: float = COVERAGE
    ) -> Float[np.ndarray, "structures targets"]:
        """Return half the width of intervals about the mean, in the targets' units.

        Of members that were trained on larger structures the data are opened.

        Args:
          estimate: of `predict`.
          coverage: of intervals that hold the label, 0 to 1.

        Returns:
          Infinity where there are too few validation rows for the coverage.

        Raises:
          InputError: coverage is none, no validation row is known, or the data are gone.
        """
        self._check_numbers()
        if not 0 < coverage < 1:
            raise InputError(f"coverage: expected a number between 0 and 1, got {coverage}")
        factors = []
        for scores in self._calibration.scores:
            rank = int(np.ceil((len(scores) + 1) * coverage))
            factors.append(scores[rank - 1] if rank <= len(scores) else np.inf)
        return (estimate.deviation + self._calibration.floor) * np.array(factors)

    @functools.cached_property
    def _calibration(self) -> "_Calibration":
        what, labels = _rows(self.members[0], "validation")
        estimate = self.predict(what)
        typical = np.median(estimate.deviation, axis=0)
        floor = np.where(typical > 0, typical, 1.0)  # of one member all intervals are as wide
        scores = np.abs(estimate.mean - labels) / (estimate.deviation + floor)
        columns = [np.sort(column[np.isfinite(column)]) for column in scores.T]
        for name, column in zip(self.targets, columns, strict=True):
            if not len(column):
                raise InputError(f"{name}: expected validation rows that have it, got none")
        return _Calibration(columns, floor)

    def mae(self) -> dict[str, float]:
        """Return the mean's MAE on the test rows by target, in its unit; without those of no label.

        Raises:
          InputError: no test row is known.
        """
        errors = {name: self._tested.errors(k) for k, name in enumerate(self.targets)}
        return {name: float(error.mean()) for name, error in errors.items() if len(error)}

    def score(self) -> dict[str, Any]:
        """Score mean and intervals on the test rows.

        Returns:
          `members`, their number; `rows`, of the test set; and `test`, by target: `unit`,
          `leaked_by`, `mae` of the mean, `mae_member`, the members' own on average, `coverage_50`
          to `coverage_95`, the share of labels within, and `half_width_50` to `half_width_95`, the
          mean ones, where the validation rows are enough; and where they differ in width
          `rank_correlation` (Spearman) of width and error, and `mae_quarter_1` to `mae_quarter_4`,
          from the rows of the shortest intervals to those of the longest.

        Raises:
          InputError: no validation or test row is known.
        """
        from scipy.stats import spearmanr  # whose import takes as long as a prediction

        self._check_numbers()
        tested, labels = self._tested, self._tested.labels
        estimate, alone = tested.estimate, [np.abs(one - labels) for one in tested.each]
        widths = {coverage: self.half_width(estimate, coverage) for coverage in COVERAGES}
        scores = {}
        for column, name in enumerate(self.targets):
            known, error = np.isfinite(labels[:, column]), tested.errors(column)
            if not known.any():
                raise InputError(f"{name}: expected test rows that have it, got none")
            found: dict[str, Any] = {
                "unit": target(name).unit,
                "leaked_by": leaking_inputs(name, self.members[0].config.inputs),
                "mae": float(error.mean()),
                "mae_member": float(np.mean([one[known, column].mean() for one in alone])),
            }
            for coverage, width in widths.items():
                own = width[known, column]
                found[f"coverage_{100 * coverage:.0f}"] = float(np.mean(error <= own))
                if np.isfinite(own).all():
                    found[f"half_width_{100 * coverage:.0f}"] = float(own.mean())
            deviation = estimate.deviation[known, column]
            if np.ptp(deviation) > 0:
                found["rank_correlation"] = float(spearmanr(deviation, error).statistic)
                for k, rows in enumerate(np.array_split(np.argsort(deviation), 4), 1):
                    if len(rows):
                        found[f"mae_quarter_{k}"] = float(error[rows].mean())
            scores[name] = found
        return {"members": len(self.members), "rows": len(labels), "test": scores}

    @functools.cached_property
    def _tested(self) -> "_Tested":
        what, labels = _rows(self.members[0], "test")
        each = self._predict_each(what)
        return _Tested(each, _estimate(each), labels)


class _Calibration(NamedTuple):
    """Of each target the validation rows' scores, rising, and the constant beside deviations."""

    scores: list[np.ndarray]
    floor: Float[np.ndarray, " targets"]


class _Tested(NamedTuple):
    """The members' and the ensemble's predictions of the test rows, and their labels [N, T]."""

    each: list[np.ndarray]
    estimate: Estimate
    labels: Float[np.ndarray, "rows targets"]

    def errors(self, column: int) -> Float[np.ndarray, " known"]:
        """Return the mean's absolute errors of one target, of the rows whose label is known."""
        labels = self.labels[:, column]
        known = np.isfinite(labels)
        return np.abs(self.estimate.mean[known, column] - labels[known])


def _estimate(each: Sequence[Float[np.ndarray, "structures targets"]]) -> Estimate:
    return Estimate(np.mean(each, axis=0), np.std(each, axis=0))


def _parts(run: SavedRun) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(run.split[part]) for part in ("train", "validation", "test"))


def _rows(run: SavedRun, part: str) -> tuple[list[str] | Batch, np.ndarray]:
    """Return the rows of a part of the split, as `predict` takes them, and their labels [N, T].

    Pairs come from the run's own record; of larger structures the data are opened.
    """
    if run.pairs is None:
        task = run.parts().task
        chosen = task.dataset.take(getattr(task.split, part))
        numbers = np.asarray(chosen.structures.atomic_numbers)
        return chosen.structures, np.asarray(chosen.labels, np.float64) + run.offsets(numbers)
    known = set(run.pairs.names.tolist())
    names = [name for name in run.split[part] if name in known]
    if not names:
        raise InputError(f"expected {part} rows that stand once in {run.config.data}, got none")
    rows = [run.pairs.row(name, run.record.left_out) for name in names]
    return names, np.asarray(run.pairs.labels[rows], np.float64)
