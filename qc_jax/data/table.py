"""PairTable: the one form of the data in memory, a struct of arrays over N two-atom systems."""

import copy
import dataclasses
import hashlib
import importlib.resources
import json
import math
import os
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from qc_jax.chem import elements
from qc_jax.data import files, labels
from qc_jax.data import targets as target_table
from qc_jax.data.atoms import FARTHEST_ANG
from qc_jax.data.targets import TARGETS
from qc_jax.errors import InputError, choose, expect

# Mulliken populations by (l, m): s; p −1, 0, 1; d −2 … 2; f −3 … 3. One entry an orbital, in order.
ORBITAL_L = np.array([0, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3])
ORBITAL_M = np.array([0, -1, 0, 1, -2, -1, 0, 1, 2, -3, -2, -1, 0, 1, 2, 3])

_SHAPES = {
    "atomic_numbers": (2,),
    "positions": (2, 3),
    "populations": (2, 16),
    "charges": (2,),
    "dipole": (3,),
}
# What a table may hold besides; None where it does not.
_OPTIONAL_SHAPES = {"forces": (2, 3), "canvases": (32, 32, 10)}
_FIELDS = _SHAPES | _OPTIONAL_SHAPES
_KINDS = {"names": "U", "atomic_numbers": "iu"}  # NumPy's letters; all else is "iuf"
_TARGET_PREFIX = "target/"
_EXTRA_PREFIX = "extra/"
# Tables that stand in this package, as NAME.npz; the first is the default of every script.
SHIPPED = ("ptbp", "gfn2_xtb", "ptbp_exact")
DEFAULT = SHIPPED[0]


def _check_array(field: str, array: np.ndarray, shape: tuple[int, ...], kinds: str = "iuf") -> None:
    if np.shape(array) != shape:
        raise InputError(f"PairTable.{field}: expected shape {shape}, got {np.shape(array)}")
    dtype = np.asarray(array).dtype
    if dtype.kind not in kinds:
        words = {"U": "text", "iu": "whole numbers", "iufU": "numbers or text"}
        what = words.get(kinds, "numbers")
        raise InputError(f"PairTable.{field}: expected {what}, got an array of {dtype}")


@dataclasses.dataclass(frozen=True, eq=False)
class PairTable:
    """N two-atom systems with their populations, charges, dipoles and targets.

    Attributes:
      names: [N] like 'Ag_Al', the symbols in alphabetical order; row order is file order. A pair
        may stand there several times, at several distances.
      atomic_numbers: [N, 2] int32, in the order of the name.
      positions: [N, 2, 3] Å; our own engines place the pair along z, the first atom below the
        second; files that are read keep theirs.
      populations: [N, 2, 16] Mulliken populations (electrons) by (l, m), in the order of
        `ORBITAL_L` and `ORBITAL_M`; NaN where not known.
      charges: [N, 2] Mulliken charges (e); NaN where not known.
      dipole: [N, 3] Debye, from negative to positive charge; NaN where not known.
      targets: columns [N] by name, in the unit of the target table; NaN where undefined.
      provenance: engine, version and settings, and under 'left_out' the pairs that were asked
        for but are not here, by name with the reason; under 'disagreements' rows of a file that
        contradict themselves, by name with what disagrees.
      forces: [N, 2, 3] eV/Å on each atom, or None.
      canvases: [N, 32, 32, 10] float32 as a file holds them, where populations that would draw
        them are not known, or None.
      opened_as: the name that it was opened by, of `--data`; '' where nobody knows.
      extras: further columns [N] of a file by name, numbers (NaN where unknown) or text: what it
        says of a row beside the targets.

    Raises:
      InputError: a field is missing, has another shape, or contradicts another.
    """

    names: np.ndarray
    atomic_numbers: np.ndarray
    positions: np.ndarray
    populations: np.ndarray
    charges: np.ndarray
    dipole: np.ndarray
    targets: Mapping[str, np.ndarray]
    provenance: Mapping[str, Any]
    forces: np.ndarray | None = None
    canvases: np.ndarray | None = None
    extras: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    opened_as: str = ""

    def __post_init__(self):
        n = len(self.names)
        _check_array("names", self.names, (n,), "U")
        for field, shape in _FIELDS.items():
            array = getattr(self, field)
            if array is not None or field in _SHAPES:
                _check_array(field, array, (n, *shape), _KINDS.get(field, "iuf"))
        for name, column in self.targets.items():
            _check_array(f"targets[{name!r}]", column, (n,))
        for name, column in self.extras.items():
            _check_array(f"extras[{name!r}]", column, (n,), "iufU")
        if not isinstance(self.provenance, Mapping):
            raise InputError(f"PairTable.provenance: expected a mapping, got {self.provenance!r}")
        for key in ("left_out", "disagreements"):
            reasons = self.provenance.get(key, {})
            expect(f"PairTable.provenance[{key!r}]", reasons, Mapping, "reasons by name")
            for reason in reasons.values():
                expect(f"PairTable.provenance[{key!r}]", reason, (str, list, tuple), "reasons")
        names = map(str, self.names)
        for row, (name, numbers) in enumerate(zip(names, self.atomic_numbers, strict=True)):
            expected = elements.pair_name(int(numbers[0]), int(numbers[1]))
            symbols = "_".join(elements.element(int(z)).symbol for z in numbers)
            if name != expected or name != symbols:
                raise InputError(
                    f"PairTable row {row}: name {name!r} does not fit its atoms {symbols}; "
                    f"expected {expected!r}, symbols in alphabetical order"
                )
        for field in ("positions", "populations", "charges", "dipole", "forces"):
            if getattr(self, field) is None:
                continue
            values = np.asarray(getattr(self, field)).reshape(n, math.prod(_FIELDS[field]))
            finite = np.isfinite(values).all(axis=1)
            if field not in ("positions", "forces"):
                finite |= np.isnan(values).all(axis=1)  # not known
            self._require(finite, field, "is not finite")
        near = (np.abs(self.positions, dtype=np.float64) <= FARTHEST_ANG).all(axis=(1, 2))
        self._require(near, "positions", f"has an atom beyond {FARTHEST_ANG:.0e} Å")
        apart = np.abs(self.positions[:, 0] - self.positions[:, 1]).max(axis=1)
        self._require(apart > 0, "positions", "has both atoms at one place")

    def _require(self, good: np.ndarray, field: str, otherwise: str) -> None:
        """Raise InputError that names the first row that is not `good` [N]."""
        if not good.all():
            row = int(np.argmin(good))
            raise InputError(f"PairTable.{field}: row {row} ({self.names[row]}) {otherwise}")

    def __len__(self) -> int:
        return len(self.names)

    @property
    def left_out(self) -> Mapping[str, str]:
        """Return pairs that were asked for but are not in the table, by name with the reason."""
        return self.provenance.get("left_out", {})

    def check_labels(self) -> None:
        """Raise InputError where a label contradicts what it follows from (`labels.derive`).

        Likewise where it is infinite, and where populations and charges give an atom a broken
        number of electrons. Rows of which the provenance tells that they contradict themselves are
        let be.
        """
        told = np.isin(
            self.names, [key.split(" ")[0] for key in self.provenance.get("disagreements", ())]
        )
        for name, column in self.targets.items():
            self._require(~np.isinf(column), f"targets[{name!r}]", "is infinite")
        electrons = self.populations.sum(axis=2) + self.charges  # of the neutral atoms
        broken = (np.abs(electrons - np.round(electrons)) > 0.01) | (electrons < 0.5)
        self._require(told | ~broken.any(axis=1), "populations", "contradicts the atoms' charges")
        unknown = np.full(len(self), np.nan)
        homo, lumo = (self.targets.get(name, unknown) for name in ("e_homo_ev", "e_lumo_ev"))
        derived = labels.derive(homo, lumo, self.positions, self.charges, self.dipole)
        for name in self.targets.keys() & derived.keys() - labels.OVER_GAP:
            found, expected = self.targets[name], derived[name]
            wrong = np.abs(found - expected) > 1e-3 + 1e-5 * np.abs(expected)  # False of NaN
            row = int(np.argmax(wrong))
            self._require(
                told | ~wrong,
                f"targets[{name!r}]",
                f"is {found[row]:.6g}, but what it follows from gives {expected[row]:.6g}",
            )

    def row(self, name: str) -> int:
        """Return the row of a pair.

        Raises:
          InputError: the pair is not in the table (says why where the table knows), or stands
            there several times.
        """
        found = np.flatnonzero(self.names == name)
        if len(found) > 1:
            raise InputError(f"pair {name!r} stands in {len(found)} rows of the table")
        if len(found):
            return int(found[0])
        reason = self.left_out.get(name)
        raise InputError(
            f"pair {name!r} was left out of the table: {reason}"
            if reason
            else f"pair {name!r} is not in the table of {len(self)} pairs"
        )

    def take(self, rows: np.ndarray) -> "PairTable":
        """Return the table of the given rows (indices or a boolean mask), in their order.

        It has no name that it was opened by: that one opens all rows.
        """
        taken = copy.copy(self)  # whose rows have been checked already
        columns = {
            "opened_as": "",
            "names": self.names[rows],
            "targets": {name: column[rows] for name, column in self.targets.items()},
            "extras": {name: column[rows] for name, column in self.extras.items()},
            **{field: array[rows] for field, array in self._arrays().items()},
        }
        for field, value in columns.items():
            object.__setattr__(taken, field, value)
        return taken

    def _arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays by field, without names, and without those that are not there."""
        return {f: getattr(self, f) for f in _FIELDS if getattr(self, f) is not None}

    def columns(self, names: tuple[str, ...]) -> np.ndarray:
        """Return the named targets as one array [N, T], float64.

        Raises:
          InputError: a name is not a target, or the table does not hold it.
        """
        return np.stack([self._column(name) for name in names], axis=-1).astype(np.float64)

    def _column(self, name: str) -> np.ndarray:
        """Return a target [N]: as the file has it, or as it follows from others."""
        if target_table.target(name).is_class:
            if name in self.extras and self.extras[name].dtype.kind != "U":
                return self.extras[name]
            if {"e_homo_ev", "e_g_ev"} <= self.targets.keys():
                homo, gap = self.targets["e_homo_ev"], self.targets["e_g_ev"]
                no_lumo = np.isnan(self.targets.get("e_lumo_ev", np.zeros(len(self))))
                return labels.metal_like(homo, gap, no_lumo)
        choose("target of this table", name, self.targets)
        return self.targets[name]

    def fingerprint(self) -> str:
        """Return the first 16 hex digits of the SHA-256 of names, arrays, targets and extras."""
        digest = hashlib.sha256("\n".join(self.names).encode())
        for field, array in self._arrays().items():
            if field in _OPTIONAL_SHAPES:  # so that not having one differs from having another
                digest.update(field.encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        for prefix, columns in (("", self.targets), (_EXTRA_PREFIX, self.extras)):
            for name in sorted(columns):
                digest.update(f"{prefix}{name}".encode())
                column = columns[name]
                if column.dtype.kind == "U":  # whose bytes depend on the longest text
                    digest.update("\n".join(column).encode())
                else:
                    digest.update(np.ascontiguousarray(column).tobytes())
        return digest.hexdigest()[:16]

    def save(self, path: str | os.PathLike) -> None:
        """Write one compressed `.npz` without pickles, whole or not at all."""
        arrays: dict[str, Any] = {"names": np.asarray(self.names), **self._arrays()}
        # Names are sorted so that equal tables give equal files.
        arrays |= {_TARGET_PREFIX + name: self.targets[name] for name in sorted(self.targets)}
        arrays |= {_EXTRA_PREFIX + name: self.extras[name] for name in sorted(self.extras)}
        arrays["provenance"] = np.array(json.dumps(dict(self.provenance), sort_keys=True))
        files.write_npz(path, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike) -> "PairTable":
        """Read what `save` wrote.

        Raises:
          InputError: the file is missing, cut short, damaged, or not a PairTable.
        """
        path = os.fspath(path)
        with files.reading_npz(path, "a PairTable") as file:
            if {"pair_names", "images"} <= file.keys():
                raise InputError(
                    f"{path}: in the published format, not a PairTable; scripts read it as "
                    f"published:{path}, code with qc_jax.engines.published.read"
                )
            arrays = dict(file)
        missing = [key for key in ("names", *_SHAPES, "provenance") if key not in arrays]
        if missing:
            raise InputError(f"{path}: not a PairTable: without {', '.join(missing)}")
        given: dict[str, Any] = {field: arrays[field] for field in _FIELDS if field in arrays}
        try:
            table = cls(
                names=arrays["names"],
                targets=_columns(arrays, _TARGET_PREFIX),
                extras=_columns(arrays, _EXTRA_PREFIX),
                provenance=json.loads(str(arrays["provenance"])),
                **given,
            )
            table.check_labels()
            known = {*given, "names", "provenance", *map(_TARGET_PREFIX.__add__, TARGETS)}
            others = sorted(
                key for key in arrays.keys() - known if not key.startswith(_EXTRA_PREFIX)
            )
            if others:
                told = f"{path}: {len(others)} arrays are none that are known"
                warnings.warn(f"{told}: {', '.join(others)}", stacklevel=2)
            return table
        except (InputError, ValueError, TypeError) as error:
            raise InputError(f"{path}: not a PairTable: {error}") from error


def _columns(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {
        key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)
    }


def open_table(name: str) -> PairTable:
    """Return the table called `name`: one of `SHIPPED`, or a path that ends in `.npz`.

    Raises:
      InputError: neither, or the file cannot be read.
    """
    if name.endswith(".npz"):
        return PairTable.load(name)
    if name not in SHIPPED:
        raise InputError(
            f"unknown data {name!r}; choose one of: {', '.join(SHIPPED)}, or a path to an .npz file"
        )
    with importlib.resources.as_file(
        importlib.resources.files("qc_jax.data") / f"{name}.npz"
    ) as path:
        return PairTable.load(path)
