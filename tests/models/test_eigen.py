"""Jacobi's rotations against LAPACK, and their derivatives against differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qc_jax.models import _eigen


def _symmetric(n: int, batch: int) -> np.ndarray:
    found = np.random.default_rng(n).normal(size=(n, n, batch)) * 5
    return (found + found.swapaxes(0, 1)).astype(np.float32)


@pytest.mark.parametrize("n", [2, 6])
def test_values_and_vectors_are_those_of_lapack(n):
    matrices = _symmetric(n, 50)
    matrices[..., 0] = 3 * np.eye(n)
    matrices[..., 1] = 0
    values, vectors = jax.jit(_eigen.eigh)(matrices)
    expected = np.linalg.eigvalsh(np.moveaxis(matrices, -1, 0).astype(np.float64))
    np.testing.assert_allclose(np.sort(values.T, axis=1), expected, atol=1e-4)
    again = np.einsum("aib,ib,cib->acb", vectors, values, vectors)
    np.testing.assert_allclose(again, matrices, atol=1e-4)


def test_sums_over_degenerate_levels_have_the_right_slope():
    """Two equal blocks without a coupling: what the lower two levels hold on the first row."""
    block = _symmetric(2, 1)
    matrices = np.zeros((4, 4, 1), np.float32)
    matrices[:2, :2], matrices[2:, 2:] = block, block
    change = _symmetric(4, 1) / 10

    def held(by):
        values, vectors = _eigen.eigh(matrices + by * change)
        low = values <= jnp.sort(values, axis=0)[1]
        return jnp.sum(vectors[0] ** 2 * low), jnp.sum(values * low)

    held = jax.jit(held)
    slopes = jax.jacfwd(held)(0.0)
    step = 1e-2
    differences = [
        (ahead - behind) / (2 * step) for ahead, behind in zip(held(step), held(-step), strict=True)
    ]
    np.testing.assert_allclose(slopes, differences, atol=2e-3)


def test_the_solver_of_large_matrices_has_slopes_where_levels_meet():
    """In float64: levels, and what the lower of two equal blocks' levels hold, by differences."""
    with jax.enable_x64(True):
        block = np.moveaxis(_symmetric(6, 1), -1, 0).astype(np.float64)
        matrices = np.zeros((1, 12, 12))
        matrices[:, :6, :6] = matrices[:, 6:, 6:] = block
        change = np.moveaxis(_symmetric(12, 1), -1, 0).astype(np.float64)

        def held(by):
            values, vectors = _eigen.eigh_large(matrices + by * change)
            return values, jnp.sum(vectors[0, 0, :6] ** 2), jnp.sum(values[0, :6])

        held = jax.jit(held)
        values, _, _ = held(0.0)
        np.testing.assert_allclose(values, np.linalg.eigvalsh(matrices), atol=1e-10)
        _, *slopes = jax.jacfwd(held)(0.0)
        (_, *ahead), (_, *behind) = held(1e-6), held(-1e-6)
        differences = (np.array(ahead) - np.array(behind)) / 2e-6
        np.testing.assert_allclose(slopes, differences, rtol=1e-6)
        assert abs(slopes[0]) > 1e-3
