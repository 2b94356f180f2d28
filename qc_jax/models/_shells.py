"""Which valence shells and electrons elements have in the tight-binding methods of our data."""

import functools
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from qc_jax.chem import elements
from qc_jax.chem.units import HARTREE_EV
from qc_jax.dftb import parameters

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
    """

    electrons: Int[np.ndarray, " elements"]
    present: Bool[np.ndarray, "elements 3"]
    levels: Float[np.ndarray, "elements 3"]


@functools.cache
def of(method: str) -> Shells:
    """Return the shells of 'gfn2_xtb', or of 'ptbp' by the convention of the published dataset."""
    if method == "gfn2_xtb":
        return _gfn2()
    symbols = parameters.covered_symbols()
    numbers = [elements.element(symbol).atomic_number for symbol in symbols]
    electrons = np.zeros(max(numbers) + 1, int)
    present = np.zeros((len(electrons), 3), bool)
    levels = np.tile(_USUAL_EV, (len(electrons), 1))
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
    return Shells(electrons, present, levels)


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
    return Shells(np.concatenate([[0], outside]), present, levels)
