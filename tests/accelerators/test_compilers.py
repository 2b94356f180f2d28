"""XLA's compiler for TPUs takes every architecture, batch split and stacked."""

import dataclasses
import os

import jax
import pytest

from qc_jax import models
from qc_jax.accelerators import computations, programs, topology
from qc_jax.accelerators.chips import parse
from qc_jax.data.table import PairTable
from qc_jax.runs import building
from qc_jax.train.config import TrainConfig
from qc_jax.train.stack import Training
from tests.models.rows import rows

LACKING = topology.missing("tpu")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(LACKING is not None, reason=str(LACKING))]
ROWS = {row.model: row for row in rows().values()}
TRAINED = [name for name in ROWS if not models.create(name, **ROWS[name].small).closed_form]
SETTINGS = TrainConfig(batch_size=8)


@pytest.fixture(scope="module", autouse=True)
def _compilers():
    """What the compilers read, for these tests alone; and programs as optimised as a user's."""
    before = dict(os.environ)
    topology.prepare()
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", True)
    os.environ.clear()
    os.environ.update(before)


def training(name: str, table: PairTable, **changed) -> Training:
    model = models.create(name, **ROWS[name].small)
    task = building.for_model(building.prepare(table, "e_homo_ev"), model)
    return Training(model, task, dataclasses.replace(SETTINGS, **changed))


def compiled(device: str, trainings: list[Training]) -> programs.Compiled:
    named = {str(number): training for number, training in enumerate(trainings)}
    (got,) = programs.compile_for(parse(device), named, most=len(trainings))
    return got


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("parallel", ["data", "replicas"])
def test_every_architecture(name, parallel, small_table):
    seeds = range(8 if parallel == "replicas" else 1)
    some = [training(name, small_table, seed=seed, parallel=parallel) for seed in seeds]
    got = compiled("tpu:v5e:2x2", some)
    assert got.reason == "" and got.chips == 4 and got.memory > 0
    # Trainings that are shared out do not know of each other.
    assert bool(got.work.collectives) == (parallel == "data")
    assert got.work.cycles > 0 and got.xla_seconds > 0 and got.estimate.seconds > 0


@pytest.mark.parametrize("precision", ["tf32", "bfloat16"])
def test_other_precisions(precision, small_table):
    got = compiled("tpu:v4:2x2x1", [training("egnn", small_table, precision=precision)])
    assert got.reason == "" and got.chips == 4


def test_processes_share_out_a_sweep(small_table):
    """Of two machines each compiles for its own four chips."""
    some = [training("gcn", small_table, seed=seed) for seed in range(8)]
    (got,) = programs.compile_for(
        parse("tpu:v4:2x2x2"), {str(one.settings.seed): one for one in some}
    )
    assert (got.chips, got.trainings, got.stacks) == (4, 4, 2)


@pytest.mark.parametrize("name", ["canvas", "densities"])
def test_images(name):
    got = computations.compile_one(parse("tpu:v5e:1x1"), name, 64)
    assert got.reason == "" and got.xla_seconds > 0
