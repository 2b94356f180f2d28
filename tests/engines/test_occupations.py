"""Fermi levels and entropies against sums written out."""

import numpy as np
import pytest

from qc_jax.engines.occupations import entropy, fermi_level, occupations

KT = 0.086173333  # 1000 K in eV


@pytest.mark.parametrize("capacity", [1, 2])
@pytest.mark.parametrize("electrons", [0.5, 1, 2.25, 5, 7, 9.999])
def test_occupations_hold_the_electrons(capacity, electrons):
    levels = np.random.default_rng(0).normal(size=10) * 0.3
    mu = fermi_level(levels, electrons, capacity, KT)
    assert capacity * occupations(levels, mu, KT).sum() == pytest.approx(electrons, abs=1e-10)


def test_sharp_in_a_wide_gap():
    """Occupations are 0 and 1 to machine precision over volts; the level is still defined."""
    assert fermi_level(np.array([-20.0, 5.0]), 2, 2, KT) == pytest.approx(-7.5, abs=1e-9)
    # Three levels above one: above = below where 3 exp(−(5−μ)/kT) = exp(−(μ+20)/kT).
    level = fermi_level(np.array([5.0, -20.0, 5.0, 5.0]), 2, 2, KT)
    assert level == pytest.approx(-7.5 - KT * np.log(3) / 2, abs=1e-9)


def test_half_filled_level_holds_the_fermi_level():
    assert fermi_level(np.array([-20.0, -3.0, 5.0]), 3, 2, KT) == pytest.approx(-3.0, abs=1e-9)


def test_full_and_empty():
    assert fermi_level(np.array([-1.0, 0.0]), 4, 2, KT) == np.inf
    assert fermi_level(np.array([-1.0, 0.0]), 0, 2, KT) == -np.inf


def test_entropy():
    assert entropy(np.array([0.0, 1.0])) == 0
    assert entropy(np.array([0.5, 0.5, 1.0])) == pytest.approx(2 * np.log(2))
    # −dΩ/dT at fixed μ, by finite differences of Ω = −kT Σ ln(1 + exp(−(ε − μ)/kT)).
    levels = np.array([-0.2, 0.05, 0.1])

    def omega(kt):
        return -kt * np.log1p(np.exp(-levels / kt)).sum()

    slope = (omega(KT + 1e-6) - omega(KT - 1e-6)) / 2e-6
    assert entropy(occupations(levels, 0.0, KT)) == pytest.approx(-slope, rel=1e-7)
