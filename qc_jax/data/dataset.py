"""Dataset: everything a training reads, on the device, float32."""

from typing import NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from qc_jax.data import scaling, splits
from qc_jax.data.batch import Batch, from_table
from qc_jax.data.table import PairTable
from qc_jax.errors import InputError


class Dataset(flax.struct.PyTreeNode):
    """N structures with T labels each.

    Attributes:
      structures: a Batch of N.
      labels: [N, T] in natural units, finite.
    """

    structures: Batch
    labels: jax.Array

    def __len__(self) -> int:
        return self.labels.shape[0]

    def take(self, rows: jax.Array | np.ndarray) -> "Dataset":
        """The rows [M], as a Dataset of M; works inside jit."""
        return jax.tree.map(lambda leaf: leaf[rows], self)


class Task(NamedTuple):
    """What is learned from what: the rows with finite labels, their split and label scaling.

    Attributes:
      targets: the T target names.
      names: [N] of the rows that are in the dataset.
      dataset: N rows.
      split: row indices into it.
      scaler: fitted on the training rows.
      left_out: pairs of the table without a finite label, by name with the reason.
    """

    targets: tuple[str, ...]
    names: np.ndarray
    dataset: Dataset
    split: splits.Split
    scaler: scaling.Scaler
    left_out: dict[str, str]


def prepare(
    table: PairTable, targets: tuple[str, ...], seed: int, canvas_features: np.ndarray | None = None
) -> Task:
    """The published protocol: the rows where every target is finite, split at random by the seed.

    Args:
      table: the data.
      targets: T target names.
      seed: of the split.
      canvas_features: [rows of the table, F], for models that read the canvas.

    Raises:
      InputError: a target is unknown or not in the table, no row has them all, or too few have.
    """
    # Tables and TFDS records then give the same numbers, scaling included.
    labels = table.columns(targets).astype(np.float32)
    finite = np.isfinite(labels)
    keep = np.flatnonzero(finite.all(axis=1))
    left_out = {
        str(table.names[row]): f"{targets[int(np.argmin(finite[row]))]} is undefined"
        for row in np.flatnonzero(~finite.all(axis=1))
    }
    if len(keep) < 10:
        raise InputError(
            f"{len(keep)} of {len(table)} rows have finite labels for {', '.join(targets)}; "
            "expected at least 10"
        )
    split = splits.random_split(len(keep), seed)
    features = None if canvas_features is None else jnp.asarray(canvas_features[keep])
    return Task(
        targets=targets,
        names=table.names[keep],
        dataset=Dataset(from_table(table.take(keep), features), jnp.asarray(labels[keep])),
        split=split,
        scaler=scaling.fit(labels[keep][split.train], targets),
        left_out=left_out,
    )
