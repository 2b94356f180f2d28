"""Both ways to convolve against SciPy's correlation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import signal

from qc_jax import canvas, models, testing
from qc_jax.models import _pair
from qc_jax.models._convolution import Convolution


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(3, 2, 1), (3, 1, 1), (7, 2, 3), (4, 4, 0), (1, 2, 0)]
)
@pytest.mark.parametrize("side", [1, 2, 9, 16])
def test_is_a_correlation(kernel, stride, padding, side):
    if side + 2 * padding < kernel:
        pytest.skip("the kernel is wider than the image")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, side, side, 3))
    layer = Convolution(5, kernel, stride, padding)
    weights = rng.normal(size=(kernel, kernel, 3, 5))
    bias = rng.normal(size=5)
    padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    expected = [
        [
            sum(
                signal.correlate(row[..., i], weights[..., i, o], "valid")[::stride, ::stride]
                for i in range(3)
            )
            + bias[o]
            for o in range(5)
        ]
        for row in padded
    ]
    expected = np.moveaxis(expected, 1, -1)
    with jax.enable_x64(True):
        variables = {"params": {"kernel": jnp.asarray(weights), "bias": jnp.asarray(bias)}}
        got = jax.jit(layer.apply)(variables, jnp.asarray(x))
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)
        direct = jax.jit(layer._direct)(jnp.asarray(x), jnp.asarray(weights)) + bias
        np.testing.assert_allclose(direct, expected, rtol=1e-12, atol=1e-12)


def test_starts_like_pytorch():
    """Uniform between ±1/√(fan in)."""
    shapes = Convolution(64, 3).init(jax.random.key(0), jnp.zeros((1, 8, 8, 16)))["params"]
    bound = 1 / np.sqrt(9 * 16)
    assert 0.99 * bound < np.abs(shapes["kernel"]).max() <= bound
    assert not shapes["bias"].any()


def test_of_sums_of_pictures():
    """The first convolution of canvases is that of their pictures, summed."""
    features = np.abs(np.random.default_rng(0).normal(size=(5, len(canvas.FEATURES))))
    batch = models.sample().replace(canvas_features=jnp.asarray(features, jnp.float32))
    layer = Convolution(6, 3, 2, 1)
    channels = (7, 0, 3, 4)
    variables = layer.init(jax.random.key(0), _pair.image(batch, channels))
    variables["params"]["bias"] = jnp.arange(6.0)
    expected = layer.apply(variables, _pair.image(batch, channels))
    got = layer.apply(variables, *_pair.pictures(batch, channels))
    testing.assert_close(got, expected)


def test_a_constant_bias_has_no_gradient():
    """It counts all the same; the kernel's gradient stays."""
    layer, x = Convolution(4, 3), jnp.ones((1, 5, 5, 2))
    variables = {"params": {"kernel": jnp.ones((3, 3, 2, 4)), "bias": jnp.ones(4)}}

    def total(variables, constant_bias):
        return layer.apply(variables, x, constant_bias=constant_bias).sum()

    value, slopes = jax.value_and_grad(total)(variables, True)
    expected, all_slopes = jax.value_and_grad(total)(variables, False)
    assert value == expected and all_slopes["params"]["bias"].all()
    assert not slopes["params"]["bias"].any()
    np.testing.assert_array_equal(slopes["params"]["kernel"], all_slopes["params"]["kernel"])
