"""Slater-Koster rotation: known elements, frames that turn, derivatives along the axes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qc_jax.dftb import rotation


@pytest.fixture(autouse=True)
def _double():
    with jax.enable_x64(True):
        yield


def integrals() -> jax.Array:
    return rotation.by_shells(jnp.asarray(np.random.default_rng(0).normal(size=(2, 10))))


def test_along_z_each_m_keeps_to_itself():
    columns = jnp.arange(1.0, 21.0).reshape(2, 10)
    block = np.asarray(rotation.block(jnp.array([0.0, 0.0, 1.0]), rotation.by_shells(columns)))
    # dd σ π δ, pd σ π, pp σ π, sd, sp, ss of the first file; d-p, p-s and d-s of the second.
    expected = {
        **{(0, 0): 10, (0, 2): 9, (0, 6): 8, (2, 2): 6, (1, 1): 7, (3, 3): 7, (2, 6): 4},
        **{(1, 5): 5, (3, 7): 5, (6, 6): 1, (5, 5): 2, (7, 7): 2, (4, 4): 3, (8, 8): 3},
        **{(2, 0): -19, (6, 0): 18, (6, 2): -14, (5, 1): -15, (7, 3): -15},
    }
    for (i, j), value in expected.items():
        assert block[i, j] == pytest.approx(value), (i, j)
    assert np.count_nonzero(np.abs(block) > 1e-12) == len(expected)


def test_slater_and_kosters_formulas():
    direction = np.array([0.48, -0.6, 0.64])
    x, y, z = direction
    v = integrals()
    block = np.asarray(rotation.block(jnp.asarray(direction), v))
    # Table I: E_{x,x}, E_{x,y}, E_{xy,xy}, E_{x,xy}, E_{s,3z²−r²}.
    assert block[3, 3] == pytest.approx(x * x * v[1, 1, 0] + (1 - x * x) * v[1, 1, 1])
    assert block[3, 1] == pytest.approx(x * y * (v[1, 1, 0] - v[1, 1, 1]))
    assert block[4, 4] == pytest.approx(
        3 * x**2 * y**2 * v[2, 2, 0]
        + (x**2 + y**2 - 4 * x**2 * y**2) * v[2, 2, 1]
        + (z**2 + x**2 * y**2) * v[2, 2, 2]
    )
    assert block[3, 4] == pytest.approx(
        np.sqrt(3) * x**2 * y * v[1, 2, 0] + y * (1 - 2 * x**2) * v[1, 2, 1]
    )
    assert block[0, 6] == pytest.approx((z**2 - (x**2 + y**2) / 2) * v[0, 2, 0])


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_derivatives_along_any_axis(axis, sign):
    v = integrals()

    def block(bond):
        return rotation.block(bond / jnp.sqrt(jnp.sum(bond**2)), v)

    bond = jnp.zeros(3).at[axis].set(sign * 1.3)
    exact = np.asarray(jax.jacfwd(block)(bond))
    step = 1e-5
    for k in range(3):
        moved = [np.asarray(block(bond.at[k].add(d))) for d in (-step, step)]
        np.testing.assert_allclose(exact[..., k], (moved[1] - moved[0]) / (2 * step), atol=1e-8)
