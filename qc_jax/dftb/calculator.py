"""Tight binding for other programs: a calculator of ASE, and an energy function for jax-md."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from qc_jax.chem import units
from qc_jax.chem.units import DFTBPLUS_BOHR_ANG as BOHR_ANG
from qc_jax.data.atoms import refuse_settings
from qc_jax.dftb import convergence, scc, solver
from qc_jax.dftb.arrays import Array
from qc_jax.dftb.parametrization import MaxL, Parametrization
from qc_jax.errors import InputError

try:
    from ase import Atoms
    from ase.calculators import calculator
except ImportError as error:
    raise InputError(
        f"qc_jax.dftb.Calculator needs ASE, which is not there ({error}); try: pip install ase"
    ) from error


class Calculator(calculator.Calculator):
    """Energy (eV), forces (eV/Å), charges (e) and dipole (e Å) of free atoms by tight binding.

    The energy is the Mermin free energy, of which the forces are the gradient.

    Args:
      parameters: 'ptbp', or a directory of Slater-Koster files.
      form: of PTBP, 'published' or 'exact'.
      max_l: highest shells; see `solve`.
      temperature: of the electrons, K.
      **kwargs: of ASE's calculators: atoms, directory, label.

    Raises:
      InputError: the temperature is below 0, or a keyword is unknown; in use: see `solve`, and
        atoms in a periodic cell.
    """

    implemented_properties = [  # noqa: RUF012  (ASE's own is no class variable either)
        *("energy", "free_energy", "forces", "charges", "dipole"),
    ]

    def __init__(
        self,
        parameters: str | os.PathLike | Parametrization = "ptbp",
        form: str = "published",
        max_l: MaxL = None,
        temperature: float = 300.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        convergence.kt_of(temperature)
        self._given = parameters, form, max_l
        self._temperature = temperature
        self._loaded: dict[frozenset[str], Parametrization] = {}

    def set(self, **kwargs: Any) -> dict[str, Any]:
        """Refuse what it was not made with; ASE calls this with keywords that are not its own.

        Raises:
          InputError: there is one.
        """
        refuse_settings(kwargs, "parameters, form, max_l, temperature")
        return {}

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = calculator.all_changes,
    ) -> None:
        """Calculate all properties; called by ASE.

        Raises:
          InputError: the atoms are periodic, charged, with a spin or too close, or an element has
            no parameters.
          NotConverged: the charges do not settle.
        """
        super().calculate(atoms, list(properties), list(system_changes))
        assert self.atoms is not None
        if self.atoms.pbc.any():
            raise InputError(
                f"pbc: expected atoms without a cell, got periodic in {self.atoms.pbc}"
            )
        for name, values in (
            ("charges", self.atoms.get_initial_charges()),
            ("magnetic moments", self.atoms.get_initial_magnetic_moments()),
        ):
            if np.any(values):
                raise InputError(
                    f"initial {name}: only 0 is supported, neutral without spin; got {values}"
                )
        symbols = self.atoms.get_chemical_symbols()
        kinds = frozenset(symbols)
        if kinds not in self._loaded:
            parameters, form, max_l = self._given
            self._loaded[kinds] = convergence.load(parameters, sorted(kinds), form, max_l)
        found = solver.solve(
            symbols, self.atoms.positions, self._loaded[kinds], temperature=self._temperature
        )
        self.results = {
            "energy": found.mermin_free_energy_ev,
            "free_energy": found.mermin_free_energy_ev,
            "forces": found.forces_ev_ang,
            "charges": found.charges_e,
            "dipole": found.dipole_d / units.EBOHR_DEBYE * BOHR_ANG,
        }


def energy_function(
    symbols: Sequence[str],
    parameters: str | os.PathLike | Parametrization = "ptbp",
    form: str = "published",
    max_l: MaxL = None,
    temperature: float = 300.0,
) -> Callable[..., Float[Array, ""]]:
    """Return the energy of some atoms as a function of their positions, as jax-md takes it.

    `energy(positions, **kwargs)`: [N, 3] Å → eV, the Mermin free energy, of which forces are the
    gradient; keywords are not read. It runs under jit, vmap, grad and hessian. Inside it is float64
    whatever the caller's precision is, and the result has the dtype of the positions, of whole
    numbers that of JAX's floats. It is NaN
    where the charges do not settle.

    Args:
      symbols: of the N atoms.
      parameters: 'ptbp', or a directory of Slater-Koster files.
      form: of PTBP, 'published' or 'exact'.
      max_l: highest shells; see `solve`.
      temperature: of the electrons, K.

    Raises:
      InputError: an element has no parameters, or something else given is wrong; see `solve`.
    """
    symbols = [str(symbol) for symbol in symbols]
    kt = convergence.kt_of(temperature)
    parametrization = convergence.load(parameters, symbols, form, max_l)
    molecule = convergence.padded(symbols, parametrization)
    n = len(symbols)
    spare = convergence.place(np.zeros((n, 3)))[n:]

    def double(positions: Array) -> Array:
        places = jnp.concatenate([positions / BOHR_ANG, spare])
        given = molecule, parametrization.tables, parametrization.repulsion
        atoms, tables, repulsion = jax.tree.map(jnp.asarray, given)
        energy, rest = convergence.free_energy(
            atoms,
            tables,
            repulsion,
            places,
            jnp.float64(kt),
            jnp.zeros(len(molecule.neutral)),
        )
        settled = rest["residual"] < scc.TOLERANCE
        return jnp.where(settled, energy, jnp.nan) * units.HARTREE_EV

    def in_double(function: Callable[[Array], Array]) -> Callable[[Array], Array]:
        def call(positions: Array) -> Array:
            with jax.enable_x64(True):
                return function(positions.astype(jnp.float64)).astype(positions.dtype)

        return call

    @jax.custom_jvp
    def energy(positions: Array) -> Array:
        return in_double(double)(positions)

    @jax.custom_jvp
    def gradient(positions: Array) -> Array:
        return in_double(jax.grad(double))(positions)

    @energy.defjvp
    def _(primals: Any, tangents: Any) -> Any:
        return energy(*primals), jnp.sum(gradient(*primals) * tangents[0])

    @gradient.defjvp
    def _(primals: Any, tangents: Any) -> Any:
        hessian = in_double(jax.jacfwd(jax.grad(double)))(*primals)
        return gradient(*primals), jnp.tensordot(hessian, tangents[0], 2)

    def function(positions: Float[Array, "atoms 3"], **kwargs: Any) -> Float[Array, ""]:
        del kwargs
        positions = jnp.asarray(positions)
        return energy(positions.astype(jnp.result_type(positions, float)))

    return function
