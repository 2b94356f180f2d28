"""γ of tight binding against the integral that it is, and where its forms meet."""

import jax
import numpy as np
import pytest
from scipy import integrate

from qc_jax.dftb import coulomb


@pytest.fixture(autouse=True)
def _double():
    with jax.enable_x64(True):
        yield


def by_quadrature(distance: float, hubbard_a: float, hubbard_b: float) -> float:
    """∫ of the potential of one exponential density over the other, in Fourier space."""
    a, b = 3.2 * hubbard_a, 3.2 * hubbard_b

    def integrand(k):
        return a**4 / (a**2 + k**2) ** 2 * b**4 / (b**2 + k**2) ** 2 * np.sinc(k * distance / np.pi)

    return 2 / np.pi * integrate.quad(integrand, 0, 200, limit=2000, epsabs=1e-12)[0]


@pytest.mark.parametrize("hubbards", [(0.4, 0.4), (0.4, 0.4005), (0.4, 0.41), (0.2, 0.9)])
@pytest.mark.parametrize("distance", [0.3, 1.5, 6.0])
def test_the_integral(hubbards, distance):
    expected = by_quadrature(distance, *hubbards)
    assert coulomb.gamma(distance, *hubbards) == pytest.approx(expected, abs=1e-8)


def test_forms_meet():
    for off in (0.0029, 0.0031):
        a, b = 0.4 * (1 + off), 0.4 * (1 - off)
        assert coulomb.gamma(2.0, a, b) == pytest.approx(by_quadrature(2.0, a, b), abs=1e-9)


def test_on_one_atom():
    assert coulomb.on_site(0.4, 0.4) == pytest.approx(0.4)
    assert coulomb.on_site(0.2, 0.9) == pytest.approx(by_quadrature(0.0, 0.2, 0.9), abs=1e-8)
