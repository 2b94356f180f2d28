"""Sanity checks: whether a computed pair is sound enough to stand in a table.

One function for every engine. A self-consistent calculation can converge to nonsense (charges of
many electrons, energies of thousands of eV); a pair that fails a gate is left out of the table and
listed with the reason, never repaired.
"""

import dataclasses
from typing import Any

import numpy as np

from qc_jax.chem import elements, units
from qc_jax.data.table import ORBITAL_L
from qc_jax.engines.engine import Failure, FailureKind
from qc_jax.engines.record import ConvergenceDiagnostics, Record

# What cannot be asked of a record that does not bring its diagnostics along.
NEED_DIAGNOSTICS = ("energy", "edge", "gradient", "minimum", "continuity")
NOBLE_GASES = frozenset(("He", "Ne", "Ar", "Kr", "Xe", "Rn"))


@dataclasses.dataclass(frozen=True)
class SanityChecks:
    """The physical gates: thresholds, with the reason for each.

    They stand in the provenance of every table under 'gates'.

    Attributes:
      max_charge_e: |charge| of an atom. More than one electron does not change hands in a neutral
        pair: the alkali fluorides, the most ionic of all, have 0.6 to 0.75 e in GFN2-xTB. Runaway
        solutions have 1.05 to 19 e.
      max_binding_ev: energy of the isolated atoms less that of the pair. The strongest bond of two
        atoms known is that of CO, 11.2 eV (Huber and Herzberg 1979); without spin polarisation
        atoms lie a few eV too high, and GFN2-xTB gives 14.7 eV. Collapsed solutions reach
        thousands.
      min_binding_ev: the pair must lie below its atoms, by more than the noise.
      min_ratio: bond length over the sum of the covalent radii. The shortest bond known without two
        metals is that of N2, 1.10 Å, 0.77; the shortest in GFN2-xTB that of VO, 0.70. DFTB's 3ob
        parameters let MgBr collapse to 0.62.
      min_ratio_metals: the same for two metals, with multiple bonds between d shells (Cr2: 1.68 Å,
        0.60).
      min_ratio_noble: the same for two noble gases, which attract by dispersion only and so stay
        outside of covalent distance.
      min_ratio_one_noble: the same for a noble gas and another element: their shortest bond, Xe=O
        in XeO3, has 1.76 Å, 0.85 (D. H. Templeton et al., JACS 85, 817, 1963). GFN2-xTB lets neon
        fall into barium, 0.68.
      max_stretch_ang: bond length less the sum of the covalent radii. A van der Waals radius is
        about 0.8 Å more than the covalent one (S. Alvarez, Dalton Trans. 42, 8617, 2013), two of
        them 1.6 Å; pairs held by a few meV lie further out, Be and He, the furthest, by 3.2 Å.
      max_dipole: dipole moment over one electron times the bond length. The alkali halides have
        0.65 to 0.8, BeO 0.98; beyond, an atom's polarisation has run away.
      max_gradient_ev_ang: |dE/dR| at the reported distance, 0 at a minimum.
      edge_ang: a minimum closer than this to an end of the search is the search's, not the pair's.
      max_rise_ev: beside a minimum the energy may rise but not jump: a jump is a change to another
        solution. The stiffest bond (N2, 143 eV/Å²) gives 0.03 eV at 0.02 Å.
      max_drop_ev: beside a minimum the energy may not fall, up to rounding.
      max_electron_error: populations, charges and whole numbers of electrons must agree.
    """

    max_charge_e: float = 1.0
    max_binding_ev: float = 16.0
    min_binding_ev: float = 1e-5
    min_ratio: float = 0.65
    min_ratio_metals: float = 0.60
    min_ratio_noble: float = 1.2
    min_ratio_one_noble: float = 0.85
    max_stretch_ang: float = 3.5
    max_dipole: float = 1.2
    max_gradient_ev_ang: float = 1e-4
    edge_ang: float = 0.1
    max_rise_ev: float = 0.1
    max_drop_ev: float = 1e-6
    max_electron_error: float = 1e-5

    def charge(self, charge: float) -> Failure | None:
        """Return what is wrong with an atomic charge (e), or None."""
        if not abs(charge) <= self.max_charge_e:
            return Failure(
                FailureKind.CHARGE,
                f"{charge:+.2f} e, expected at most {self.max_charge_e:g} e",
            )
        return None

    def binding(self, binding: float) -> Failure | None:
        """Return what is wrong with the energy of the atoms less that of the pair (eV), or None."""
        if not binding <= self.max_binding_ev:
            return Failure(
                FailureKind.ENERGY,
                f"{binding:.1f} eV below the atoms, expected {self.max_binding_ev:g} eV",
            )
        return None

    def length(self, name: str, distance: float) -> Failure | None:
        """Return what is wrong with the bond length (Å) of the pair called `name`, or None."""
        pair = [elements.element(symbol) for symbol in name.split("_")]
        covalent = sum(element.covalent_radius_ang for element in pair)
        noble = sum(element.symbol in NOBLE_GASES for element in pair)
        least = (self.min_ratio, self.min_ratio_one_noble, self.min_ratio_noble)[noble]
        if all(element.metal for element in pair):
            least = self.min_ratio_metals
        if not distance >= least * covalent:
            return Failure(
                FailureKind.BOND_LENGTH,
                f"{distance:.2f} Å, expected at least {least:g} times the sum of the "
                f"covalent radii, {covalent:.2f} Å",
            )
        if not distance <= covalent + self.max_stretch_ang:
            return Failure(
                FailureKind.BOND_LENGTH,
                f"{distance:.2f} Å, expected at most {self.max_stretch_ang:g} Å more "
                f"than the sum of the covalent radii, {covalent:.2f} Å",
            )
        return None

    def failure(self, record: Record, at_minimum: bool = True) -> Failure | None:
        """Return the first gate that the record fails, or None where it is sound.

        Args:
          record: of any engine. Without `Record.diagnostics` the gates that weigh them are left
            out: `NEED_DIAGNOSTICS`.
          at_minimum: whether it claims to be relaxed; a point of a scan may be shorter, longer and
            higher than a bond.
        """
        diagnostics = record.diagnostics
        checks = [
            self._numbers(record),
            next(filter(None, map(self.charge, record.charges)), None),
        ]
        if at_minimum:
            checks.append(self.length(record.name, record.distance))
        if diagnostics is not None:
            binding = diagnostics.atoms_energy_ev - record.targets["mermin_free_energy_ev"]
            checks += [self.binding(binding), self._bound(binding)]
            checks.append(self._stationary(record.distance, diagnostics))
        checks += [self._dipole(record), self._electrons(record)]
        return next(filter(None, checks), None)

    def _numbers(self, record: Record) -> Failure | None:
        arrays: dict[str, Any] = {
            "distance": record.distance,
            "populations": record.populations,
            "charges": record.charges,
            "dipole": record.dipole,
        }
        if (diagnostics := record.diagnostics) is not None:
            arrays["diagnostics"] = [
                diagnostics.atoms_energy_ev,
                diagnostics.gradient_ev_ang,
                *diagnostics.searched_ang,
                *diagnostics.beside_ev,
            ]
        may_be_undefined = ("e_lumo_ev", "fermi_level_ev")  # where every orbital is full
        arrays |= {k: v for k, v in record.targets.items() if k not in may_be_undefined}
        for field, value in arrays.items():
            if not np.isfinite(value).all():
                return Failure(FailureKind.NUMBERS, f"{field} is not finite")
        return None

    def _bound(self, binding: float) -> Failure | None:
        if not binding >= self.min_binding_ev:
            return Failure(
                FailureKind.ENERGY, f"{-binding:.4f} eV above the atoms, expected a bound pair"
            )
        return None

    def _stationary(self, distance: float, diagnostics: ConvergenceDiagnostics) -> Failure | None:
        low, high = diagnostics.searched_ang
        if not low + self.edge_ang <= distance <= high - self.edge_ang:
            return Failure(
                FailureKind.EDGE,
                f"the minimum, {distance:.2f} Å, is at an end of the search, "
                f"{low:.2f} to {high:.2f} Å",
            )
        if not abs(diagnostics.gradient_ev_ang) <= self.max_gradient_ev_ang:
            return Failure(
                FailureKind.GRADIENT,
                f"{diagnostics.gradient_ev_ang:+.1e} eV/Å at the minimum, expected at most "
                f"{self.max_gradient_ev_ang:g}",
            )
        if not min(diagnostics.beside_ev) >= -self.max_drop_ev:
            return Failure(
                FailureKind.MINIMUM,
                f"the energy falls by {-min(diagnostics.beside_ev):.1e} eV within "
                f"{diagnostics.step_ang:g} Å",
            )
        if not max(diagnostics.beside_ev) <= self.max_rise_ev:
            return Failure(
                FailureKind.CONTINUITY,
                f"the energy jumps by {max(diagnostics.beside_ev):.2f} eV within "
                f"{diagnostics.step_ang:g} Å",
            )
        return None

    def _dipole(self, record: Record) -> Failure | None:
        size = float(np.linalg.norm(record.dipole))
        one_electron = units.EBOHR_DEBYE * record.distance / units.BOHR_ANG
        if not size <= self.max_dipole * one_electron:
            return Failure(
                FailureKind.DIPOLE,
                f"{size:.1f} Debye, expected at most {self.max_dipole:g} times that of one "
                f"electron over the bond, {one_electron:.1f} Debye",
            )
        return None

    def _electrons(self, record: Record) -> Failure | None:
        populations = np.asarray(record.populations)
        if populations.shape != (2, len(ORBITAL_L)):
            return Failure(
                FailureKind.POPULATIONS,
                f"shape {populations.shape}, expected {(2, len(ORBITAL_L))}",
            )
        if abs(sum(record.charges)) > self.max_electron_error:
            return Failure(
                FailureKind.CHARGES, f"they sum to {sum(record.charges):+.1e} e, expected 0"
            )
        valence = populations.sum(axis=1) + record.charges
        off = np.abs(valence - np.round(valence)).max()
        if off > self.max_electron_error:
            return Failure(
                FailureKind.POPULATIONS,
                "population + charge is "
                f"{' and '.join(f'{v:.5f}' for v in valence)}, expected whole numbers of electrons",
            )
        return None
