"""Functions of distance: their formulas, and that their gradients are finite at zero."""

import jax
import jax.numpy as jnp
import numpy as np

from qc_jax.models import _radial
from qc_jax.ops import safe_norm
from tests.models import structures


def test_lengths():
    vectors = jnp.array([[3.0, 4, 0], [0, 0, 0], [0, 0, -2]])
    np.testing.assert_allclose(safe_norm(vectors), [5, 0, 2])
    slopes = jax.jit(jax.grad(lambda v: safe_norm(v).sum()))(vectors)
    np.testing.assert_allclose(slopes, [[0.6, 0.8, 0], [0, 0, 0], [0, 0, -1]], rtol=1e-6)
    curvature = jax.jit(jax.hessian(lambda v: safe_norm(v).sum()))(vectors)
    assert np.isfinite(curvature).all()


def test_distances_within_the_cutoff():
    batch = structures.awkward(3.0)
    far, there = _radial.distances(batch, 3.0)
    assert far[2, 0, 0] == 3 and there[2, 0, 0]
    assert far[3, 0, 0] == 4 and not there[3, 0, 0]
    np.testing.assert_allclose(far[7, 0, :6], 2.5)  # its own images
    assert not there[4].any()


def test_gaussians():
    d = np.array([0.0, 0.7, 3.0])
    got = _radial.gaussians(jnp.asarray(d, jnp.float32), 4, 3.0)
    np.testing.assert_allclose(got, np.exp(-((d[:, None] - [0, 1, 2, 3]) ** 2) / 2), rtol=1e-5)


def test_cosine_cutoff():
    got = _radial.cosine_cutoff(jnp.array([0.0, 1.5, 3.0, 3.1, 100.0]), 3.0)
    np.testing.assert_allclose(got, [1, 0.5, 0, 0, 0], atol=1e-7)
