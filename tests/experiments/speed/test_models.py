import jax
import numpy as np
import pytest

from experiments.speed import models as model_timing
from experiments.speed.models import time_model
from qc_jax import models
from qc_jax.data.dataset import prepare
from qc_jax.train.config import TrainConfig


class Counting:
    """A reference that only remembers which rows it was given."""

    def __init__(self):
        self.trained, self.predicted = [], []

    def train(self, rows):
        self.trained.append(rows)

    def predict(self, rows):
        self.predicted.append(rows)


@pytest.fixture(scope="module")
def task(small_table):
    return prepare(small_table, ("e_homo_ev",), seed=0)


MODEL = models.create("geometry_only", hidden=8, layers=1)


@pytest.mark.slow
def test_ours_and_the_reference_do_the_same_work(task):
    reference = Counting()
    got = time_model(MODEL, task, TrainConfig(batch_size=4), 3, reference)
    rows = task.split.train
    assert len(rows) % 4, "the last batch is to be a part of one"
    assert got.batches == got.all_batches == -(-len(rows) // 4)
    shapes = jax.eval_shape(lambda: MODEL.init(jax.random.key(0), models.sample()))
    assert got.parameters == sum(leaf.size for leaf in jax.tree.leaves(shapes["params"]))
    assert got.compile_seconds > 0 and min(got.rates.values()) > 0
    assert got.rates.keys() >= {"train", "reference predict"}
    for seen in (reference.trained, reference.predicted):
        assert len(seen) == 4  # a warm-up and three rounds
        assert all(np.array_equal(each, rows) for each in seen)


@pytest.mark.slow
def test_a_slow_model_gets_fewer_whole_batches(task, monkeypatch):
    monkeypatch.setattr(model_timing, "_EPOCH_SECONDS", 0.0)
    monkeypatch.setattr(model_timing, "_LEAST_BATCHES", 3)
    reference = Counting()
    got = time_model(MODEL, task, TrainConfig(batch_size=4), 1, reference)
    assert got.batches == 3 < got.all_batches
    assert {len(rows) for rows in reference.trained} == {12}


def test_without_a_reference(task, monkeypatch):
    """Products are in float32, as what is timed has them."""
    apply, precisions = models.apply, set()

    def noting(*args):
        precisions.add(jax.config.jax_default_matmul_precision)
        return apply(*args)

    monkeypatch.setattr(model_timing.models, "apply", noting)
    got = time_model(MODEL, task, TrainConfig(batch_size=4), 1)
    assert got.rates.keys() == {"train", "predict"} and min(got.rates.values()) > 0
    assert precisions == {"float32"}
