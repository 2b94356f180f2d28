"""One molecule on its way to self-consistency: parameters, padded arrays, converged charges."""

import dataclasses
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from qc_jax.chem import elements, units
from qc_jax.dftb import hamiltonian, scc, spectrum, system
from qc_jax.dftb import parametrization as parametrizations
from qc_jax.dftb.arrays import Array
from qc_jax.dftb.hamiltonian import Molecule, Repulsion, Tables
from qc_jax.dftb.parametrization import Parametrization
from qc_jax.errors import InputError

_ROWS = (4, 16, 64, 256, 1024, 4096)  # of the tables
_ONE = (1.0,)  # one block, once
# Sizes that molecules and tables are padded to, so that few programs are compiled.
_ATOMS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_SIZES = (18, 36, 54, 72, 108, 144, 216, 288, 432, 576, 864, 1152, 2304)
_KELVINS = (20000.0, 5000.0, 1500.0)  # by which charges that do not settle are led to theirs
_LEAST_KELVIN = 0.1  # stands for 0 K: filled in part are then only levels equal to 1e-8 eV
MaxL = Mapping[str, int | str] | int | str | None


class NotConverged(RuntimeError):
    """No self-consistent charges, or no minimum, was found; the message says which."""


def load(
    parameters: str | os.PathLike | Parametrization,
    symbols: Sequence[str],
    form: str = "published",
    max_l: MaxL = None,
    pairs: Sequence[tuple[str, str]] | None = None,
    smooth: bool = False,
) -> Parametrization:
    """Return the parameters of some elements: 'ptbp', or a directory of Slater-Koster files.

    Raises:
      InputError: an element is not covered, a file is damaged, or `max_l` asks for too much.
    """
    for symbol in symbols:
        elements.element(symbol)
    if isinstance(parameters, Parametrization):
        return parameters
    if parameters == "ptbp":
        found = parametrizations.from_ptbp(symbols, form, max_l, pairs, smooth)
    else:
        found = parametrizations.from_directory(parameters, symbols, max_l, pairs)
    rows = len(found.rows)
    padded = next((n for n in _ROWS if n >= rows), rows)
    order = np.concatenate([np.arange(rows), np.zeros(padded - rows, dtype=int)])
    tables, repulsion = jax.tree.map(
        lambda x: np.asarray(x)[order], (found.tables, found.repulsion)
    )
    return dataclasses.replace(found, tables=tables, repulsion=repulsion)


def kt_of(temperature: float) -> float:
    """Return k_B T in hartree.

    Raises:
      InputError: the temperature is below 0, or no number.
    """
    if not (isinstance(temperature, (int, float)) and 0 <= temperature < math.inf):
        raise InputError(f"temperature: expected 0 or more kelvin, got {temperature!r}")
    return max(float(temperature), _LEAST_KELVIN) * units.KELVIN_HARTREE


def padded(
    symbols: Sequence[str], parametrization: Parametrization, shell_resolved: bool = False
) -> Molecule:
    """Return the arrays of a molecule, padded to one of few sizes."""
    own = system.build(symbols, parametrization, shell_resolved)
    atoms = next((n for n in _ATOMS if n >= len(symbols)), len(symbols))
    orbitals = next((n for n in _SIZES if n >= len(own.slots)), len(own.slots))
    sites = 3 * atoms if shell_resolved else atoms
    size = (max(atoms * (atoms - 1) // 2, 1), orbitals, sites)
    return system.build(symbols, parametrization, shell_resolved, size)


def place(positions: Float[np.ndarray, "atoms 3"]) -> Float[np.ndarray, "padded 3"]:
    """Return the positions with those of atoms that are not there, at the origin."""
    count = next((n for n in _ATOMS if n >= len(positions)), len(positions))
    return np.concatenate([positions, np.zeros((count - len(positions), 3))])


def free_energy(
    molecule: Molecule,
    tables: Tables,
    repulsion: Repulsion,
    positions: Float[Array, "atoms 3"],
    kt: Float[Array, ""],
    start: Float[Array, " sites"],
) -> tuple[Float[Array, ""], dict[str, Any]]:
    """Return the Mermin free energy in hartree and what else is known; pure, positions in bohr.

    To be traced within `jax.enable_x64(True)`. The energy has first and second derivatives, levels
    and charges first ones, by positions and by every array of `molecule`, `tables` and `repulsion`.
    """
    problem = hamiltonian.problem(molecule, tables, positions, kt)
    charges = scc.find(jax.lax.stop_gradient(problem), start, _ONE)
    excess = scc.implicit(problem, charges, _ONE)
    repulsive = hamiltonian.repulsive_energy(molecule, repulsion, positions)
    energy = scc.electronic_free_energy(problem, excess, _ONE) + repulsive
    return energy, {**_electrons(problem, charges, excess), "repulsive": repulsive}


@jax.jit
def energy_and_gradient(
    molecule: Molecule,
    tables: Tables,
    repulsion: Repulsion,
    positions: Float[Array, "atoms 3"],
    kt: Float[Array, ""],
    start: Float[Array, " sites"],
) -> tuple[tuple[Float[Array, ""], dict[str, Any]], Float[Array, "atoms 3"]]:
    """Return `free_energy` and its gradient by positions, without any further derivative."""
    problem = hamiltonian.problem(molecule, tables, positions, kt)
    charges = scc.find(problem, start, _ONE)

    def energy(at: Array) -> Array:
        moved = hamiltonian.problem(molecule, tables, at, kt)
        electronic = scc.electronic_free_energy(moved, charges.excess, _ONE)
        repulsive = hamiltonian.repulsive_energy(molecule, repulsion, at)
        return electronic + repulsive, repulsive

    (value, repulsive), gradient = jax.value_and_grad(energy, has_aux=True)(positions)
    rest = _electrons(problem, charges, charges.excess)
    return (value, {**rest, "repulsive": repulsive}), gradient


def _electrons(problem: scc.Problem, charges: scc.Charges, excess: Array) -> dict[str, Any]:
    h = scc.hamiltonian(problem, excess)
    (levels,) = spectrum.eigenvalues(h, problem.s)
    density, _ = spectrum.density_matrices(h, problem.s, _ONE, problem.electrons, problem.kt)
    filling = spectrum.fill(jax.lax.stop_gradient((levels,)), _ONE, problem.electrons, problem.kt)
    return {
        "levels": levels,
        "occupations": 2 * filling.occupations[0],
        "entropy": filling.entropy,
        "fermi_level": spectrum.reported_fermi_level(
            levels, problem.electrons, problem.kt, filling.fermi_level
        ),
        "populations": jnp.sum(density[0] * problem.s[0], axis=1),
        "excess": excess,
        "residual": charges.residual,
        "steps": charges.steps,
    }


def converge(
    molecule: Molecule,
    parametrization: Parametrization,
    positions: Float[np.ndarray, "atoms 3"],
    kt: float,
    start: Float[np.ndarray, " sites"] | None = None,
) -> tuple[float, dict[str, Any], Float[np.ndarray, "atoms 3"]]:
    """Return energy (hartree), the rest of `free_energy`, and the gradient (hartree/bohr).

    Charges that do not settle at once are led there by temperatures that fall in steps.

    Raises:
      NotConverged: they do not settle then either.
    """
    guess = np.zeros(len(molecule.neutral)) if start is None else start
    arguments = molecule, parametrization.tables, parametrization.repulsion, positions

    def run(temperature: float) -> tuple[float, dict[str, Any], np.ndarray]:
        (energy, rest), gradient = energy_and_gradient(*arguments, temperature, guess)
        return float(energy), jax.tree.map(np.asarray, rest), np.asarray(gradient)

    found = run(kt)
    if not found[1]["residual"] < scc.TOLERANCE:
        guess = np.zeros(len(molecule.neutral))
        for kelvin in _KELVINS:
            hot = run(max(kelvin * units.KELVIN_HARTREE, kt))
            if hot[1]["residual"] < scc.TOLERANCE:
                guess = hot[1]["excess"]
        found = run(kt)
    if not (found[1]["residual"] < scc.TOLERANCE and math.isfinite(found[0])):
        residual = float(found[1]["residual"])
        raise NotConverged(
            f"the charges do not settle: {residual:.1e} e go in and do not come out after "
            f"{int(found[1]['steps'])} steps"
            if math.isfinite(residual)
            else "the orbitals are linearly dependent: the atoms are too close"
        )
    return found
