import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qc_jax.canvas import CHANNELS, FEATURES, decode, features, features_from, render
from qc_jax.errors import InputError
from tests.canvas.helpers import encode_all, random_pairs

_SOUND = 1e-6


@pytest.mark.parametrize("size", [3, 8, 32, 33, 128])
def test_round_trip(size):
    values = features_from(*random_pairs(6, seed=size))
    found, residual = decode(render(values, size))
    assert found.shape == (6, 14) and residual.shape == (6,) and found.dtype == jnp.float32
    np.testing.assert_allclose(found, values, rtol=1e-5, atol=1e-5)
    assert residual.max() < _SOUND


def test_round_trip_of_real_pairs(small_table):
    values = features(small_table)
    found, residual = decode(render(values))
    np.testing.assert_allclose(found, values, rtol=1e-5, atol=1e-5)
    assert residual.max() < _SOUND


def test_canvases_of_the_reference_encoder():
    pairs = random_pairs(4)
    found, residual = decode(encode_all(*pairs, 32).astype(np.float32))
    np.testing.assert_allclose(found, features_from(*pairs), rtol=1e-5, atol=1e-5)
    assert residual.max() < _SOUND


def test_single_precision_in_double_is_exact():
    values = features_from(*random_pairs(3)).astype(np.float64)
    with jax.enable_x64(True):
        found, residual = decode(render(jnp.asarray(values)))
        np.testing.assert_allclose(found, values, rtol=1e-12, atol=1e-12)
        assert float(residual.max()) < 1e-14


def test_leading_shapes_and_jit():
    values = features_from(*random_pairs(6))
    found, residual = jax.jit(decode)(render(values.reshape(2, 3, 14)))
    assert found.shape == (2, 3, 14) and residual.shape == (2, 3)
    found, residual = decode(render(values[0]))
    assert found.shape == (14,) and residual.shape == ()


def test_nothing_there():
    found, residual = decode(np.zeros((2, 32, 32, 10), np.float32))
    assert not found.any() and not residual.any()


def test_tiny_charges_beside_large_ones_are_sound():
    populations, _, dipole = random_pairs(3)
    charges = np.array([[1e-16, -1e-16], [1e-9, -0.5], [0.0, 0.0]])
    values = features_from(populations, charges, dipole)
    found, residual = decode(render(values))
    assert residual.max() < _SOUND
    plus = [feature.name for feature in FEATURES].index("charge_plus_0")
    np.testing.assert_allclose(found[:, plus], charges[:, 0], rtol=1e-5)


def _one_pixel(canvas):
    canvas[20, 7, 7] += 0.01 * canvas[..., 7].max()


def _cut_off(canvas):
    canvas[25:] = 0


def _transposed(canvas):
    canvas[:] = canvas.transpose(1, 0, 2).copy()


def _shifted(canvas):
    canvas[:] = np.roll(canvas, 1, axis=1)


def _rescaled_charge(canvas):
    canvas[..., 6] *= 1.001


def _lost_q_plus(canvas):
    canvas[..., 8] = 0


def _swapped_channels(canvas):
    canvas[..., [0, 2]] = canvas[..., [2, 0]]


def _noise(canvas):
    canvas += 1e-3 * np.random.default_rng(0).normal(size=canvas.shape).astype(np.float32)


@pytest.mark.parametrize(
    "damage",
    [
        _one_pixel,
        _cut_off,
        _transposed,
        _shifted,
        _rescaled_charge,
        _lost_q_plus,
        _swapped_channels,
        _noise,
    ],
)
def test_damage_leaves_a_residual(small_table, damage):
    row = small_table.row("C_O")
    canvases = np.repeat(np.asarray(render(features(small_table)[row]))[None], 2, axis=0)
    damage(canvases[1])
    _, residual = decode(canvases)
    assert residual[0] < _SOUND
    assert residual[1] > 1e-4


def test_a_damaged_channel_leaves_the_other_features_alone():
    values = features_from(*random_pairs(1))
    canvases = np.array(render(values))
    canvases[0, 3, 4, 7] = np.nan
    with jax.debug_nans(False):
        found, residual = map(np.asarray, decode(canvases))
    assert np.isinf(residual[0])
    elsewhere = np.array([feature.channel != 7 for feature in FEATURES])
    assert np.isnan(found[0, ~elsewhere]).all()
    np.testing.assert_allclose(found[0, elsewhere], values[0, elsewhere], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "shape", [(2, 10, 32, 32), (2, 32, 31, 10), (2, 32, 32, 3), (32, 10), (2, 2, 2, 10)]
)
def test_wrong_shape_is_told(shape):
    with pytest.raises(InputError, match=rf"expected shape \(\.\.\., S, S, {len(CHANNELS)}\)"):
        decode(np.zeros(shape, np.float32))


@pytest.mark.parametrize("size", [1e-30, 1e-34, 1e-37, 1e-40])
def test_a_channel_that_holds_nothing_but_rounding_is_sound(size):
    """In float32 such an amplitude ends in denormal numbers, which have few digits."""
    values = features_from(*random_pairs(3)).astype(np.float64)
    values[:, 2:4] = size
    with jax.enable_x64(True):
        canvases = np.array(render(jnp.asarray(values)))
    found, residual = decode(canvases.astype(np.float32))
    assert residual.max() < _SOUND
    np.testing.assert_allclose(found, values, rtol=1e-5, atol=1e-5)


def test_damage_in_a_small_channel_is_seen():
    """A dipole channel a ten-thousandth of the canvas, with noise of a tenth of itself."""
    values = np.array(features_from(*random_pairs(3)))
    dipole = [feature.name for feature in FEATURES].index("dipole")
    values[:, dipole] = 1e-3
    canvases = np.array(render(values))
    canvases[..., 4] *= 1 + 0.1 * np.random.default_rng(0).standard_normal((32, 32))
    assert decode(canvases)[1].min() > 1e-2
