"""Forces in the one loop: their error is part of the loss, by a weight, and is told by epoch."""

import dataclasses
import json

import ase.build
import ase.io
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

import qc_jax
from qc_jax import models
from qc_jax.data import scaling
from qc_jax.data.dataset import Dataset
from qc_jax.data.structures import prepare
from qc_jax.datasets import open_structures
from qc_jax.errors import InputError
from qc_jax.evaluate.predict import predict, predict_forces
from qc_jax.models import Architecture
from qc_jax.ops import safe_norm
from qc_jax.runs.workdir import Workdir
from qc_jax.train import forces, grid, loop
from qc_jax.train.config import TrainConfig
from qc_jax.train.stack import Training, static_signature
from tests.train.conftest import Noisy

STIFFNESS, LENGTH = 3.0, 1.5  # eV/Å², Å
SETTINGS = TrainConfig(epochs=20, batch_size=32, lr=0.05, force_weight=0.5)


class Spring(Architecture):
    """stiffness (d − length)² + level."""

    inputs = ("atomic_numbers", "positions")
    outputs: int = 1

    @nn.compact
    def __call__(self, batch, train: bool = False):
        stiffness, length, level = self.param("spring", lambda key: jnp.array([1.0, 1.0, 0.0]))
        d = jnp.linalg.norm(batch.positions[:, 1] - batch.positions[:, 0], axis=-1)
        return (stiffness * (d - length) ** 2 + level)[:, None]


def springs(task):
    """The task with exact energies and forces of a spring between the atoms."""
    d = np.asarray(task.dataset.structures.positions)[:, 1, 2]
    labels = STIFFNESS * (d[:, None] - LENGTH) ** 2
    pull = np.zeros((len(d), 2, 3))
    pull[:, 1, 2] = -2 * STIFFNESS * (d - LENGTH)
    pull[:, 0] = -pull[:, 1]
    return task._replace(
        targets=(forces.ENERGY,),
        dataset=Dataset(
            task.dataset.structures, jnp.asarray(labels, jnp.float32), jnp.asarray(pull, np.float32)
        ),
        scaler=scaling.fit(labels[task.split.train], (forces.ENERGY,)),
    )


def run(task, path, **changes):
    work = Workdir(path)
    work.claim({})
    return Training(Spring(), springs(task), dataclasses.replace(SETTINGS, **changes), (work,))


def test_the_loss_and_what_is_learned(task, tmp_path):
    """Both errors of the last epoch are those of the predictions; both fall."""
    model, made, settings, work, _ = run(task, tmp_path / "run")
    trained = loop.fit(model, made, settings, work)
    first, last = trained.history[0], trained.history[-1]
    for name in (forces.ENERGY, forces.FORCES):
        assert last["validation_mae"][name] < 0.3 * first["validation_mae"][name]
    rows = made.dataset.take(made.split.validation)
    given = (model, trained.state.variables, made.scaler, rows.structures)
    energy = np.abs(predict(*given, batch_size=32) - rows.labels).mean()
    force = np.abs(predict_forces(*given, batch_size=32) - rows.forces).mean()
    assert last["validation_mae"][forces.FORCES] == pytest.approx(force, rel=1e-4)
    scale = float(made.scaler.high[0] - made.scaler.low[0]) / 2
    assert last["validation_loss"] == pytest.approx((energy + 0.5 * force) / scale, rel=1e-4)


@pytest.mark.slow
def test_stacks_and_devices_change_nothing(task, run_python, tmp_path):
    code = """
import json, sys
from qc_jax.train import loop
from tests.train import conftest, test_forces
task = conftest.task.__wrapped__()
each = [test_forces.run(task, f"{sys.argv[1]}/{seed}", seed=seed, epochs=4) for seed in (1, 2)]
stacked = loop.fit_stack(each, sys.argv[1] + "/checkpoints")
alone = test_forces.run(task, sys.argv[1] + "/alone", seed=2, epochs=4)
print(json.dumps([one.history[-1]["validation_mae"] for one in (*stacked, loop.fit(*alone[:4]))]))
"""
    results = []
    for devices in (1, 2):
        done = run_python("-c", code, tmp_path / str(devices), devices=devices)
        assert done.returncode == 0, done.stderr
        results.append([list(line.values()) for line in json.loads(done.stdout)])
        np.testing.assert_allclose(results[-1][1], results[-1][2], rtol=1e-3)
    np.testing.assert_allclose(results[0], results[1], rtol=1e-3)


def test_what_has_no_forces_to_learn(task):
    made = springs(task)
    settings = TrainConfig(force_weight=1.0)
    assert forces.learned(Spring(), made, TrainConfig()) == (None, None)
    with pytest.raises(InputError, match="virial_weight: these data have none"):
        forces.learned(Spring(), made, TrainConfig(virial_weight=1.0))
    without = made._replace(dataset=made.dataset.replace(forces=None))
    with pytest.raises(InputError, match="force_weight: these data have none"):
        forces.learned(Spring(), without, settings)
    with pytest.raises(InputError, match=r"total_energy_ev as the only target.*; got e_homo_ev"):
        forces.learned(Spring(), made._replace(targets=("e_homo_ev",)), settings)
    with pytest.raises(InputError, match="a model without averages, got batch_stats"):
        forces.learned(Noisy(outputs=1), made, settings)
    blind = Spring()
    object.__setattr__(blind, "inputs", ("atomic_numbers",))
    with pytest.raises(InputError, match="this model reads no positions, so it has no forces"):
        forces.learned(blind, made, settings)
    for name, why in {"multimodal": "reads the canvas too", "faenet": "is no smooth"}.items():
        with pytest.raises(InputError, match=f"force_weight: this model {why}"):
            forces.learned(models.create(name), made, settings)
        assert forces.reason_against(models.create(name), made.targets, made.dataset.forces)


def test_a_grid_learns_the_forces_of_each_training(task):
    """Not those of the first: others are told which of them has none, before any is trained."""
    made, settings = springs(task), TrainConfig(force_weight=1.0)
    own = Training(Spring(), made, settings)
    other = own._replace(task=forces.without_others(made._replace(targets=("e_homo_ev",))))
    assert static_signature(own) != static_signature(other)
    plain = (each._replace(settings=TrainConfig()) for each in (own, other))
    assert len(set(map(static_signature, plain))) == 1  # alike where nobody learns any
    with pytest.raises(InputError, match=r"^homo: force_weight: expected .* got e_homo_ev"):
        grid.check_forces({"energy": own, "homo": other})


@pytest.mark.parametrize("engine", ["tblite", "file"])
def test_forces_of_pairs_are_slopes_of_the_free_energy(small_table, engine):
    """Who computed a table of one's own is not known: its owner says by the target."""
    forces_of_rows = np.ones((len(small_table), 2, 3))
    table = dataclasses.replace(small_table, forces=forces_of_rows, provenance={"engine": engine})
    settings = TrainConfig(force_weight=1.0)
    free = qc_jax.prepare(table, forces.FREE_ENERGY)
    assert forces.learned(Spring(), free, settings).positions.shape == (len(free.names), 2, 3)
    total = qc_jax.prepare(table, forces.ENERGY)
    if engine == "file":
        assert forces.learned(Spring(), total, settings).positions is not None
        return
    words = "expected mermin_free_energy_ev as the only target.*; got total_energy_ev"
    with pytest.raises(InputError, match=words):
        forces.learned(Spring(), total, settings)
    assert total.dataset.forces is None  # so that nothing is scored on them


class Bonds(Architecture):
    """Σ over neighbours of a (d − b)², half of each."""

    inputs = ("atomic_numbers", "positions")
    outputs: int = 1

    @nn.compact
    def __call__(self, batch, train: bool = False):
        strength, length = self.param("bonds", lambda key: jnp.array([0.1, 1.0]))
        d = safe_norm(batch.displacements(batch.positions))
        each = jnp.where(batch.neighbor_mask, strength * (d - length) ** 2, 0)
        return each.sum(axis=(1, 2))[:, None] / 2


@pytest.fixture(scope="module")
def copper(tmp_path_factory):
    """Strained crystals with energies, forces and stress of the effective medium theory."""
    rng, frames = np.random.default_rng(0), []
    for _ in range(40):
        atoms = ase.build.bulk("Cu", cubic=True)
        atoms.set_cell(atoms.cell @ (np.eye(3) + 0.03 * rng.normal(size=(3, 3))), scale_atoms=True)
        atoms.rattle(0.05, rng=rng)
        atoms.calc = EMT()
        results = {name: atoms.calc.get_property(name, atoms) for name in ("energy", "forces")}
        results["stress"] = atoms.get_stress()
        atoms.calc = SinglePointCalculator(atoms, **results)
        frames.append(atoms)
    path = tmp_path_factory.mktemp("copper") / "cu.xyz"
    ase.io.write(path, frames)
    return frames, prepare(open_structures(f"extxyz:{path}"), (forces.ENERGY,), 1, cutoff=3.0)


def test_virials_are_stress_times_volume(copper):
    frames, task = copper
    expected = [frame.get_stress(voigt=False) * frame.get_volume() for frame in frames]
    np.testing.assert_allclose(task.dataset.virials, expected, rtol=1e-4, atol=1e-5)


def test_slopes_by_the_strain_are_those_of_differences(copper):
    structures = copper[1].dataset.take(np.arange(2)).structures
    variables = Bonds().init(jax.random.key(0), structures)

    def energies(batch):
        return Bonds().apply(variables, batch), None

    found, _, slopes = forces.with_slopes(energies, structures, strained=True)
    plain, _, forces_alone = forces.with_slopes(energies, structures)
    np.testing.assert_array_equal(found, plain)
    np.testing.assert_allclose(slopes.positions, forces_alone.positions, rtol=1e-4, atol=1e-5)
    step = 1e-3
    for i, j in ((0, 0), (0, 1), (2, 1)):
        strain = np.zeros((2, 3, 3), np.float32)
        strain[:, i, j] = step
        up, down = (energies(structures.strained(sign * strain))[0] for sign in (1, -1))
        difference = np.asarray(up - down)[:, 0] / (2 * step)
        np.testing.assert_allclose(slopes.strain[:, i, j], difference, rtol=2e-2, atol=2e-3)


def test_virials_are_learned(copper):
    task, truth = copper[1], {"params": {"bonds": jnp.array([0.3, 1.4])}}
    true, _, known = forces.with_slopes(
        lambda batch: (Bonds().apply(truth, batch), None), task.dataset.structures, strained=True
    )
    exact = task.dataset.replace(labels=true, forces=-known.positions, virials=known.strain)
    ends = jnp.array([-1.0]), jnp.array([1.0])  # labels as they are
    task = task._replace(dataset=exact, scaler=scaling.Scaler(*ends, log=jnp.array([False])))
    weights = {"force_weight": 0.5, "virial_weight": 0.5}
    config = TrainConfig(epochs=60, batch_size=8, lr=0.03, early_stopping_patience=60, **weights)
    trained = loop.fit(Bonds(), task, config)
    first, last = trained.history[0], trained.history[-1]
    assert last["validation_mae"][forces.VIRIALS] < 0.5 * first["validation_mae"][forces.VIRIALS]
    rows = task.dataset.take(task.split.validation)

    def energies(batch):
        return task.scaler.unscale(Bonds().apply(trained.state.variables, batch)), None

    _, _, slopes = forces.with_slopes(energies, rows.structures, strained=True)
    error = np.abs(np.asarray(slopes.strain - rows.virials)).mean() / 4  # atoms
    assert last["validation_mae"][forces.VIRIALS] == pytest.approx(error, rel=1e-3)
    force = np.abs(np.asarray(slopes.positions + rows.forces)).mean()
    assert last["validation_mae"][forces.FORCES] == pytest.approx(force, rel=1e-3)
