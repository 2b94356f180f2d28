"""A trained model as a calculator of ASE: `Calculator("runs/curves")`."""

import os
import warnings
from collections.abc import Sequence
from typing import Any

from ase import Atoms
from ase.calculators import calculator
from ase.stress import full_3x3_to_voigt_6_stress

from qc_jax.data.atoms import from_ase, refuse_settings
from qc_jax.dynamics.potential import NO_SLOPES, Potential
from qc_jax.runs.loading import load
from qc_jax.runs.saved import SavedRun, energy_column


class Calculator(calculator.Calculator):
    """Calculate energy (eV), forces (eV/Å) and, in a periodic cell, stress (eV/Å³).

    The energy is that of `SavedRun.predict`, of several the Mermin free energy, which forces belong
    to; in float64 unless told otherwise. Warns, once of each two elements or other reason, of atoms
    outside of what the model was trained on, and where forces are asked of a model that has learned
    none: of pairs at their bond lengths alone.

    Args:
      run: A trained model, or its directory; the data that it was trained on are not needed.
      double: Whether to calculate in float64.
      **kwargs: Of ASE's calculators: atoms, directory, label.

    Attributes:
      outside: How the atoms that were calculated last leave the training domain, a line each.

    Raises:
      InputError: the directory holds no model that can do it, or a keyword is unknown.

    Example:
      >>> import ase, qc_jax
      >>> table = qc_jax.open_table("gfn2_xtb")
      >>> task = qc_jax.prepare(table, "mermin_free_energy_ev", train_fraction=0.05)
      >>> model = qc_jax.create("schnet", hidden=4, filters=4, interactions=1, gaussians=4)
      >>> run = qc_jax.fit(model, task, qc_jax.TrainConfig(epochs=1))
      >>> atoms = ase.Atoms("CO", [(0, 0, 0), (0, 0, 1.13)], calculator=Calculator(run))
      >>> atoms.get_forces().shape
      (2, 3)
    """

    implemented_properties = [  # noqa: RUF012  (ASE's own is no class variable either)
        "energy",
        "free_energy",
        "forces",
        "stress",
    ]

    def __init__(self, run: str | os.PathLike | SavedRun, double: bool = True, **kwargs: Any):
        super().__init__(**kwargs)
        self.double = double
        self.outside: list[str] = []
        self._warned: set[str] = set()
        self._run = run if isinstance(run, SavedRun) else load(run)
        energy_column(self._run)
        self._potential: Potential | None = None

    def set(self, **kwargs: Any) -> dict[str, Any]:
        """Refuse what it was not made with; ASE calls this with keywords that are not its own.

        Raises:
          InputError: there is one.
        """
        refuse_settings(kwargs, "run, double")
        return {}

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = calculator.all_changes,
    ) -> None:
        """Calculate what ASE asks for.

        Raises:
          InputError: a coordinate is not finite, a number is no element's, the atoms are periodic
            in some directions alone, or the model does not know one of them or their number.
          PropertyNotImplementedError: the stress of atoms without a cell.
        """
        super().calculate(atoms, list(properties), list(system_changes))
        assert self.atoms is not None
        if set(system_changes) & {"numbers", "cell", "pbc"}:
            # Before anything raises: ASE tells of no change when the same atoms come again.
            self._potential = None
        structure = from_ase(self.atoms)
        if "stress" in properties and structure.cell is None:
            raise calculator.PropertyNotImplementedError("stress is of atoms in a periodic cell")
        if self._potential is None:
            self._potential = Potential(self._run, structure, self.double)
        energy, forces, virial = self._potential.energy_forces_virial(structure.positions)
        self.results = {"energy": energy, "free_energy": energy, "forces": forces}
        if structure.cell is not None:
            self.results["stress"] = full_3x3_to_voigt_6_stress(virial / self.atoms.get_volume())
        if {"forces", "stress"} & set(properties) and not self._potential.learned_slopes:
            self._warn_once(NO_SLOPES, NO_SLOPES)
        self.outside = self._potential.describe_outside(structure.positions)
        for line in self.outside:
            words = f"outside of what the model was trained on: {line}"
            self._warn_once(line.split(" at ")[0], words)

    def _warn_once(self, reason: str, words: str) -> None:
        if reason not in self._warned:
            self._warned.add(reason)
            warnings.warn(words, stacklevel=3)
