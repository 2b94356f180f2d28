"""Dataset: everything a training reads, on the device, float32."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from qc_jax.data import scaling, splits
from qc_jax.data.batch import Batch, from_table
from qc_jax.data.table import PairTable
from qc_jax.errors import InputError, choose
from qc_jax.ops import on_host


class Dataset(flax.struct.PyTreeNode):
    """N structures with T labels each.

    Attributes:
      structures: a Batch of N.
      labels: [N, T] in natural units; NaN where one is missing.
      forces: [N, A, 3] eV/Å on each atom, zero for padding; None where they are not known.
      virials: [N, 3, 3] eV, the derivative of the energy by the strain of positions and cell, which
        is stress times volume; None where they are not known.
    """

    structures: Batch
    labels: jax.Array
    forces: jax.Array | None = None
    virials: jax.Array | None = None

    def __len__(self) -> int:
        return self.labels.shape[0]

    def take(self, rows: jax.Array | np.ndarray) -> "Dataset":
        """Return the rows [M], as a Dataset of M: in host memory, or traced inside jit."""
        return jax.tree.map(lambda leaf: on_host(leaf)[rows], self)


class Task(NamedTuple):
    """What is learned from what: the rows with labels, their split and label scaling.

    Attributes:
      targets: the T target names.
      names: [N] of the rows that are in the dataset.
      dataset: N rows; those of a `stream.Stream` stay on disk.
      split: row indices into it; all N are in one of its parts.
      scaler: fitted on the training rows.
      left_out: pairs of the table without a finite label or in no part of the split, by name with
        the reason.
      offsets: [T] what was taken off the labels and has to be added to a prediction; None is
        nothing.
      element_offsets: likewise [T] for each atom of an element, by symbol; empty is nothing.
      notes: lines on how the data were made ready, for the reader of a result.
      from_curves: how many of the training rows, the last ones, are not of the table but of curves.
      table: what the rows are of; None where nobody said.
      spec: how the task was made of it, fields of `qc_jax.runs.RunConfig`.
    """

    targets: tuple[str, ...]
    names: np.ndarray
    dataset: Dataset
    split: splits.Split
    scaler: scaling.Scaler
    left_out: dict[str, str]
    offsets: tuple[float, ...] | None = None
    element_offsets: Mapping[str, tuple[float, ...]] = {}
    notes: tuple[str, ...] = ()
    from_curves: int = 0
    table: Any = None
    spec: Mapping[str, Any] | None = None

    @property
    def own_train(self) -> np.ndarray:
        """Return the training rows that are of the table."""
        return self.split.train[: len(self.split.train) - self.from_curves]


def prepare(
    table: PairTable,
    targets: tuple[str, ...],
    seed: int,
    canvas_features: np.ndarray | None = None,
    split: str = "random",
    *,
    train_fraction: float = 1.0,
    scale_on: str = "train",
    scale_by: str = "range",
    missing_labels: str = "drop",
    curves: PairTable | None = None,
    curve_features: np.ndarray | None = None,
    canvas_size: int = 32,
    images: str = "canvas",
    average_symmetries: bool = False,
) -> Task:
    """Return the published protocol: the rows where every target is finite, split by the seed.

    Args:
      table: the data.
      targets: T target names.
      seed: of the split.
      canvas_features: [rows of the table, F], for models that read images; a row where they are NaN
        is left out.
      split: a name for `splits.make_split`; 'random' is the published benchmark's.
      train_fraction: of the training rows, how many are used; see `splits.with_fraction`.
      scale_on: the rows that the label scaling is fitted on: 'train', or 'all' as in the published
        code, test rows included.
      scale_by: 'range' of the labels, or 'residual' beside one constant an element; see
        `scaling.fit`.
      missing_labels: 'drop' the rows without some of the targets, as published; or 'mask' the
        labels alone, and drop the rows without any.
      curves: pairs of the table at other bond lengths; those of training pairs train, too.
      curve_features: [rows of `curves`, F], as `canvas_features`.
      canvas_size: pixels along each side of an image.
      images: what the images are; as `Batch.images`.
      average_symmetries: as `Batch.average_symmetries`.

    Raises:
      InputError: a target is unknown or not in the table, no row has them all, too few have, they
        cannot be split like this, or none has a canvas.
    """
    choose("scale_on", scale_on, ("train", "all"))
    choose("scale_by", scale_by, ("range", "residual"))
    choose("missing_labels", missing_labels, ("drop", "mask"))
    chosen = splits.make_split(split, table, targets, seed, some=missing_labels == "mask")
    drawn = np.ones(len(table), dtype=bool)
    if canvas_features is not None:  # the split is the same for every model, whatever it reads
        drawn = np.isfinite(canvas_features).all(axis=1)
        if not drawn.any():
            raise InputError(
                f"none of {len(table)} pairs has a canvas: their populations, charges or dipoles "
                "are not known"
            )
    rows = {part: given[drawn[given]] for part, given in chosen.parts().items()}
    # Tables and TFDS records then give the same numbers, scaling included.
    labels = table.columns(targets).astype(np.float32)
    keep = np.sort(np.concatenate(list(rows.values())))
    parts = {part: np.searchsorted(keep, given) for part, given in rows.items()}
    divided = splits.with_fraction(
        splits.Split(**parts, description=chosen.description), train_fraction, seed
    )
    scaled = divided.train if scale_on == "train" else slice(None)
    features = None if canvas_features is None else jnp.asarray(canvas_features[keep])
    task = Task(
        targets=targets,
        names=table.names[keep],
        dataset=Dataset(
            from_table(table.take(keep), features).replace(
                canvas_size=canvas_size, images=images, average_symmetries=average_symmetries
            ),
            jnp.asarray(labels[keep]),
            None if table.forces is None else jnp.asarray(table.forces[keep], jnp.float32),
        ),
        split=divided,
        scaler=scaling.fit(
            labels[keep][scaled],
            targets,
            table.atomic_numbers[keep][scaled] if scale_by == "residual" else None,
        ),
        left_out={
            str(table.names[row]): _reason(
                np.isfinite(labels[row]), drawn[row], targets, split, missing_labels
            )
            for row in np.setdiff1d(np.arange(len(table)), keep)
        },
    )
    return task if curves is None else _with_curves(task, curves, curve_features, missing_labels)


def _with_curves(
    task: Task, curves: PairTable, features: np.ndarray | None, missing_labels: str
) -> Task:
    """Return the task with what curves have of its training pairs as training rows, at the end."""
    try:
        labels = curves.columns(task.targets).astype(np.float32)
    except InputError as error:
        raise InputError(f"curves: {error}") from error
    finite = np.isfinite(labels)
    known = finite.any(axis=1) if missing_labels == "mask" else finite.all(axis=1)
    if features is not None:
        known &= np.isfinite(features).all(axis=1)
    trained = np.isin(curves.names, task.names[task.split.train])
    rows = np.flatnonzero(known & trained)
    if not len(rows):
        raise InputError(
            f"curves: expected rows of training pairs with {', '.join(task.targets)}, got none"
        )
    usual = task.dataset.structures
    drawn = None if features is None else jnp.asarray(features[rows])
    added = from_table(curves.take(rows), drawn).replace(
        canvas_size=usual.canvas_size,
        images=usual.images,
        average_symmetries=usual.average_symmetries,
    )
    forces = None
    if task.dataset.forces is not None and curves.forces is not None:
        forces = jnp.asarray(curves.forces[rows], jnp.float32)
    beside = Dataset(added, jnp.asarray(labels[rows]), forces)
    base = task.dataset if forces is not None else task.dataset.replace(forces=None)
    count, split = len(task.names), task.split
    return task._replace(
        names=np.concatenate([task.names, curves.names[rows]]),
        dataset=jax.tree.map(lambda one, other: jnp.concatenate([one, other]), base, beside),
        split=dataclasses.replace(
            split,
            train=np.concatenate([split.train, count + np.arange(len(rows))]),
            description=f"{split.description}; {len(rows)} rows of curves of training pairs train",
        ),
        notes=(
            *task.notes,
            f"{len(rows)} rows of curves train beside {len(split.train)} of the table; of the "
            f"curves' others {np.sum(~trained)} are of pairs that do not train, and "
            f"{np.sum(trained & ~known)} have no label",
        ),
        from_curves=len(rows),
    )


def _reason(
    finite: np.ndarray, drawn: bool, targets: tuple[str, ...], split: str, missing_labels: str
) -> str:
    """Return why a row is left out that has these finite labels [T], and a canvas or not."""
    if not (finite.any() if missing_labels == "mask" else finite.all()):
        return f"{targets[int(np.argmin(finite))]} is undefined"
    return f"in no part of the split {split}" if drawn else "its canvas is none of a pair"
