"""Which valence shells and electrons elements have in the tight-binding methods of our data."""

import functools
from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from qc_jax.chem import elements
from qc_jax.chem.units import HARTREE_EV
from qc_jax.dftb import parameters
from qc_jax.models._layers import Dense

# GFN2-xTB, up to radon: C. Bannwarth, S. Ehlert, S. Grimme, JCTC 15, 1652, 2019, and as tblite has
# it. Elements that are in none of the two lists have s, p and d shells.
_S = (1,)
_SP = (*range(2, 10), 11, 19, 30, 37, 48, 55, *range(80, 85))
_LAST = 86
_CORES = (0, 2, 10, 18, 36, 54)
_FULL_D, _FULL_F = 10, 14
_USUAL_EV = (-12.0, -7.0, -8.0)  # of s, p and d shells


class Shells(NamedTuple):
    """Of elements by their atomic number Z, nothing at 0 and where the method has no element.

    Attributes:
      electrons: of the neutral atom's valence shells.
      present: whether it has an s, p and d shell.
      levels: eV, of the free atom's shells where the method's parameters say them, else usual ones.
      energy: eV, electrons of the free atom times their levels; 0 where the parameters say none.
    """

    electrons: Int[np.ndarray, " elements"]
    present: Bool[np.ndarray, "elements 3"]
    levels: Float[np.ndarray, "elements 3"]
    energy: Float[np.ndarray, " elements"]


@functools.cache
def of(method: str) -> Shells:
    """Return the shells of 'gfn2_xtb', or of 'ptbp' by the convention of the published dataset."""
    if method == "gfn2_xtb":
        return _gfn2()
    symbols = parameters.covered_symbols()
    numbers = [elements.element(symbol).atomic_number for symbol in symbols]
    electrons = np.zeros(max(numbers) + 1, int)
    present = np.zeros((len(electrons), 3), bool)
    levels, energy = np.tile(_USUAL_EV, (len(electrons), 1)), np.zeros(len(electrons))
    for number, symbol in zip(numbers, symbols, strict=True):
        element = parameters.parameters(symbol)
        electrons[number] = round(element.valence_electrons)
        kept = "sp" if symbol in parameters.CONVENTIONS["published"] else "spd"
        present[number] = [
            letter in kept and any(shell[1] == letter for shell in element.valence)
            for letter in "spd"
        ]
        for letter, level in element.onsite.items():
            levels[number, "spd".index(letter)] = level * HARTREE_EV
            energy[number] += _held(element, letter) * level * HARTREE_EV
    return Shells(electrons, present, levels, energy)


def _held(element: parameters.ElementParameters, letter: str) -> float:
    """Return the electrons of a free atom's valence shell."""
    return sum(element.configuration[shell] for shell in element.valence if shell[1] == letter)


@functools.cache
def covalent_radii(last: int) -> Float[np.ndarray, " elements"]:
    """Return the covalent radii (Å) of the elements up to `last` by Z; 0 at 0."""
    found = [elements.element(z).covalent_radius_ang for z in range(1, last + 1)]
    return np.array([0.0, *found])


@functools.cache
def properties() -> Float[np.ndarray, "elements properties"]:
    """Return what is known of PTBP's elements by Z: mean 0, deviation 1, and 0 for all others.

    Of each of the s, p and d shells: whether there is one, its level, Hubbard and electrons; the
    radii of PTBP's confinements, the width of its repulsion, and the covalent radius. An element
    without a shell has the mean of those that have it. Principal quantum numbers are not among
    them: alone of all they leave, from one period to the next, the range that was trained on.
    """
    found = {}
    for symbol in parameters.covered_symbols():
        element = parameters.parameters(symbol)
        shells = {shell[1] for shell in element.valence}
        row: list[float] = []
        for letter in "spd":
            if letter not in shells:
                row += [0.0, *[np.nan] * 3]
                continue
            row += [1.0, element.onsite[letter], element.hubbard[letter], _held(element, letter)]
        row += [element.r0_wave, element.r0_density, element.repulsion_width]
        found[element.atomic_number] = [*row, elements.element(symbol).covalent_radius_ang]
    values = np.array(list(found.values()))
    values = (values - np.nanmean(values, axis=0)) / np.maximum(np.nanstd(values, axis=0), 1e-6)
    table = np.zeros((max(found) + 1, values.shape[1]))
    table[list(found)] = np.nan_to_num(values)
    return table


class Described(nn.Module):
    """A network of the elements' properties, bounded: of elements unlike any seen, too."""

    features: int
    start: nn.initializers.Initializer
    hidden: int = 64

    @nn.compact
    def __call__(self, numbers: Int[Array, "*atoms"]) -> Float[Array, "*atoms features"]:
        """Return features of the elements with these atomic numbers."""
        known = jnp.asarray(properties(), jnp.float32)[numbers]
        h = nn.silu(Dense(self.hidden, name="in")(known))
        return jnp.tanh(nn.Dense(self.features, kernel_init=self.start, name="out")(h))


def _gfn2() -> Shells:
    numbers = np.arange(1, _LAST + 1)
    outside = numbers - np.array(_CORES)[np.searchsorted(_CORES, numbers) - 1]
    # The f shell of the sixth period is no valence shell, nor is a d shell that is full.
    outside = np.where((numbers > 57) & (numbers < 71), 3, outside)
    outside = np.where(numbers >= 71, outside - _FULL_F, outside)
    outside = np.where((numbers > 28) & (outside > 11), outside - _FULL_D, outside)
    present = np.ones((_LAST + 1, 3), bool)
    present[0] = False
    present[[*_S, *_SP], 2] = False
    present[list(_S), 1] = False
    levels = np.tile(_USUAL_EV, (_LAST + 1, 1))
    electrons = np.concatenate([[0], outside])
    return Shells(electrons, present, levels, np.zeros(_LAST + 1))
