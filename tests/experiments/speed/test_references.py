"""The PyTorch side of `experiments.speed --reference`, where PyTorch is installed."""

import importlib

import numpy as np
import pytest

from qc_jax import canvas, models
from qc_jax.data.dataset import prepare
from qc_jax.train.config import TrainConfig

torch = pytest.importorskip("torch", reason="references need PyTorch")
pytest.importorskip("torch_geometric", reason="references need PyTorch Geometric")

SMALL = {
    "schnet": {"hidden": 8, "filters": 8, "interactions": 1, "cutoff": 2.0},
    "gcn": {"hidden": 8, "layers": 1},
    "tabular_mlp": {"element_embedding": 4, "hidden": (8,)},
}


@pytest.fixture
def trainer(small_table):
    from tests.references.timing import Trainer

    def make(name, batch_size=4):
        features = canvas.features(small_table) if name == "tabular_mlp" else None
        task = prepare(small_table, ("e_homo_ev",), 0, features)
        hyper = models.defaults(name) | SMALL[name] | {"dropout": 0.0}
        module = importlib.import_module(f"tests.references.{name}")
        return Trainer(module, hyper, task, TrainConfig(batch_size=batch_size, lr=0.01)), task

    return make


@pytest.mark.parametrize("name", SMALL)
def test_it_learns(trainer, name):
    got, task = trainer(name)
    losses = [got.train(task.split.train) for _ in range(30)]
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("name", SMALL)
def test_batches_are_the_structures(trainer, name):
    """Edges that were listed beforehand and canvases that were drawn are those of the fixtures."""
    from tests.fixtures.reference.make import as_torch

    got, task = trainer(name, batch_size=5)
    arrays = {
        key: np.asarray(value)
        for key, value in vars(task.dataset.structures).items()
        if key in ("atomic_numbers", "positions", "canvas_features") and value is not None
    }
    structures = as_torch(arrays)
    structures.pos = structures.pos.float()
    if structures.canvases is not None:
        structures.canvases = structures.canvases.float()
    module = importlib.import_module(f"tests.references.{name}")
    with torch.no_grad():
        whole = module.run(got._module.eval(), structures).numpy()
    np.testing.assert_allclose(got.predict(np.arange(len(task.dataset))), whole, atol=1e-5)


def test_has_the_published_size(trainer):
    assert trainer("gcn")[0].parameters == 100 * 8 + 8 * 8 + 8 + (8 * 4 + 4) + (4 * 2 + 2) + 3
