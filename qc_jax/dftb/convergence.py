"""Molecules on their way to self-consistency: parameters, padded batches, converged charges."""

import dataclasses
import functools
import math
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from qc_jax.chem import elements, units
from qc_jax.dftb import hamiltonian, scc, system
from qc_jax.dftb import parametrization as parametrizations
from qc_jax.dftb.arrays import Array, check_device
from qc_jax.dftb.hamiltonian import Molecule, Repulsion, Tables
from qc_jax.dftb.parametrization import MaxL, Parametrization
from qc_jax.errors import InputError, choose

_ROWS = (4, 16, 64, 256, 1024, 4096)  # of the tables
ONE = (1.0,)  # one block, once
# Sizes that molecules, tables and batches are padded to, so that few programs are compiled.
_ATOMS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_ORBITALS = (18, 36, 54, 72, 108, 144, 216, 288, 432, 576, 864, 1152, 2304)
_LANES = (64, 16, 4, 1)
_MEMORY = 3e7  # numbers that the response to the charges may take in a batch
_KELVINS = (20000.0, 5000.0, 1500.0)  # by which charges that do not settle are led to theirs
_REAL = (int, float, np.integer, np.floating)
_LEAST_KELVIN = 0.1  # stands for 0 K: filled in part are then only levels equal to 1e-8 eV


class NotConverged(InputError):
    """No self-consistent charges, or no minimum, was found for what was given; says which."""


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
      InputError: an element is not covered, a file is damaged, or `max_l` asks for too much or too
        little; a form other than 'published' is not of 'ptbp'; `form` or `max_l` is given with
        parameters that are loaded already; or the device has no float64.
    """
    check_device()
    for symbol in symbols:
        elements.element(symbol)
    choose("form", form, parametrizations.FORMS)
    if isinstance(parameters, Parametrization):
        for name, value, usual in (("form", form, "published"), ("max_l", max_l, None)):
            if value != usual:
                raise InputError(f"{name}: {parameters.name} is loaded already, got {value!r}")
        return parameters
    if parameters == "ptbp":
        found = parametrizations.from_ptbp(symbols, form, max_l, pairs, smooth)
    elif form != "published":
        raise InputError(f"form={form}: expected parameters=ptbp, got {os.fspath(parameters)}")
    else:
        found = parametrizations.from_directory(parameters, symbols, max_l, pairs)
    rows = len(found.rows)
    order = np.concatenate([np.arange(rows), np.zeros(_least(_ROWS, rows) - rows, dtype=int)])
    tables, repulsion = jax.tree.map(
        lambda x: np.asarray(x)[order], (found.tables, found.repulsion)
    )
    return dataclasses.replace(found, tables=tables, repulsion=repulsion)


def kt_of(temperature: float) -> float:
    """Return k_B T in hartree.

    Raises:
      InputError: the temperature is below 0, or no number.
    """
    if not (isinstance(temperature, _REAL) and 0 <= temperature < math.inf):
        raise InputError(f"temperature: expected 0 or more kelvin, got {temperature!r}")
    return max(float(temperature), _LEAST_KELVIN) * units.KELVIN_HARTREE


def _least(sizes: Sequence[int], count: int) -> int:
    """Return the least of the sizes that holds `count`, or `count` where none does."""
    return next((size for size in sizes if size >= count), count)


def padded(
    symbols: Sequence[str], parametrization: Parametrization, shell_resolved: bool = False
) -> Molecule:
    """Return the arrays of a molecule, padded to one of few sizes."""
    orbitals = sum((parametrization.shells[symbol].max_l + 1) ** 2 for symbol in symbols)
    atoms = _least(_ATOMS, len(symbols))
    sites = 3 * atoms if shell_resolved else atoms
    size = (max(atoms * (atoms - 1) // 2, 1), _least(_ORBITALS, orbitals), sites)
    return system.build(symbols, parametrization, shell_resolved, size)


def place(positions: Float[np.ndarray, "atoms 3"]) -> Float[np.ndarray, "padded 3"]:
    """Return the positions with those of atoms that are not there, at the origin."""
    spare = _least(_ATOMS, len(positions)) - len(positions)
    return np.concatenate([positions, np.zeros((spare, 3))])


def free_energy(
    molecule: Molecule,
    tables: Tables,
    repulsion: Repulsion,
    positions: Float[Array, "atoms 3"],
    kt: Float[Array, ""],
    start: Float[Array, " sites"],
) -> tuple[Float[Array, ""], dict[str, Any]]:
    """Return the Mermin free energy in hartree and `scc.describe`; pure, positions in bohr.

    To be traced within `jax.enable_x64(True)`. The energy has first and second derivatives, levels
    and charges first ones, by positions and by every array of `molecule`, `tables` and `repulsion`.
    """
    problem = hamiltonian.problem(molecule, tables, positions, kt)
    charges = scc.find(jax.lax.stop_gradient(problem), start, ONE)
    excess = scc.implicit(problem, charges, ONE)
    repulsive = hamiltonian.repulsive_energy(molecule, repulsion, positions)
    energy = scc.electronic_free_energy(problem, excess, ONE) + repulsive
    return energy, {**scc.describe(problem, charges, excess, ONE), "repulsive": repulsive}


@functools.partial(jax.jit, static_argnames="gradients")
def energies(
    molecules: Molecule,
    tables: Tables,
    repulsion: Repulsion,
    positions: Float[Array, "batch atoms 3"],
    kt: Float[Array, ""],
    start: Float[Array, "batch sites"],
    gradients: bool = True,
) -> tuple[Float[Array, " batch"], dict[str, Any], Float[Array, "batch atoms 3"]]:
    """Return `free_energy` of a batch, and its gradient by positions, without more derivatives.

    Without `gradients`, which are half of the work, they are NaN.
    """

    def one(molecule: Molecule, places: Array, guess: Array) -> tuple[Array, dict, Array]:
        problem = hamiltonian.problem(molecule, tables, places, kt)
        charges = scc.find(problem, guess, ONE)

        def energy(at: Array) -> tuple[Array, Array]:
            moved = hamiltonian.problem(molecule, tables, at, kt)
            repulsive = hamiltonian.repulsive_energy(molecule, repulsion, at)
            return scc.electronic_free_energy(moved, charges.excess, ONE) + repulsive, repulsive

        if gradients:
            (value, repulsive), gradient = jax.value_and_grad(energy, has_aux=True)(places)
        else:
            (value, repulsive), gradient = energy(places), jnp.full_like(places, jnp.nan)
        rest = scc.describe(problem, charges, charges.excess, ONE)
        return value, {**rest, "repulsive": repulsive}, gradient

    return jax.vmap(one)(molecules, positions, start)


class Converged(NamedTuple):
    """A batch of molecules with their charges; hartree and bohr, NumPy arrays.

    Attributes:
      energy: Mermin free energies with the repulsion.
      gradient: by positions; NaN where it was not asked for.
      rest: `scc.describe`, and 'repulsive' energies.
      settled: whether the charges are self-consistent and the energy is a number.
    """

    energy: Float[np.ndarray, " batch"]
    gradient: Float[np.ndarray, "batch atoms 3"]
    rest: dict[str, Any]
    settled: Bool[np.ndarray, " batch"]

    def reason(self, row: int) -> str:
        """Return why the charges of a row are not settled."""
        residual = float(self.rest["residual"][row])
        if not math.isfinite(residual):
            return "the orbitals are linearly dependent: the atoms are too close"
        return (
            f"the charges do not settle: {residual:.1e} e go in and do not come out after "
            f"{int(self.rest['steps'][row])} steps"
        )


def cool(
    run: Callable[[float, np.ndarray], tuple[Any, dict[str, Any], np.ndarray]],
    guess: Float[np.ndarray, "rows sites"],
    kt: float,
) -> Any:
    """Return what charges that do not settle come to by temperatures that fall to `kt` in steps.

    Args:
      run: (temperature in hartree, trial charges) → what there is to return, `scc.describe`, and
        which rows are settled.
      guess: first trial charges, which are changed.
      kt: electronic temperature, hartree.
    """
    for temperature in [*(max(kelvin * units.KELVIN_HARTREE, kt) for kelvin in _KELVINS), kt]:
        found, rest, settled = run(temperature, guess)
        guess[settled] = rest["excess"][settled]
    return found


def converge(
    molecules: Molecule,
    parametrization: Parametrization,
    positions: Float[np.ndarray, "batch atoms 3"],
    kt: float,
    start: Float[np.ndarray, "batch sites"] | None = None,
    gradients: bool = True,
) -> Converged:
    """Return a batch of molecules (`Molecule` with a leading axis) with self-consistent charges.

    Charges that do not settle at once are led there by temperatures that fall in steps.
    """
    guess = np.zeros_like(molecules.neutral) if start is None else np.array(start)
    found = _run(molecules, parametrization, positions, kt, guess, gradients)
    left = np.flatnonzero(~found.settled)
    if len(left):
        some, places = jax.tree.map(lambda x: x[left], (molecules, positions))

        def run(temperature: float, guess: np.ndarray) -> tuple[Converged, dict, np.ndarray]:
            now = _run(some, parametrization, places, temperature, guess, gradients)
            return now, now.rest, now.settled

        again = cool(run, np.zeros_like(some.neutral), kt)
        jax.tree.map(lambda old, new: old.__setitem__(left, new), found, again)
    return found


def _run(
    molecules: Molecule,
    parametrization: Parametrization,
    positions: Float[np.ndarray, "batch atoms 3"],
    kt: float,
    guess: Float[np.ndarray, "batch sites"],
    gradients: bool,
) -> Converged:
    chunks = []
    for rows in _lanes(len(positions), molecules.sites[0].size * molecules.sites.shape[1]):
        lanes = jax.tree.map(lambda x, rows=rows: x[rows], (molecules, positions, guess))
        shared = (parametrization.tables, parametrization.repulsion)
        found = energies(lanes[0], *shared, lanes[1], kt, lanes[2], gradients)
        count = len(np.unique(rows))
        chunks.append(jax.tree.map(lambda x, count=count: np.array(x)[:count], found))
    energy, rest, gradient = jax.tree.map(lambda *x: np.concatenate(x), *chunks)
    return Converged(
        energy, gradient, rest, (rest["residual"] < scc.TOLERANCE) & np.isfinite(energy)
    )


def _lanes(count: int, size: int) -> Iterator[np.ndarray]:
    """Yield the rows of each batch, its first one again until it has one of few sizes."""
    most = max(_LANES[-1], *(n for n in _LANES if n * size <= _MEMORY), 1)
    for at in range(0, count, most):
        rows = np.arange(at, min(at + most, count))
        size = _least(sorted(_LANES), len(rows))
        yield np.concatenate([rows, np.full(size - len(rows), at)])
