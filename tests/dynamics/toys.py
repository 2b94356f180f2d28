"""Potentials whose answers are known, in the clothes of a training, and one trained on a curve."""

import functools
import pathlib

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from experiments.configs import schnet
from qc_jax.data.atoms import Structure
from qc_jax.data.batch import Batch
from qc_jax.data.domain import TrainingDomain
from qc_jax.data.scaling import Scaler
from qc_jax.data.table import PairTable
from qc_jax.engines import scan, tblite
from qc_jax.engines.record import to_table
from qc_jax.models import Architecture, _radial
from qc_jax.ops import safe_norm
from qc_jax.runs import building, record
from qc_jax.runs.config import ModelConfig, RunConfig
from qc_jax.runs.record import Record
from qc_jax.runs.saved import SavedRun
from qc_jax.runs.workdir import Workdir
from qc_jax.train import loop
from qc_jax.train.config import TrainConfig
from qc_jax.train.state import init

DEPTH, STEEPNESS, BOND = 4.0, 1.5, 1.2  # eV, 1/Å, Å


class Morse(Architecture):
    """DEPTH (1 − exp(−STEEPNESS (d − BOND)))² of each two neighbours; no cutoff."""

    inputs = ("atomic_numbers", "positions")
    max_atomic_number = 90
    outputs: int = 1

    @nn.compact
    def __call__(self, batch: Batch, train: bool = False) -> jax.Array:
        scale = self.param("scale", nn.initializers.ones, (1,))
        far = safe_norm(batch.displacements(batch.positions))
        energy = DEPTH * (1 - jnp.exp(-STEEPNESS * (far - BOND))) ** 2
        energy = jnp.where(batch.neighbor_mask, energy, 0).sum(axis=(1, 2)) / 2
        return scale * energy[:, None]


class Soft(Architecture):
    """(1 − d/cutoff)³ of each two neighbours within the cutoff: atoms push each other."""

    inputs = ("atomic_numbers", "positions")
    max_atomic_number = 90
    outputs: int = 1
    cutoff: float = 3.0

    @nn.compact
    def __call__(self, batch: Batch, train: bool = False) -> jax.Array:
        scale = self.param("scale", nn.initializers.ones, (1,))
        far, there = _radial.distances(batch, self.cutoff)
        energy = jnp.where(there, (1 - far / self.cutoff) ** 3, 0).sum(axis=(1, 2)) / 2
        return scale * energy[:, None]


def trained(
    model: nn.Module,
    targets: tuple[str, ...] = ("total_energy_ev",),
    domain: TrainingDomain | None = None,
    offset: float = 0.0,
) -> SavedRun:
    """The model as if it had been trained; labels are not scaled."""
    settings = TrainConfig()
    some = jnp.ones(len(targets))
    scaler = Scaler(low=-some, high=some, log=jnp.zeros(len(targets), bool))
    sample = Batch(jnp.array([[6, 8]]), jnp.eye(2, 3)[None], jnp.array([[[1], [0]]]))
    state = init(model, sample, scaler, settings)
    config = RunConfig(
        ModelConfig(type(model).__name__), settings, "gone.npz", targets=",".join(targets)
    )
    nothing = Record((offset,) * len(targets), domain, {}, "", {}, False, None, {})
    return SavedRun(config, model, state, nothing)


def pair(distance: float, numbers: tuple[int, int] = (6, 8)) -> Structure:
    return Structure(np.array(numbers), np.array([[0, 0, 0], [0, 0, distance]], float))


@functools.cache
def curve() -> PairTable:
    """N2 at 40 distances by GFN2-xTB: one solution, a triple bond."""
    found = tblite.TbliteEngine().scan("N_N", scan.Grid.parse("0.7:2:40"), scan.ScanConfig())
    return to_table(found.points, {"engine": "tblite"})


def train(folder: pathlib.Path, epochs: int = 300) -> pathlib.Path:
    """A small SchNet trained on the curve, as `experiments.train` would; its work directory."""
    curve().save(folder / "curve.npz")
    run = building.from_config(config(folder, epochs))
    workdir = Workdir(folder / "run")
    record.claim(run, workdir)
    loop.fit(run.model, run.task, run.settings, [workdir])
    return workdir.path


def config(folder: pathlib.Path, epochs: int = 1) -> dict:
    """Of a training on the curve in the folder."""
    config = schnet.get_config().to_dict()
    config |= {"data": str(folder / "curve.npz"), "target": "mermin_free_energy_ev", "lr": 5e-3}
    config |= {"batch_size": 16, "epochs": epochs, "early_stopping_patience": epochs}
    config |= {"schedule": "cosine", "checkpoint_every": epochs}
    config["model"] |= {"hidden": 16, "filters": 16, "interactions": 2, "gaussians": 30}
    return config
