"""The public names, as a user's project has them: imported at no cost, used without a directory."""

import doctest
import importlib
import pathlib
import subprocess
import sys

import ase
import numpy as np
import pytest

import qc_jax
from qc_jax.errors import InputError


def test_importing_costs_nothing():
    code = "import sys, qc_jax; print('jax' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_names():
    assert {"open_table", "fit", "load", "Calculator", "register"} <= set(dir(qc_jax))
    assert qc_jax.InputError is InputError
    with pytest.raises(AttributeError, match="has no attribute 'fitt'"):
        _ = qc_jax.fitt


@pytest.mark.parametrize(
    "module", ["qc_jax", "qc_jax.runs.sources", "qc_jax.runs.building", "qc_jax.runs.training"]
)
def test_examples(module):
    failed, tried = doctest.testmod(importlib.import_module(module))
    assert tried and not failed


def test_from_a_table_to_a_calculator(tmp_path, monkeypatch):
    """The lines of the documentation, with a smaller model and fewer rows."""
    table = qc_jax.open_table("gfn2_xtb")
    images = qc_jax.render(qc_jax.features(table)[:3], size=32)
    assert images.shape == (3, 32, 32, 10)
    task = qc_jax.prepare(table, "total_energy_ev", split="random", seed=42, train_fraction=0.1)
    model = qc_jax.create("schnet", hidden=8, filters=8, interactions=1, gaussians=8)
    run = qc_jax.fit(model, task, qc_jax.TrainConfig(epochs=2))
    named = run.predict(["Ag_Al", "H_O"])
    assert named.shape == (2, 1) and named.dtype == np.float64
    pair = table.positions[table.row("H_O")]
    atoms = ase.Atoms("HO", pair)
    np.testing.assert_allclose(run.predict(atoms), named[1:], rtol=1e-6)
    np.testing.assert_array_equal(run.predict(["O-H"]), run.predict("H_O"))
    scored = run.score()
    assert set(scored.result["test"]) == {"total_energy_ev"}

    saved = run.save(tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    opened = qc_jax.load("run")
    assert opened.config == saved.config and opened.targets == ("total_energy_ev",)
    np.testing.assert_array_equal(opened.predict(["Ag_Al", "H_O"]), named)
    assert opened.score().result["test"] == scored.result["test"]
    assert opened.split == run.split
    assert opened.part_of(opened.split["test"][0]) == "of the test split"
    atoms.calc = qc_jax.Calculator(opened)
    assert atoms.get_potential_energy() == pytest.approx(named[1, 0], rel=1e-5)
    with pytest.raises(InputError, match="expected a new or empty directory"):
        opened.save("run")
    copied = opened.save("copy")
    np.testing.assert_array_equal(qc_jax.load(copied.path).predict("H_O"), named[1:])
    absent = next(iter(table.left_out))
    with pytest.raises(InputError, match=rf"pair '{absent}': expected one .* was left out of it"):
        opened.predict(absent)
    with pytest.raises(InputError, match="expected a pair like 'Ag_Al', got 'Ag'"):
        opened.predict("Ag")
    (pathlib.Path("run") / "run.json").write_text("[]")
    with pytest.raises(InputError, match=r"run\.json: expected fields and their values, got \[\]"):
        qc_jax.load("run")
