"""`solve`: the electrons of atoms at given places, or where their energy is lowest."""

import dataclasses
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from qc_jax.chem import units
from qc_jax.data.table import ORBITAL_L
from qc_jax.dftb import minimize
from qc_jax.dftb import relax as walks
from qc_jax.dftb.convergence import MaxL, NotConverged, converge, kt_of, load, padded, place
from qc_jax.dftb.hamiltonian import ABSENT, Molecule
from qc_jax.dftb.parametrization import Parametrization
from qc_jax.dftb.rotation import ORBITALS
from qc_jax.errors import InputError


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
