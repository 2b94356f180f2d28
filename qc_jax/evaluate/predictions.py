"""What a model predicted for its test rows, kept beside its errors."""

import os
from typing import NamedTuple

import numpy as np

from qc_jax.data import files
from qc_jax.data.scaling import decide
from qc_jax.data.targets import target as about
from qc_jax.errors import InputError


class Predictions(NamedTuple):
    """M test rows.

    Attributes:
      targets: the T target names.
      names: [M] of the rows.
      true: [M, T] labels in the targets' units.
      predicted: [M, T]; of classes the probability of 1.
    """

    targets: tuple[str, ...]
    names: np.ndarray
    true: np.ndarray
    predicted: np.ndarray

    def errors(self, target: str) -> np.ndarray:
        """|predicted − true| [M] of one target, in its unit, float64; 0 or 1 of a class."""
        column = self.targets.index(target)
        predicted = self.predicted[:, column].astype(np.float64)
        predicted = decide(predicted) if about(target).is_class else predicted
        return np.abs(predicted - self.true[:, column])

    def write(self, path: str | os.PathLike) -> None:
        """Writes an .npz, whole or not at all.

        Raises:
          InputError: it cannot be written.
        """
        arrays = {"targets": np.array(self.targets), "names": np.asarray(self.names, np.str_)}
        files.write_npz(path, {**arrays, "true": self.true, "predicted": self.predicted})


def read(path: str | os.PathLike) -> Predictions:
    """What `Predictions.write` wrote.

    Raises:
      InputError: it is not there, damaged or something else.
    """
    with files.reading_npz(path, "predictions of test rows") as arrays:
        targets, names, *numbers = (arrays[name] for name in Predictions._fields)
    shape = (len(np.atleast_1d(names)), len(np.atleast_1d(targets)))
    if any(each.shape != shape or each.dtype.kind != "f" for each in numbers):
        got = [f"{each.dtype} {each.shape}" for each in numbers]
        raise InputError(f"{path}: expected numbers of shape {shape}, got {' and '.join(got)}")
    return Predictions(tuple(map(str, targets)), names, *numbers)
