"""What a run keeps of its data, so that nothing that uses it opens them again.

run.json has the targets' offsets, the domain that training saw and the names of the split;
pairs.npz, of runs on pairs, positions, what images are drawn from, and labels by name.
"""

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from qc_jax.canvas import images
from qc_jax.data import files, scaling
from qc_jax.data.domain import TrainingDomain
from qc_jax.data.structures import Structures
from qc_jax.data.table import PairTable
from qc_jax.errors import NUMBER, InputError, expect_fields, expect_schema
from qc_jax.models import Architecture
from qc_jax.runs import building
from qc_jax.runs.building import Run
from qc_jax.runs.config import SCHEMA, RunConfig
from qc_jax.runs.workdir import Workdir

RECORD, PAIRS = "run.json", "pairs.npz"
_ASIDE = ("left_out", "disagreements")  # of a table's provenance, as long as the table


@dataclasses.dataclass(frozen=True)
class Pairs:
    """The pairs of a run's table that stand there once and have an image, as its model reads them.

    Attributes:
      names: [N], sorted.
      positions: [N, 2, 3] Å.
      features: [N, F] that their images are drawn from, where the model reads those; else None.
      labels: [N, T] of the run's targets, NaN where undefined.
    """

    names: np.ndarray
    positions: Float[np.ndarray, "pairs 2 3"]
    features: Float[np.ndarray, "pairs features"] | None
    labels: Float[np.ndarray, "pairs targets"]

    @classmethod
    def of(cls, table: PairTable, targets: tuple[str, ...], features: np.ndarray | None) -> "Pairs":
        """Return those of a table, whose images' features [rows, F] are given or not.

        A row without an image has NaN for features: it is left out here, as it was of training,
        which tells why (`Record.left_out`).
        """
        names, first, counts = np.unique(table.names, return_index=True, return_counts=True)
        kept = counts == 1
        if features is not None:
            kept &= np.isfinite(features[first]).all(axis=1)
        rows = first[kept]
        return cls(
            names[kept],
            np.asarray(table.positions[rows], np.float64),
            None if features is None else np.asarray(features[rows], np.float32),
            table.columns(targets)[rows],
        )

    def row(self, name: str, left_out: Mapping[str, str]) -> int:
        """Return the row of a pair.

        Raises:
          InputError: It is not there, with the reason where one is known.
        """
        row = int(np.searchsorted(self.names, name))
        if row < len(self.names) and self.names[row] == name:
            return row
        covered = {symbol for each in self.names for symbol in each.split("_")}
        unknown = sorted(set(name.split("_")) - covered)
        reason = "is not there"
        if name in left_out:
            reason = f"was left out of it: {left_out[name]}"
        elif unknown:
            reason = f"is not there, as it has no pair of {' or '.join(unknown)}"
        raise InputError(
            f"pair {name!r}: expected one that stands once in the table that the run was trained "
            f"on ({len(self.names)} do); it {reason}"
        )

    def distance(self, row: int) -> float:
        """Return the bond length (Å) of a row."""
        return float(np.linalg.norm(self.positions[row, 1] - self.positions[row, 0]))

    def write(self, path: str | os.PathLike) -> None:
        """Write an .npz, whole or not at all."""
        arrays = {key: value for key, value in vars(self).items() if value is not None}
        files.write_npz(path, arrays)

    @classmethod
    def read(cls, path: str | os.PathLike, targets: int) -> "Pairs":
        """Return what `write` wrote of a run with so many targets.

        Raises:
          InputError: It is not there, damaged or something else.
        """
        arrays = files.read_npz(path, "the pairs of a run")
        return cls.of_arrays(arrays, targets, os.fspath(path))

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray], targets: int, path: str) -> "Pairs":
        """Return those of a run with so many targets whose arrays a file at `path` held.

        Raises:
          InputError: they are others.
        """
        found: dict[str, Any] = {"features": None, **arrays}
        try:
            made = cls(**found)
            rows = len(made.names)
            features = () if made.features is None else (made.features,)
            if (
                *(made.positions.shape, made.labels.shape, made.names.dtype.kind),
                *(len(each) for each in features),
            ) != ((rows, 2, 3), (rows, targets), "U", *(rows for _ in features)):
                raise TypeError("arrays of other shapes")
            if not all(np.isfinite(each).all() for each in (made.positions, *features)):
                raise TypeError("numbers that are not finite")
            return made
        except TypeError as error:
            raise InputError(f"{path}: expected the pairs of a run: {error}") from error


@dataclasses.dataclass(frozen=True)
class Record:
    """What run.json holds of a training's data.

    Attributes:
      offsets: [T] what was taken off the labels, and predictions get back.
      element_offsets: [T] likewise for each atom of an element, by symbol; empty for none.
      domain: What training saw.
      split: The names of the table's rows of each part.
      description: Of the split, in words.
      left_out: Rows of the table that have no label or are in no part, by name with the reason.
      periodic: Whether the structures have cells.
      cutoff: Å, within which atoms of larger structures are neighbours; None for all.
      provenance: Of the data, and versions of the code.
    """

    offsets: tuple[float, ...]
    domain: TrainingDomain | None
    split: Mapping[str, Sequence[str]]
    description: str
    left_out: Mapping[str, str]
    periodic: bool
    cutoff: float | None
    provenance: Mapping[str, Any]
    element_offsets: Mapping[str, tuple[float, ...]] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, run: Run) -> "Record":
        """Return that of a training."""
        task, table = run.task, run.table
        pairs = isinstance(table, PairTable)
        rows = {**task.split.parts(), "train": task.own_train}
        periodic = False if isinstance(table, PairTable) else table.periodic
        undefined = table.left_out if isinstance(table, PairTable) else {}
        return cls(
            offsets=tuple(map(float, task.offsets or np.zeros(len(task.targets)))),
            element_offsets=dict(task.element_offsets),
            domain=TrainingDomain.of_dataset(task.dataset, task.split.train, _cells(run)),
            split={part: task.names[of_part].tolist() for part, of_part in rows.items()},
            description=task.split.description,
            left_out={**undefined, **task.left_out},
            periodic=periodic,
            cutoff=None if pairs else building.neighbor_cutoff(run.config, run.model, periodic),
            provenance={
                **{key: table.provenance[key] for key in table.provenance if key not in _ASIDE},
                "versions": building.versions(),
            },
        )

    def write(self, path: str | os.PathLike) -> None:
        """Write it as JSON."""
        files.write_json(path, {"schema": SCHEMA, **self.to_json()})

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON has them."""
        return {**vars(self), "domain": None if self.domain is None else self.domain.to_json()}

    @classmethod
    def read(cls, path: str | os.PathLike, targets: int) -> "Record":
        """Return what `write` wrote.

        Raises:
          InputError: It is not there, damaged, something else or of a newer schema.
        """
        found = files.read_json(path)
        expect_fields(str(path), found, {})
        expect_schema(f"{path}: schema", found.pop("schema", None), SCHEMA)
        try:
            return cls.from_json(found, targets)
        except ValueError as error:
            raise InputError(f"{path}: {error}") from error

    @classmethod
    def from_json(cls, found: Mapping[str, Any], targets: int) -> "Record":
        """Return what `to_json` gave, of a run with so many targets.

        Raises:
          ValueError: it is something else.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        found = {"element_offsets": {}, **found}
        if found.keys() != names:
            odd = sorted(found.keys() ^ names)[0]
            raise ValueError(f"expected the fields {', '.join(sorted(names))}; {odd} is wrong")
        try:
            offsets = tuple(float(value) for value in found["offsets"])
            if len(offsets) != targets or not np.isfinite(offsets).all():
                raise ValueError(f"offsets: expected {targets} numbers, got {found['offsets']}")
            domain = found["domain"]
            expect_fields("split", found["split"], {...: [str]})
            expect_fields("left_out", found["left_out"], {...: str})
            expect_fields("provenance", found["provenance"], {})
            expect_fields("element_offsets", found["element_offsets"], {...: [NUMBER]})
            by_element = {
                key: tuple(map(float, of)) for key, of in found["element_offsets"].items()
            }
            scaling.total_offsets(np.array(offsets), by_element, np.zeros((0, 0), int))
            if not isinstance(found["cutoff"], int | float | None):
                raise ValueError(f"cutoff: expected a number or null, got {found['cutoff']!r}")
            return cls(
                **{
                    **found,
                    "offsets": offsets,
                    "element_offsets": by_element,
                    "domain": None if domain is None else TrainingDomain.from_json(domain),
                }
            )
        except TypeError as error:
            raise ValueError(str(error)) from error


def _cells(run: Run) -> Callable[[int], bool] | None:
    """Return what says of a row of the task whether it has a cell; None of pairs."""
    table, names = run.table, run.task.names
    if isinstance(table, PairTable):
        return None
    places = {str(name): place for place, name in enumerate(table.names)}

    def has_cell(row: int) -> bool:
        return table.read(table.source[places[str(names[row])]]).get("cell") is not None

    return has_cell


def claim(run: Run, workdir: Workdir) -> None:
    """Make a directory that of a run, with all but its weights; or find that it already is.

    Raises:
      InputError: It holds another run or other files.
    """
    workdir.claim(run.config.to_dict(), run.config.defaults)
    if not workdir.writes or (workdir.path / RECORD).exists():
        return
    pairs = pairs_of(run.table, run.config, run.model)
    if pairs is not None:
        pairs.write(workdir.path / PAIRS)
    Record.of(run).write(workdir.path / RECORD)


def pairs_of(table: PairTable | Structures, config: RunConfig, model: Architecture) -> Pairs | None:
    """Return the pairs of a table as a run's model reads them; None where it is none of pairs."""
    if not isinstance(table, PairTable):
        return None
    features = images.parse(config.images).rows(table) if "canvas" in model.inputs else None
    return Pairs.of(table, config.target_names, features)
