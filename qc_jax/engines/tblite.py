"""GFN2-xTB through the `tblite` wheel: one pair → its record at the energy minimum.

Method: C. Bannwarth, S. Ehlert, S. Grimme, J. Chem. Theory Comput. 15, 1652 (2019). Orbitals are
spin-restricted, without spin polarisation; with an odd number of electrons one spin channel holds
one more than the other, and each is smeared by itself, as tblite always does. The Fermi level given
here is that of both channels together, 2 Σ f(ε) = N, so that it lies in a half-filled level.
The energy that tblite gives, and whose gradient it gives, is the Mermin free energy E − T·S (a test
holds this by finite differences); the total energy follows from the occupations.
"""

import dataclasses
import functools
import importlib.metadata
import os
import re
from collections.abc import Iterator
from typing import Any, ClassVar
from unittest import mock

import numpy as np

from qc_jax.chem import elements, units
from qc_jax.data import labels
from qc_jax.data.table import ORBITAL_L
from qc_jax.engines import occupations, scan, search
from qc_jax.engines.engine import EngineError
from qc_jax.engines.gates import Gates
from qc_jax.engines.record import Evidence, Record

# A pair's matrices are tiny: threads only wait for each other, on a busy machine a hundred times
# longer than they work. OpenMP reads this once, when it is loaded.
with mock.patch.dict(os.environ, OMP_NUM_THREADS="1"):
    from tblite.exceptions import TBLiteRuntimeError
    from tblite.interface import Calculator, Result

METHOD = "GFN2-xTB"
# Broyden mixers (memory, damping), tried in this order. tblite's own choice, an unlimited memory,
# is slow and fails in many pairs of metals; no short memory suits all, but among these nearly
# every pair finds one.
MIXERS = ((4, 0.2), (3, 0.1), (2, 0.2), (6, 0.2), (2, 0.05), (8, 0.4), (3, 0.4), (12, 0.1))
GUESSES = (0, 1)  # tblite's: superposed atoms, electronegativity equilibration
FIRST_ORBITAL = np.searchsorted(ORBITAL_L, np.arange(4))  # of each l, in the table's order


@dataclasses.dataclass(frozen=True)
class Settings:
    """What decides the numbers, besides `search.Settings` and the gates.

    Attributes:
      temperature_k: of the electrons.
      max_iterations: of one self-consistent calculation with one mixer.
      scan_accuracy: tblite's accuracy while the search looks around; 1 is its default.
      final_accuracy: where a minimum is refined and reported.
    """

    temperature_k: float = 1000.0
    max_iterations: int = 100
    scan_accuracy: float = 0.1
    final_accuracy: float = 1e-3

    @property
    def kt(self) -> float:
        """Hartree."""
        return self.temperature_k * units.KELVIN_HARTREE


def _calculator(numbers: list[int], settings: Settings, logger=None) -> Calculator:
    apart = np.arange(len(numbers))[:, None] * np.array([[0.0, 0.0, 10.0]])
    calculator = Calculator(
        METHOD, np.array(numbers), apart, color=False, logger=logger or (lambda line: None)
    )
    calculator.set("verbosity", 0)
    calculator.set("temperature", settings.kt)
    calculator.set("max-iter", settings.max_iterations)
    return calculator


def _single_point(calculator: Calculator, mixer: int, guess: Result | None) -> Result | None:
    memory, damping = MIXERS[mixer]
    calculator.set("mixer-memory", memory)
    calculator.set("mixer-damping", damping)
    try:
        # The copy keeps the guess as it is; a calculation that fails may leave anything in it.
        return calculator.singlepoint(guess, copy=guess is not None)
    except TBLiteRuntimeError:
        return None


@functools.cache
def atom_energy(number: int, settings: Settings) -> float:
    """Mermin free energy of an isolated atom in eV, the lowest solution of all mixers and guesses.

    Raises:
      EngineError: no mixer converges.
    """
    calculator = _calculator([number], settings)
    calculator.set("accuracy", settings.final_accuracy)
    energies = []
    for guess in GUESSES:
        calculator.set("guess", guess)
        for mixer in range(len(MIXERS)):
            result = _single_point(calculator, mixer, None)
            if result is not None:
                energies.append(float(result.get("energy")) * units.HARTREE_EV)
    if not energies:
        raise EngineError(f"SCF: atom {elements.element(number).symbol} does not converge")
    return min(energies)


class PairCurve:
    """The potential curve of one pair; solves the SCF equations at any distance.

    Implements `search.Curve` and `scan.Curve`.
    """

    def __init__(self, numbers: list[int], settings: Settings):
        self._settings = settings
        self._calculator = _calculator(numbers, settings)
        self._mixer = 0  # the one that worked last; it is likely to work again

    def _place(self, distance: float, fine: bool) -> None:
        self._calculator.update(np.array([[0, 0, 0], [0, 0, distance / units.BOHR_ANG]]))
        settings = self._settings
        self._calculator.set(
            "accuracy", settings.final_accuracy if fine else settings.scan_accuracy
        )

    def _state(self, distance: float, result: Result) -> search.State:
        return search.State(
            distance=distance,
            energy=float(result.get("energy")) * units.HARTREE_EV,
            gradient=float(result.get("gradient")[1, 2]) * units.HARTREE_EV / units.BOHR_ANG,
            charge=float(np.abs(result.get("charges")).max()),
            solution=result,
        )

    def _mixed(
        self, distance: float, near: search.State | None, fine: bool
    ) -> Iterator[search.State]:
        """What the mixers lead to, each that converges, the one that worked last first."""
        self._place(distance, fine)
        last = self._mixer
        for mixer in (last, *(m for m in range(len(MIXERS)) if m != last)):
            result = _single_point(self._calculator, mixer, near.solution if near else None)
            if result is not None:
                self._mixer = mixer
                yield self._state(distance, result)

    def solve(
        self, distance: float, near: search.State | None = None, fine: bool = False
    ) -> search.State | None:
        """The solution at `distance` (Å), started from that of `near` where given."""
        return next(self._mixed(distance, near, fine), None)

    def alternatives(self, distance: float, near: search.State) -> list[search.State]:
        """What each mixer leads to at `distance` from the solution of `near`."""
        return list(self._mixed(distance, near, fine=True))

    def others(self, distance: float) -> list[search.State]:
        """Solutions at `distance` from every guess by every mixer, in a fixed order."""
        self._place(distance, fine=False)
        found = []
        for guess in GUESSES:
            self._calculator.set("guess", guess)
            for mixer in range(len(MIXERS)):
                result = _single_point(self._calculator, mixer, None)
                if result is not None:
                    found.append(self._state(distance, result))
        self._calculator.set("guess", GUESSES[0])
        return found


@dataclasses.dataclass(frozen=True)
class TbliteEngine:
    """Pairs by GFN2-xTB; implements `engine.Engine`."""

    settings: Settings = dataclasses.field(default_factory=Settings)
    search_settings: search.Settings = dataclasses.field(default_factory=search.Settings)
    gates: Gates = dataclasses.field(default_factory=Gates)
    name: ClassVar[str] = "tblite"
    symbols: ClassVar[tuple[str, ...]] = elements.GFN2_SYMBOLS

    def provenance(self) -> dict[str, Any]:
        """Program, version and all settings."""
        return {
            "engine": self.name,
            "version": importlib.metadata.version("tblite"),
            "method": METHOD,
            "spin": "restricted orbitals, 0 or 1 electron more in one channel",
            **dataclasses.asdict(self.settings),
            "mixers": [list(mixer) for mixer in MIXERS],
            "search": dataclasses.asdict(self.search_settings),
        }

    def compute(self, name: str) -> Record:
        """The lowest minimum that passes the gates; the lowest of all where none does.

        Raises:
          EngineError: no minimum was found.
        """
        return self._relax(name)[2]

    def scan(self, name: str, grid: scan.Grid, settings: scan.Settings) -> scan.Scan:
        """The pair at the distances of a grid, followed from the minimum that `compute` gives.

        Raises:
          EngineError: no minimum was found, or it does not pass the gates.
        """
        curve, minimum, relaxed = self._relax(name)
        reason = self.gates.failure(relaxed)
        if reason is not None:
            raise EngineError(reason)
        numbers = [elements.element(symbol).atomic_number for symbol in name.split("_")]
        evidence = relaxed.evidence
        assert evidence is not None, "a minimum of this engine has it"

        def record(state: search.State) -> Record:
            return Record(
                name=name,
                distance=state.distance,
                forces=[[0.0, 0.0, state.gradient], [0.0, 0.0, -state.gradient]],
                **_quantities(numbers, state, self.settings),
            )

        def failure(record: Record) -> str | None:
            below = evidence.atoms_energy_ev - record.targets["mermin_free_energy_ev"]
            return self.gates.failure(record, at_minimum=False) or self.gates.binding(below)

        points = scan.follow(curve, minimum, grid.ratios, settings)
        return scan.judge(name, relaxed.distance, grid.ratios, points, record, failure)

    def _relax(self, name: str) -> tuple[PairCurve, search.State, Record]:
        """The curve of the pair, and state and record of the minimum that `compute` gives."""
        pair = [elements.element(symbol) for symbol in name.split("_")]
        numbers = [element.atomic_number for element in pair]
        atoms = sum(atom_energy(number, self.settings) for number in numbers)
        covalent = sum(element.covalent_radius_ang for element in pair)
        curve = PairCurve(numbers, self.settings)

        def sound(state: search.State) -> bool:
            return not (self.gates.charge(state.charge) or self.gates.binding(atoms - state.energy))

        found = []
        try:
            for minimum in search.minima(curve, covalent, sound, self.search_settings):
                record = self._record(name, numbers, atoms, minimum)
                found.append((curve, minimum.state, record))
                if self.gates.failure(record) is None:
                    return found[-1]
        except search.NoMinimum as error:
            if (state := error.dropped) is None:
                raise
            raise EngineError(
                f"{error}; at {state.distance:.2f} Å what converges has "
                f"{state.charge:.2f} e and lies {atoms - state.energy:.1f} eV below the atoms"
            ) from error
        return found[0]

    def _record(
        self, name: str, numbers: list[int], atoms: float, minimum: search.Minimum
    ) -> Record:
        state = minimum.state
        quantities = _quantities(numbers, state, self.settings)
        return Record(
            name=name,
            distance=state.distance,
            evidence=Evidence(
                atoms_energy_ev=atoms,
                gradient_ev_ang=state.gradient,
                searched_ang=minimum.searched,
                step_ang=self.search_settings.beside_ang,
                beside_ev=minimum.beside,
            ),
            **quantities,
        )


def _quantities(numbers: list[int], state: search.State, settings: Settings) -> dict[str, Any]:
    """Populations, charges, dipole and the direct targets of a solution, by `Record` field."""
    log: list[str] = []
    calculator = _calculator(numbers, settings, log.append)
    calculator.update(np.array([[0, 0, 0], [0, 0, state.distance / units.BOHR_ANG]]))
    calculator.set("accuracy", settings.final_accuracy)
    calculator.set("save-integrals", 1)
    calculator.set("verbosity", 3)
    for mixer in range(len(MIXERS)):
        log.clear()
        result = _single_point(calculator, mixer, state.solution)
        if result is not None:
            break
    else:
        raise EngineError("SCF: the solution at the minimum does not converge once more")
    energy = float(result.get("energy")) * units.HARTREE_EV
    if abs(energy - state.energy) > 1e-5:
        raise EngineError(
            f"SCF: the solution at the minimum changes by {energy - state.energy:.1e} eV "
            "when it is computed once more"
        )
    levels = result.get("orbital-energies")
    filling = result.get("orbital-occupations")
    electrons = round(float(filling.sum()))
    odd = electrons % 2  # the first channel holds one more
    entropy = 0.0
    for channel in ((electrons + odd) // 2, (electrons - odd) // 2):
        mu = occupations.fermi_level(levels, channel, 1, settings.kt)
        entropy += occupations.entropy(occupations.occupations(levels, mu, settings.kt))
    homo, lumo = labels.frontier_levels(levels * units.HARTREE_EV, electrons)
    mu = occupations.fermi_level(levels, electrons, 2, settings.kt)
    targets = {
        "e_homo_ev": homo,
        "e_lumo_ev": lumo,
        "band_energy_ev": float(levels @ filling) * units.HARTREE_EV,
        "repulsive_energy_ev": _logged("repulsion energy", log) * units.HARTREE_EV,
        "mermin_free_energy_ev": energy,
        "total_energy_ev": energy + entropy * settings.kt * units.HARTREE_EV,
        "fermi_level_ev": mu * units.HARTREE_EV if np.isfinite(mu) else float("nan"),
    }
    return {
        "populations": _populations(calculator, result).tolist(),
        "charges": result.get("charges").tolist(),
        "dipole": (result.get("dipole") * units.EBOHR_DEBYE).tolist(),
        "targets": targets,
    }


def _populations(calculator: Calculator, result: Result) -> np.ndarray:
    """[2, 16] Mulliken populations by (l, m), shells of one l on one atom added up.

    tblite orders the orbitals of a shell by m = −l … l (y, z, x for p; xy, yz, z², xz, x²−y² for
    d), as the table does.
    """
    gross = (result.get("density-matrix") * result.get("overlap-matrix")).sum(axis=1)
    shells = calculator.get("orbital-map")
    momenta = calculator.get("angular-momenta")[shells]
    atoms = calculator.get("shell-map")[shells]
    first = np.concatenate([[0], np.flatnonzero(np.diff(shells)) + 1])  # orbital of each shell
    populations = np.zeros((2, len(ORBITAL_L)))
    for orbital, value in enumerate(gross):
        m = orbital - first[shells[orbital]]
        populations[atoms[orbital], FIRST_ORBITAL[momenta[orbital]] + m] += value
    return populations


def _logged(quantity: str, log: list[str]) -> float:
    """A quantity that tblite says nowhere but in its log, in its unit."""
    pattern = re.compile(rf"\s*{re.escape(quantity)}\s+(\S+)\s+(Eh|e)\s*$")
    for line in "\n".join(log).splitlines():
        match = pattern.match(line)
        if match:
            return float(match.group(1))
    raise EngineError(f"log: tblite's log does not say the {quantity}")
