"""ImageNet's weights go where they belong; the idle parts of the model are idle."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qc_jax import models
from qc_jax.errors import InputError
from qc_jax.models import _resnet, multimodal
from tests.models.test_reference import fixture

# What torchvision calls the parts that are numbers in the published model's Sequential.
TORCHVISION = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}


@pytest.fixture
def hyper():
    return fixture("multimodal")[1]


@pytest.fixture
def resnet18() -> dict[str, np.ndarray]:
    """The fixture's weights of the ResNet by torchvision's names, and a last layer."""
    found = {}
    for name, array in fixture("multimodal")[2].items():
        if parts := re.fullmatch(r"resnet\.(\d+)\.(.+)", name):
            found[f"{TORCHVISION[parts[1]]}.{parts[2]}"] = array
    assert "layer2.0.downsample.1.running_var" in found
    return {**found, "fc.weight": np.ones((1000, 10)), "fc.bias": np.ones(1000)}


def test_image_weights(hyper, resnet18):
    """They are those that the whole reference has there, and no others."""
    whole = models.from_torch("multimodal", fixture("multimodal")[2], **hyper)
    got = multimodal.image_weights(models.create("multimodal", **hyper), resnet18)
    expected = {name: {"resnet": whole[name]["resnet"]} for name in ("params", "batch_stats")}
    assert jax.tree.structure(got) == jax.tree.structure(expected)
    jax.tree.map(np.testing.assert_array_equal, got, expected)


def test_image_weights_that_do_not_fit_are_listed(hyper, resnet18):
    model = models.create("multimodal", **hyper)
    del resnet18["bn1.bias"]
    resnet18["layer5.0.conv1.weight"] = np.zeros(3)
    resnet18["layer4.1.conv2.weight"] = np.zeros((10, 10, 1, 1))
    resnet18["layer1.0.bn1.running_mean"] = np.full(6, np.inf)
    with pytest.raises(InputError) as error:
        multimodal.image_weights(model, resnet18)
    for words in (
        "these weights are not of multimodal's ResNet-18: missing: bn1.bias; "
        "unexpected: layer5.0.conv1.weight; ",
        "layer4.1.conv2.weight has shape (10, 10, 1, 1)",
        "layer1.0.bn1.running_mean is not finite",
    ):
        assert words in str(error.value)


def test_image_weights_are_of_three_channels(hyper, resnet18):
    model = models.create("multimodal", **hyper, channels=(0, 1, 2, 7))
    with pytest.raises(
        InputError, match=r"expected three in multimodal, got channels \(0, 1, 2, 7"
    ):
        multimodal.image_weights(model, resnet18)


def test_other_numbers_of_stages_are_refused():
    with pytest.raises(InputError, match="expected 4 widths, one a stage, got"):
        models.create("multimodal", widths=(8, 8))


@pytest.mark.slow
def test_starts_like_torchvision():
    """Kernels of variance 2/(kernel² · channels), not cut off; norms at one and zero."""
    network = _resnet.ResNet18((32, 8, 8, 64))
    given = (jnp.zeros((1, 32, 32, 3)), jnp.zeros((1, 1)), models.sample(), False)
    params = jax.jit(lambda: network.init(jax.random.key(0), *given)["params"])()
    for kernel in (params["convolution"]["kernel"], params["stage_4_1"]["convolution_2"]["kernel"]):
        deviation = np.sqrt(2 / (kernel.shape[0] ** 2 * kernel.shape[-1]))
        assert np.std(kernel) == pytest.approx(deviation, rel=0.03)
        assert np.abs(kernel).max() > 3 * deviation
    for block in (params, params["stage_2_0"]):
        norm = block["norm" if block is params else "norm_around"]
        assert (norm["scale"] == 1).all() and (norm["bias"] == 0).all()


@pytest.mark.parametrize("side", [1, 5, 8])
def test_max_pool(side):
    """Below zero, too, where zeros around the image would win."""
    x = np.random.default_rng(0).normal(size=(2, side, side, 3)) - 3
    padded = np.pad(x, ((0, 0), (1, 2), (1, 2), (0, 0)), constant_values=-np.inf)
    half = (side + 1) // 2
    for row in range(half):
        for column in range(half):
            part = padded[:, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3]
            got = _resnet.max_pool(jnp.asarray(x, jnp.float32))[:, row, column]
            np.testing.assert_allclose(got, part.max(axis=(1, 2)), rtol=1e-6)


def test_kernels_of_small_images_see_one_pixel():
    """As in the last stage, of two pixels and then one; what is beside gets no gradient."""
    block = _resnet._Block(channels=4, stride=2)
    given = (jnp.ones((3, 2, 2, 4)), models.sample(), False)
    variables = jax.jit(lambda: block.init(jax.random.key(0), *given))()
    slopes = jax.jit(jax.grad(lambda v: block.apply(v, *given).sum()))(variables)["params"]
    seen = np.abs(slopes["convolution_1"]["kernel"]).max((2, 3)) > 0
    assert seen[1:, 1:].all() and seen.sum() == 4
    seen = np.abs(slopes["convolution_2"]["kernel"]).max((2, 3)) > 0
    assert seen[1, 1] and seen.sum() == 1
