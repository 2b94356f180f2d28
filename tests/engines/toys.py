"""An engine without a program behind it, for what happens around an engine.

Tests of the machinery need pairs that crash, hang and fail at will; it can be pickled.
"""

import dataclasses
import math
import os
import pathlib
import time

from qc_jax.chem import elements
from qc_jax.engines.engine import EngineError, FailureKind
from qc_jax.engines.pool import PooledEngine
from qc_jax.engines.record import ConvergenceDiagnostics, Record
from qc_jax.engines.sanity import SanityChecks


def toy_record(name: str, shift: float = 0.0) -> Record:
    """A record that passes the gates: all numbers follow from the atomic numbers."""
    first, second = (elements.element(symbol) for symbol in name.split("_"))
    charge = 0.001 * (second.atomic_number - first.atomic_number)
    populations = [[0.0] * 16 for _ in range(2)]
    populations[0][0], populations[1][0] = 1 - charge, 1 + charge
    homo = -10.0 + 0.01 * first.atomic_number
    return Record(
        name=name,
        distance=1.3 * (first.covalent_radius_ang + second.covalent_radius_ang) + shift,
        populations=populations,
        charges=[charge, -charge],
        dipole=[0.0, 0.0, -charge],
        targets={
            "e_homo_ev": homo,
            "e_lumo_ev": math.nan if name == "He_He" else homo + 0.1 * second.atomic_number,
            "band_energy_ev": -20.0,
            "repulsive_energy_ev": 0.5,
            "mermin_free_energy_ev": -21.0,
            "total_energy_ev": -20.9,
            "fermi_level_ev": homo,
        },
        diagnostics=ConvergenceDiagnostics(-20.0, 0.0, (0.1, 9.0), 0.02, (0.001, 0.001)),
    )


@dataclasses.dataclass(frozen=True)
class ToyEngine(PooledEngine):
    """Computes `toy_record`s, but for the pairs named here; keeps a log of what it computes."""

    log: str
    fails: tuple[str, ...] = ()
    crashes: tuple[str, ...] = ()
    hangs: tuple[str, ...] = ()
    raises: tuple[str, ...] = ()
    full: tuple[str, ...] = ()
    absurd: tuple[str, ...] = ()
    drift: float = 0.0  # of the distance; not a setting
    setting: int = 1
    name: str = "toy"
    symbols: tuple[str, ...] = ("C", "H", "He", "N", "O")
    gates: SanityChecks = dataclasses.field(default_factory=SanityChecks)

    def provenance(self):
        return {"engine": self.name, "version": "1", "setting": self.setting}

    def compute(self, name):
        with open(self.log, "a") as file:
            file.write(f"{name}\n")
        if name in self.fails:
            raise EngineError(FailureKind.SCF, "does not converge")
        if name in self.crashes:
            os._exit(7)
        if name in self.hangs:
            time.sleep(1000)
        if name in self.raises:
            raise ZeroDivisionError("a bug")
        if name in self.full:
            raise OSError(28, "No space left on device", self.log)
        record = toy_record(name, self.drift)
        if name in self.absurd:
            record = dataclasses.replace(record, charges=[5.0, -5.0])
        return record

    def computed(self) -> list[str]:
        """The pairs that were computed, in order."""
        path = pathlib.Path(self.log)
        return path.read_text().split() if path.exists() else []
