"""What models of two atoms read of a Batch."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qc_jax import canvas, models
from qc_jax.errors import InputError
from qc_jax.models import _pair
from tests.models import structures
from tests.models.rows import rows


def test_elements_and_distance(small_table):
    numbers, distance = _pair.pair(structures.pairs(small_table, slice(5)))
    np.testing.assert_array_equal(numbers, small_table.atomic_numbers[:5])
    bonds = small_table.targets["distance_ang"][:5, None]
    np.testing.assert_allclose(distance, bonds, rtol=1e-5)


def test_a_molecule_is_no_pair():
    with pytest.raises(InputError, match="reads pairs: expected 2 atoms a structure, got 8"):
        _pair.pair(structures.crowd())


def test_models_that_read_pairs_say_so():
    for name in models.available():
        model = models.create(name)
        assert model.as_pairs == hasattr(sys.modules[type(model).__module__], "pair"), name


@pytest.mark.parametrize("channels", [tuple(range(10)), (7,), (4, 0, 9)])
def test_statistics(small_table, channels):
    """Against NumPy, channel by channel, in the order asked for."""
    batch = structures.pairs(small_table, slice(5))
    drawn = np.asarray(canvas.canvases(small_table)[:5, ..., list(channels)], np.float64)
    np.testing.assert_allclose(_pair.image(batch, channels), drawn, rtol=1e-5, atol=1e-6)
    pixels = drawn.reshape(5, 1024, len(channels))
    expected = [pixels.mean(1), pixels.std(1, ddof=1), pixels.max(1), pixels.min(1)]
    got = _pair.statistics(batch, channels)
    np.testing.assert_allclose(got, np.stack(expected, axis=-1), rtol=1e-4, atol=1e-6)


def test_statistics_of_an_empty_channel_have_finite_gradients(small_table):
    batch = structures.pairs(small_table, slice(5))

    def total(features):
        return _pair.statistics(batch.replace(canvas_features=features), (1, 3)).sum()

    assert np.isfinite(jax.grad(total)(jnp.zeros_like(batch.canvas_features))).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tabular_mlp", "tabular_transformer", "vit", "qsn_v2"])
def test_other_channels_are_not_read(name, small_table):
    model = models.create(name, **rows()[name].small | {"channels": (4, 7)})
    batch = structures.pairs(small_table, slice(5))

    @jax.jit
    @jax.grad
    def slopes_of(features):
        variables = model.init(jax.random.key(0), batch)
        return models.apply(model, variables, batch.replace(canvas_features=features)).sum()

    slopes = slopes_of(batch.canvas_features)
    read = {canvas.FEATURES[i].channel for i in np.flatnonzero(np.abs(slopes).max(axis=0))}
    assert read == {4, 7}


@pytest.mark.parametrize("size", [8, 128])
def test_canvases_of_another_size(size):
    """Every model of the canvas takes them; what it is started on decides its shapes."""
    batch = models.sample(size)
    for name in models.available():
        model = models.create(name)
        if "canvas" in model.inputs:
            outputs = jax.eval_shape(
                lambda model=model: model.init_with_output(jax.random.key(0), batch)[0]
            )
            assert outputs.shape == (1, 1), name
    drawn = _pair.image(batch, (0, 3))
    assert drawn.shape == (1, size, size, 2)
    np.testing.assert_array_equal(drawn, canvas.render(batch.canvas_features, size)[..., [0, 3]])


def test_patches_must_fill_the_canvas():
    model = models.create("vit", patch=16)
    with pytest.raises(InputError, match="expected patches that 8 pixels divide into, got 16"):
        jax.eval_shape(lambda: model.init(jax.random.key(0), models.sample(8)))
