"""What a model predicted for its test rows, kept beside its errors."""

import os
from typing import NamedTuple

import numpy as np

from qc_jax.data import files
from qc_jax.errors import InputError


class Predictions(NamedTuple):
    """M test rows.

    Attributes:
      targets: the T target names.
      names: [M] of the rows.
      true: [M, T] labels in the targets' units.
      predicted: [M, T].
    """

    targets: tuple[str, ...]
    names: np.ndarray
    true: np.ndarray
    predicted: np.ndarray

    def errors(self, target: str) -> np.ndarray:
        """|predicted − true| [M] of one target, in its unit, float64."""
        column = self.targets.index(target)
        predicted = self.predicted[:, column].astype(np.float64)
        return np.abs(predicted - self.true[:, column])

    def write(self, path: str | os.PathLike) -> None:
        """Writes an .npz, whole or not at all.

        Raises:
          InputError: it cannot be written.
        """
        with files.atomic_write(path) as partial, open(partial, "wb") as file:
            np.savez_compressed(
                file,
                targets=np.array(self.targets),
                names=np.asarray(self.names, dtype=np.str_),
                true=self.true,
                predicted=self.predicted,
            )


def read(path: str | os.PathLike) -> Predictions:
    """What `Predictions.write` wrote.

    Raises:
      InputError: it is not there, damaged or something else.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in Predictions._fields}
    except (*files.DAMAGE, KeyError) as error:
        raise InputError(
            f"{os.fspath(path)}: expected predictions of test rows: {error}"
        ) from error
    return Predictions(**{**found, "targets": tuple(map(str, found["targets"]))})
