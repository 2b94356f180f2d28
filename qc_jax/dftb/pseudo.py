"""Pseudo-atoms: the confined atoms whose orbitals and densities tight binding is built on.

Two self-consistent runs an element in the confinement (r/r0)²: with `r0_wave`, whose valence
orbitals are the basis, and with `r0_density`, whose density and Hartree potential are superposed
(M. Cui, K. Reuter, J. T. Margraf, J. Chem. Theory Comput. 2024, doi 10.1021/acs.jctc.4c00228).
"""

import dataclasses
import functools
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.interpolate import CubicSpline

from qc_jax.dftb import cache, exact_atom, published_atom
from qc_jax.dftb.arrays import check_device
from qc_jax.dftb.parameters import ElementParameters, parameters, quantum_numbers
from qc_jax.errors import choose

FORMS = ("published", "exact")
# Free atoms are in a weak box, (r/40 bohr)⁴, which binds empty shells too. The published levels of
# fifteen elements are those of a smaller one: these radii, whole numbers, give all their levels.
FREE_POWER = 4.0
_FREE_RADII = {
    "Be": 39.0, "B": 36.0, "Mg": 17.0, "Al": 17.0, "Si": 16.0, "P": 21.0, "Ca": 35.0, "Sc": 28.0,
    "Ti": 35.0, "V": 39.0, "Cr": 17.0, "Sr": 39.0, "Y": 37.0, "Lu": 30.0, "Hf": 36.0,
}  # fmt: skip
_SCHEMA = 1  # of what the cache holds; rises with every change of the numbers
_CONVERGED = 1e-7  # electrons and hartree


@dataclasses.dataclass(frozen=True, eq=False)
class PseudoAtom:
    """One element's confined orbitals, density and potential. Arrays are float64, atomic units.

    Attributes:
      symbol: like 'Ag'.
      atomic_number: Z.
      form: 'published' or 'exact'.
      shells: valence shells in order of l, at most one of each.
      levels: {'5s': hartree, …} of the run that is confined by r0_wave.
      grid: [N] bohr.
      orbitals: {'5s': [N] u = r R, …}, ∫u² dr = 1, positive at the nucleus.
      density_values: [N] electrons/bohr³ of all electrons, of the run confined by r0_density.
      hartree_values: [N] hartree, of the same run.
    """

    symbol: str
    atomic_number: int
    form: str
    shells: tuple[str, ...]
    levels: dict[str, float]
    grid: Float[np.ndarray, " points"]
    orbitals: dict[str, Float[np.ndarray, " points"]]
    density_values: Float[np.ndarray, " points"]
    hartree_values: Float[np.ndarray, " points"]

    def radial(self, shell: str, r: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """Return R_nl(r) of a valence shell, bohr^(-3/2): the natural cubic spline in r, bohr.

        Raises:
          InputError: no such valence shell.
        """
        choose(f"valence shell of {self.symbol}", shell, self.shells)
        return self._at(("R", shell), self.orbitals[shell] / self.grid, r)

    def density(self, r: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """Return the density of all electrons at r (bohr), electrons/bohr³."""
        return self._at("density", self.density_values, r)

    def neutral_potential(self, r: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """Return −Z/r + V_Hartree(r), hartree, at r in bohr."""
        r = np.asarray(r, float)
        hartree = self._at("hartree", self.hartree_values, r)
        outside = r > self.grid[-1]  # a neutral atom has no potential out there
        return np.where(outside, 0.0, hartree - self.atomic_number / r)

    def _at(self, name: object, values: np.ndarray, r: Float[np.ndarray, "..."]) -> np.ndarray:
        spline = self._splines.get(name)
        if spline is None:
            spline = self._splines[name] = CubicSpline(self.grid, values, bc_type="natural")
        r = np.asarray(r, float)
        return np.where(r > self.grid[-1], 0.0, spline(np.minimum(r, self.grid[-1])))

    @functools.cached_property
    def _splines(self) -> dict:
        return {}


def pseudo_atom(symbol: str, form: str = "published") -> PseudoAtom:
    """Return the pseudo-atom of an element.

    Args:
      symbol: like 'Ag'.
      form: 'published', on the grid of the published parameters, or 'exact', converged.

    Raises:
      InputError: an element without parameters, or an unknown form.

    Example:
      >>> atom = pseudo_atom("H")
      >>> atom.shells, round(atom.levels["1s"], 5)
      (('1s',), 0.28782)
    """
    return pseudo_atoms([symbol], form)[symbol]


def pseudo_atoms(symbols: Iterable[str], form: str = "published") -> dict[str, PseudoAtom]:
    """Return the pseudo-atoms of many elements, from the cache where they are in it.

    Raises:
      InputError: an element without parameters, an unknown form, or a device without float64.
    """
    check_device()
    choose("form of pseudo-atoms", form, FORMS)
    wanted = [parameters(symbol) for symbol in symbols]
    missing = [p for p in wanted if (p.symbol, form) not in _made]
    for element in missing:
        key = cache.digest(_SCHEMA, form, dataclasses.asdict(element))
        name = f"atom-{element.symbol}-{form}"
        kept = cache.load(name, key)
        if kept is None:
            kept = _compute[form](element)
            cache.store(name, key, kept)
        _made[element.symbol, form] = _atom(element, form, kept)
    return {p.symbol: _made[p.symbol, form] for p in wanted}


_made: dict[tuple[str, str], PseudoAtom] = {}


def _most_nodes(element: ElementParameters) -> int:
    return max(n - angular - 1 for n, angular in map(quantum_numbers, element.configuration))


# Shells of the fullest configuration by its most nodes, so that a batch has one shape.
_SHELLS = {0: 1, 1: 3, 2: 6, 3: 9, 4: 12, 5: 16, 6: 18}


def configurations(
    elements: Sequence[ElementParameters], held: Sequence[dict[str, float]] | None = None
) -> published_atom.Configuration:
    """Return the configurations of elements of one grid as one batch, padded with empty 1s shells.

    Args:
      elements: with equally many nodes.
      held: other electrons than those of each element's configuration.
    """
    width = _SHELLS[_most_nodes(elements[0])]
    shape = (len(elements), width)
    # NumPy arrays where a Configuration has those of JAX: they become such when they are used.
    angular: Any = np.zeros(shape, int)
    nodes: Any = np.zeros(shape, int)
    electrons: Any = np.zeros(shape)
    for row, element in enumerate(elements):
        own = element.configuration if held is None else held[row]
        for column, shell in enumerate(element.configuration):
            n, angular[row, column] = quantum_numbers(shell)
            nodes[row, column] = n - angular[row, column] - 1
            electrons[row, column] = own[shell]
    charge: Any = np.array([float(element.atomic_number) for element in elements])
    return published_atom.Configuration(charge, angular, nodes, electrons)


@functools.partial(jax.jit, static_argnames=("points", "functional"))
def _solve(configuration, radius, power, *, points, functional="pbe"):
    solve = functools.partial(published_atom.solve_atom, points=points, functional=functional)
    return jax.vmap(solve)(configuration, radius, power)


def run_atoms(
    elements: Sequence[ElementParameters],
    radii: Sequence[float],
    powers: Sequence[float],
    held: Sequence[dict[str, float]] | None = None,
) -> published_atom.Atom:
    """Return self-consistent atoms of one grid in confinements (r/radius)^power, as NumPy arrays.

    Raises:
      RuntimeError: one did not converge.
    """
    with jax.enable_x64(True):
        atoms = _solve(
            jax.tree.map(jnp.asarray, configurations(elements, held)),
            jnp.asarray(radii, float),
            jnp.asarray(powers, float),
            points=500 * (_most_nodes(elements[0]) + 1),
        )
        atoms = jax.tree.map(np.asarray, atoms)
    _check(atoms.residual, elements, radii)
    return atoms


def _check(residuals: Any, elements: Sequence[ElementParameters], radii: Sequence[float]) -> None:
    for element, radius, residual in zip(elements, radii, residuals, strict=True):
        if not residual < _CONVERGED:
            raise RuntimeError(
                f"the atom {element.symbol} in a confinement of {radius} bohr did not converge: "
                f"it still moves by {residual:.1e}"
            )


def grid_of(element: ElementParameters, points: int) -> Float[np.ndarray, " points"]:
    """Return the published grid of an element, bohr."""
    with jax.enable_x64(True):
        return np.asarray(published_atom.make_grid(jnp.float64(element.atomic_number), points).r)


def _published(element: ElementParameters) -> dict[str, np.ndarray]:
    radii = [element.r0_wave, element.r0_density]
    atoms = run_atoms([element, element], radii, [element.power] * 2)
    return _fields(element, atoms, grid_of(element, atoms.density.shape[1]))


def _fields(element: ElementParameters, atoms: Any, grid: np.ndarray) -> dict[str, np.ndarray]:
    """Return what a PseudoAtom holds, of two runs: r0_wave's and r0_density's."""
    valence = [list(element.configuration).index(shell) for shell in element.valence]
    return {
        "levels": atoms.levels[0, valence],
        "grid": grid,
        "orbitals": atoms.orbitals[0, valence],
        "density": atoms.density[1],
        "hartree": atoms.hartree[1],
    }


def _atom(element: ElementParameters, form: str, fields: dict[str, np.ndarray]) -> PseudoAtom:
    return PseudoAtom(
        symbol=element.symbol,
        atomic_number=element.atomic_number,
        form=form,
        shells=element.valence,
        levels=dict(zip(element.valence, map(float, fields["levels"]), strict=True)),
        grid=fields["grid"],
        orbitals=dict(zip(element.valence, fields["orbitals"], strict=True)),
        density_values=fields["density"],
        hartree_values=fields["hartree"],
    )


def _exact(element: ElementParameters) -> dict[str, np.ndarray]:
    with jax.enable_x64(True):
        atoms, grids = _exact_runs(element)
    _check(atoms.residual, [element, element], [element.r0_wave, element.r0_density])
    return _resampled(element, atoms, grids)


def exact_configuration(element: ElementParameters) -> published_atom.Configuration:
    """Return an element's shells, in the order of its configuration, without padding."""
    count = len(element.configuration)
    padded = configurations([element])
    return padded._replace(
        charge=jnp.asarray(padded.charge[0]),
        angular=jnp.asarray(padded.angular[0, :count]),
        nodes=jnp.asarray(padded.nodes[0, :count]),
        held=jnp.asarray(padded.held[0, :count]),
    )


def _exact_runs(
    element: ElementParameters,
) -> tuple[published_atom.Atom, list[exact_atom.Grid]]:
    """Return both runs of the exact form, as NumPy arrays, and their grids."""
    radii = [element.r0_wave, element.r0_density]
    grids = [exact_atom.make_grid(element.atomic_number, r, element.power) for r in radii]
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *grids)
    atoms = solve_exact(exact_configuration(element), jnp.array(radii), element.power, stacked)
    return jax.tree.map(np.asarray, atoms), grids


@functools.partial(jax.jit, static_argnames=("functional", "light"))
def solve_exact(
    configuration: published_atom.Configuration,
    radii: Float[Array, " runs"],
    power: float,
    grids: exact_atom.Grid,
    *,
    functional: str = "pbe",
    light: float = published_atom.LIGHT,
) -> published_atom.Atom:
    """Return one atom of the exact form in several confinements; `exact_atom.solve_atom`, batched.

    Args:
      configuration: of one atom.
      radii: bohr.
      power: of the confinements.
      grids: one for each radius, stacked.
      functional: 'pbe' or 'lda'.
      light: speed of light, atomic units.
    """
    solve = functools.partial(exact_atom.solve_atom, functional=functional, light=light)
    return jax.vmap(lambda r, grid: solve(configuration, r, power, grid))(radii, grids)


@jax.jit
def _by_radius(atom, configuration, radius, power, grid):
    """Return the derivative of an atom of the exact form by the radius of its confinement."""
    of = lambda r: exact_atom.with_derivatives(atom, configuration, r, power, grid)  # noqa: E731
    return jax.jvp(of, (radius,), (jnp.ones_like(radius),))[1]


def _resampled(
    element: ElementParameters,
    atoms: published_atom.Atom,
    grids: Sequence[exact_atom.Grid],
    electrons: float | None = None,
) -> dict[str, np.ndarray]:
    """Return the fields of two runs on one logarithmic grid, fine enough for splines.

    Beyond the runs' own grids there is no density, and the Hartree potential is electrons/r.
    """
    electrons = element.atomic_number if electrons is None else electrons
    r = grid_of(element, 1000 * (_most_nodes(element) + 1))

    def sample(run, values, beyond):
        within = r <= np.asarray(grids[run].r)[-1]
        found = np.broadcast_to(beyond, (*values.shape[:-1], r.size)).copy()
        found[..., within] = exact_atom.resample(grids[run], values, r[within])
        return found

    fields = _fields(element, atoms, r)
    return fields | {
        "orbitals": sample(0, fields["orbitals"], 0.0),
        "density": sample(1, fields["density"], 0.0),
        "hartree": sample(1, fields["hartree"], electrons / r),
    }


def pseudo_atom_tangent(symbol: str, by: str = "r0_wave") -> PseudoAtom:
    """Return the derivative of an element's pseudo-atom, of the exact form, by one of its radii.

    Args:
      symbol: like 'Ag'.
      by: 'r0_wave', which moves levels and orbitals, or 'r0_density', which moves density and
        Hartree potential.

    Returns:
      A PseudoAtom whose levels and arrays are derivatives, each per bohr. Its grid is that of
      `pseudo_atom(symbol, form="exact")`.

    Raises:
      InputError: an element without parameters, or an unknown radius.
    """
    choose("radius of confinement", by, ("r0_wave", "r0_density"))
    element = parameters(symbol)
    with jax.enable_x64(True):
        atoms, grids = _exact_runs(element)
        run = 0 if by == "r0_wave" else 1
        atom = jax.tree.map(lambda x: jnp.asarray(x[run]), atoms)
        radius = jnp.asarray(getattr(element, by))
        moved = _by_radius(atom, exact_configuration(element), radius, element.power, grids[run])
        still = jax.tree.map(np.zeros_like, moved)
    both = (moved, still) if run == 0 else (still, moved)
    pair = jax.tree.map(lambda *x: np.stack([np.asarray(y) for y in x]), *both)
    return _atom(element, "exact", _resampled(element, pair, grids, electrons=0.0))


def free_radius(symbol: str) -> float:
    """Return the radius, bohr, of the box (r/radius)⁴ of an element's published levels."""
    return _FREE_RADII.get(symbol, 40.0)


def hubbards(symbol: str) -> dict[str, float]:
    """Return {'s': hartree, …}, the second derivatives of the free atom's energy by electrons.

    As the published program had them, from energies of whole electrons, E(n+1) − 2 E(n) + E(n−1);
    forwards from an empty shell and backwards from a full one, in halves.

    Raises:
      InputError: an element without parameters.
    """
    element = parameters(symbol)
    radius = free_radius(symbol)
    found = {}
    for shell in element.valence:
        now, full = element.configuration[shell], 4 * quantum_numbers(shell)[1] + 2
        step, middle = (1.0, now) if 1 <= now <= full - 1 else (0.5, abs(now - 0.5))
        held = [element.configuration | {shell: middle + i * step} for i in (-1, 0, 1)]
        low, at, high = run_atoms([element] * 3, [radius] * 3, [FREE_POWER] * 3, held).energy
        found[shell[1]] = float(high - 2 * at + low) / step**2
    return found


_compute = {"published": _published, "exact": _exact}
