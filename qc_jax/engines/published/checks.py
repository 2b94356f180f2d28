"""Where a row of the published file contradicts itself: its image, labels, geometry and metadata.

Tolerances leave room for float32 and for the digits that DFTB+ prints, no more: energies have 3
decimals in eV (4 where they are sums), everything else at least 6.
"""

import collections
import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from qc_jax.canvas import FEATURES, SOUND_RESIDUAL
from qc_jax.chem.units import EBOHR_DEBYE, HARTREE_EV

LENGTH_ANG = 1e-4  # float32 at 6 Å: 5e-7
CHARGE_E = 1e-4  # decoded from a float32 image: 1e-7
POPULATION_E = 1e-4  # sums of up to 16 printed numbers; float32 at 20 e: 2e-6
DIPOLE_DEBYE = 1e-3
DIPOLE_RELATIVE = 1e-5
ENERGY_EV = 2e-3  # the difference of two numbers with 3 decimals, and as much again
ENERGY_RELATIVE = 1e-6  # 1 hartree is 27.2114 eV to some programs: 5e-7
PRODUCT_RELATIVE = 2e-3  # the square of a level with 3 decimals

# Features that are sizes. Mulliken populations, of the d shell of arsenic say, may be negative.
_NEVER_NEGATIVE = ("angular", "dipole", "charge_")


@dataclasses.dataclass(frozen=True)
class Rows:
    """What the file says of M rows that may stand in a table.

    Attributes:
      names: [M].
      atomic_numbers: [M, 2].
      positions: [M, 2, 3] Å.
      electrons: [M, 2] the populations that stand beside the positions, e.
      labels: columns [M] by name.
      metadata: columns [M] by name, atomic units; 'dipole_moment' [M, 3].
      features: [M, F] decoded from the images.
      residual: [M] of the images.
      dipole: [M, 3] Debye, the one that the table takes.
    """

    names: np.ndarray
    atomic_numbers: np.ndarray
    positions: np.ndarray
    electrons: np.ndarray
    labels: Mapping[str, np.ndarray]
    metadata: Mapping[str, np.ndarray]
    features: np.ndarray
    residual: np.ndarray
    dipole: np.ndarray

    @property
    def charges(self) -> np.ndarray:
        """Return [M, 2] e, as the images have them."""
        return self.atoms("charge_plus") - self.atoms("charge_minus")

    def atoms(self, feature: str) -> np.ndarray:
        """Return [M, 2] of a feature that there is one of an atom."""
        return np.stack([self.feature(f"{feature}_{atom}") for atom in (0, 1)], axis=-1)

    def feature(self, name: str) -> np.ndarray:
        """Return [M] of one feature."""
        (index,) = [i for i, feature in enumerate(FEATURES) if feature.name == name]
        return self.features[:, index]


class _Found:
    """The reasons by row, as the checks find them."""

    def __init__(self):
        self.reasons: dict[int, list[str]] = collections.defaultdict(list)

    def where(self, bad: Any, reason: str) -> None:
        for row in np.flatnonzero(bad):
            self.reasons[int(row)].append(reason)

    def unequal(
        self,
        kind: str,
        unit: str,
        first: tuple[str, np.ndarray],
        second: tuple[str, np.ndarray],
        tolerance: float,
        relative: float = 0.0,
    ) -> None:
        """Compare two columns; where one of them is not known there is nothing to compare."""
        (one, a), (other, b) = first, second
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        known = np.flatnonzero(np.isfinite(a) & np.isfinite(b))
        a, b = a[known], b[known]
        allowed = tolerance + relative * np.maximum(np.abs(a), np.abs(b))
        for index in np.flatnonzero(np.abs(a - b) > allowed):
            self.reasons[int(known[index])].append(
                f"{kind}: {one} {a[index]:.6g} {unit}, {other} {b[index]:.6g} {unit}"
            )


def disagreements(rows: Rows) -> dict[int, list[str]]:
    """Return what contradicts what, by row; a reason begins with its kind and has both numbers."""
    found = _Found()
    _names(rows, found)
    _canvas(rows, found)
    _stand_ins(rows, found)
    _dipole(rows, found)
    _charges(rows, found)
    _populations(rows, found)
    _geometry(rows, found)
    _energies(rows, found)
    _levels(rows, found)
    return dict(found.reasons)


def _names(rows: Rows, found: _Found) -> None:
    times = collections.Counter(rows.names.tolist())
    for row, name in enumerate(rows.names.tolist()):
        if times[name] > 1:
            found.reasons[row].append(f"name: stands in {times[name]} rows")
        given = str(rows.metadata["pair_name"][row])
        if given and given != name:
            found.reasons[row].append(f"name: {name} in pair_names, {given} in the metadata")


def _canvas(rows: Rows, found: _Found) -> None:
    for row in np.flatnonzero(rows.residual > SOUND_RESIDUAL):
        found.reasons[int(row)].append(
            f"canvas: residual {rows.residual[row]:.1e}, at most {SOUND_RESIDUAL:.0e} in one of a "
            "pair"
        )
    for index, feature in enumerate(FEATURES):
        if not feature.name.startswith(_NEVER_NEGATIVE):
            continue
        values = rows.features[:, index]
        for row in np.flatnonzero(values < -CHARGE_E):
            found.reasons[int(row)].append(
                f"canvas: {feature.name} {values[row]:.6g} {feature.unit}, expected none below 0"
            )


def _stand_ins(rows: Rows, found: _Found) -> None:
    """The authors' builder writes 0 for what it did not find, without a word."""
    for atom in (0, 1):
        none = rows.electrons[:, atom] == 0
        found.where(none, f"stand-in: electrons of atom {atom} exactly 0, as for missing ones")
        none = np.abs(rows.atoms("population")[:, atom]) < POPULATION_E
        found.where(none, f"stand-in: no electrons on atom {atom} in the canvas")
    for field in ("fermi_level", "total_energy", "bond_length", "num_atoms"):
        none = rows.metadata[field] == 0
        found.where(none, f"stand-in: {field} exactly 0, as for a missing one")
    unlike = rows.atomic_numbers[:, 0] != rows.atomic_numbers[:, 1]
    none = (rows.metadata["dipole_moment"] == 0).all(axis=-1)
    found.where(
        unlike & none, "stand-in: dipole_moment exactly 0 of unlike atoms, as for a missing one"
    )
    known = [np.isfinite(column) for column in rows.labels.values() if column.dtype.kind == "f"]
    found.where(~np.stack(known).any(axis=0), "stand-in: no label at all")


def _dipole(rows: Rows, found: _Found) -> None:
    labels, given = rows.labels, rows.metadata["dipole_moment"] * EBOHR_DEBYE
    size = np.linalg.norm(rows.dipole, axis=-1)
    canvas = ("size in the canvas", rows.feature("dipole") * EBOHR_DEBYE)
    stated = ("dipole_mag_d", labels["dipole_mag_d"])
    for first, second in (
        (canvas, stated),
        (canvas, ("of the vector", size)),
        (stated, ("of the vector", size)),
    ):
        found.unequal("dipole", "Debye", first, second, DIPOLE_DEBYE, DIPOLE_RELATIVE)
    for index, axis in enumerate("xyz"):
        label = (f"dipole_{axis}_d", labels[f"dipole_{axis}_d"])
        other = (f"{axis} in the metadata", given[:, index])
        found.unequal("dipole", "Debye", label, other, DIPOLE_DEBYE, DIPOLE_RELATIVE)


def _charges(rows: Rows, found: _Found) -> None:
    charges, labels = rows.charges.astype(np.float64), rows.labels
    sizes = np.abs(charges)
    for label, decoded in (
        ("q_maxabs", sizes.max(axis=-1)),
        ("q_absmean", sizes.mean(axis=-1)),
        ("q_std", charges.std(axis=-1)),
        ("total_charge", charges.sum(axis=-1)),
    ):
        canvas = ("in the canvas", decoded)
        found.unequal("charges", "e", (label, labels[label]), canvas, CHARGE_E)
    total = ("total_charge", labels["total_charge"])
    given = ("in the metadata", rows.metadata["total_charge"])
    found.unequal("charges", "e", total, given, CHARGE_E)
    plus, minus = rows.atoms("charge_plus"), rows.atoms("charge_minus")
    both = ((plus > CHARGE_E) & (minus > CHARGE_E)).any(axis=-1)
    found.where(both, "charges: an atom is positive and negative in the canvas")
    apart = ("charge_difference in the canvas", rows.feature("charge_difference"))
    signed = ("of its signed charges", np.abs(charges[:, 0] - charges[:, 1]))
    found.unequal("charges", "e", apart, signed, CHARGE_E)


def _populations(rows: Rows, found: _Found) -> None:
    populations = rows.atoms("population").astype(np.float64)
    for atom in (0, 1):
        canvas = (f"atom {atom} in the canvas", populations[:, atom])
        given = ("beside its position", rows.electrons[:, atom])
        found.unequal("populations", "e", canvas, given, POPULATION_E)
        electrons = populations[:, atom] + rows.charges[:, atom]
        valence = ("expected", np.round(electrons))
        whole = (f"population and charge of atom {atom} together", electrons)
        found.unequal("populations", "e", whole, valence, 2 * POPULATION_E)
    shells = rows.feature("population_sp") + rows.feature("population_df").astype(np.float64)
    both = ("of both atoms", populations.sum(axis=-1))
    found.unequal("populations", "e", ("of all shells", shells), both, 2 * POPULATION_E)


def _geometry(rows: Rows, found: _Found) -> None:
    apart = rows.positions[:, 1].astype(np.float64) - rows.positions[:, 0]
    between = ("between the positions", np.linalg.norm(apart, axis=-1))
    label = ("distance_ang", rows.labels["distance_ang"])
    found.unequal("geometry", "Å", label, between, LENGTH_ANG)
    length = rows.metadata["bond_length"]
    given = ("bond_length", np.where(length == 0, np.nan, length))  # told as a stand-in
    found.unequal("geometry", "Å", given, between, LENGTH_ANG)
    aslant = (np.abs(apart[:, :2]) > LENGTH_ANG).any(axis=-1) | (apart[:, 2] <= 0)
    for row in np.flatnonzero(aslant):
        vector = ", ".join(f"{component:.4g}" for component in apart[row])
        found.reasons[int(row)].append(
            f"geometry: from the first atom to the second ({vector}) Å, expected along +z"
        )
    two = np.full(len(rows.names), 2.0)
    for name, column in (
        ("n_atoms", rows.labels["n_atoms"]),
        (
            "num_atoms",
            np.where(rows.metadata["num_atoms"] == 0, np.nan, rows.metadata["num_atoms"]),
        ),
    ):
        found.unequal("geometry", "atoms", (name, column), ("expected", two), 0.0)


def _energies(rows: Rows, found: _Found) -> None:
    for label, field in (("fermi_level_ev", "fermi_level"), ("total_energy_ev", "total_energy")):
        value = rows.metadata[field]
        given = ("in the metadata", np.where(value == 0, np.nan, value) * HARTREE_EV)
        stated = (label, rows.labels[label])
        found.unequal("energy", "eV", stated, given, ENERGY_EV, ENERGY_RELATIVE)


def _levels(rows: Rows, found: _Found) -> None:
    """Return the labels that are functions of HOMO and LUMO (`qc_jax.data.labels.derive`)."""
    for name, column in rows.labels.items():
        if column.dtype.kind == "f":
            found.where(np.isinf(column), f"levels: {name} is infinite")
    labels = {name: np.asarray(column) for name, column in rows.labels.items()}
    homo, lumo = labels["e_homo_ev"], labels["e_lumo_ev"]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # of infinite labels
        gap, middle = lumo - homo, (homo + lumo) / 2
        inverse = 1 / labels["softness_evinv"]
        square = labels["mu_ev"] ** 2 * labels["softness_evinv"]
    for label, text, expected in (
        ("e_g_ev", "LUMO − HOMO", gap),
        ("i_ev", "−HOMO", -homo),
        ("a_ev", "−LUMO", -lumo),
        ("chi_ev", "−(HOMO + LUMO)/2", -middle),
        ("mu_ev", "(HOMO + LUMO)/2", middle),
        ("eta_ev", "(LUMO − HOMO)/2", gap / 2),
    ):
        found.unequal("levels", "eV", (label, labels[label]), (text, expected), ENERGY_EV)
    twice = ("2 eta_ev", 2 * labels["eta_ev"])
    found.unequal("levels", "eV", ("1/softness_evinv", inverse), twice, ENERGY_EV)
    stated = ("electrophilicity_ev", labels["electrophilicity_ev"])
    product = ("mu_ev² softness_evinv", square)
    found.unequal("levels", "eV", stated, product, ENERGY_EV, PRODUCT_RELATIVE)
