"""The reference encoder against values worked out by hand from the formulas."""

import math

import numpy as np
import pytest

from qc_jax.canvas import CHANNELS
from qc_jax.canvas.reference import encode
from qc_jax.chem.units import EBOHR_DEBYE

_NEAR, _FAR = (16, 11), (16, 21)  # (row, column) of the two atoms at size 32


def _pair():
    populations = np.zeros((2, 16))
    populations[0, 0] = 2.0  # s
    populations[0, 3] = 0.5  # p, m = 1
    populations[1, 4] = 1.0  # d, m = −2
    charges = np.array([0.3, -0.1])
    dipole = np.array([0.0, 3.0, 4.0]) * EBOHR_DEBYE  # 5 e·a0
    return populations, charges, dipole


# Exponents: the atoms are 10 pixels apart, so that exp(−100/2σ²) of the other atom arrives.
@pytest.mark.parametrize(
    ("channel", "pixel", "expected"),
    [
        ("O-Map radial", _NEAR, (2 * 1 + 0.5 * 2) / 3 + 1.0 * math.exp(-100 / 18)),
        ("O-Map radial", _FAR, 1.0 + 1.0 * math.exp(-100 / 18)),
        ("O-Map angular", _NEAR, 0.5 + 2.0 * math.exp(-100 / 18)),
        ("O-Map angular", _FAR, 2.0 + 0.5 * math.exp(-100 / 18)),
        ("COM charge", _NEAR, 3.0 + 1.0 * math.exp(-100 / 32)),
        ("COM orbital", _FAR, 1.0 + 2.5 * math.exp(-100 / 32)),
        ("Q+", _NEAR, 3.0),
        ("Q+", _FAR, 3.0 * math.exp(-100 / 24.5)),
        ("Q−", _FAR, 1.0),
        ("Q−", (13, 21), math.exp(-9 / 24.5)),
        # The right end of the first row: u = 1, v = −1, r = √2, θ = −45°.
        ("RIP-GAF s/p", (0, 31), 2.5 * math.exp(-2 / 0.3)),
        ("RIP-GAF d/f", (0, 31), 0.0),
        ("RIP-MTF dipole", (0, 31), 5 * math.sqrt(2) * math.exp(-2 / 0.4)),
        ("RIP-MTF quadrupole", (0, 31), 0.4 * 0.5 * math.exp(-2 / 0.4)),
    ],
)
def test_value_at_pixel(channel, pixel, expected):
    value = encode(*_pair())[(*pixel, CHANNELS.index(channel))]
    assert value == pytest.approx(expected, rel=1e-4, abs=1e-12)


@pytest.mark.parametrize(
    ("channel", "expected"),
    [
        # Odd sizes have a pixel at u = 1, v = 0: r = 1, θ = 0.
        ("RIP-GAF s/p", 2.5 * math.exp(-1 / 0.3)),
        ("RIP-GAF d/f", 2 * math.exp(-1 / 0.5)),
        ("RIP-MTF dipole", 5 * math.exp(-1 / 0.4)),
        ("RIP-MTF quadrupole", 0.4 * 2 * math.exp(-1 / 0.4)),
    ],
)
def test_value_right_of_the_centre(channel, expected):
    value = encode(*_pair(), size=33)[16, 32, CHANNELS.index(channel)]
    assert value == pytest.approx(expected, rel=1e-4)


def test_twice_the_size_is_the_same_picture_sampled_finer():
    small, large = encode(*_pair(), size=32), encode(*_pair(), size=64)
    gaussian = [0, 1, 6, 7, 8, 9]
    np.testing.assert_allclose(large[::2, ::2, gaussian], small[..., gaussian], atol=1e-12)
