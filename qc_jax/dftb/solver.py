"""`solve`: the electrons of atoms at given places, or where their energy is lowest."""

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
from qc_jax.data.table import ORBITAL_L
from qc_jax.dftb import hamiltonian, minimize, scc, spectrum, system
from qc_jax.dftb import parametrization as parametrizations
from qc_jax.dftb import relax as walks
from qc_jax.dftb.arrays import Array
from qc_jax.dftb.hamiltonian import ABSENT, Molecule, Repulsion, Tables
from qc_jax.dftb.parametrization import Parametrization
from qc_jax.dftb.rotation import ORBITALS
from qc_jax.errors import InputError

_ROWS = (4, 16, 64, 256, 1024, 4096)  # of the tables
_ONE = (1.0,)  # one block, once
# Sizes that molecules and tables are padded to, so that few programs are compiled.
_ATOMS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_SIZES = (18, 36, 54, 72, 108, 144, 216, 288, 432, 576, 864, 1152, 2304)
_KELVINS = (20000.0, 5000.0, 1500.0)  # by which charges that do not settle are led to theirs
_LEAST_KELVIN = 0.1  # stands for 0 K: filled in part are then only levels equal to 1e-8 eV
MaxL = Mapping[str, int | str] | int | str | None


@dataclasses.dataclass(frozen=True, eq=False)
class Solution:
    """The electrons of some atoms, self-consistent.

    Attributes:
      symbols: of the N atoms.
      positions_ang: [N, 3] Å, as given or relaxed.
      total_energy_ev: with the repulsion, without the electronic entropy (DFTB+'s 'Total energy').
      mermin_free_energy_ev: with −T S of the electrons: what the forces are the gradient of.
      band_energy_ev: occupations times levels.
      repulsive_energy_ev: of the pairs of atoms.
      fermi_level_ev: mid-gap where there is one; NaN where every orbital is full.
      levels_ev: [M] rising.
      occupations: [M] electrons, 0 to 2.
      charges_e: [N] net Mulliken charges, negative where there are more electrons.
      populations: [N, 16] electrons by (l, m) in the order of `data.table.ORBITAL_L`; 0 for
        orbitals that an atom does not have.
      dipole_d: [3] Debye, Σ charge × position.
      forces_ev_ang: [N, 3] eV/Å.
      steps: diagonalisations that the charges took.
    """

    symbols: tuple[str, ...]
    positions_ang: Float[np.ndarray, "atoms 3"]
    total_energy_ev: float
    mermin_free_energy_ev: float
    band_energy_ev: float
    repulsive_energy_ev: float
    fermi_level_ev: float
    levels_ev: Float[np.ndarray, " orbitals"]
    occupations: Float[np.ndarray, " orbitals"]
    charges_e: Float[np.ndarray, " atoms"]
    populations: Float[np.ndarray, "atoms 16"]
    dipole_d: Float[np.ndarray, " 3"]
    forces_ev_ang: Float[np.ndarray, "atoms 3"]
    steps: int

    @property
    def distance_ang(self) -> float:
        """Return the distance of two atoms, Å.

        Raises:
          InputError: there are not two.
        """
        if len(self.symbols) != 2:
            raise InputError(f"distance_ang: expected two atoms, got {len(self.symbols)}")
        return float(np.linalg.norm(self.positions_ang[1] - self.positions_ang[0]))


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


def check_atoms(
    symbols: Sequence[str], positions: Any, parametrization: Parametrization
) -> Float[np.ndarray, "atoms 3"]:
    """Return the positions in bohr.

    Raises:
      InputError: they do not fit the symbols, are no numbers, or closer than the tables reach.
    """
    try:
        places = np.asarray(positions, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"positions: expected [atoms, 3] numbers in Å: {error}") from error
    if places.shape != (len(symbols), 3):
        raise InputError(
            f"positions: expected shape {(len(symbols), 3)} for {len(symbols)} atoms, got "
            f"{places.shape}"
        )
    if not np.isfinite(places).all():
        raise InputError(
            f"positions: atom {int(np.argmin(np.isfinite(places).all(1)))} is not finite"
        )
    for j in range(1, len(symbols)):
        apart = np.linalg.norm(places[:j] - places[j], axis=1)
        reach = np.array(
            [
                parametrization.shortest[parametrization.row(symbols[i], symbols[j])[0]]
                for i in range(j)
            ]
        )
        close = np.flatnonzero(apart < reach * units.BOHR_ANG)
        if len(close):
            i = int(close[0])
            raise InputError(
                f"positions: atoms {i} ({symbols[i]}) and {j} ({symbols[j]}) are {apart[i]:.3f} Å "
                f"apart, closer than the tables reach ({reach[i] * units.BOHR_ANG:.3f} Å)"
            )
    return places / units.BOHR_ANG


def solve(
    symbols: Sequence[str],
    positions: Any,
    parameters: str | os.PathLike | Parametrization = "ptbp",
    form: str = "published",
    max_l: MaxL = None,
    temperature: float = 300.0,
    relax: bool | str = False,
    shell_resolved: bool = False,
    charge: float = 0.0,
    spin: float = 0.0,
) -> Solution:
    """Return the electrons of atoms by second-order tight binding, as DFTB+ computes them.

    M. Elstner et al., Phys. Rev. B 58, 7260 (1998). Which atom comes first matters in the published
    form, by up to 1e-3 hartree in some integrals, as it does in DFTB+.

    Args:
      symbols: of the N atoms.
      positions: [N, 3] Å; of two atoms also their distance.
      parameters: 'ptbp', or a directory of Slater-Koster files.
      form: of PTBP: 'published', as the published dataset was computed, or 'exact'.
      max_l: highest shell, by symbol like {'Al': 1} or {'Al': 'p'}, or for all elements; all
        shells that an element has unless given.
      temperature: of the electrons, K.
      relax: False, a single point; True or 'downhill', the minimum below the given positions;
        'global', of two atoms the lowest minimum along the bond.
      shell_resolved: whether each shell has a charge and a Hubbard parameter of its own.
      charge: of all, which must be 0.
      spin: which must be 0.

    Raises:
      InputError: something given is wrong, or not supported; see above.
      NotConverged: no self-consistent charges, or no minimum, was found.

    Example:
      >>> h2 = solve(["H", "H"], 0.75, relax=True)  # doctest: +SKIP
      >>> round(h2.distance_ang, 3)  # doctest: +SKIP
      0.749
    """
    symbols = [str(symbol) for symbol in symbols]
    if not symbols:
        raise InputError("symbols: expected one atom or more, got none")
    for name, value in (("charge", charge), ("spin", spin)):
        if value != 0:
            raise InputError(f"{name}: only 0 is supported, neutral without spin; got {value!r}")
    if relax not in (False, True, "downhill", "global"):
        raise InputError(f"relax: expected False, True, 'downhill' or 'global', got {relax!r}")
    if np.ndim(positions) == 0 and len(symbols) == 2:
        positions = [[0.0, 0.0, 0.0], [0.0, 0.0, positions]]
    kt = kt_of(temperature)
    parametrization = load(parameters, symbols, form, max_l)
    places = check_atoms(symbols, positions, parametrization)
    with jax.enable_x64(True), jax.debug_nans(False):
        molecule = padded(symbols, parametrization, shell_resolved)
        if relax and len(symbols) == 2 and not shell_resolved:
            places = _relaxed_pair(symbols, places, parametrization, kt, relax == "global")
        elif relax and len(symbols) > 1:
            if relax == "global":
                raise InputError("relax: 'global' is for two atoms, with charges of atoms")
            places = minimize.downhill(molecule, parametrization, places, kt)
        energy, rest, gradient = converge(molecule, parametrization, place(places), kt)
    return _solution(symbols, places, molecule, energy, rest, gradient, kt)


def _relaxed_pair(
    symbols: Sequence[str],
    places: Float[np.ndarray, "2 3"],
    parametrization: Parametrization,
    kt: float,
    everywhere: bool,
) -> Float[np.ndarray, "2 3"]:
    names = [(symbols[0], symbols[1])]
    bond = places[1] - places[0]
    start = np.linalg.norm(bond)
    walk = (
        walks.lowest(names, parametrization, kt)
        if everywhere
        else walks.relax(names, parametrization, kt, np.array([start]))
    )
    reason = walks.failure(walk, 0)
    if reason:
        raise NotConverged(reason)
    return np.stack([places[0], places[0] + bond / start * walk.distance[0]])


def _solution(
    symbols: Sequence[str],
    places: Float[np.ndarray, "atoms 3"],
    molecule: Molecule,
    energy: float,
    rest: Mapping[str, Any],
    gradient: Float[np.ndarray, "atoms 3"],
    kt: float,
) -> Solution:
    n = len(symbols)
    there = rest["levels"] < ABSENT / 2
    levels, occupations = rest["levels"][there], rest["occupations"][there]
    full = occupations.sum() >= 2 * len(levels) - 1e-9
    populations = np.zeros((n, len(ORBITAL_L)))
    atoms, orbitals = np.divmod(molecule.slots[molecule.present], ORBITALS)
    populations[atoms, orbitals] = rest["populations"][molecule.present]
    excess = np.zeros(n)
    np.add.at(excess, molecule.site_atoms, rest["excess"])
    ev = units.HARTREE_EV
    return Solution(
        symbols=tuple(symbols),
        positions_ang=places * units.BOHR_ANG,
        total_energy_ev=float(energy + kt * rest["entropy"]) * ev,
        mermin_free_energy_ev=float(energy) * ev,
        band_energy_ev=float(occupations @ levels) * ev,
        repulsive_energy_ev=float(rest["repulsive"]) * ev,
        fermi_level_ev=math.nan if full else float(rest["fermi_level"]) * ev,
        levels_ev=levels * ev,
        occupations=occupations,
        charges_e=-excess,
        populations=populations,
        dipole_d=-(excess @ places) * units.EBOHR_DEBYE,
        forces_ev_ang=-gradient[:n] * ev / units.BOHR_ANG,
        steps=int(rest["steps"]),
    )
