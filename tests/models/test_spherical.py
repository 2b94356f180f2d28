"""Spherical Bessel functions and harmonics against SciPy, with derivatives, down to zero."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from qc_jax.models import _spherical

ORDERS = range(10)
AT = np.concatenate([[0.0], np.geomspace(1e-6, 40, 400), np.arange(1, 12)])


def bessel(y):
    """All orders at the same y [N]: [L, N]."""
    return _spherical.bessel(jnp.broadcast_to(y, (len(ORDERS), len(y))))


@pytest.mark.parametrize(("double", "tolerance"), [(True, 1e-14), (False, 2e-7)])
def test_bessel(double, tolerance):
    """Of the largest value each, and relatively where they are small."""
    with jax.enable_x64(double):
        at = jnp.asarray(AT, jnp.float64 if double else jnp.float32)
        got = np.asarray(jax.jit(bessel)(at))
        for order in ORDERS:
            expected = special.spherical_jn(order, np.asarray(at, np.float64))
            assert got[order].dtype == at.dtype
            np.testing.assert_allclose(got[order], expected, rtol=0, atol=tolerance)
            small = np.asarray(at) < max(order, 1)
            if not double:
                small &= expected > 1e-30
            np.testing.assert_allclose(got[order][small], expected[small], rtol=30 * tolerance)


def test_bessel_derivatives():
    """j_l' = l j_l / y − j_(l+1), and y² j'' + 2 y j' + (y² − l(l+1)) j = 0; finite at zero."""
    with jax.enable_x64(True):
        at = jnp.asarray(AT)

        @jax.jit
        def with_slopes(y):
            def slope(function):
                return lambda y: jax.jvp(function, (y,), (jnp.ones_like(y),))[1]

            return bessel(y), slope(bessel)(y), slope(slope(bessel))(y)

        found = zip(*map(np.asarray, with_slopes(at)), strict=True)
        for order, (value, slope, curvature) in enumerate(found):
            expected = special.spherical_jn(order, AT, derivative=True)
            np.testing.assert_allclose(slope, expected, rtol=0, atol=1e-13)
            equation = AT**2 * curvature + 2 * AT * slope + (AT**2 - order * (order + 1)) * value
            np.testing.assert_allclose(equation / (1 + AT**2), 0, atol=1e-12)
            assert np.isfinite(curvature).all()


def test_roots_and_norms():
    roots, norms = _spherical.roots_and_norms(7, 6)
    assert roots.dtype == norms.dtype == np.float32
    for order in range(7):
        exact = roots[order].astype(np.float64)
        assert (np.diff(exact) > 3).all() and exact[0] < np.pi * (order / 2 + 1.5)
        # Within the rounding of a root; its slope there is −j_(l+1).
        slope = special.spherical_jn(order + 1, exact)
        np.testing.assert_allclose(
            special.spherical_jn(order, exact) / slope / exact, 0, atol=6.1e-8
        )
        np.testing.assert_allclose(norms[order], np.sqrt(2) / np.abs(slope), rtol=5e-7)
    # No root is missed: each order's lie between those of the order before.
    assert ((roots[:-1] < roots[1:]) & (roots[1:, :-1] < roots[:-1, 1:]).all()).all()


def test_harmonics():
    with jax.enable_x64(True):
        cosine = np.linspace(-1, 1, 21)
        expected = [
            np.sqrt((2 * order + 1) / (4 * np.pi)) * special.eval_legendre(order, cosine)
            for order in ORDERS
        ]
        got = _spherical.harmonics(jnp.asarray(cosine), len(ORDERS))
        np.testing.assert_allclose(got, np.stack(expected), atol=1e-14)
        assert _spherical.harmonics(jnp.asarray(cosine), 1).shape == (1, 21)
