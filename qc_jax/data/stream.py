"""Structures that stay on disk: Grain reads and packs the next batches while devices compute."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from qc_jax.data.batch import Batch, all_neighbors
from qc_jax.data.dataset import Dataset
from qc_jax.data.neighbors import Neighbors
from qc_jax.errors import InputError

_SLOPES = ("forces", "virial")
_THREADS = 2
_AHEAD = 8  # batches that are ready before they are asked for


class Source(Protocol):
    """Records that can be read at random, like those of `tfds.data_source`."""

    def __len__(self) -> int:
        """Return how many."""

    def __getitem__(self, row: Any) -> Any:
        """Return one of the states."""


class Stream:
    """N structures, read as they are needed; for training, in place of a `Dataset`.

    Only the labels are held in memory. Several processes each read the rows of their own share.

    Args:
      source: N records.
      read: a record → `atomic_numbers` [n], `positions` [n, 3] Å, and where a model reads the
        canvas `canvas_features` [F]; where there are such `cell` [3, 3] Å, a lattice vector a row,
        `forces` [n, 3] eV/Å and `virial` [3, 3] eV, the stress times the volume.
      labels: [N, T] in natural units, finite.
      atoms: the most that a structure has.
      neighbors: finds them within a cutoff; None makes all atoms of a structure neighbours.
      canvas_size: pixels along each side of a canvas.

    Attributes:
      labels: as given, on the device.

    With a finder, the most neighbours that an atom has are counted over all structures before the
    first batch, so that batches have one shape and no neighbour is left out.

    Raises:
      InputError: there are not as many labels as records.
    """

    def __init__(
        self,
        source: Source,
        read: Callable[[Any], Mapping[str, Any]],
        labels: np.ndarray,
        atoms: int,
        neighbors: Neighbors | None = None,
        canvas_size: int = 32,
    ):
        if len(source) != len(labels):
            raise InputError(f"expected a row of labels a record, {len(source)}, got {len(labels)}")
        self._source, self._read, self._atoms = source, read, atoms
        self._finder, self._canvas_size = neighbors, canvas_size
        self._shape: _Shape | None = None  # of all structures, once they were looked at
        self._has: dict[str, bool] = {}  # what all records have, or none
        self.labels = jnp.asarray(labels, jnp.float32)

    def __len__(self) -> int:
        return len(self._source)

    def take(self, rows: np.ndarray) -> Dataset:
        """Return the rows [M], as a Dataset of M in memory.

        Raises:
          InputError: a record cannot be read, has more atoms than there is room for, a cell without
            a cutoff, or no forces where others have them.
        """
        records = [self._record(int(row)) for row in rows]
        structures = self._pack(records, self._shape or _Shape.of(records))
        # Not `jnp.asarray`, of which JAX compiles a program for each shape.
        slopes = [
            jax.device_put(np.stack([record[name] for record in records]))
            if name in records[0]
            else None
            for name in _SLOPES
        ]
        labels = np.asarray(self.labels)[np.asarray(rows)]
        return Dataset(jax.device_put(structures), jax.device_put(labels), *slopes)

    def batches(
        self, rows: np.ndarray, check: Callable[[Batch], None] = lambda batch: None
    ) -> Iterator[Batch]:
        """Return the structures of rows [steps, B], a batch a step, in host memory.

        Args:
          rows: of the source.
          check: told of every batch, in the threads that read.

        Raises:
          InputError: as `take`, or from `check`.
        """
        import grain

        if self._finder is not None and self._shape is None:
            self._shape = _Shape.of(self._record(row) for row in range(len(self)))
        shape = self._shape

        def pack(records: list[dict[str, np.ndarray]]) -> Batch:
            batch = self._pack(records, shape or _Shape.of(records))
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
        if self._knows("forces", row, given):
            found["forces"] = np.pad(np.asarray(given["forces"], np.float32), (room, (0, 0)))
        if self._knows("virial", row, given):
            found["virial"] = np.asarray(given["virial"], np.float32)
        cell = given.get("cell")
        if self._finder is not None:
            try:
                near = self._finder.find(given["positions"], cell)
            except InputError as error:
                raise InputError(f"row {row}: {error}") from error
            found["neighbors"] = np.where(
                near.neighbors < len(numbers), near.neighbors, self._atoms
            ).astype(np.int32)
            if near.shifts is not None:
                found["shifts"] = near.shifts
        elif cell is not None:
            raise InputError(f"row {row}: expected a cutoff for a structure with a cell, got none")
        return found

    def _knows(self, name: str, row: int, given: Mapping[str, Any]) -> bool:
        """Return whether a record has forces, or a virial, as all or none of them must."""
        has = name in given
        if has is not self._has.setdefault(name, has):
            words = ("without", "with") if has else ("with", "without")
            raise InputError(f"row {row}: expected a record {words[0]} {name}, got {words[1]}")
        return has

    def _pack(self, records: list[dict[str, np.ndarray]], shape: "_Shape") -> Batch:
        names = [name for name in records[0] if name not in ("neighbors", "shifts", *_SLOPES)]
        columns: dict[str, Any] = {
            name: np.stack([record[name] for record in records]) for name in names
        }
        neighbors: Any
        if self._finder is None:
            neighbors = all_neighbors(columns["atomic_numbers"])
            return Batch(**columns, neighbors=neighbors, canvas_size=self._canvas_size)
        size = (len(records), self._atoms, shape.slots)
        neighbors = np.full(size, self._atoms, np.int32)
        shifts: Any = np.zeros((*size, 3), np.float32) if shape.periodic else None
        for at, record in enumerate(records):
            atoms, slots = record["neighbors"].shape
            assert slots <= shape.slots, "they were counted"
            neighbors[at, :atoms, :slots] = record["neighbors"]
            if "shifts" in record:
                shifts[at, :atoms, :slots] = record["shifts"]
        return Batch(**columns, neighbors=neighbors, shifts=shifts, canvas_size=self._canvas_size)


class _Shape(NamedTuple):
    """What decides the shape of a batch whose neighbours are within a cutoff.

    Attributes:
      slots: the most neighbours that an atom has.
      periodic: whether a structure has a cell.
    """

    slots: int
    periodic: bool

    @classmethod
    def of(cls, records: Iterable[dict[str, np.ndarray]]) -> "_Shape":
        """Return that of so many records."""
        shape = cls(0, False)
        for record in records:
            if "neighbors" in record:
                slots = max(shape.slots, record["neighbors"].shape[1])
                shape = cls(slots, shape.periodic or "shifts" in record)
        return shape
