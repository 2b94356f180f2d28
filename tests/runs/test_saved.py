"""All that use a saved run give the same number, for each kind of data, when the data are gone."""

import dataclasses
import pathlib
import shutil
import subprocess
import sys
import warnings

import ase.build
import numpy as np
import pandas as pd
import pytest

import qc_jax
from experiments import export
from qc_jax.data import atoms as structures
from qc_jax.dynamics.potential import Potential
from qc_jax.engines import published
from qc_jax.errors import InputError

FIXTURES = pathlib.Path(__file__).parents[1] / "fixtures"
ENERGY, FREE_ENERGY = "total_energy_ev", "mermin_free_energy_ev"
KINDS = (
    "pairs",
    "md17",
    "mixed",
    *(
        pytest.param(kind, marks=pytest.mark.slow)
        for kind in ("qm9", "published", "tfds", "extxyz", "crysmtm", "dftbplus")
    ),
)


def make(kind: str, folder: pathlib.Path, small_table) -> tuple[str, str]:
    """Data of a kind in a folder: their name, and a target that they have."""
    match kind:
        case "pairs":
            small_table.save(folder / "table.npz")
            return str(folder / "table.npz"), FREE_ENERGY
        case "published":
            published.write(small_table, folder / "dataset_combined.npz")
            return f"published:{folder / 'dataset_combined.npz'}", FREE_ENERGY
        case "tfds":
            return "tfds:quantum_canvas/gfn2_xtb", FREE_ENERGY
        case "md17":
            shutil.copy(FIXTURES / "md17_ethanol.npz", folder)
            return f"md17:{folder / 'md17_ethanol.npz'}", ENERGY
        case "qm9":
            shutil.copytree(FIXTURES / "qm9", folder / "qm9")
            return f"qm9:{folder / 'qm9'}", "e_homo_ev"
        case "dftbplus":
            for number in range(4):  # five outputs are too few to split
                for pair in ("F_Li", "H_H", "He_He", "Cl_Mg"):
                    shutil.copytree(
                        FIXTURES / "dftbplus/tree" / pair, folder / f"tree/{pair}_{number}"
                    )
            return f"dftbplus:{folder / 'tree'}", FREE_ENERGY
        case "crysmtm":
            make = (sys.executable, "-m", "tests.fixtures.make_crysmtm", f"--out={folder}/crysmtm")
            some = ("--kelvin=0,250,300", "--rotations=4", "--size=24", "--small")
            subprocess.run([*make, *some], check=True, cwd=FIXTURES.parents[1])
            return f"crysmtm:{folder / 'crysmtm'}", ENERGY
    frames = []
    for row in range(20):
        symbols = ("CO", "OC", "CC", "OO")[row % 4] if kind == "mixed" else "CO"
        frame = ase.Atoms(symbols, [[0, 0, 0], [0, 0, 1.1 + 0.01 * row]])
        apart = {"C": -1000.0, "O": -4000.0}
        frame.info["energy"] = sum(map(apart.get, symbols)) + 0.1 * (row - 7) ** 2
        frames.append(frame)
    lines = []
    for frame in frames:
        lines += ["2", f'Properties=species:S:1:pos:R:3 energy={frame.info["energy"]} pbc="F F F"']
        lines += [
            f"{symbol} {x:.6f} {y:.6f} {z:.6f}"
            for symbol, (x, y, z) in zip(frame.symbols, frame.positions, strict=True)
        ]
    (folder / "co.xyz").write_text("\n".join(lines) + "\n")
    return f"extxyz:{folder / 'co.xyz'}?energy=energy", ENERGY


@pytest.mark.parametrize("kind", KINDS)
def test_one_number(kind, tmp_path, small_table, tfds_of_small_table):
    del tfds_of_small_table
    source, cache = tmp_path / "source", str(tmp_path / "tfds")
    source.mkdir()
    data, target = make(kind, source, small_table)
    is_tfds = kind in ("md17", "qm9", "tfds", "extxyz", "crysmtm", "mixed")
    table = qc_jax.open_data(data, cache if is_tfds else "")
    cutoff = {"neighbor_cutoff": 2.5} if kind == "crysmtm" else {}
    task = qc_jax.prepare(table, target, seed=1, **cutoff)
    model = qc_jax.create("schnet", hidden=4, filters=4, interactions=1, gaussians=4)
    config = qc_jax.TrainConfig(epochs=1, batch_size=8, seed=1)
    run = qc_jax.fit(model, task, config).save(tmp_path / "run")
    scored = run.score().predictions
    if kind in ("md17", "extxyz"):
        assert run.record.offsets[0] < -100  # eV: what the calculator once left out
    if kind == "mixed":
        assert set(run.record.element_offsets) == {"C", "O"}
        assert np.ptp(task.dataset.labels) < 30  # eV, of labels 6,000 eV apart
    row, cell = int(task.split.test[0]), None
    if kind == "crysmtm":  # where some are particles without a cell
        place = list(table.names).index(task.names[row])
        cell = table.read(table.source[place]).get("cell")
    shutil.rmtree(source)
    shutil.rmtree(cache, ignore_errors=True)

    opened = qc_jax.load(tmp_path / "run")
    some = task.dataset.take(np.array([row])).structures
    there = np.asarray(some.atom_mask)[0]
    numbers = np.asarray(some.atomic_numbers)[0][there]
    positions = np.asarray(some.positions, np.float64)[0][there]
    frame = ase.Atoms(numbers, positions, cell=cell, pbc=cell is not None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of test rows outside of the few training rows
        expected = opened.predict(frame)[0, 0]
        assert scored.predicted[0, 0] == pytest.approx(expected, abs=2e-4)
        if kind in ("pairs", "published", "tfds"):
            assert opened.predict(str(task.names[row]))[0, 0] == pytest.approx(expected, abs=1e-5)
            assert exported(tmp_path, str(task.names[row])) == pytest.approx(expected, abs=1e-5)
        if target in (ENERGY, FREE_ENERGY):
            frame.calc = qc_jax.Calculator(tmp_path / "run")
            assert frame.get_potential_energy() == pytest.approx(expected, abs=2e-3, rel=1e-6)
            given = structures.from_ase(frame)
            potential = Potential(opened, given, True)  # of `simulate`
            energy, forces = potential.energy_and_forces(positions)
            assert energy == pytest.approx(frame.get_potential_energy(), abs=1e-9)
            found = opened.predict_forces(frame)[0]
            np.testing.assert_allclose(found, forces, atol=1e-4 * max(1, np.abs(forces).max()))
    if not is_tfds:
        with pytest.raises(InputError, match=r"[Nn]o such file"):
            opened.score()


def exported(tmp_path: pathlib.Path, name: str) -> float:
    """Return the prediction of a pair in the CSV that `export --workdir` writes."""
    export.FLAGS.reset()
    export.FLAGS.parse(
        ["--format=csv", f"--workdir={tmp_path / 'run'}", f"--out={tmp_path / 'pairs.csv'}"]
    )
    export.main([])
    rows = pd.read_csv(tmp_path / "pairs.csv").set_index("name")
    return rows[f"{FREE_ENERGY}_predicted"][name]


MODULE = """
import flax.linen as nn
from qc_jax import models

class Distance(models.Architecture):
    inputs = ("positions",)
    outputs: int = 1
    width: int = 4

    @nn.compact
    def __call__(self, batch, train=False):
        far = abs(batch.positions[:, 1] - batch.positions[:, 0]).sum(axis=-1, keepdims=True)
        return nn.Dense(self.outputs)(nn.tanh(nn.Dense(self.width)(far)))
"""
TRAIN = """
import qc_jax, my_models
qc_jax.register("distance_net", my_models.Distance)
task = qc_jax.prepare(qc_jax.open_table("table.npz"), "e_homo_ev")
for name, model in (("a", qc_jax.create("distance_net", width=3)), ("b", my_models.Distance())):
    run = qc_jax.fit(model, task, qc_jax.TrainConfig(epochs=1, batch_size=8)).save(name)
    print(run.config.model.name, run.config.model.source, run.predict("Ag_Al")[0, 0])
"""
USE = """
import qc_jax
for name in "ab":
    run = qc_jax.load(name)
    print(run.config.model.name, run.config.model.source, run.predict("Ag_Al")[0, 0])
"""


@pytest.mark.slow
def test_a_model_of_ones_own_in_a_new_process(tmp_path, small_table, run_python):
    """Registered or not; where its module has gone, one line says so."""
    small_table.save(tmp_path / "table.npz")
    (tmp_path / "my_models.py").write_text(MODULE)
    name = str(small_table.names[0])

    def run(code: str) -> subprocess.CompletedProcess:
        (tmp_path / "mine.py").write_text(code.replace("Ag_Al", name))
        return run_python("-m", "mine", cwd=tmp_path)

    trained, used = run(TRAIN), run(USE)
    assert trained.returncode == 0, trained.stderr
    assert used.returncode == 0, used.stderr
    assert used.stdout == trained.stdout
    assert "distance_net my_models:Distance" in used.stdout
    (tmp_path / "my_models.py").unlink()
    shutil.rmtree(tmp_path / "__pycache__", ignore_errors=True)
    lost = run(USE)
    assert "there is no module my_models where Python looks" in lost.stderr.splitlines()[-1]


@pytest.mark.slow
def test_a_model_of_ones_own_by_the_command_line(tmp_path, small_table, run_python):
    """In a directory outside of a clone: trained, swept, asked, scored and exported."""
    small_table.save(tmp_path / "table.npz")
    (tmp_path / "my_models.py").write_text(MODULE)

    def run(*words: str) -> str:
        done = run_python("-m", "qc_jax", *words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    card = ("--config=egnn", "--config.model=my_models:Distance", "--config.data=table.npz")
    train = ("train", *card, "--config.epochs=1", "--config.batch_size=8")
    assert "my_models:Distance on table.npz" in run(*train, "--workdir=run")
    name = str(small_table.names[0])
    assert "e_homo_ev" in run("predict", "--workdir=run", name)
    assert "my_models:Distance" in run("evaluate", "--workdir=run")
    swept = run(*train, "--config.model.width=3", "--config.sweep.seed=1,2", "--workdir=sweep")
    assert "errors on the test pairs" in swept and "results.csv" in swept
    assert "pairs: out.csv" in run("export", "--format=csv", "--workdir=run", "--out=out.csv")
    (tmp_path / "my_models.py").unlink()
    lost = run_python("-m", "qc_jax", "predict", "--workdir=run", name, cwd=tmp_path)
    assert lost.returncode == 2 and lost.stderr.count("\n") == 1
    assert "there is no module my_models" in lost.stderr


def test_no_run(tmp_path):
    with pytest.raises(InputError, match=r"it holds no config\.json"):
        qc_jax.load(tmp_path)
    with pytest.raises(InputError, match=r"it holds no config\.json"):
        qc_jax.load(tmp_path / "nowhere")


def test_wrong_calls(tmp_path, small_table):
    task = qc_jax.prepare(small_table, "e_homo_ev")
    run = qc_jax.fit(qc_jax.create("pair_mean"), task)
    (tmp_path / "file").touch()
    same = structures.Structure(np.array([6, 8]), np.zeros(6))
    for words, call in {
        "expected ase.Atoms, got None": lambda: run.predict(None),
        "expected ase.Atoms, got 'C_O'": lambda: run.predict(["C_O", ase.Atoms("C")][::-1]),
        "expected atomic numbers .* positions": lambda: run.predict(same),
        "batch_size: expected at least 1, got 0": lambda: run.predict("C_O", batch_size=0),
        "distance: expected a length in Å, or one": lambda: run.predict("C_O", distance="1"),
        "table: expected a table of the run's data": lambda: run.score(table=3),
        "file: expected a new or empty directory": lambda: run.save(tmp_path / "r").save(
            tmp_path / "file"
        ),
        "r: expected a new or empty directory": lambda: run.save(tmp_path / "r"),
        "path: expected a directory, got None": lambda: run.save(None),
        "it holds no config": lambda: qc_jax.load("x" * 5000),
        "pair_mean reads no positions": lambda: run.predict_forces("C_O"),
    }.items():
        with pytest.raises(InputError, match=words):
            call()
    with pytest.warns(UserWarning, match="9 atoms, trained on structures of 2"):
        run.predict(ase.build.molecule("CH3CH2OH"))


def test_a_run_with_curves_is_scored_without_them(tmp_path):
    curves = tmp_path / "curves.npz"
    table = qc_jax.open_table("gfn2_xtb")
    table.save(curves)
    task = qc_jax.prepare(table, "e_homo_ev", curves=str(curves), train_fraction=0.05)
    run = qc_jax.fit(qc_jax.create("gradient_boosting", trees=2), task).save(tmp_path / "run")
    curves.unlink()
    loaded = qc_jax.load(tmp_path / "run")
    assert loaded.learned_slopes and loaded.config.curves == str(curves)
    found = loaded.score().result
    assert found["test"] == run.score().result["test"]
    assert found["split_sizes"]["train"] == len(task.own_train) == len(loaded.split["train"])


def test_a_run_on_some_rows_of_a_table_is_no_run_on_all(tmp_path):
    table = qc_jax.open_table("ptbp").take(np.arange(0, 2850, 10))
    run = qc_jax.fit(qc_jax.create("pair_mean"), qc_jax.prepare(table, "e_homo_ev"))
    run.save(tmp_path / "run")
    opened = qc_jax.load(tmp_path / "run")
    with pytest.raises(InputError, match="trained on a table without a name"):
        opened.score()
    for split in (run.score(split="by_period"), opened.score(table=table, split="by_period")):
        assert split.result["data_fingerprint"] == table.fingerprint()
        assert split.result["split"] == "by_period"
        assert sum(split.result["split_sizes"].values()) <= len(table)
    named = dataclasses.replace(run, config=run.config.replace(data="ptbp"))
    for name, one in (("own", run), ("named", named)):
        one.pack(tmp_path / f"{name}.npz")
        packed = qc_jax.load(tmp_path / f"{name}.npz")
        assert packed.pairs.names.tolist() == run.pairs.names.tolist()


def test_names_as_they_are_given(small_table):
    """In arrays, too, and the dipole points along the bond from the first atom of the name."""
    run = qc_jax.fit(qc_jax.create("pair_mean"), qc_jax.prepare(small_table, "dipole_z_d"))
    there, back, same = run.predict(np.array(["C_O", "O_C", "N_N"]))
    assert there == -back != 0
    np.testing.assert_array_equal(run.predict(pd.Series(["O-C", "N_N"])), [back, same])
