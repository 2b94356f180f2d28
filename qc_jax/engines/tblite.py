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
import importlib
import importlib.metadata
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from qc_jax.chem import elements, units
from qc_jax.data import labels
from qc_jax.data.table import ORBITAL_L
from qc_jax.engines import occupations, scan, search
from qc_jax.engines.engine import EngineError, Failure, FailureKind
from qc_jax.engines.pool import PooledScanner, PoolOptions
from qc_jax.engines.record import ConvergenceDiagnostics, Record
from qc_jax.engines.sanity import SanityChecks
from qc_jax.xtb.solutions import (
    GUESSES,
    METHOD,
    MIXERS,
    XTBConfig,
    all_solutions,
    new_calculator,
    place,
    require,
    single_point,
)

if TYPE_CHECKING:
    from tblite.interface import Calculator, Result

FIRST_ORBITAL = np.searchsorted(ORBITAL_L, np.arange(4))  # of each l, in the table's order


@functools.cache
def atom_energy(number: int, config: XTBConfig) -> float:
    """Return the Mermin free energy of an isolated atom (eV): the lowest of all solutions.

    Raises:
      EngineError: no mixer converges.
    """
    calculator = new_calculator([number], config)
    calculator.set("accuracy", config.final_accuracy)
    energies = [
        float(result.get("energy")) * units.HARTREE_EV for result in all_solutions(calculator)
    ]
    if not energies:
        symbol = elements.element(number).symbol
        raise FailureKind.SCF.error(f"atom {symbol} does not converge")
    return min(energies)


class PairCurve:
    """The potential curve of one pair; solves the SCF equations at any distance.

    Implements `search.SCFSolver` and `scan.FollowingSolver`.
    """

    def __init__(self, numbers: list[int], config: XTBConfig):
        self._config = config
        self._calculator = new_calculator(numbers, config)
        self._mixer = 0  # the one that worked last; it is likely to work again

    def _place(self, distance: float, fine: bool) -> None:
        place(self._calculator, distance)
        config = self._config
        self._calculator.set("accuracy", config.final_accuracy if fine else config.scan_accuracy)

    def _state(self, distance: float, result: "Result") -> search.SCFSolution:
        return search.SCFSolution(
            distance=distance,
            energy=float(result.get("energy")) * units.HARTREE_EV,
            gradient=float(result.get("gradient")[1, 2]) * units.HARTREE_EV / units.BOHR_ANG,
            charge=float(np.abs(result.get("charges")).max()),
            solution=result,
        )

    def _mixed(
        self, distance: float, near: search.SCFSolution | None, fine: bool
    ) -> Iterator[search.SCFSolution]:
        """Yield what the mixers lead to, each that converges, the one that worked last first."""
        self._place(distance, fine)
        last = self._mixer
        for mixer in (last, *(m for m in range(len(MIXERS)) if m != last)):
            result = single_point(self._calculator, mixer, near.solution if near else None)
            if result is not None:
                self._mixer = mixer
                yield self._state(distance, result)

    def solve(
        self, distance: float, near: search.SCFSolution | None = None, fine: bool = False
    ) -> search.SCFSolution | None:
        """Return the solution at `distance` (Å), started from that of `near` where given."""
        return next(self._mixed(distance, near, fine), None)

    def alternatives(self, distance: float, near: search.SCFSolution) -> list[search.SCFSolution]:
        """Return what each mixer leads to at `distance` from the solution of `near`."""
        return list(self._mixed(distance, near, fine=True))

    def others(self, distance: float) -> list[search.SCFSolution]:
        """Return the solutions at `distance` from every guess by every mixer, in a fixed order."""
        self._place(distance, fine=False)
        found = [self._state(distance, result) for result in all_solutions(self._calculator)]
        self._calculator.set("guess", GUESSES[0])
        return found


@dataclasses.dataclass(frozen=True)
class Options(PoolOptions):
    """The options of this engine."""

    def create(
        self, symbols: Sequence[str] | None = None, workspace: str | None = None
    ) -> "TbliteEngine":
        """Return the engine.

        Raises:
          InputError: tblite is not installed.
        """
        require()
        return TbliteEngine(workers=self.workers, timeout_s=self.timeout)


@dataclasses.dataclass(frozen=True)
class TbliteEngine(PooledScanner):
    """Pairs by GFN2-xTB; implements `engine.Scanner`."""

    config: XTBConfig = dataclasses.field(default_factory=XTBConfig)
    search_config: search.SearchConfig = dataclasses.field(default_factory=search.SearchConfig)
    gates: SanityChecks = dataclasses.field(default_factory=SanityChecks)
    name: ClassVar[str] = "tblite"
    symbols: ClassVar[tuple[str, ...]] = elements.GFN2_SYMBOLS

    def provenance(self) -> dict[str, Any]:
        """Return program, version and all settings."""
        return {
            "engine": self.name,
            "version": importlib.metadata.version("tblite"),
            "method": METHOD,
            "spin": "restricted orbitals, 0 or 1 electron more in one channel",
            **dataclasses.asdict(self.config),
            "mixers": [list(mixer) for mixer in MIXERS],
            "search": dataclasses.asdict(self.search_config),
        }

    def compute(self, name: str) -> Record:
        """Return the lowest minimum that passes the gates; the lowest of all where none does.

        Raises:
          EngineError: no minimum was found.
        """
        return self._relax(name)[2]

    def scan(self, name: str, grid: scan.Grid, config: scan.ScanConfig) -> scan.Scan:
        """Return the pair at the distances of a grid, followed from the minimum of `compute`.

        Raises:
          EngineError: no minimum was found, or it does not pass the gates.
        """
        curve, minimum, relaxed = self._relax(name)
        reason = self.gates.failure(relaxed)
        if reason is not None:
            raise EngineError(reason.kind, reason.detail)
        numbers = [elements.element(symbol).atomic_number for symbol in name.split("_")]
        diagnostics = relaxed.diagnostics
        assert diagnostics is not None, "a minimum of this engine has it"

        def record(state: search.SCFSolution) -> Record:
            return Record(
                name=name,
                distance=state.distance,
                forces=[[0.0, 0.0, state.gradient], [0.0, 0.0, -state.gradient]],
                **_quantities(numbers, state, self.config),
            )

        def failure(record: Record) -> Failure | None:
            below = diagnostics.atoms_energy_ev - record.targets["mermin_free_energy_ev"]
            return self.gates.failure(record, at_minimum=False) or self.gates.binding(below)

        points = scan.follow(curve, minimum, grid.ratios, config)
        return scan.judge(name, relaxed.distance, grid.ratios, points, record, failure)

    def _relax(self, name: str) -> tuple[PairCurve, search.SCFSolution, Record]:
        """Return the curve of the pair, and solution and record of the minimum of `compute`."""
        pair = [elements.element(symbol) for symbol in name.split("_")]
        numbers = [element.atomic_number for element in pair]
        atoms = sum(atom_energy(number, self.config) for number in numbers)
        covalent = sum(element.covalent_radius_ang for element in pair)
        curve = PairCurve(numbers, self.config)

        def sound(state: search.SCFSolution) -> bool:
            return not (self.gates.charge(state.charge) or self.gates.binding(atoms - state.energy))

        found = []
        try:
            for minimum in search.minima(curve, covalent, sound, self.search_config):
                record = self._record(name, numbers, atoms, minimum)
                found.append((curve, minimum.state, record))
                if self.gates.failure(record) is None:
                    return found[-1]
        except search.NoMinimum as error:
            if (state := error.dropped) is None:
                raise
            raise EngineError(
                error.failure.kind,
                f"{error.failure.detail}; at {state.distance:.2f} Å what converges has "
                f"{state.charge:.2f} e and lies {atoms - state.energy:.1f} eV below the atoms",
            ) from error
        return found[0]

    def _record(
        self, name: str, numbers: list[int], atoms: float, minimum: search.Minimum
    ) -> Record:
        state = minimum.state
        quantities = _quantities(numbers, state, self.config)
        return Record(
            name=name,
            distance=state.distance,
            diagnostics=ConvergenceDiagnostics(
                atoms_energy_ev=atoms,
                gradient_ev_ang=state.gradient,
                searched_ang=minimum.searched,
                step_ang=self.search_config.beside_ang,
                beside_ev=minimum.beside,
            ),
            **quantities,
        )


def _quantities(numbers: list[int], state: search.SCFSolution, config: XTBConfig) -> dict[str, Any]:
    """Return populations, charges, dipole and targets of a solution, by `Record` field."""
    log: list[str] = []
    calculator = new_calculator(numbers, config, log.append)
    place(calculator, state.distance)
    calculator.set("accuracy", config.final_accuracy)
    calculator.set("save-integrals", 1)
    calculator.set("verbosity", 3)
    for mixer in range(len(MIXERS)):
        log.clear()
        result = single_point(calculator, mixer, state.solution)
        if result is not None:
            break
    else:
        raise FailureKind.SCF.error("the solution at the minimum does not converge once more")
    energy = float(result.get("energy")) * units.HARTREE_EV
    if abs(energy - state.energy) > 1e-5:
        raise FailureKind.SCF.error(
            f"the solution at the minimum changes by {energy - state.energy:.1e} eV "
            "when it is computed once more"
        )
    levels = result.get("orbital-energies")
    filling = result.get("orbital-occupations")
    electrons = round(float(filling.sum()))
    odd = electrons % 2  # the first channel holds one more
    entropy = 0.0
    for channel in ((electrons + odd) // 2, (electrons - odd) // 2):
        mu = occupations.fermi_level(levels, channel, 1, config.kt)
        entropy += occupations.entropy(occupations.occupations(levels, mu, config.kt))
    homo, lumo = labels.frontier_levels(levels * units.HARTREE_EV, electrons)
    mu = occupations.fermi_level(levels, electrons, 2, config.kt)
    targets = {
        "e_homo_ev": homo,
        "e_lumo_ev": lumo,
        "band_energy_ev": float(levels @ filling) * units.HARTREE_EV,
        "repulsive_energy_ev": _logged("repulsion energy", log) * units.HARTREE_EV,
        "mermin_free_energy_ev": energy,
        "total_energy_ev": energy + entropy * config.kt * units.HARTREE_EV,
        "fermi_level_ev": mu * units.HARTREE_EV if np.isfinite(mu) else float("nan"),
    }
    return {
        "populations": _populations(calculator, result).tolist(),
        "charges": result.get("charges").tolist(),
        "dipole": (result.get("dipole") * units.EBOHR_DEBYE).tolist(),
        "targets": targets,
    }


def _populations(calculator: "Calculator", result: "Result") -> np.ndarray:
    """Return the [2, 16] Mulliken populations by (l, m), shells of one l on one atom added up.

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
    """Return a quantity that tblite says nowhere but in its log, in its unit."""
    pattern = re.compile(rf"\s*{re.escape(quantity)}\s+(\S+)\s+(Eh|e)\s*$")
    for line in "\n".join(log).splitlines():
        match = pattern.match(line)
        if match:
            return float(match.group(1))
    raise FailureKind.LOG.error(f"tblite's log does not say the {quantity}")
