"""Orbitals and densities of molecules at points in space, by tight binding.

As `orbitals` and `densities` of pairs, for any number of atoms: real spherical harmonics in the
axes of space, ψ(r) = Σ_i c_i χ_i(r) and ρ(r) = Σ_ij P_ij χ_i χ_j (M. Elstner et al., Phys. Rev. B
58, 7260, 1998), with the radial functions of PTBP's pseudo-atoms.
"""

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from qc_jax.canvas.densities import CHANNELS
from qc_jax.canvas.orbitals import (
    AMPLITUDES,
    DEGENERATE,
    FORMS,
    TEMPERATURE,
    frontier,
    potential_at,
    published_shells,
)
from qc_jax.canvas.radial import shells_at, splines
from qc_jax.chem.units import BOHR_ANG
from qc_jax.data.labels import TAKES
from qc_jax.dftb import convergence, hamiltonian, scc, solver
from qc_jax.dftb.hamiltonian import ABSENT, Molecule, Tables
from qc_jax.dftb.pseudo import pseudo_atoms
from qc_jax.dftb.rotation import ORBITALS, SHELL
from qc_jax.errors import InputError
from qc_jax.ops import safe_sqrt

_AT_ONCE = 4096  # points


class MolecularOrbitals(NamedTuple):
    """What a molecule of N atoms with M orbitals is drawn from, in atomic units.

    Attributes:
      symbols: of the atoms.
      positions: bohr.
      electrons: of valence.
      radial: of each element, R_s, R_p and R_d (bohr^(-3/2)) by coefficients of splines.
      elements: of the atoms, rows of `radial`.
      slots: of the orbitals, 9 × atom + orbital (`dftb.rotation`).
      overlap: of the orbitals.
      forms: each density of `orbitals.FORMS` by pairs of orbitals.
      amplitudes: coefficients of the highest occupied and the lowest empty orbital.
      has_lumo: whether there is an empty orbital.
      charges: net, e.
      hubbards: hartree.
    """

    symbols: tuple[str, ...]
    positions: Float[np.ndarray, "atoms 3"]
    electrons: float
    radial: Float[Array, "elements knots 12"]
    elements: Int[np.ndarray, " atoms"]
    slots: Int[np.ndarray, " orbitals"]
    overlap: Float[np.ndarray, "orbitals orbitals"]
    forms: Float[Array, "7 orbitals orbitals"]
    amplitudes: Float[Array, "2 orbitals"]
    has_lumo: bool
    charges: Float[Array, " atoms"]
    hubbards: Float[Array, " atoms"]


def solve(symbols: Sequence[str], positions: Any) -> MolecularOrbitals:
    """Return what a molecule is drawn from, by self-consistent tight binding at 300 K.

    Args:
      symbols: of the N atoms.
      positions: [N, 3] Å; of two atoms also their distance, along z.

    Raises:
      InputError: positions do not fit, atoms are too close, or an element has no parameters.
      NotConverged: the charges do not settle.
    """
    symbols = [str(symbol) for symbol in symbols]
    if not symbols:
        raise InputError("symbols: expected one atom or more, got none")
    kinds = sorted(set(symbols))
    bonds = {(min(pair), max(pair)) for pair in itertools.combinations(symbols, 2)}
    kt = convergence.kt_of(TEMPERATURE)
    with jax.enable_x64(True), jax.debug_nans(False):
        found = convergence.load(
            *("ptbp", kinds, "published", published_shells(kinds)),
            sorted(bonds) or [(kinds[0], kinds[0])],
            smooth=True,
        )
        places = solver.check_atoms(symbols, positions, found)
        molecule = convergence.padded(symbols, found)
        one = jax.tree.map(lambda x: np.asarray(x)[None], molecule)
        spread = convergence.place(places)
        settled = convergence.converge(one, found, spread[None], kt, gradients=False)
        if not settled.settled[0]:
            raise convergence.NotConverged(settled.reason(0))
        count = int(molecule.present.sum())
        slots = molecule.slots[:count]
        atoms, kinds_of = np.divmod(slots, ORBITALS)
        shells = np.where(np.arange(len(molecule.slots)) < count, 0, -1)
        shells[:count] = SHELL[kinds_of]
        neutral = np.zeros(len(shells))
        neutral[:count] = [
            found.shells[symbols[a]].electrons[k] / (2 * k + 1)
            for a, k in zip(atoms, shells[:count], strict=True)
        ]
        excess = settled.rest["excess"][0]
        given = (molecule, found.tables, spread, excess, neutral, kt)
        forms, amplitudes, empty, overlap = map(np.asarray, _coefficients(*given, tuple(shells)))
    pseudo = pseudo_atoms(kinds)
    radial = np.stack([splines(pseudo[s], found.shells[s].max_l) for s in kinds])
    return MolecularOrbitals(
        symbols=tuple(symbols),
        positions=places,
        electrons=float(molecule.electrons),
        radial=jnp.asarray(radial, jnp.float32),
        elements=np.array([kinds.index(symbol) for symbol in symbols]),
        slots=slots,
        overlap=overlap[:count, :count],
        forms=jnp.asarray(forms[:, :count, :count], jnp.float32),
        amplitudes=jnp.asarray(amplitudes[:, :count], jnp.float32),
        has_lumo=bool(empty),
        charges=jnp.asarray(-excess[: len(symbols)], jnp.float32),
        hubbards=jnp.asarray(molecule.hubbards[: len(symbols)], jnp.float32),
    )


@functools.partial(jax.jit, static_argnames="shells")
def _coefficients(
    molecule: Molecule,
    tables: Tables,
    positions: Array,
    excess: Array,
    neutral: Array,
    kt: Array,
    shells: tuple[int, ...],
) -> tuple[Array, Array, Array, Array]:
    """Return forms, amplitudes, whether a level is empty, and the overlap."""
    problem = hamiltonian.problem(molecule, tables, positions, kt)
    system, filling = scc.evaluate(problem, excess, convergence.ONE)
    c, levels, held = system.orbitals[0], system.levels[0], 2 * filling.occupations[0]
    there: Bool[Array, " orbitals"] = levels < ABSENT / 2
    homo, lumo = frontier(levels, held)

    def matrix(weights: Array) -> Array:
        return (c * weights) @ c.T

    density = matrix(held * there)
    of_l = [density * np.outer(k == np.array(shells), k == np.array(shells)) for k in range(3)]
    forms, amplitudes = [density, density - jnp.diag(neutral), *of_l], []
    for level in (homo, lumo):
        chosen = there & (jnp.abs(levels - level) < DEGENERATE)
        forms.append(matrix(chosen / jnp.maximum(jnp.sum(chosen), 1)))
        one = jnp.where(jnp.any(chosen), c[:, jnp.argmax(chosen)], 0.0)
        largest = jnp.argmax(jnp.abs(one) * (1 - 1e-3 * jnp.arange(len(one)) / len(one)))
        amplitudes.append(one * jnp.where(one[largest] < 0, -1.0, 1.0))
    empty = jnp.any(there & (held < TAKES))
    return jnp.stack(forms), jnp.stack(amplitudes), empty, problem.s[0]


def at_points(
    state: MolecularOrbitals,
    points: Float[np.ndarray, "points 3"],
    channels: Sequence[str] = tuple(CHANNELS),
) -> Float[np.ndarray, "points channels"]:
    """Return channels at points (bohr), in units of Å as `densities.CHANNELS` has them.

    Of degenerate orbitals, which are averaged in 'homo' and 'lumo', the amplitude is the first's
    that the diagonalisation gives.
    """
    channels = tuple(channels)
    count = len(points)
    size = min(_AT_ONCE, count)
    spare = np.repeat(points[:1], -count % size, axis=0)
    parts = np.concatenate([points, spare]).astype(np.float32).reshape(-1, size, 3)
    found = [np.asarray(_at_some(*_arrays(state), part, channels)) for part in parts]
    return np.concatenate(found)[:count]


def basis_at(
    state: MolecularOrbitals, points: Float[np.ndarray, "points 3"]
) -> Float[Array, "orbitals points"]:
    """Return the basis functions at points (bohr), bohr^(-3/2)."""
    values, _ = _basis(*_arrays(state)[:4], jnp.asarray(points, jnp.float32))
    return values


def _arrays(state: MolecularOrbitals) -> tuple[Any, ...]:
    return (
        jnp.asarray(state.positions, jnp.float32),
        *(jnp.asarray(state.elements), jnp.asarray(state.slots), state.radial, state.forms),
        *(state.amplitudes, state.charges, state.hubbards),
    )


@jax.jit
def _basis(
    positions: Array, elements: Array, slots: Array, radial: Array, points: Array
) -> tuple[Array, Array]:
    """Return the basis functions [M, points] and the distances [N, points]."""
    vectors = points - positions[:, None]  # [N, points, 3]
    r = safe_sqrt(jnp.sum(vectors**2, axis=-1))
    shells = shells_at(radial, elements, r)  # [N, 3, points]
    x, y, z = jnp.moveaxis(vectors / jnp.maximum(r, 1e-6)[..., None], -1, 0)
    root = math.sqrt(3)
    quadratic = [root * x * y, root * y * z, (3 * z * z - 1) / 2, root * x * z]
    angular = [jnp.ones_like(x), y, z, x, *quadratic, root / 2 * (x * x - y * y)]
    each = [
        math.sqrt((2 * k + 1) / 4 / math.pi) * shells[:, k] * harmonic
        for k, harmonic in zip(SHELL.tolist(), angular, strict=True)
    ]
    functions = jnp.stack(each, axis=1)  # [N, 9, points]
    return functions.reshape(-1, functions.shape[-1])[slots], r


@functools.partial(jax.jit, static_argnames="channels")
def _at_some(
    positions: Array,
    elements: Array,
    slots: Array,
    radial: Array,
    forms: Array,
    amplitudes: Array,
    charges: Array,
    hubbards: Array,
    points: Array,
    channels: tuple[str, ...],
) -> Array:
    functions, r = _basis(positions, elements, slots, radial, points)
    columns = []
    for name in channels:
        if name in FORMS:
            form = forms[FORMS.index(name)]
            other = jnp.dot(form, functions, precision="highest")
            columns.append(jnp.sum(functions * other, axis=0) / BOHR_ANG**3)
        elif name in AMPLITUDES:
            weights = amplitudes[AMPLITUDES.index(name)]
            columns.append(jnp.dot(weights, functions, precision="highest") / BOHR_ANG**1.5)
        else:
            columns.append(potential_at(charges, hubbards, r))
    return jnp.stack(columns, axis=-1)
