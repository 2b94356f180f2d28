import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from qc_jax.canvas import (
    CHANNELS,
    FEATURES,
    columns_of,
    features,
    features_from,
    render,
    separate,
)
from qc_jax.errors import InputError
from tests.canvas.helpers import encode_all, random_pairs


def _assert_equal_to_formulas(canvases, expected):
    """Within 2e-6 of each channel's largest value, canvas by canvas.

    1e-12 below that: sums that cancel to rounding, such as Σ m P of an axially symmetric pair.
    """
    assert canvases.dtype == np.float32 and canvases.shape == expected.shape
    largest = np.abs(expected).max(axis=(1, 2))
    worst = np.abs(np.asarray(canvases, np.float64) - expected).max(axis=(1, 2))
    np.testing.assert_array_less(worst, 2e-6 * largest + 1e-12)


@pytest.mark.parametrize("size", [3, 8, 32, 33, 128])
def test_random_pairs_equal_the_formulas(size):
    pairs = random_pairs(6, seed=size)
    _assert_equal_to_formulas(render(features_from(*pairs), size), encode_all(*pairs, size))


@pytest.mark.parametrize("size", [32, 33])
def test_real_pairs_equal_the_formulas(small_table, size):
    pairs = (small_table.populations, small_table.charges, small_table.dipole)
    _assert_equal_to_formulas(render(features(small_table), size), encode_all(*pairs, size))


def test_size_is_32_unless_given():
    assert render(np.zeros((2, 14), np.float32)).shape == (2, 32, 32, 10)


def test_any_leading_shape_jit_and_vmap():
    values = features_from(*random_pairs(6))
    expected = np.asarray(render(values, 16))
    np.testing.assert_array_equal(
        render(values.reshape(2, 3, 14), 16).reshape(6, 16, 16, 10), expected
    )
    np.testing.assert_array_equal(render(values[:0], 16), expected[:0])
    close = {"rtol": 1e-6, "atol": 1e-7}
    np.testing.assert_allclose(render(values[2], 16), expected[2], **close)
    np.testing.assert_allclose(jax.jit(lambda x: render(x, 16))(values), expected, **close)
    np.testing.assert_allclose(jax.vmap(lambda x: render(x, 16))(values), expected, **close)
    np.testing.assert_allclose(render(values.tolist(), 16), expected, **close)


def test_gradients_equal_finite_differences():
    pairs = random_pairs(2)
    with jax.enable_x64(True):
        values = jnp.asarray(features_from(*pairs), jnp.float64)
        assert render(values, 8).dtype == jnp.float64
        check_grads(lambda x: render(x, 8), (values,), order=1, modes=["rev"])
        given = tuple(jnp.asarray(array) for array in pairs)
        squares = jax.jit(lambda *x: render(features_from(*x), 8) ** 2)
        check_grads(squares, given, order=1, modes=["rev"])
    assert jax.grad(lambda x: render(x).sum())(jnp.ones(14)).dtype == jnp.float32


def test_half_precision_is_rendered_in_single():
    assert render(jnp.ones((1, 14), jnp.bfloat16)).dtype == jnp.float32


def test_other_atom_order_is_the_mirrored_picture():
    populations, charges, dipole = random_pairs(4)
    there = np.asarray(render(features_from(populations, charges, dipole)))
    back = np.asarray(render(features_from(populations[:, ::-1], charges[:, ::-1], -dipole)))
    # The atoms stand at columns 11 and 21, so that column 16 is the mirror.
    at_atoms = [0, 1, 6, 7, 8, 9]
    np.testing.assert_allclose(
        back[:, :, 1:, at_atoms], there[:, :, :0:-1, at_atoms], rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(back[..., 2:6], there[..., 2:6], rtol=1e-6)


def test_charge_channels_tell_the_sign_apart():
    values = features_from(np.zeros((1, 2, 16)), [[0.5, -0.25]], np.zeros((1, 3)))
    canvas = np.asarray(render(values))[0]
    plus, minus = canvas[..., CHANNELS.index("Q+")], canvas[..., CHANNELS.index("Q−")]
    assert np.unravel_index(plus.argmax(), plus.shape) == (16, 11) and plus.max() == 5.0
    assert np.unravel_index(minus.argmax(), minus.shape) == (16, 21) and minus.max() == 2.5


def test_unknown_feature_makes_no_number():
    values = features_from(*random_pairs(3))
    values[1, 4] = np.nan
    with jax.debug_nans(False):
        canvases = np.asarray(render(values))
    assert np.isnan(canvases[1]).all()
    assert np.isfinite(canvases[[0, 2]]).all()


def test_inside_a_jit_the_canvas_is_not_written():
    # A model's first layer reads it; only lines of S·10 numbers stand in memory.
    values = jnp.ones((64, 14))
    compiled = jax.jit(lambda x: render(x).mean(axis=(1, 2))).lower(values).compile()
    written = 64 * 32 * 32 * 10 * 4
    assert compiled.memory_analysis().temp_size_in_bytes < written / 4


@pytest.mark.parametrize("size", [2, 0, -8, 32.0, "32", None])
def test_impossible_size_is_told(size):
    with pytest.raises(InputError, match="canvas size: expected a whole number from 3 up, got"):
        render(np.zeros((1, len(FEATURES)), np.float32), size)


@pytest.mark.parametrize("shape", [(), (13,), (14, 3), (2, 32, 32, 10)])
def test_wrong_features_are_told(shape):
    with pytest.raises(InputError, match=r"canvas features: expected shape \(\.\.\., 14\), got"):
        render(np.zeros(shape, np.float32))


def test_separate_features_draw_the_same_and_each_channel_alone(small_table):
    plain = features(small_table)
    apart = np.array(separate(plain))
    expected = np.asarray(render(plain, 8))
    assert apart.shape == (len(small_table), 18)
    np.testing.assert_allclose(render(apart, 8), expected, rtol=1e-6, atol=1e-7)
    assert sorted(column for c in range(10) for column in columns_of(c)) == list(range(18))
    for channel in range(10):
        changed = apart.copy()
        changed[:, columns_of(channel)] += 1
        same = np.isclose(render(changed, 8), expected, rtol=1e-6, atol=1e-7).all(axis=(0, 1, 2))
        assert np.flatnonzero(~same).tolist() == [channel]
