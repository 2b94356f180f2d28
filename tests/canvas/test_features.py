import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from qc_jax.canvas import CHANNELS, FEATURES, canvases, features, features_from
from qc_jax.chem.units import EBOHR_DEBYE
from qc_jax.errors import InputError
from tests.canvas.helpers import random_pairs

_NAMES = [feature.name for feature in FEATURES]


def _column(values, name):
    return values[..., _NAMES.index(name)]


def test_features_are_named_once_and_have_a_channel_and_a_unit():
    assert len(CHANNELS) == 10 and len(set(CHANNELS)) == 10
    assert len(set(_NAMES)) == len(FEATURES) == 14
    for feature in FEATURES:
        assert 0 <= feature.channel < 10 and feature.unit in ("e", "e·a0") and feature.definition
        assert feature.name.endswith(f"_{feature.atom}") == (feature.atom is not None)


def test_every_feature_of_one_pair():
    populations = np.zeros((1, 2, 16))
    populations[0, 0, [0, 3, 8]] = 2.0, 0.5, 1.0  # s, p with m = 1, d with m = 2
    populations[0, 1, [1, 15]] = -0.25, 1.5  # p with m = −1, f with m = 3
    got = features_from(populations, [[0.3, -0.1]], [[0, 3 * EBOHR_DEBYE, 4 * EBOHR_DEBYE]])
    expected = {
        "radial_0": (2 * 1 + 0.5 * 2 + 1.0 * 3) / 3,
        "radial_1": (-0.25 * 2 + 1.5 * 4) / 3,
        "angular_0": 0.5 + 2.0,
        "angular_1": 0.25 + 4.5,
        "population_sp": 2.25,
        "population_df": 2.5,
        "dipole": 5.0,
        "charge_difference": 0.4,
        "population_0": 3.5,
        "population_1": 1.25,
        "charge_plus_0": 0.3,
        "charge_plus_1": 0.0,
        "charge_minus_0": 0.0,
        "charge_minus_1": 0.1,
    }
    assert got.dtype == np.float32 and got.shape == (1, 14)
    np.testing.assert_allclose(got[0], [expected[name] for name in _NAMES], rtol=1e-6)


def test_thirteen_of_them_are_independent():
    # Of |charge_difference| one could say more, but no linear relation holds.
    values = features_from(*random_pairs(500)).astype(np.float64)
    assert np.linalg.matrix_rank(values, tol=1e-4) == 13
    total = _column(values, "population_0") + _column(values, "population_1")
    shells = _column(values, "population_sp") + _column(values, "population_df")
    np.testing.assert_allclose(shells, total, atol=1e-5)


def test_table_of_real_pairs(small_table):
    values = features(small_table)
    assert values.dtype == np.float32 and values.shape == (len(small_table), 14)
    assert np.isfinite(values).all()
    dipole = np.linalg.norm(small_table.dipole, axis=1) / EBOHR_DEBYE
    np.testing.assert_allclose(_column(values, "dipole"), dipole, rtol=1e-6)
    for atom in (0, 1):
        assert np.abs(_column(values, f"angular_{atom}")).max() < 1e-4  # axially symmetric
        charge = _column(values, f"charge_plus_{atom}") - _column(values, f"charge_minus_{atom}")
        np.testing.assert_allclose(charge, small_table.charges[:, atom], atol=1e-6)


def test_jax_arrays_under_jit_and_vmap():
    pairs = random_pairs(6)
    expected = features_from(*pairs)
    given = [jnp.asarray(array, jnp.float32) for array in pairs]
    for function in (features_from, jax.jit(features_from), jax.vmap(features_from)):
        got = function(*given)
        assert isinstance(got, jax.Array) and got.dtype == jnp.float32
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)
    nested = [array.reshape(2, 3, *array.shape[1:]) for array in given]
    assert features_from(*nested).shape == (2, 3, 14)


def test_gradients():
    with jax.enable_x64(True):
        pairs = tuple(jnp.asarray(array) for array in random_pairs(3))
        # Under jit, since the finite differences are taken with NumPy arrays.
        check_grads(jax.jit(features_from), pairs, order=1, modes=["rev"])
        at_zero = [jnp.zeros_like(array) for array in pairs]
        total = jax.jit(jax.grad(lambda *x: features_from(*x).sum(), argnums=(0, 1, 2)))
        gradients = jax.device_get(total(*at_zero))
    assert all(np.isfinite(gradient).all() for gradient in gradients)


def test_unknown_population_is_no_zero():
    populations, charges, dipole = random_pairs(2)
    populations[0, 1, 5] = np.nan
    got = features_from(populations, charges, dipole)
    unknown = {"radial_1", "angular_1", "population_df", "population_1"}
    assert {name for name, value in zip(_NAMES, got[0], strict=True) if np.isnan(value)} == unknown
    assert np.isfinite(got[1]).all()
    charges[1, 0] = np.nan
    assert np.isnan(_column(features_from(populations, charges, dipole)[1], "charge_plus_0"))


@pytest.mark.parametrize("wrong", [0, 1, 2])
def test_wrong_shape_is_told(wrong):
    pairs = list(random_pairs(3))
    pairs[wrong] = pairs[wrong][:2]
    with pytest.raises(InputError, match=r"canvas \w+: expected shape \(.*got \(.*"):
        features_from(*pairs)


def test_a_table_without_populations_is_decoded_from_its_canvases(small_table):
    stored = np.array(canvases(small_table))
    unknown = dataclasses.replace(
        small_table, populations=np.full_like(small_table.populations, np.nan), canvases=stored
    )
    np.testing.assert_array_equal(canvases(unknown), stored)
    expected, found = features(small_table), features(unknown)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=2e-6)

    damaged = stored.copy()
    damaged[3, 5:9, 20:, 7] += 1.0
    found = features(dataclasses.replace(unknown, canvases=damaged))
    assert np.isnan(found).all(axis=1).nonzero()[0].tolist() == [3]
    assert np.isfinite(np.delete(found, 3, axis=0)).all()


def test_populations_are_preferred_to_canvases(small_table):
    zeros = np.zeros((len(small_table), 32, 32, 10), np.float32)
    both = dataclasses.replace(small_table, canvases=zeros)
    np.testing.assert_array_equal(features(both), features(small_table))
