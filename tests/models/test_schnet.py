import jax
import jax.numpy as jnp
import numpy as np

from qc_jax.models.schnet import shifted_softplus


def test_shifted_softplus():
    with jax.enable_x64(True):
        x = jnp.array([-800.0, -30, -1, -1e-9, 0, 1e-9, 1, 30, 800])
        exact = np.logaddexp(x, 0) - np.log(2)
        np.testing.assert_allclose(shifted_softplus(x), exact, rtol=1e-15, atol=1e-15)
        slope, bend = jax.vmap(jax.grad(shifted_softplus)), jax.vmap(jax.hessian(shifted_softplus))
        logistic = 1 / (1 + np.exp(-np.maximum(x, -700)))
        np.testing.assert_allclose(slope(x), logistic, rtol=1e-14, atol=1e-300)
        np.testing.assert_allclose(bend(x), logistic * (1 - logistic), rtol=1e-12, atol=1e-15)
