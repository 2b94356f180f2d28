"""Filling and its derivatives, with degenerate levels filled in part."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qc_jax.dftb import spectrum

KT = 1e-3


@pytest.fixture(autouse=True)
def _double():
    with jax.enable_x64(True):
        yield


def matrices(seed: int = 0) -> tuple[jax.Array, jax.Array]:
    """H with two equal levels in S's metric, and S."""
    rng = np.random.default_rng(seed)
    root = np.eye(4) + 0.2 * rng.normal(size=(4, 4))
    levels = np.diag([-1.0, -0.3, -0.3, 0.4])
    return jnp.asarray(root.T @ levels @ root), jnp.asarray(root.T @ root)


def changes(seed: int = 1) -> tuple[jax.Array, jax.Array]:
    rng = np.random.default_rng(seed)
    dh, ds = rng.normal(size=(2, 4, 4))
    return jnp.asarray(dh + dh.T) * 1e-3, jnp.asarray(ds + ds.T) * 1e-3


@pytest.mark.parametrize("electrons", [2.0, 3.0, 4.0, 5.0])
def test_derivatives_of_energy_and_density(electrons):
    (h, s), (dh, ds) = matrices(), changes()

    def energy(x):
        return spectrum.free_energy((h + x * dh,), (s + x * ds,), (1.0,), electrons, KT)

    def density(x):
        return spectrum.density_matrices((h + x * dh,), (s + x * ds,), (1.0,), electrons, KT)[0][0]

    step = 1e-3
    slope = (energy(step) - energy(-step)) / (2 * step)
    assert jax.grad(energy)(0.0) == pytest.approx(float(slope), abs=1e-8)
    change = (density(step) - density(-step)) / (2 * step)
    np.testing.assert_allclose(jax.jacfwd(density)(0.0), change, atol=1e-5)
    bend = (jax.grad(energy)(step) - jax.grad(energy)(-step)) / (2 * step)
    assert jax.grad(jax.grad(energy))(0.0) == pytest.approx(float(bend), abs=1e-7)
    assert jnp.trace(density(0.0) @ s) == pytest.approx(electrons)


def test_filling_counts_blocks():
    levels = (jnp.array([-1.0, 0.5]), jnp.array([-0.5]))
    filling = spectrum.fill(levels, (1.0, 2.0), jnp.asarray(4.0), KT)
    np.testing.assert_allclose(filling.occupations[1], 0.5)
    assert filling.fermi_level == pytest.approx(-0.5)
    assert filling.entropy == pytest.approx(4 * np.log(2), rel=1e-6)
    closed = spectrum.fill(levels, (1.0, 2.0), jnp.asarray(6.0), KT)
    assert closed.fermi_level == pytest.approx(0.0) and closed.entropy < 1e-100
    every = spectrum.fill(levels, (1.0, 2.0), jnp.asarray(8.0), KT)
    np.testing.assert_allclose(every.occupations[0], 1.0)


def test_divided_differences():
    levels = jnp.array([-0.1, -0.1, 0.0, 0.02, 3.0])
    found = np.asarray(spectrum.divided_difference(levels, jnp.asarray(0.0), 0.01))
    f = 1 / (1 + np.exp(np.asarray(levels) / 0.01))
    assert found[2, 3] == pytest.approx((f[2] - f[3]) / -0.02)
    assert found[0, 1] == pytest.approx(-f[0] * (1 - f[0]) / 0.01)
    assert np.isfinite(found).all() and (found <= 0).all()


def test_derivatives_of_orbitals_of_a_degenerate_level():
    """Of single levels their orbitals', of equal ones that of the sum of c cᵀ over both."""
    (h, s), (dh, ds) = matrices(), changes()

    def sums(x):
        levels, c = (part[0] for part in spectrum.eigensystem((h + x * dh,), (s + x * ds,), 1e-6))
        single = [c[:, k] * jnp.sign(c[0, k]) for k in (0, 3)]
        return jnp.sum(c[:, 1:3] @ c[:, 1:3].T), *single, levels[0], levels[1] + levels[2]

    _, slopes = jax.jvp(sums, (0.0,), (1.0,))
    step = 1e-3
    for slope, high, low in zip(slopes, sums(step), sums(-step), strict=True):
        np.testing.assert_allclose(slope, (high - low) / (2 * step), rtol=1e-4, atol=1e-9)
