"""Exchange and correlation energy densities of a spin-unpolarised density, and their derivatives.

Everything is elementwise in the density ρ (electrons/bohr³) and σ = |∇ρ|² (bohr⁻⁸), so a spherical
atom and a quadrature in cylindrical coordinates read the same functions. Energies are in hartree
per bohr³.

* PBE: J. P. Perdew, K. Burke, M. Ernzerhof, Phys. Rev. Lett. 77, 3865 (1996), on the correlation
  of the uniform gas of J. P. Perdew, Y. Wang, Phys. Rev. B 45, 13244 (1992), with the digits of
  libxc's GGA_X_PBE and GGA_C_PBE.
* LDA: Slater's exchange with the correlation V of S. H. Vosko, L. Wilk, M. Nusair, Can. J. Phys.
  58, 1200 (1980), which NIST's atomic reference tables use.

Below 1e-15 electrons/bohr³ all is zero, as in libxc; float64 is expected.
"""

import math

import jax.numpy as jnp
from jaxtyping import Array, Float

from qc_jax.errors import choose

FUNCTIONALS = ("pbe", "lda")
LOWEST_DENSITY = 1e-15  # electrons/bohr³

_SLATER = -0.75 * (3 / math.pi) ** (1 / 3)
_KAPPA, _MU = 0.804, 0.06672455060314922 * math.pi**2 / 3
_BETA, _GAMMA = 0.06672455060314922, (1 - math.log(2)) / math.pi**2
_FERMI = (3 * math.pi**2) ** (1 / 3)  # k_F / ρ^(1/3)
_SCALE = 2.0**30
_WIGNER = (3 / (4 * math.pi)) ** (1 / 3)  # r_s ρ^(1/3)

Triple = tuple[Float[Array, "..."], Float[Array, "..."], Float[Array, "..."]]


def exchange_correlation(
    rho: Float[Array, "..."],
    sigma: Float[Array, "..."],
    functional: str = "pbe",
    lowest: float = LOWEST_DENSITY,
) -> Triple:
    """Return (e, ∂e/∂ρ, ∂e/∂σ) of a functional, elementwise.

    Args:
      rho: density, electrons/bohr³.
      sigma: squared gradient of the density, bohr⁻⁸.
      functional: 'pbe' or 'lda'.
      lowest: density up to which all is zero, electrons/bohr³.

    Raises:
      InputError: unknown functional.
    """
    choose("functional", functional, FUNCTIONALS)
    return pbe(rho, sigma, lowest) if functional == "pbe" else lda(rho, sigma, lowest)


def pbe(
    rho: Float[Array, "..."], sigma: Float[Array, "..."], lowest: float = LOWEST_DENSITY
) -> Triple:
    """Return (e, ∂e/∂ρ, ∂e/∂σ) of PBE: hartree/bohr³, hartree, hartree·bohr⁵."""
    present = rho > lowest
    rho = jnp.where(present, rho, 1.0)
    sigma = jnp.where(present, sigma, 0.0)
    cube_root = jnp.cbrt(rho)

    # Exchange: e_x = e_x^LDA F(s²), s² = σ / (4 (3π²)^(2/3) ρ^(8/3)).
    # Scaled, since in single precision ρ^(8/3) is 0 where ρ is not.
    power = cube_root * rho
    slater = _SLATER * power
    s2 = sigma / (2 * _FERMI * _SCALE * power) ** 2 * _SCALE**2
    denominator = 1 + _MU / _KAPPA * s2
    enhancement = 1 + _KAPPA - _KAPPA / denominator
    slope = _MU / denominator**2  # dF / ds²
    e = slater * enhancement
    e_rho = (4 * slater * enhancement - 8 * slater * slope * s2) / (3 * rho)
    e_sigma = _SLATER * slope / (4 * _FERMI**2 * power)

    # Correlation: e_c = ρ (ε_c + H(ε_c, t²)), t² = π σ / (16 k_F ρ²).
    uniform, uniform_rho = _perdew_wang(rho, cube_root)
    t2_per_sigma = math.pi / (16 * _FERMI * cube_root * rho**2)
    t2 = t2_per_sigma * sigma
    ratio = _BETA / _GAMMA
    growth = jnp.expm1(-uniform / _GAMMA)
    a = ratio / growth
    at2 = a * t2
    d = 1 + at2 + at2**2
    inside = ratio * t2 * (1 + at2) / d
    h = _GAMMA * jnp.log1p(inside)
    h_t2 = _GAMMA * ratio * (1 + 2 * at2) / (d**2 * (1 + inside))
    h_a = -_GAMMA * ratio * a * t2**3 * (2 + at2) / (d**2 * (1 + inside))
    a_uniform = a * (growth + 1) / (_GAMMA * growth)
    e = e + rho * (uniform + h)
    e_rho = e_rho + uniform + h + rho * uniform_rho * (1 + h_a * a_uniform) - 7 / 3 * h_t2 * t2
    e_sigma = e_sigma + rho * h_t2 * t2_per_sigma
    zero = jnp.zeros_like(e)
    return (
        jnp.where(present, e, zero),
        jnp.where(present, e_rho, zero),
        jnp.where(present, e_sigma, zero),
    )


def lda(
    rho: Float[Array, "..."], sigma: Float[Array, "..."], lowest: float = LOWEST_DENSITY
) -> Triple:
    """Return (e, ∂e/∂ρ, 0) of Slater's exchange with VWN's correlation: hartree/bohr³, hartree."""
    present = rho > lowest
    rho = jnp.where(present, rho, 1.0)
    cube_root = jnp.cbrt(rho)
    slater = _SLATER * cube_root
    a, x0, b, c = 0.0310907, -0.10498, 3.72744, 12.9352
    x = jnp.sqrt(_WIGNER / cube_root)
    q = math.sqrt(4 * c - b * b)
    whole, whole_0 = x * x + b * x + c, x0 * x0 + b * x0 + c
    angle = jnp.arctan(q / (2 * x + b))
    correlation = a * (
        jnp.log(x * x / whole)
        + 2 * b / q * angle
        - b * x0 / whole_0 * (jnp.log((x - x0) ** 2 / whole) + 2 * (b + 2 * x0) / q * angle)
    )
    slope = a * (
        2 / x
        - (2 * x + b) / whole
        - b / whole
        - b * x0 / whole_0 * (2 / (x - x0) - (2 * x + b) / whole - (b + 2 * x0) / whole)
    )
    e = rho * (slater + correlation)
    e_rho = 4 / 3 * slater + correlation - slope * x / 6
    zero = jnp.zeros_like(e)
    return jnp.where(present, e, zero), jnp.where(present, e_rho, zero), zero


def _perdew_wang(
    rho: Float[Array, "..."], cube_root: Float[Array, "..."]
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Return (ε_c, dε_c/dρ) of the uniform gas after Perdew and Wang, hartree and hartree·bohr³."""
    a, alpha = 0.0310906908696549, 0.21370
    b1, b2, b3, b4 = 7.5957, 3.5876, 1.6382, 0.49294
    rs = _WIGNER / cube_root
    root = jnp.sqrt(rs)
    q = 2 * a * (b1 * root + b2 * rs + b3 * rs * root + b4 * rs * rs)
    q_rs = a * (b1 / root + 2 * b2 + 3 * b3 * root + 4 * b4 * rs)
    logarithm = jnp.log1p(1 / q)
    energy = -2 * a * (1 + alpha * rs) * logarithm
    slope = -2 * a * alpha * logarithm + 2 * a * (1 + alpha * rs) * q_rs / (q * (q + 1))
    return energy, -slope * rs / (3 * rho)
