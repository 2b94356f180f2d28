"""Frequencies against the formula of a Morse curve."""

import numpy as np
import pytest

from qc_jax.dynamics import vibration
from qc_jax.dynamics.potential import Potential
from qc_jax.errors import InputError
from tests.dynamics import toys


def test_a_morse_curve():
    """k = 2 D a²; with μ of CO in kg and k in N/m, ν/c by SI units."""
    potential = Potential(toys.trained(toys.Morse()), toys.pair(1.0), double=True)
    found = vibration.of_pair(potential, 0.7, 2.5)
    assert found.distance_ang == pytest.approx(toys.BOND, abs=1e-9)
    constant = 2 * toys.DEPTH * toys.STEEPNESS**2
    assert found.force_constant == pytest.approx(constant, rel=1e-9)
    reduced = 12.011 * 15.999 / (12.011 + 15.999) * 1.66053906660e-27
    omega = np.sqrt(constant * 1.602176634e-19 * 1e20 / reduced)
    assert found.wavenumber_cm == pytest.approx(omega / (2 * np.pi * 2.99792458e10), rel=1e-8)


def test_no_minimum():
    potential = Potential(toys.trained(toys.Morse()), toys.pair(1.0), double=True)
    with pytest.raises(InputError, match=r"no minimum between 1\.300 and 2\.000 Å"):
        vibration.of_pair(potential, 1.3, 2.0)
    with pytest.raises(InputError, match="force constant: expected above 0"):
        vibration.of_force_constant(np.array([1, 1]), 1.0, -1.0)
    three = toys.Structure(np.array([1, 1, 1]), np.eye(3))
    with pytest.raises(InputError, match="expected two atoms without a cell, got 3"):
        vibration.of_pair(Potential(toys.trained(toys.Morse()), three), 1.0, 2.0)
