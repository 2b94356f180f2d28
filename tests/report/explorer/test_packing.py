"""Arrays as text in a page."""

import json

import numpy as np
import pytest

from qc_jax.report.explorer import packing


def test_what_is_packed_is_read_again():
    random = np.random.default_rng(0)
    arrays = {
        "odd": np.arange(5, dtype=np.uint8),  # what follows must still be aligned
        "floats": random.normal(size=(3, 4)).astype(np.float32),
        "whole": np.array([[-32767, 5], [7, 32767]], np.int16),
        "swapped": np.array([1.5, np.nan], ">f4"),
        "none": np.zeros((0, 2), np.float32),
    }
    text, places = packing.blob(arrays)
    assert all(place["at"] % 4 == 0 for place in json.loads(json.dumps(places)).values())
    for name, found in packing.unpack(text, places).items():
        np.testing.assert_array_equal(found, arrays[name])


def test_kinds_that_the_page_does_not_read():
    with pytest.raises(ValueError, match=r"wide: expected one of float32.*float64"):
        packing.blob({"wide": np.zeros(2)})


def test_quantized_values_are_near():
    values = (
        np.random.default_rng(1).normal(size=(4, 3, 50)) * 10.0 ** np.arange(-2, 2)[:, None, None]
    )
    values[0, 0] = 0
    whole, factors = packing.quantize(values)
    error = np.abs(whole * factors[..., None].astype(np.float64) - values)
    assert whole.dtype == np.int16 and factors.shape == (4, 3) and factors[0, 0] == 0
    assert (error <= np.abs(values).max(axis=-1, keepdims=True) / 65_000).all()


def test_json_does_not_end_its_script():
    text = packing.script_json({"a": "</script><!-- é"})
    assert "<" not in text
    assert json.loads(text) == {"a": "</script><!-- é"}
