"""`solve`: the electrons of atoms at given places, or where their energy is lowest."""

import dataclasses
import itertools
import math
import os
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from qc_jax.chem import units
from qc_jax.chem.units import DFTBPLUS_BOHR_ANG as BOHR_ANG
from qc_jax.data.table import ORBITAL_L
from qc_jax.dftb import minimize
from qc_jax.dftb import relax as walks
from qc_jax.dftb.convergence import Converged, NotConverged, converge, kt_of, load, padded, place
from qc_jax.dftb.hamiltonian import ABSENT, Molecule
from qc_jax.dftb.parametrization import MaxL, Parametrization
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
      forces_ev_ang: [N, 3] eV/Å; NaN where they were not asked for.
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
    if np.ndim(positions) == 0 and len(symbols) == 2:
        positions = [[0.0, 0.0, 0.0], [0.0, 0.0, positions]]
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
    for i, j in itertools.combinations(range(len(symbols)), 2):
        apart = np.linalg.norm(places[i] - places[j])
        reach = parametrization.shortest[parametrization.row(symbols[i], symbols[j])[0]] * BOHR_ANG
        if apart < reach:
            raise InputError(
                f"positions: atoms {i} ({symbols[i]}) and {j} ({symbols[j]}) are {apart:.3f} Å "
                f"apart, closer than the tables reach ({reach:.3f} Å)"
            )
    return places / BOHR_ANG


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
    for name, value in (("charge", charge), ("spin", spin)):
        if value != 0:
            raise InputError(f"{name}: only 0 is supported, neutral without spin; got {value!r}")
    (found,) = solve_all(
        [(symbols, positions)], parameters, form, max_l, temperature, relax, shell_resolved
    )
    if isinstance(found, NotConverged):
        raise found
    return found


def solve_all(
    molecules: Sequence[tuple[Sequence[str], Any]],
    parameters: str | os.PathLike | Parametrization = "ptbp",
    form: str = "published",
    max_l: MaxL = None,
    temperature: float = 300.0,
    relax: bool | str = False,
    shell_resolved: bool = False,
    forces: bool = True,
) -> list[Solution | NotConverged]:
    """Return what `solve` returns of many molecules, computed in batches of similar size.

    Args:
      molecules: (symbols, positions) of each.
      parameters: as of `solve`, for all, and so are the following.
      form: of PTBP.
      max_l: highest shells.
      temperature: of the electrons, K.
      relax: whether to a minimum, and which.
      shell_resolved: whether each shell has a charge of its own.
      forces: whether they are computed, half of the work; else they are NaN.

    Returns:
      Of each molecule its solution, or the `NotConverged` that says why it has none.

    Raises:
      InputError: something given is wrong, or not supported; see `solve`.
    """
    if relax not in (False, True, "downhill", "global"):
        raise InputError(f"relax: expected False, True, 'downhill' or 'global', got {relax!r}")
    named = [[str(symbol) for symbol in symbols] for symbols, _ in molecules]
    if not all(named):
        raise InputError("symbols: expected one atom or more, got none")
    if relax == "global" and (shell_resolved or any(len(symbols) != 2 for symbols in named)):
        raise InputError("relax: 'global' is for two atoms, with charges of atoms")
    kt = kt_of(temperature)
    if not named:
        return []
    bonds = {
        (min(pair), max(pair)) for symbols in named for pair in itertools.combinations(symbols, 2)
    }
    every = sorted({symbol for symbols in named for symbol in symbols})
    found = load(parameters, every, form, max_l, sorted(bonds) or [(every[0], every[0])])
    places = [
        check_atoms(symbols, positions, found)
        for symbols, (_, positions) in zip(named, molecules, strict=True)
    ]
    answers: dict[int, Solution | NotConverged] = {}
    with jax.enable_x64(True), jax.debug_nans(False):
        if relax and not shell_resolved:
            _relax_pairs(named, places, found, kt, relax == "global", answers)
        groups: dict[tuple, list[int]] = {}
        arrays = [padded(symbols, found, shell_resolved) for symbols in named]
        for row, molecule in enumerate(arrays):
            if row not in answers:
                size = tuple(x.shape for x in jax.tree.leaves(molecule))
                groups.setdefault((size, len(named[row]) == 2), []).append(row)
        for (_, pair), rows in groups.items():
            moved = relax and (shell_resolved or not pair)
            batch = _solve_batch(
                [arrays[k] for k in rows], [places[k] for k in rows], found, kt, bool(moved), forces
            )
            for row, x, converged, reason in batch:
                k = rows[row]
                answers[k] = (
                    NotConverged(reason)
                    if reason
                    else _solution(named[k], x[: len(named[k])], arrays[k], converged, row, kt)
                )
    return [answers[row] for row in range(len(named))]


def _solve_batch(
    molecules: Sequence[Molecule],
    places: Sequence[Float[np.ndarray, "atoms 3"]],
    parametrization: Parametrization,
    kt: float,
    moved: bool,
    forces: bool,
) -> list[tuple[int, Float[np.ndarray, "padded 3"], Converged, str | None]]:
    """Return (row, positions, the converged batch, why the row failed) of molecules of one size."""
    stacked = jax.tree.map(lambda *x: np.stack(x), *molecules)
    x = np.stack([place(positions) for positions in places])
    reasons: list[str | None] = [None] * len(molecules)
    if moved:

        def evaluate(rows: np.ndarray, at: np.ndarray, start: np.ndarray | None) -> Converged:
            some = jax.tree.map(lambda v: v[rows], stacked)
            return converge(some, parametrization, at, kt, start)

        x, reasons = minimize.downhill(evaluate, x)
    found = converge(stacked, parametrization, x, kt, gradients=forces)
    return [
        (row, x[row], found, reasons[row] or (None if found.settled[row] else found.reason(row)))
        for row in range(len(molecules))
    ]


def _relax_pairs(
    named: Sequence[list[str]],
    places: list[Float[np.ndarray, "atoms 3"]],
    parametrization: Parametrization,
    kt: float,
    everywhere: bool,
    answers: dict[int, Solution | NotConverged],
) -> None:
    """Move the second atom of each pair to its minimum along the bond; failures become answers."""
    rows = [row for row, symbols in enumerate(named) if len(symbols) == 2]
    if not rows:
        return
    names = [(named[row][0], named[row][1]) for row in rows]
    bonds = np.array([places[row][1] - places[row][0] for row in rows])
    lengths = np.linalg.norm(bonds, axis=1)
    walk = (
        walks.lowest(names, parametrization, kt)
        if everywhere
        else walks.relax(names, parametrization, kt, lengths)
    )
    for k, row in enumerate(rows):
        reason = walks.failure(walk, k)
        if reason:
            answers[row] = NotConverged(reason)
        else:
            first = places[row][0]
            places[row] = np.stack([first, first + bonds[k] / lengths[k] * walk.distance[k]])


def _solution(
    symbols: Sequence[str],
    places: Float[np.ndarray, "atoms 3"],
    molecule: Molecule,
    found: Converged,
    row: int,
    kt: float,
) -> Solution:
    n = len(symbols)
    rest = jax.tree.map(lambda x: x[row], found.rest)
    energy = float(found.energy[row])
    there = rest["levels"] < ABSENT / 2
    levels, occupations = rest["levels"][there], rest["occupations"][there]
    full = occupations.sum() >= 2 * len(levels) - 1e-9
    populations = np.zeros((n, len(ORBITAL_L)))
    atoms, orbitals = np.divmod(molecule.slots[molecule.present], ORBITALS)
    populations[atoms, orbitals] = rest["populations"][0][molecule.present]
    excess = np.zeros(n)
    real = molecule.site_atoms < n
    np.add.at(excess, molecule.site_atoms[real], rest["excess"][real])
    ev = units.HARTREE_EV
    return Solution(
        symbols=tuple(symbols),
        positions_ang=places * BOHR_ANG,
        total_energy_ev=(energy + kt * float(rest["entropy"])) * ev,
        mermin_free_energy_ev=energy * ev,
        band_energy_ev=float(occupations @ levels) * ev,
        repulsive_energy_ev=float(rest["repulsive"]) * ev,
        fermi_level_ev=math.nan if full else float(rest["fermi_level"]) * ev,
        levels_ev=levels * ev,
        occupations=occupations,
        charges_e=-excess,
        populations=populations,
        dipole_d=-(excess @ places) * units.EBOHR_DEBYE,
        forces_ev_ang=-found.gradient[row][:n] * ev / BOHR_ANG,
        steps=int(rest["steps"]),
    )
