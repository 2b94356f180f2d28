"""Structures that stay on disk: Grain reads and packs the next batches while devices compute."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from qc_jax.data.batch import Batch, all_neighbors
from qc_jax.data.dataset import Dataset
from qc_jax.errors import InputError

_THREADS = 2
_AHEAD = 8  # batches that are ready before they are asked for


class Source(Protocol):
    """Records that can be read at random, like those of `tfds.data_source`."""

    def __len__(self) -> int:
        """How many."""

    def __getitem__(self, row: Any) -> Any:
        """One of them."""


class Stream:
    """N structures, read as they are needed; for training, in place of a `Dataset`.

    Only the labels are held in memory. Several processes each read the rows of their own share.

    Args:
      source: N records.
      read: a record → `atomic_numbers` [n], `positions` [n, 3] Å, and where a model reads the
        canvas `canvas_features` [F].
      labels: [N, T] in natural units, finite.
      atoms: the most that a structure has; all are each other's neighbours.

    Raises:
      InputError: there are not as many labels as records.
    """

    def __init__(
        self,
        source: Source,
        read: Callable[[Any], Mapping[str, Any]],
        labels: np.ndarray,
        atoms: int,
    ):
        if len(source) != len(labels):
            raise InputError(f"expected a row of labels a record, {len(source)}, got {len(labels)}")
        self._source, self._read, self._atoms = source, read, atoms
        self.labels = jnp.asarray(labels, jnp.float32)

    def __len__(self) -> int:
        return len(self._source)

    def take(self, rows: np.ndarray) -> Dataset:
        """The rows [M], as a Dataset of M in memory.

        Raises:
          InputError: a record cannot be read, or has more atoms than there is room for.
        """
        structures = self._pack([self._record(int(row)) for row in rows])
        return Dataset(jax.tree.map(jnp.asarray, structures), self.labels[np.asarray(rows)])

    def batches(
        self, rows: np.ndarray, check: Callable[[Batch], None] = lambda batch: None
    ) -> Iterator[Batch]:
        """The structures of rows [steps, B], a batch a step, in host memory.

        Args:
          rows: of the source.
          check: told of every batch, in the threads that read.

        Raises:
          InputError: as `take`, or from `check`.
        """
        import grain

        def pack(records: list[dict[str, np.ndarray]]) -> Batch:
            batch = self._pack(records)
            check(batch)
            return batch

        steps = grain.MapDataset.source(rows.reshape(-1).tolist()).map(self._record)
        read = grain.ReadOptions(num_threads=_THREADS, prefetch_buffer_size=_AHEAD)
        yield from steps.batch(rows.shape[1], batch_fn=pack).to_iter_dataset(read)

    def _record(self, row: int) -> dict[str, np.ndarray]:
        try:
            given = self._read(self._source[row])
        except (OSError, ValueError, LookupError, RuntimeError) as error:
            raise InputError(f"row {row} cannot be read: {error}") from error
        numbers = np.asarray(given["atomic_numbers"], np.int32)
        if len(numbers) > self._atoms:
            raise InputError(f"row {row}: expected at most {self._atoms} atoms, got {len(numbers)}")
        room = (0, self._atoms - len(numbers))
        positions = np.asarray(given["positions"], np.float32)
        found = {
            "atomic_numbers": np.pad(numbers, room),
            "positions": np.pad(positions, (room, (0, 0))),
        }
        if "canvas_features" in given:
            found["canvas_features"] = np.asarray(given["canvas_features"], np.float32)
        return found

    def _pack(self, records: list[dict[str, np.ndarray]]) -> Batch:
        columns: dict[str, Any] = {
            name: np.stack([each[name] for each in records]) for name in records[0]
        }
        neighbors: Any = all_neighbors(columns["atomic_numbers"])
        return Batch(**columns, neighbors=neighbors)
