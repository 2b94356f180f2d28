"""Tight binding as a function of the numbers that make it, from confinement radii to the gap.

The chain is that of PTBP's exact form: confined atoms (`exact_atom`), their two-centre integrals
(`integrals`), self-consistent charges (`scc`). Each link has derivatives of its own, by the
implicit function theorem where something is iterated, so that any result has a gradient by every
number of every element at about the price of another evaluation.
"""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from qc_jax.chem import units
from qc_jax.data.labels import HOLDS, TAKES
from qc_jax.dftb import (
    convergence,
    exact_atom,
    integrals,
    pseudo,
    radial,
    scc,
    solver,
    system,
    tables,
)
from qc_jax.dftb import repulsion as repulsions
from qc_jax.dftb.arrays import Array
from qc_jax.dftb.hamiltonian import ABSENT
from qc_jax.dftb.parameters import ElementParameters, parameters
from qc_jax.dftb.parametrization import SHORTEST, MaxL, Parametrization, Shells, ptbp_shells
from qc_jax.dftb.rotation import SHELL
from qc_jax.errors import InputError, choose

_SPD = "spd"


class ElementNumbers(NamedTuple):
    """What the tight binding of one element is made of; a pytree of float64 scalars and arrays.

    Attributes:
      r0_wave: bohr, confinement of the orbitals.
      r0_density: bohr, confinement of the density.
      sigma_repulsion: width of the repulsion, in covalent radii.
      onsite: hartree, of s, p and d.
      hubbard: hartree.
    """

    r0_wave: Float[Array, ""]
    r0_density: Float[Array, ""]
    sigma_repulsion: Float[Array, ""]
    onsite: Float[Array, " 3"]
    hubbard: Float[Array, ""]


class Electrons(NamedTuple):
    """What a `parameter_function` returns.

    Attributes:
      mermin_free_energy_ev: with the repulsion.
      levels_ev: rising.
      gap_ev: lowest level that can take an electron less the highest that holds some, 0 where one
        level is both; NaN where no level can take one.
      charges_e: net Mulliken charges.
      residual: of the charges, e; self-consistent below `scc.TOLERANCE`.
    """

    mermin_free_energy_ev: Float[Array, ""]
    levels_ev: Float[Array, " orbitals"]
    gap_ev: Float[Array, ""]
    charges_e: Float[Array, " atoms"]
    residual: Float[Array, ""]


class _OfBonds(NamedTuple):
    """Integrals of one geometry, a row a bond; stands where `hamiltonian.Tables` do."""

    h: Float[Array, "bonds 2 10"]
    s: Float[Array, "bonds 2 10"]

    def evaluate_one(
        self, distance: Float[Array, ""], row: Int[Array, ""]
    ) -> tuple[Float[Array, "2 10"], Float[Array, "2 10"]]:
        """Return H and S of a bond, whatever the distance."""
        del distance
        return self.h[row], self.s[row]


def parameter_function(
    symbols: Sequence[str], positions: Any, max_l: MaxL = None, temperature: float = 300.0
) -> tuple[Callable[[dict[str, ElementNumbers]], Electrons], dict[str, ElementNumbers]]:
    """Return the electrons of some atoms as a function of parameters, and PTBP's own of these.

    The function is pure: it runs under jit, vmap and grad (first derivatives) within
    `jax.enable_x64(True)`. Grids and quadrature points stay those of PTBP's own numbers.

    Args:
      symbols: of the N atoms.
      positions: [N, 3] Å; of two atoms also their distance.
      max_l: highest shells; see `solve`.
      temperature: of the electrons, K.

    Raises:
      InputError: an element has no parameters, or something else given is wrong; see `solve`.
    """
    function, numbers = _function_from(symbols, positions, max_l)
    kt, start = convergence.kt_of(temperature), np.zeros(len(symbols))
    return lambda numbers: function(numbers, kt, start), numbers


def _function_from(
    symbols: Sequence[str], positions: Any, max_l: MaxL
) -> tuple[Callable[[dict[str, ElementNumbers], Any, Any], Electrons], dict[str, ElementNumbers]]:
    """Return `parameter_function` by temperature (hartree) and trial charges [N], too."""
    symbols = [str(symbol) for symbol in symbols]
    if len(symbols) < 2:
        raise InputError(f"symbols: expected two atoms or more, got {len(symbols)}")
    kinds = sorted(set(symbols))
    shells = ptbp_shells(kinds, "exact", max_l)
    pairs = list(itertools.combinations_with_replacement(kinds, 2))
    rows = {pair: row for row, pair in enumerate(pairs)}
    none: Any = None
    empty = Parametrization("ptbp", shells, rows, none, none, np.full(len(pairs), SHORTEST))
    places = solver.check_atoms(symbols, positions, empty)
    molecule = system.build(symbols, empty)
    bonds = molecule.bonds
    lengths = np.linalg.norm(places[bonds.second] - places[bonds.first], axis=1)
    ranges = {s: radial.range_of(pseudo.pseudo_atom(s, "exact")) for s in kinds}
    bonded = [(symbols[i], symbols[j]) for i, j in zip(bonds.first, bonds.second, strict=True)]
    scales = [max(ranges[one], ranges[other]) for one, other in bonded]
    with jax.enable_x64(True):
        atoms = {symbol: _atom_function(parameters(symbol)) for symbol in kinds}
        points = [
            integrals.points_at("exact", float(r / scale))
            for r, scale in zip(lengths, scales, strict=True)
        ]

    def electrons(numbers: dict[str, ElementNumbers], kt: Any, start: Any) -> Electrons:
        splines = {s: atoms[s](numbers[s].r0_wave, numbers[s].r0_density) for s in kinds}
        columns = []
        for bond, (one, other) in enumerate(bonded):
            found = integrals.pair_integrals(
                splines[one],
                splines[other],
                jnp.float64(scales[bond]),
                jnp.float64(lengths[bond]),
                jax.lax.optimization_barrier(jax.tree.map(jnp.asarray, points[bond])),
                exact=True,
            )
            columns.append(tables.both_directions(found))
        given = _OfBonds(*(jnp.stack(part) for part in zip(*columns, strict=True)))
        widths = {
            s: dataclasses.replace(
                parameters(s), sigma_repulsion=numbers[s].sigma_repulsion
            ).repulsion_width
            for s in kinds
        }
        repulsion = jax.tree.map(jnp.asarray, repulsions.closed_form(bonded))._replace(
            widths=jnp.stack([jnp.hypot(widths[one], widths[other]) for one, other in bonded])
        )
        tops = [shells[s].max_l for s in symbols]
        own = molecule._replace(
            bonds=bonds._replace(
                row=np.arange(len(lengths), dtype=np.int32), swapped=np.zeros(len(lengths), bool)
            ),
            energies=jnp.concatenate(
                [
                    numbers[s].onsite[SHELL[: (top + 1) ** 2]]
                    for s, top in zip(symbols, tops, strict=True)
                ]
            ),
            hubbards=jnp.stack([numbers[s].hubbard for s in symbols]),
        )
        energy, rest = convergence.free_energy(
            jax.tree.map(jnp.asarray, own),
            given,
            repulsion,
            jnp.asarray(places),
            jnp.float64(kt),
            jnp.asarray(start),
        )
        levels = rest["levels"] * units.HARTREE_EV
        return Electrons(
            energy * units.HARTREE_EV,
            levels,
            _gap(levels, jax.lax.stop_gradient(rest["occupations"])),
            -rest["excess"],
            rest["residual"],
        )

    return electrons, {symbol: _numbers(parameters(symbol), shells[symbol]) for symbol in kinds}


def parameter_gradient(
    symbols: Sequence[str],
    positions: Any,
    quantity: str = "gap_ev",
    max_l: MaxL = None,
    temperature: float = 300.0,
) -> dict[str, ElementNumbers]:
    """Return the derivatives of a gap or an energy by every number of every element.

    Args:
      symbols: of the N atoms.
      positions: [N, 3] Å; of two atoms also their distance.
      quantity: 'gap_ev' or 'mermin_free_energy_ev'.
      max_l: highest shells; see `solve`.
      temperature: of the electrons, K.

    Returns:
      By symbol, numbers in eV per the unit of `ElementNumbers`.

    Raises:
      InputError: see `parameter_function`; or an unknown quantity.
      NotConverged: the charges do not settle.

    Example:
      >>> by = parameter_gradient(["H", "F"], 0.93)["F"].r0_wave  # doctest: +SKIP
    """
    choose("quantity", quantity, ("gap_ev", "mermin_free_energy_ev"))
    kt = convergence.kt_of(temperature)
    function, numbers = _function_from(symbols, positions, max_l)

    @jax.jit
    @functools.partial(jax.grad, has_aux=True)
    def slopes(numbers: dict[str, ElementNumbers], kt: Any, start: Any) -> tuple[Array, Electrons]:
        found = function(numbers, kt, start)
        return getattr(found, quantity), found

    def run(kt: float, guess: np.ndarray) -> tuple[Any, dict[str, Any], np.ndarray]:
        gradient, found = jax.tree.map(np.asarray, slopes(numbers, kt, guess[0]))
        residual = found.residual[None]
        rest = {"excess": -found.charges_e[None], "residual": residual}
        return (gradient, residual[0]), rest, residual < scc.TOLERANCE

    with jax.enable_x64(True), jax.debug_nans(False):
        guess = np.zeros((1, len(symbols)))
        (gradient, residual), _, settled = run(kt, guess)
        if not settled[0]:
            gradient, residual = convergence.cool(run, guess, kt)
    if not residual < scc.TOLERANCE:
        raise convergence.NotConverged(f"the charges do not settle: {residual:.1e} e are left")
    return gradient


def _numbers(atom: ElementParameters, shells: Shells) -> ElementNumbers:
    return ElementNumbers(
        np.float64(atom.r0_wave),
        np.float64(atom.r0_density),
        np.float64(atom.sigma_repulsion),
        np.array(shells.energies),
        np.float64(shells.hubbards[0]),
    )


def _atom_function(
    atom: ElementParameters,
) -> Callable[[Float[Array, ""], Float[Array, ""]], radial.AtomSplines]:
    """Return the splines of a pseudo-atom as a function of (r0_wave, r0_density), bohr."""
    configuration = pseudo.exact_configuration(atom)
    shells = list(atom.configuration)
    grids = [
        exact_atom.make_grid(atom.atomic_number, radius, atom.power)
        for radius in (atom.r0_wave, atom.r0_density)
    ]
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *grids)
    r = pseudo.grid_of(atom, 1000 * (max(configuration.nodes.tolist()) + 1))
    onto, beyond = zip(*(_resampling(grid, r) for grid in grids), strict=True)

    def run(radius: Array, grid: exact_atom.Grid) -> Any:
        fixed = jax.lax.stop_gradient(radius)
        found = exact_atom.solve_atom(configuration, fixed, atom.power, grid)
        found = jax.lax.stop_gradient(found)
        return exact_atom.with_derivatives(found, configuration, radius, atom.power, grid)

    def splines(r0_wave: Array, r0_density: Array) -> radial.AtomSplines:
        # Behind a barrier XLA does not take them for constants to compute with as it compiles.
        grid, (fine, wave, density, tail) = jax.lax.optimization_barrier(
            (stacked, tuple(map(jnp.asarray, (r, *onto, beyond[1]))))
        )
        found = jax.vmap(run)(jnp.stack([r0_wave, r0_density]), grid)
        orbitals = jnp.zeros((3, len(r)))
        for shell in atom.valence:
            values = wave @ found.orbitals[0, shells.index(shell)]
            orbitals = orbitals.at[_SPD.index(shell[1])].set(values)
        hartree = density @ found.hartree[1] + tail * atom.atomic_number / fine
        charge = jnp.float64(atom.atomic_number)
        return radial.splines(
            radial.AtomValues(charge, fine, orbitals, density @ found.density[1], hartree)
        )

    return splines


def _resampling(
    grid: exact_atom.Grid, r: Float[np.ndarray, " fine"]
) -> tuple[Float[np.ndarray, "fine nodes"], Float[np.ndarray, " fine"]]:
    """Return the matrix from values at a grid's nodes to those at r, and 1 where r is beyond it."""
    within = r <= np.asarray(grid.r)[-1]
    matrix = np.zeros((len(r), len(grid.r)))
    matrix[within] = exact_atom.resample(grid, np.eye(len(grid.r)), r[within]).T
    return matrix, 1.0 - within


def _gap(levels: Float[Array, " m"], occupations: Float[Array, " m"]) -> Float[Array, ""]:
    """Return the gap with the derivative of its two levels; every orbital is there."""
    homo = jnp.argmax(jnp.where(occupations > HOLDS, levels, -jnp.inf))
    takers = (occupations < TAKES) & (levels < ABSENT * units.HARTREE_EV / 2)
    lumo = jnp.argmin(jnp.where(takers, levels, jnp.inf))
    gap = jnp.maximum(levels[lumo] - levels[homo], 0.0)
    return jnp.where(jnp.any(takers), gap, jnp.nan)
