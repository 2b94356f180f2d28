"""What an engine says about one pair: a row of the table, and what the gates need to judge it."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from qc_jax.chem import elements
from qc_jax.data import labels
from qc_jax.data.table import PairTable

# Columns of a table of scans (`PairTable.extras`).
RATIO = "bond_ratio"  # distance over that of the relaxed pair
CONTINUOUS = "continuous"  # 1 where a continuous curve leads to the minimum, 0 behind a jump


@dataclasses.dataclass(frozen=True)
class ConvergenceDiagnostics:
    """What the gates weigh besides the row itself: how the minimum was found.

    Attributes:
      atoms_energy_ev: energy of the two isolated atoms, the same kind of energy as
        `mermin_free_energy_ev` and with the same settings.
      gradient_ev_ang: derivative of that energy with the distance, at the reported distance.
      searched_ang: the smallest and the largest distance that the search for minima looked at.
      step_ang: how far from the reported distance the energies `beside_ev` were taken.
      beside_ev: energies `step_ang` below and above the reported distance, less the reported one.
    """

    atoms_energy_ev: float
    gradient_ev_ang: float
    searched_ang: tuple[float, float]
    step_ang: float
    beside_ev: tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Record:
    """One pair as an engine gives it; units and orders as in `PairTable`.

    Attributes:
      name: like 'Ag_Al'.
      distance: Å; the first atom of the name stands at the origin, the second above it on z.
      populations: [2][16] electrons, by (l, m).
      charges: [2] e.
      dipole: [3] Debye.
      targets: the labels that do not follow from others: e_homo_ev, e_lumo_ev, band_energy_ev,
        repulsive_energy_ev, mermin_free_energy_ev, total_energy_ev, fermi_level_ev.
      diagnostics: for the gates; None where the record is read from a file that does not say, or is
        no minimum.
      positions: [2][3] Å, where they are not as under `distance`.
      forces: [2][3] eV/Å on each atom, where they are known.
      extras: what else is said of the pair, by name (`PairTable.extras`).
    """

    name: str
    distance: float
    populations: list[list[float]]
    charges: list[float]
    dipole: list[float]
    targets: dict[str, float]
    diagnostics: ConvergenceDiagnostics | None = None
    positions: list[list[float]] | None = None
    forces: list[list[float]] | None = None
    extras: dict[str, float | str] = dataclasses.field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain lists and numbers; `from_json` gives the same record, to the last bit."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Record":
        """Return the record that `to_json` wrote.

        Raises:
          KeyError, TypeError: it is not one.
        """
        if data["diagnostics"] is None:
            return cls(**data)
        diagnostics = dict(data["diagnostics"])
        for field in ("searched_ang", "beside_ev"):
            diagnostics[field] = tuple(diagnostics[field])
        return cls(**{**data, "diagnostics": ConvergenceDiagnostics(**diagnostics)})


@dataclasses.dataclass(frozen=True)
class Scan:
    """One pair at the distances of a grid, shortest first.

    Attributes:
      name: like 'Ag_Al'.
      points: sound ones, with `RATIO` and `CONTINUOUS` in their extras.
      left_out: the others, by 'Ag_Al at 1.234 Å', with the reason.
    """

    name: str
    points: list[Record]
    left_out: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return plain lists and numbers; `from_json` gives the same scan, to the last bit."""
        return {**vars(self), "points": [point.to_json() for point in self.points]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Scan":
        """Return the scan that `to_json` wrote.

        Raises:
          KeyError, TypeError: it is not one.
        """
        return cls(**{**data, "points": [Record.from_json(point) for point in data["points"]]})


def to_table(records: Iterable[Record], provenance: Mapping[str, Any]) -> PairTable:
    """Return the table of `records`, rows sorted by name, with every target filled.

    Records of one name keep their order. Forces are in the table where all records have them; a
    number that a record's extras lack is NaN, a text is empty.
    """
    rows = sorted(records, key=lambda record: record.name)
    n = len(rows)
    numbers = [[elements.element(s).atomic_number for s in row.name.split("_")] for row in rows]
    positions = np.array(
        [row.positions or [[0, 0, 0], [0, 0, row.distance]] for row in rows], dtype=np.float64
    ).reshape(n, 2, 3)
    charges = np.array([row.charges for row in rows]).reshape(n, 2)
    dipole = np.array([row.dipole for row in rows]).reshape(n, 3)
    forces = [row.forces for row in rows]
    direct = {
        target: np.array([row.targets[target] for row in rows])
        for target in (rows[0].targets if rows else ())
    }
    derived = (
        labels.derive(direct["e_homo_ev"], direct["e_lumo_ev"], positions, charges, dipole)
        if rows
        else {}
    )
    return PairTable(
        names=np.array([row.name for row in rows], dtype=np.str_),
        atomic_numbers=np.array(numbers, dtype=np.int32).reshape(n, 2),
        positions=positions,
        populations=np.array([row.populations for row in rows]).reshape(n, 2, 16),
        charges=charges,
        dipole=dipole,
        targets=direct | derived,
        provenance=provenance,
        forces=np.array(forces) if rows and all(forces) else None,
        extras={key: _extra(rows, key) for key in sorted({k for row in rows for k in row.extras})},
    )


def _extra(rows: list[Record], key: str) -> np.ndarray:
    text = any(isinstance(row.extras.get(key), str) for row in rows)
    return np.array([row.extras.get(key, "" if text else np.nan) for row in rows])
