"""Weights are taken over by name and shape, and all that are not are told."""

import numpy as np
import pytest

from qc_jax.errors import InputError
from qc_jax.train.transfer import match

GIVEN = {
    "params": {
        "elements": {"embedding": np.ones((5, 2))},
        "layer_0": {"kernel": np.full((2, 3), 2.0)},
        "layer_1": {"kernel": np.ones((2, 3))},
        "out_1": {"kernel": np.ones((3, 1))},
    },
    "batch_stats": {"layer_0": {"mean": np.ones(3)}},
}
HERE = {
    "params": {
        "elements": {"embedding": np.zeros((5, 2))},
        "layer_0": {"kernel": np.zeros((2, 3))},
        "layer_2": {"kernel": np.zeros((2, 3))},
        "out_1": {"kernel": np.zeros((3, 1))},
    },
    "batch_stats": {"layer_0": {"mean": np.zeros(4)}},
}


HEAD = ("out_*",)


def test_all_that_fits_is_taken_and_the_rest_is_listed():
    got = match(GIVEN, HERE, HEAD, head="kept")
    assert got.taken == (
        "params/elements/embedding",
        "params/layer_0/kernel",
        "params/out_1/kernel",
    )
    assert got.initial.keys() == {"params"}
    np.testing.assert_array_equal(got.initial["params"]["layer_0"]["kernel"], 2)
    assert got.left == {
        "batch_stats/layer_0/mean": "new: of shape (4,), (3,) there",
        "params/layer_1/kernel": "the model has none",
        "params/layer_2/kernel": "new: there is none to take over",
    }


def test_head_and_embeddings_as_asked():
    got = match(GIVEN, HERE, HEAD)
    assert got.left["params/out_1/kernel"] == "new, as the head is asked to be"
    assert "params/elements/embedding" in got.taken
    got = match(GIVEN, HERE, HEAD, embeddings="new")
    assert got.left["params/elements/embedding"] == "new, as the embedding is asked to be"
    with pytest.raises(InputError, match="unknown way of the head 'old'; choose one of: kept, new"):
        match(GIVEN, HERE, HEAD, head="old")
