"""The repulsion of the PTBP parameters: two Gaussian-smeared nuclei (doi 10.1021/acs.jctc.4c00228).

V(R) = Z_A Z_B (1 − erf(γ R)) / R with γ = (s_A² + s_B²)^(−1/2), where s is an element's
`repulsion_width`: its parameter sigma times the covalent radius of B. Cordero et al., Dalton Trans.
2832 (2008).
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from qc_jax.dftb.parameters import parameters


def repulsion_width(first: str, second: str) -> float:
    """Return (s_A² + s_B²)^(1/2) of two elements, bohr.

    Raises:
      InputError: an element without parameters.
    """
    widths = [parameters(symbol).repulsion_width for symbol in (first, second)]
    return (widths[0] ** 2 + widths[1] ** 2) ** 0.5


def repulsion(
    distance: Float[Array, "..."],
    charge_a: Float[Array, "..."],
    charge_b: Float[Array, "..."],
    width: Float[Array, "..."],
) -> Float[Array, "..."]:
    """Return the repulsive energy of two atoms, hartree; differentiable by all arguments.

    Args:
      distance: bohr.
      charge_a: Z of one atom.
      charge_b: Z of the other.
      width: bohr, of `repulsion_width`.
    """
    return charge_a * charge_b * jax.scipy.special.erfc(distance / width) / jnp.asarray(distance)
