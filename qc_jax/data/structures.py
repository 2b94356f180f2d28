"""Structures: molecules, frames and crystals of any size, made ready for the one training loop.

What MD17, QM9 and CrysMTM have in common: records that can be read at random, their labels, and a
rule that splits them. `prepare` makes of them the `Task` that `dataset.prepare` makes of pairs.
"""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from qc_jax.chem.elements import element
from qc_jax.data import scaling, splits
from qc_jax.data.dataset import Dataset, Task
from qc_jax.data.neighbors import Neighbors
from qc_jax.data.stream import Source, Stream
from qc_jax.data.targets import target
from qc_jax.errors import InputError, choose

_UNSETTLED = "the charges of its canvas do not settle"
_TOO_COARSE = 1e-4  # of the labels' spread: what float32 may round at most

# (rows, seed) → a split whose indices point into `rows`, ascending indices of the structures.
SplitRule = Callable[[np.ndarray, int], splits.Split]
# Rows of the structures → their canvas features [rows, F]; NaN where there are none.
Draw = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class Structures:
    """N structures that are read one by one.

    Attributes:
      names: [N].
      source: N records.
      read: a record → `atomic_numbers` [n], `positions` [n, 3] Å, and where there are such `cell`
        [3, 3] Å, a lattice vector a row, `forces` [n, 3] eV/Å and `virial` [3, 3] eV.
      targets: [N] float64 by target name, NaN where undefined.
      sizes: [N] how many atoms each has.
      split: the rule of the collection.
      provenance: what they were made from.
      periodic: whether they have cells, so that neighbours need a cutoff.
      per_atom: targets of which a constant an atom of each element is taken off before they are
        learned: energies of structures of several compositions.
      opened_as: the name that they were opened by, of `--data`; '' where nobody knows.
    """

    names: np.ndarray
    source: Source
    read: Callable[[Any], Mapping[str, Any]]
    targets: Mapping[str, np.ndarray]
    sizes: np.ndarray
    split: SplitRule
    provenance: Mapping[str, Any]
    periodic: bool = False
    per_atom: tuple[str, ...] = ()
    opened_as: str = ""

    def __len__(self) -> int:
        return len(self.names)

    def fingerprint(self) -> str:
        """Return 16 hex digits: others where names, labels or the files behind them differ."""
        digest = hashlib.sha256(json.dumps(self.provenance, sort_keys=True).encode())
        digest.update("\n".join(map(str, self.names)).encode())
        for name in sorted(self.targets):
            digest.update(name.encode() + np.asarray(self.targets[name], np.float64).tobytes())
        return digest.hexdigest()[:16]


def prepare(
    structures: Structures,
    targets: tuple[str, ...],
    seed: int,
    cutoff: float | None = None,
    train: int | None = None,
    stream: bool = False,
    draw: Draw | None = None,
    canvas_size: int = 32,
) -> Task:
    """Return the structures where every target is finite, split by the collection's rule.

    Labels whose differences float32 would lose, like total energies of one molecule's frames, are
    told as differences from the training rows' mean, `Task.offsets`.

    Args:
      structures: the data.
      targets: T target names.
      seed: of the split.
      cutoff: Å, within which atoms are neighbours; None makes all atoms of a structure neighbours,
        and is for structures without a cell.
      train: take the first so many training rows, which are in random order; what is left of them
        is in no part. None takes all.
      stream: leave the structures on disk and read them while training; else all are in memory.
      draw: gives the canvas features of rows, for models that read the canvas; those in no part of
        the split are left out then, and so are those where they are NaN.
      canvas_size: pixels along each side of a canvas.

    Raises:
      InputError: a target is unknown or constant, no row has them all, there are fewer training
        rows than asked for, or a structure cannot be read.
    """
    for name in targets:
        choose("target of these structures", name, structures.targets)
    labels = np.stack([structures.targets[name] for name in targets], axis=1)
    finite = np.isfinite(labels).all(axis=1)
    rows = np.flatnonzero(finite)
    if not len(rows):
        raise InputError(f"none of {len(labels)} structures has finite labels for {targets}")
    split = structures.split(rows, seed)
    if train is not None:
        split = _fewer(split, train)
    drawn, unsettled = None, np.zeros(0, np.int64)
    if draw is not None:
        rows, split, drawn, unsettled = _drawn(draw, rows, split)
    chosen, by_element = labels[rows], dict[str, tuple[float, ...]]()
    if set(targets) & set(structures.per_atom):
        by_element, chosen = _without_atoms(structures, targets, rows, chosen, split.train)
    offsets = _offsets(chosen, split.train)
    kept = (chosen - offsets).astype(np.float32)
    dataset: Any
    if stream:
        finder = None if cutoff is None else Neighbors(cutoff)
        dataset = _stream(structures, rows, kept, finder, drawn, canvas_size)
    else:
        read, finder = _in_memory(structures, rows.tobytes(), cutoff)
        batch = read.structures.replace(
            canvas_features=None if drawn is None else jnp.asarray(drawn), canvas_size=canvas_size
        )
        dataset = read.replace(labels=jnp.asarray(kept), structures=batch)
    return Task(
        targets=targets,
        names=structures.names[rows],
        dataset=dataset,
        split=split,
        scaler=scaling.fit(kept[split.train], targets),
        left_out={
            str(structures.names[row]): f"{targets[int(np.argmin(np.isfinite(labels[row])))]} is "
            "undefined"
            for row in np.flatnonzero(~finite)
        }
        | {str(structures.names[row]): _UNSETTLED for row in unsettled},
        offsets=tuple(float(offset) for offset in offsets),
        element_offsets=by_element,
        notes=_notes(targets, offsets, by_element, finder, None if stream else dataset),
    )


def _drawn(
    draw: Draw, rows: Int[np.ndarray, " rows"], split: splits.Split
) -> tuple[np.ndarray, splits.Split, np.ndarray, np.ndarray]:
    """Return the rows in a part of the split that have a canvas, their split and canvas features.

    And the rows without a canvas.
    """
    used = np.sort(np.concatenate([split.train, split.validation, split.test]))
    drawn = draw(rows[used])
    good = np.isfinite(drawn).all(axis=1)
    if not good.any():
        raise InputError(f"none of {len(used)} structures has a canvas: {_UNSETTLED}")
    place = np.full(len(rows), -1)
    place[used[good]] = np.arange(good.sum())

    def kept(part: np.ndarray) -> np.ndarray:
        found = place[part]
        return found[found >= 0]

    divided = dataclasses.replace(
        split,
        train=kept(split.train),
        validation=kept(split.validation),
        test=kept(split.test),
        unused=split.unused[:0],
    )
    return rows[used[good]], divided, drawn[good], rows[used[~good]]


def _stream(
    structures: Structures,
    rows: np.ndarray,
    labels: np.ndarray,
    finder: Neighbors | None,
    drawn: np.ndarray | None = None,
    canvas_size: int = 32,
) -> Stream:
    """Return those rows, labels [M, T] and canvas features given, read as they are needed."""
    atoms = int(structures.sizes[rows].max())
    some = _Some(structures.source, rows)
    if drawn is None:
        return Stream(some, structures.read, labels, atoms, finder, canvas_size)

    def read(record: tuple[Any, np.ndarray]) -> Mapping[str, Any]:
        return {**structures.read(record[0]), "canvas_features": record[1]}

    return Stream(_Beside(some, drawn), read, labels, atoms, finder, canvas_size)


@functools.lru_cache(maxsize=2)  # the trainings of a grid share them
def _in_memory(
    structures: Structures, rows: bytes, cutoff: float | None
) -> tuple[Dataset, Neighbors | None]:
    """Return those rows as a Dataset without labels, and what found their neighbours."""
    finder = None if cutoff is None else Neighbors(cutoff)
    chosen = np.frombuffer(rows, np.int64)
    read = _stream(structures, chosen, np.zeros((len(chosen), 0)), finder)
    return read.take(np.arange(len(chosen))), finder


def _without_atoms(
    structures: Structures,
    targets: tuple[str, ...],
    rows: Int[np.ndarray, " rows"],
    labels: Float[np.ndarray, "rows targets"],
    train: Int[np.ndarray, " train"],
) -> tuple[dict[str, tuple[float, ...]], Float[np.ndarray, "rows targets"]]:
    """Return constants [T] by element, fitted on training rows, and the labels less those.

    Rows of one composition leave nothing to fit: then there are no constants.
    """
    read = [structures.read(structures.source[int(row)])["atomic_numbers"] for row in rows]
    numbers = np.zeros((len(read), max(map(len, read))), int)
    for row, atoms in enumerate(read):
        numbers[row, : len(atoms)] = atoms
    counts = scaling.element_counts(numbers[train])
    if len(np.unique(counts, axis=0)) == 1:
        return {}, labels
    wanted = np.array([name in structures.per_atom for name in targets])
    # The least-norm solution, where compositions leave a choice.
    constants, *_ = np.linalg.lstsq(counts, np.where(wanted, labels[train], 0), rcond=None)
    there = np.unique(numbers[train][numbers[train] > 0])
    by_element = {element(int(z)).symbol: tuple(map(float, constants[z])) for z in there}
    known = np.isin(numbers, [0, *there]).all(axis=1)
    if not known.all():
        name = structures.names[rows[np.argmin(known)]]
        raise InputError(
            f"{name}: has an element that is in no training row, whose energy as an atom is not "
            f"known; training rows have {', '.join(by_element)}"
        )
    zero = np.zeros(len(targets))
    return by_element, labels - scaling.total_offsets(zero, by_element, numbers)


def _notes(
    targets: tuple[str, ...],
    offsets: np.ndarray,
    by_element: Mapping[str, tuple[float, ...]],
    finder: Neighbors | None,
    dataset: Any,
) -> tuple[str, ...]:
    """Return what was done to labels and neighbours; of a stream neighbours are found later."""
    notes = [
        f"{name}: differences from {offset:.6f} {target(name).unit}"
        for name, offset in zip(targets, offsets, strict=True)
        if offset
    ]
    for column, name in enumerate(targets):
        each = [f"{symbol} {values[column]:.6f}" for symbol, values in by_element.items()]
        if any(values[column] for values in by_element.values()):
            notes.append(f"{name}: less {target(name).unit} an atom: {', '.join(each)}")
    if finder is not None and dataset is not None:
        slots = dataset.structures.neighbors.shape[2]
        notes.append(
            f"neighbours within {finder.cutoff:g} Å: at most {slots} of an atom; "
            f"buffers grew {finder.regrown} times, none was cut"
        )
    return tuple(notes)


class _Some:
    """Some rows of a source."""

    def __init__(self, source: Source, rows: np.ndarray):
        self._source, self._rows = source, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, row: int) -> Any:
        return self._source[int(self._rows[row])]


class _Beside:
    """A source's records, each with a row of an array."""

    def __init__(self, source: Source, rows: np.ndarray):
        self._source, self._rows = source, rows

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, row: int) -> Any:
        return self._source[row], self._rows[row]


def _offsets(
    labels: Float[np.ndarray, "structures targets"], train: Int[np.ndarray, " rows"]
) -> Float[np.ndarray, " targets"]:
    """Return what is taken off labels: their mean where float32 is too coarse, else 0."""
    some = labels[train]
    coarse = np.spacing(np.abs(some).max(axis=0).astype(np.float32)) > _TOO_COARSE * some.std(
        axis=0
    )
    return np.where(coarse, some.mean(axis=0), 0.0)


def _fewer(split: splits.Split, train: int) -> splits.Split:
    """Return the split with the first so many training rows alone."""
    if not 0 < train <= len(split.train):
        raise InputError(f"expected 1 to {len(split.train)} training rows, got {train}")
    return dataclasses.replace(
        split,
        train=split.train[:train],
        unused=np.concatenate([split.unused, split.train[train:]]),
        description=f"{split.description}; {train} of {len(split.train)} training rows are used",
    )
