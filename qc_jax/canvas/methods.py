"""The methods whose orbitals can be drawn, by the name that they have as `parameters`."""

from collections.abc import Mapping, Sequence
from typing import Any

from jax.typing import ArrayLike
from jaxtyping import Array, Float

from qc_jax.canvas import orbitals, xtb_orbitals
from qc_jax.chem.elements import element
from qc_jax.dftb.parameters import parameters as element_of
from qc_jax.errors import choose
from qc_jax.xtb import basis

PTBP, GFN2_XTB = "ptbp", xtb_orbitals.NAME
METHODS = (PTBP, GFN2_XTB)


def solve(
    pairs: Sequence[str], distances: ArrayLike | None = None, parameters: str = PTBP
) -> tuple[Float[Array, "elements knots 12"], orbitals.Orbitals]:
    """Return what pairs are drawn from, by one of `METHODS`.

    Returns:
      The radial functions of the elements in them, R_s, R_p and R_d (bohr^(-3/2)) by coefficients
      of splines, and the orbitals, one row a pair.

    Raises:
      InputError: no such method; otherwise, and NotConverged, as `orbitals.solve` and
        `xtb_orbitals.solve`.
    """
    choose("parameters", parameters, METHODS)
    given: dict[str, Any] = {PTBP: orbitals.solve, GFN2_XTB: xtb_orbitals.solve}
    return given[parameters](pairs, distances)


def valence_electrons(symbol: str, parameters: str = PTBP) -> float:
    """Return how many electrons of an element a method has orbitals for."""
    if parameters == PTBP:
        return element_of(symbol).valence_electrons
    return float(basis.shipped().electrons[element(symbol).atomic_number - 1].sum())


def method_of(provenance: Mapping[str, Any]) -> str | None:
    """Return the method that gives the orbitals of data of a provenance; None without one."""
    if orbitals.are_of(provenance):
        return PTBP
    return GFN2_XTB if xtb_orbitals.are_of(provenance) else None
