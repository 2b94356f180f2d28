"""Pairs by tight binding in JAX (`qc_jax.dftb`), many at once: the published dataset's own physics.

Second-order self-consistent charges, Fermi filling, spin-unpolarised; the minimum below the sum of
the covalent radii, as in the published runs, or the lowest one along the bond.
"""

import dataclasses
import importlib.metadata
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from qc_jax.chem import units
from qc_jax.chem.units import DFTBPLUS_BOHR_ANG as BOHR_ANG
from qc_jax.data.labels import frontier_of_occupations
from qc_jax.data.table import ORBITAL_L
from qc_jax.engines import occupations
from qc_jax.engines.engine import Answer, EngineError, Failure, FailureKind, Progress
from qc_jax.engines.record import CONTINUOUS, RATIO, ConvergenceDiagnostics, Record, Scan
from qc_jax.engines.sanity import SanityChecks
from qc_jax.engines.scan import place_of
from qc_jax.errors import InputError, choose

if TYPE_CHECKING:
    from qc_jax.dftb.parametrization import Parametrization
    from qc_jax.engines.scan import Grid, ScanConfig

PTBP = "ptbp"
PUBLISHED = "published"  # form and shells
BATCH = 256  # pairs that are relaxed together, so that results come while others wait
BESIDE_ANG = 0.02
ROUNDING_E = 1e-15
PHYSICAL_GATES = SanityChecks()
# The published dataset has every pair, also those that no chemist would believe: Cu_Cu at 1.29 Å,
# O_Ra at 0.39 of the covalent radii. So no physical gate is shut; only the numbers must be sound.
# Curves of its form are jagged: at a minimum between two rows of the tables the gradient jumps, by
# 0.07 eV/Å for Cu_Pt, and there are lower points beside it, by 0.33 meV for B_Po.
PTBP_GATES = SanityChecks(
    max_charge_e=math.inf,
    max_binding_ev=math.inf,
    min_binding_ev=-math.inf,
    min_ratio=0.0,
    min_ratio_metals=0.0,
    min_ratio_noble=0.0,
    min_ratio_one_noble=0.0,
    max_stretch_ang=math.inf,
    max_dipole=math.inf,
    max_gradient_ev_ang=0.2,
    max_drop_ev=1e-3,
    max_rise_ev=math.inf,
)


@dataclasses.dataclass(frozen=True)
class Options:
    """The options of this engine."""

    parameters: str = dataclasses.field(
        default=PTBP, metadata={"help": "'ptbp', or a directory of Slater-Koster files"}
    )
    form: str = dataclasses.field(
        default="published", metadata={"help": "of ptbp: 'published' or 'exact'"}
    )
    max_l: tuple[str, ...] = dataclasses.field(
        default=(),
        metadata={
            "help": "shells of ptbp: 'published' (the default) leaves out d on Mg to Ar and Ga to "
            "Kr, 'main_group_p' on all main-group elements, 'all' keeps every shell; and the "
            "highest shells of single elements, like Al:p,S:d, which go before it; of a directory "
            "these alone"
        },
    )
    temperature: float = dataclasses.field(
        default=300.0, metadata={"help": "of the electrons, kelvin"}
    )
    minimum: str = dataclasses.field(
        default="downhill",
        metadata={"help": "'downhill' from the sum of the covalent radii, or 'global'"},
    )
    unbound: str = dataclasses.field(
        default="keep",
        metadata={
            "help": "atoms that repel each other: 'keep' them where the pull falls below 1e-4 "
            "hartree/bohr, DFTB+'s criterion, as in the published data, or 'leave_out'"
        },
    )

    def create(
        self, symbols: Sequence[str] | None = None, workspace: str | None = None
    ) -> "DftbEngine":
        """Return the engine.

        Raises:
          InputError: an option is wrong or does not go with the directory, or that holds no
            Slater-Koster files.
        """
        from qc_jax.dftb import parametrization, skf_directory
        from qc_jax.dftb.convergence import kt_of
        from qc_jax.dftb.parameters import CONVENTIONS, covered_symbols

        choose("form", self.form, parametrization.FORMS)
        choose("minimum", self.minimum, ("downhill", "global"))
        choose("unbound", self.unbound, ("keep", "leave_out"))
        kt_of(self.temperature)
        ptbp = self.parameters == PTBP
        there = covered_symbols() if ptbp else skf_directory.symbols_in(self.parameters)
        for symbol in symbols or ():
            choose("element of the parameters", symbol, there)
        conventions = [item.strip() for item in self.max_l if ":" not in item]
        for item in conventions:
            choose("max_l: convention, or shell like Al:p,", item, CONVENTIONS)
        if len(conventions) > 1:
            raise InputError(f"max_l: expected one convention, got {', '.join(conventions)}")
        if not ptbp and (conventions or self.form != PUBLISHED):
            wrong = f"max_l={conventions[0]}" if conventions else f"form={self.form}"
            raise InputError(f"{wrong}: expected parameters={PTBP}, got {self.parameters}")
        (convention,) = conventions or [PUBLISHED]
        max_l = dict.fromkeys(CONVENTIONS[convention], "p") if ptbp else {}
        single = skf_directory.parse_momenta((x for x in self.max_l if ":" in x), "max_l")
        for symbol, letter in single.items():
            choose("element of max_l", symbol, there)
            choose(f"max_l of {symbol}", letter, "spd")
        max_l |= single  # which count whatever the convention says of them
        sha256 = None
        if ptbp:
            parametrization.ptbp_shells(list(max_l), self.form, max_l)  # which checks them
        else:
            wanted = list(symbols or there)
            own = {symbol: letter for symbol, letter in max_l.items() if symbol in wanted}
            sha256 = skf_directory.open_set(self.parameters, wanted, own, "--max_l={}:{}").sha256
        return DftbEngine(
            tuple(there),
            self.parameters,
            self.form,
            max_l,
            float(self.temperature),
            self.minimum,
            self.unbound,
            sha256,
            PTBP_GATES if ptbp else PHYSICAL_GATES,
        )


@dataclasses.dataclass(frozen=True)
class DftbEngine:
    """Pairs by tight binding; implements `engine.Scanner`. `Options.create` makes one.

    Attributes:
      symbols: elements that it has parameters for.
      parameters: 'ptbp', or a directory.
      form: of ptbp.
      max_l: letter of the highest shell, of elements that are not to have all of theirs.
      temperature: of the electrons, K.
      minimum: 'downhill' or 'global'.
      unbound: 'keep' or 'leave_out'.
      sha256: of a directory's files.
      gates: which of its records may stand in a table; of other parameters than PTBP's the usual.
    """

    symbols: tuple[str, ...]
    parameters: str
    form: str
    max_l: Mapping[str, str]
    temperature: float
    minimum: str
    unbound: str
    sha256: str | None = None
    gates: SanityChecks = PHYSICAL_GATES
    name: ClassVar[str] = "dftb"

    def provenance(self) -> dict[str, Any]:
        """Return version and settings."""
        ptbp = self.parameters == PTBP
        return {
            "engine": self.name,
            "version": importlib.metadata.version("qc-jax"),
            "method": "DFTB2, spin-unpolarised, one Hubbard parameter an atom",
            "parameters": PTBP if ptbp else {"slater_koster_sha256": self.sha256},
            **({"form": self.form} if ptbp else {}),
            "max_l": dict(self.max_l),
            "temperature_k": self.temperature,
            "minimum": self.minimum,
            "unbound": self.unbound,
        }

    def compute(self, name: str) -> Record:
        """Return the pair at its minimum.

        Raises:
          EngineError: there is none, or charges do not settle.
        """
        ((_, answer),) = self.compute_all([name], lambda done, total: None)
        if isinstance(answer, Failure):
            raise EngineError(answer.kind, answer.detail)
        assert isinstance(answer, Record)
        return answer

    def compute_all(self, names: Sequence[str], progress: Progress) -> Iterator[tuple[str, Answer]]:
        """Yield each pair with its record at the minimum, or why there is none."""
        for at, batch in self._batches(names):
            for k, (name, answer) in enumerate(self._relaxed(batch)):
                yield name, answer
                progress(at + k + 1, len(names))

    def scan(self, name: str, grid: "Grid", config: "ScanConfig") -> Scan:
        """Return the pair at multiples of its relaxed distance.

        Raises:
          EngineError: it has no sound minimum to start from.
        """
        ((_, answer),) = self.scan_all([name], grid, config, lambda done, total: None)
        if isinstance(answer, Failure):
            raise EngineError(answer.kind, answer.detail)
        assert isinstance(answer, Scan)
        return answer

    def scan_all(
        self, names: Sequence[str], grid: "Grid", config: "ScanConfig", progress: Progress
    ) -> Iterator[tuple[str, Answer]]:
        """Yield each pair with its scan.

        At a temperature above zero and with a positive definite interaction of the charges there is
        one solution at each distance (`dftb.scc`), so that curves do not jump.
        """
        del config
        for at, batch in self._batches(names):
            relaxed = list(self._relaxed(batch))
            sound: list[tuple[str, Record]] = []
            failures: dict[str, Failure] = {}
            for name, answer in relaxed:
                failure = answer if isinstance(answer, Failure) else self.gates.failure(answer)
                if failure is not None:
                    failures[name] = failure
                elif isinstance(answer, Record):
                    sound.append((name, answer))
            scans = self._scans(sound, grid)
            for k, (name, _) in enumerate(relaxed):
                yield name, failures[name] if name in failures else scans[name]
                progress(at + k + 1, len(names))

    def _batches(self, names: Sequence[str]) -> Iterator[tuple[int, list[tuple[str, str]]]]:
        pairs = [(first, second) for first, second in (name.split("_") for name in names)]
        if self.parameters == PTBP and len(pairs) > BATCH:
            from qc_jax.dftb import tables

            pairs = tables.sorted_pairs(pairs, self.form)
        for at in range(0, len(pairs), BATCH):
            yield at, pairs[at : at + BATCH]

    def _load(self, pairs: Sequence[tuple[str, str]]) -> "Parametrization":
        from qc_jax.dftb.convergence import load

        symbols = sorted({symbol for pair in pairs for symbol in pair})
        max_l = {symbol: letter for symbol, letter in self.max_l.items() if symbol in symbols}
        return load(self.parameters, symbols, self.form, max_l, pairs, smooth=True)

    def _relaxed(self, pairs: Sequence[tuple[str, str]]) -> Iterator[tuple[str, Record | Failure]]:
        import jax

        from qc_jax.dftb import relax, scan
        from qc_jax.dftb.convergence import kt_of

        kt = kt_of(self.temperature)
        parametrization = self._load(pairs)
        with jax.enable_x64(True), jax.debug_nans(False):
            find = relax.relax if self.minimum == "downhill" else relax.lowest
            walks = find(pairs, parametrization, kt)
            walks = relax.give_up(pairs, parametrization, kt, walks)
            if self.parameters == PTBP and self.form == "published":
                walks, parametrization = relax.refine(pairs, parametrization, kt, walks)
            beside = BESIDE_ANG / BOHR_ANG
            distances = walks.distance[:, None] + np.array([0.0, -beside, beside])
            excess = np.repeat(walks.excess[:, None], 3, axis=1)
            points = scan.scan(pairs, parametrization, kt, distances, excess)
        for row, (first, second) in enumerate(pairs):
            name = f"{first}_{second}"
            reason = relax.failure(walks, row)
            if reason is not None:
                scc = walks.status[row] == relax.NOT_CONVERGED
                kind = FailureKind.SCC if scc else FailureKind.NO_MINIMUM
                yield name, Failure(kind, reason.removeprefix("no minimum: "))
                continue
            point = {key: values[row] for key, values in points.items()}
            here = {key: values[0] for key, values in point.items()}
            if walks.status[row] == relax.GAVE_UP:
                record = self._record(name, here, None, False)
                weak = Failure(
                    FailureKind.NO_MINIMUM,
                    f"the pull outwards falls below {relax.PULL:g} hartree/bohr at "
                    f"{record.distance:.2f} Å",
                )
                yield name, record if self.unbound == "keep" else weak
                continue
            energies = point["mermin_free_energy"] * units.HARTREE_EV
            low, high = (float(x) * BOHR_ANG for x in walks.limits[row])
            diagnostics = ConvergenceDiagnostics(
                atoms_energy_ev=sum(self._atom_energy(s, parametrization) for s in (first, second)),
                gradient_ev_ang=float(point["gradient"][0]) * units.HARTREE_EV / BOHR_ANG,
                searched_ang=(low, high),
                step_ang=BESIDE_ANG,
                beside_ev=(float(energies[1] - energies[0]), float(energies[2] - energies[0])),
            )
            yield name, self._record(name, here, diagnostics, True)

    def _scans(self, sound: Sequence[tuple[str, Record]], grid: "Grid") -> dict[str, Scan]:
        import jax

        from qc_jax.dftb import scan, scc
        from qc_jax.dftb.convergence import kt_of

        if not sound:
            return {}
        pairs = [(first, second) for first, second in (name.split("_") for name, _ in sound)]
        parametrization = self._load(pairs)
        lengths = np.array([record.distance for _, record in sound]) / BOHR_ANG
        with jax.enable_x64(True), jax.debug_nans(False):
            distances = lengths[:, None] * grid.ratios
            points = scan.scan(pairs, parametrization, kt_of(self.temperature), distances)
        scans = {}
        for row, (name, _) in enumerate(sound):
            kept, left_out = [], {}
            shortest = parametrization.shortest[parametrization.row(*pairs[row])[0]]
            for k, ratio in enumerate(grid.ratios):
                here = {key: values[row, k] for key, values in points.items()}
                label = place_of(name, distances[row, k] * BOHR_ANG)
                if distances[row, k] < shortest:
                    reach = f"closer than the tables reach, {shortest * BOHR_ANG:.2f} Å"
                    left_out[label] = str(Failure(FailureKind.EDGE, reach))
                elif not here["residual"] < scc.TOLERANCE:
                    left_out[label] = str(Failure(FailureKind.SCC, "the charges do not settle"))
                else:
                    slope = float(here["gradient"]) * units.HARTREE_EV / BOHR_ANG
                    record = self._record(name, here)
                    record = dataclasses.replace(
                        record,
                        forces=[[0.0, 0.0, slope], [0.0, 0.0, -slope]],
                        extras=record.extras | {RATIO: float(ratio), CONTINUOUS: 1.0},
                    )
                    failure = self.gates.failure(record, at_minimum=False)
                    if failure is None:
                        kept.append(record)
                    else:
                        left_out[label] = str(failure)
            scans[name] = Scan(name, kept, left_out)
        return scans

    def _atom_energy(self, symbol: str, parametrization: "Parametrization") -> float:
        """Return the Mermin free energy of an isolated atom, eV."""
        from qc_jax.dftb.convergence import kt_of

        shells = parametrization.shells[symbol]
        levels = np.repeat(shells.energies[: shells.max_l + 1], [1, 3, 5][: shells.max_l + 1])
        kt = kt_of(self.temperature)
        mu = occupations.fermi_level(levels, sum(shells.electrons), 2, kt)
        filled = occupations.occupations(levels, mu, kt)
        return float(2 * filled @ levels - 2 * kt * occupations.entropy(filled)) * units.HARTREE_EV

    def _record(
        self,
        name: str,
        here: Mapping[str, np.ndarray],
        diagnostics: ConvergenceDiagnostics | None = None,
        at_minimum: bool | None = None,
    ) -> Record:
        levels = here["levels"][here["present"]] * units.HARTREE_EV
        filled = here["occupations"][here["present"]]
        homo, lumo = frontier_of_occupations(levels, filled)
        populations = np.zeros((2, len(ORBITAL_L)))
        populations[:, : here["populations"].shape[1]] = here["populations"]
        populations[np.abs(populations) < ROUNDING_E] = 0.0  # of orbitals that an element has not
        distance = float(here["distance"]) * BOHR_ANG
        charges = -here["excess"]
        dipole = float(charges[1] * here["distance"]) * units.EBOHR_DEBYE
        energies = {
            f"{key}_ev": float(here[key]) * units.HARTREE_EV
            for key in (
                *("band_energy", "repulsive_energy", "mermin_free_energy", "total_energy"),
                "fermi_level",
            )
        }
        if np.isnan(lumo):
            energies["fermi_level_ev"] = float("nan")
        return Record(
            name=name,
            distance=distance,
            populations=populations.tolist(),
            charges=charges.tolist(),
            dipole=[0.0, 0.0, dipole],
            targets={"e_homo_ev": homo, "e_lumo_ev": lumo, **energies},
            diagnostics=diagnostics,
            extras={
                "n_levels": float(len(levels)),
                "max_occupancy": float(filled.max()),
                "metal_like": float(homo == lumo),
                "no_virtual_in_basis": float(np.isnan(lumo)),
                "scc_converged": 1.0,
                **({} if at_minimum is None else {"geom_converged": float(at_minimum)}),
            },
        )
