"""A trained model as a calculator of ASE: `Calculator("runs/curves")`."""

import os
import warnings
from collections.abc import Sequence
from typing import Any

from qc_jax.data.atoms import from_ase
from qc_jax.dynamics.potential import Potential, energy_column
from qc_jax.errors import InputError
from qc_jax.runs.saved import SavedRun, load

try:
    from ase import Atoms
    from ase.calculators import calculator
except ImportError as error:
    raise InputError(
        f"qc_jax.ase needs ASE, which cannot be imported ({error}); try: pip install 'qc-jax[ase]'"
    ) from error


class Calculator(calculator.Calculator):
    """Energy (eV) and forces (eV/Å) of free atoms, or of atoms in a cell that is periodic in all.

    Warns, once for each two elements, of distances that the model was not trained on.

    Args:
      run: of a training on an energy, or its directory.
      double: whether to calculate in float64.
      **kwargs: of ASE's calculators.

    Attributes:
      outside: such distances in the atoms that were calculated last, a line each two elements.

    Raises:
      InputError: the work directory holds no model that can do it.
    """

    implemented_properties = [  # noqa: RUF012  (ASE's own is no class variable either)
        "energy",
        "free_energy",
        "forces",
    ]

    def __init__(self, run: str | os.PathLike | SavedRun, double: bool = True, **kwargs: Any):
        super().__init__(**kwargs)
        self.double = double
        self.outside: list[str] = []
        self._warned: set[str] = set()
        self._run = run if isinstance(run, SavedRun) else load(run)
        self._offset = float(self._run.offsets[energy_column(self._run)])
        self._potential: Potential | None = None

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = calculator.all_changes,
    ) -> None:
        """What ASE calls.

        Raises:
          InputError: the atoms are periodic in some directions alone, or the model does not know
            one of them or their number.
        """
        super().calculate(atoms, list(properties), list(system_changes))
        assert self.atoms is not None
        if self._potential is None or set(system_changes) & {"numbers", "cell", "pbc"}:
            self._potential = Potential(
                self._run, from_ase(self.atoms), self.double, self._run.domain, self._offset
            )
        energy, forces = self._potential.energy_and_forces(self.atoms.positions)
        self.results = {"energy": energy, "free_energy": energy, "forces": forces}
        self.outside = self._potential.describe_outside(self.atoms.positions)
        for line in self.outside:
            name = line.split(" at ")[0]
            if name not in self._warned:
                self._warned.add(name)
                warnings.warn(f"outside of what the model was trained on: {line}", stacklevel=2)
