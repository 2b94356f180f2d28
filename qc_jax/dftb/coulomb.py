"""The interaction γ of atomic charges in second-order tight binding.

M. Elstner et al., Phys. Rev. B 58, 7260 (1998), eqs. 16 to 19: Coulomb's law between densities
∝ exp(−τ r), τ = 16 U / 5, which is U where both sit on one atom.
"""

import jax.numpy as jnp
from jaxtyping import Float

from qc_jax.dftb.arrays import Array

_CLOSE = 3e-3  # relative difference of two exponents below which a series is taken


def gamma(
    distance: Float[Array, ""], hubbard_a: Float[Array, ""], hubbard_b: Float[Array, ""]
) -> Float[Array, ""]:
    """Return γ in hartree at a distance (bohr) between Hubbard parameters (hartree)."""
    return 1 / distance - _short_range(distance, 3.2 * hubbard_a, 3.2 * hubbard_b)


def on_site(hubbard_a: Float[Array, ""], hubbard_b: Float[Array, ""]) -> Float[Array, ""]:
    """Return γ in hartree at distance zero; the Hubbard parameter where both are equal."""
    a, b = 3.2 * hubbard_a, 3.2 * hubbard_b
    return (a * b / (a + b) + (a * b) ** 2 / (a + b) ** 3) / 2


def _short_range(r, a, b):
    mean, off = (a + b) / 2, (a - b) / (a + b)
    close = jnp.abs(off) < _CLOSE
    # Where the exponents are alike the general form loses its digits: its series in `off`.
    x = mean * r
    zeroth = 1 / x + 11 / 16 + 3 / 16 * x + x**2 / 48
    second = (180 + 180 * x + 75 * x**2 + 15 * x**3 + x**4) / 480
    series = mean * jnp.exp(-x) * (zeroth + off**2 * second)
    b = jnp.where(close, a * 1.5, b)
    general = _half(r, a, b) + _half(r, b, a)
    return jnp.where(close, series, general)


def _half(r, a, b):
    difference = a**2 - b**2
    first = b**4 * a / (2 * difference**2)
    second = (b**6 - 3 * b**4 * a**2) / (difference**3 * r)
    return jnp.exp(-a * r) * (first - second)
