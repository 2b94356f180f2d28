"""A task and a model so small that compiling them costs little."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qc_jax.data import scaling, splits
from qc_jax.data.batch import Batch, all_neighbors
from qc_jax.data.dataset import Dataset, Task
from qc_jax.models import Architecture
from qc_jax.models._layers import BatchNorm, Dropout
from qc_jax.runs.workdir import Workdir

TARGETS = ("e_homo_ev", "total_energy_ev")


class ElementSum(Architecture):
    """A constant an element and target, summed over the pair, and a term linear in the distance."""

    inputs = ("atomic_numbers", "positions")
    outputs: int = 2

    @nn.compact
    def __call__(self, batch: Batch, train: bool = False) -> jax.Array:
        constants = nn.Embed(20, self.outputs)(batch.atomic_numbers).sum(axis=1)
        return constants + nn.Dense(self.outputs)(batch.positions[:, 1, 2:])


class Noisy(Architecture):
    """The same with batch norm and dropout before it."""

    inputs = ("atomic_numbers", "positions")
    outputs: int = 2
    dropout: float = 0.2

    @nn.compact
    def __call__(self, batch: Batch, train: bool = False) -> jax.Array:
        h = nn.Embed(20, 6)(batch.atomic_numbers).sum(axis=1)
        h = jnp.concatenate([h, batch.positions[:, 1, 2:]], axis=1)
        # Batch norm takes a bias out again: rounding alone would move it, other rounding elsewhere.
        h = nn.Dense(8, use_bias=False)(h)
        h = nn.tanh(BatchNorm()(h, batch, train))
        return nn.Dense(self.outputs)(Dropout(self.dropout)(h, batch, train))


@pytest.fixture
def model() -> ElementSum:
    return ElementSum()


@pytest.fixture
def noisy() -> Noisy:
    return Noisy()


@pytest.fixture(scope="session")
def task() -> Task:
    """205 pairs whose labels are a constant an element and a linear term, with noise."""
    rng = np.random.default_rng(0)
    numbers = rng.integers(1, 20, size=(205, 2))
    positions = np.zeros((205, 2, 3))
    positions[:, 1, 2] = rng.uniform(1, 3, size=205)
    constants = rng.normal(size=(20, 2)) * [1, 10]
    labels = constants[numbers].sum(axis=1) + positions[:, 1, 2:] * [0.5, -3]
    labels += rng.normal(size=labels.shape) * [0.05, 0.5]
    batch = Batch(
        atomic_numbers=jnp.asarray(numbers, jnp.int32),
        positions=jnp.asarray(positions, jnp.float32),
        neighbors=jnp.asarray(all_neighbors(numbers)),
    )
    split = splits.random_split(205, 42)
    return Task(
        targets=TARGETS,
        names=np.array([f"row_{row}" for row in range(205)]),
        dataset=Dataset(batch, jnp.asarray(labels, jnp.float32)),
        split=split,
        scaler=scaling.fit(labels[split.train], TARGETS),
        left_out={},
    )


@pytest.fixture
def workdir(tmp_path) -> Workdir:
    work = Workdir(tmp_path / "run")
    work.path.mkdir()
    return work
