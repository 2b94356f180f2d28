"""The public names, as a user's project has them: imported at no cost, used without a directory."""

import doctest
import io
import pathlib
import re
import subprocess
import sys

import ase
import numpy as np
import pytest

import qc_jax
from qc_jax.errors import InputError
from qc_jax.models import _registry


def test_importing_costs_nothing():
    code = "import sys, qc_jax; print('jax' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_names():
    assert {"open_table", "fit", "load", "Calculator", "register"} <= set(dir(qc_jax))
    assert qc_jax.InputError is InputError
    assert qc_jax.ase.Calculator is qc_jax.Calculator
    with pytest.raises(AttributeError, match="has no attribute 'fitt'"):
        _ = qc_jax.fitt


_SLOW = pytest.param("Calculator", marks=pytest.mark.slow)  # which compiles a model's forces


@pytest.mark.parametrize(
    "name", ["qc_jax", _SLOW, *(name for name in qc_jax._PUBLIC if name != "Calculator")]
)
def test_examples(name, monkeypatch):
    """Each public name has an example that runs."""
    monkeypatch.setattr(_registry, "_registered", dict(_registry._registered))
    item = qc_jax if name == "qc_jax" else getattr(qc_jax, name)
    module = sys.modules[item.__name__ if name == "qc_jax" else item.__module__]
    finder = doctest.DocTestFinder(recurse=False)
    (example,) = finder.find(item, name, module=module, globs=dict(vars(module)))
    assert example.examples, f"{name} has no example"
    report = io.StringIO()
    failed, _ = doctest.DocTestRunner().run(example, out=report.write)
    assert not failed, report.getvalue()


README = """
import qc_jax
table = qc_jax.open_table("gfn2_xtb")                  # or any other data name, prefixes included
images = qc_jax.render(qc_jax.features(table), size=32)
task = qc_jax.prepare(table, "e_homo_ev", split="random", seed=42)
model = qc_jax.create("egnn", hidden=64)
run = qc_jax.fit(model, task, qc_jax.TrainConfig(epochs=5))       # no directory; run.save makes one
run.predict(["Ag_Al"]); run.predict(atoms); run.score()
run.save("dir")
run = qc_jax.load("dir")                                # from anywhere, when the data are gone
calculator = qc_jax.Calculator(run)                     # ASE; energies, forces, stress
"""


@pytest.mark.slow
@pytest.mark.parametrize("target", ["e_homo_ev", "mermin_free_energy_ev"])
def test_the_documented_lines_run_as_they_stand(target, tmp_path, monkeypatch):
    """A calculator needs an energy, and says so of a model without one."""
    monkeypatch.chdir(tmp_path)
    names = {"atoms": ase.Atoms("AgAl", [(0, 0, 0), (0, 0, 2.4)])}
    code = README.replace("e_homo_ev", target)
    if target == "e_homo_ev":
        with pytest.raises(InputError, match="dynamics needs an energy"):
            exec(code, names)
        names["run"].predict(["Ag_Al"])
        return
    exec(code, names)
    names["atoms"].calc = names["calculator"]
    energy = names["atoms"].get_potential_energy()
    assert energy == pytest.approx(names["run"].predict(names["atoms"])[0, 0], rel=1e-6)
    assert names["atoms"].get_forces().shape == (2, 3)


def test_from_a_table_to_a_calculator(tmp_path, monkeypatch):
    """The lines of the documentation, with a smaller model and fewer rows."""
    table = qc_jax.open_table("gfn2_xtb")
    images = qc_jax.render(qc_jax.features(table)[:3], size=32)
    assert images.shape == (3, 32, 32, 10)
    task = qc_jax.prepare(
        table, "mermin_free_energy_ev", split="random", seed=42, train_fraction=0.1
    )
    model = qc_jax.create("schnet", hidden=8, filters=8, interactions=1, gaussians=8)
    run = qc_jax.fit(model, task, qc_jax.TrainConfig(epochs=2))
    named = run.predict(["Ag_Al", "H_O"])
    assert named.shape == (2, 1) and named.dtype == np.float64
    pair = table.positions[table.row("H_O")]
    atoms = ase.Atoms("HO", pair)
    np.testing.assert_allclose(run.predict(atoms), named[1:], rtol=1e-6)
    np.testing.assert_array_equal(run.predict(["O-H"]), run.predict("H_O"))
    scored = run.score()
    assert set(scored.result["test"]) == {"mermin_free_energy_ev"}

    saved = run.save(tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    opened = qc_jax.load("run")
    assert opened.config == saved.config and opened.targets == ("mermin_free_energy_ev",)
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


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda table: qc_jax.load(3), "path: expected the directory of a run, got 3"),
        (lambda table: qc_jax.Calculator(None), "path: expected the directory of a run"),
        (lambda table: qc_jax.open_table(3), "data: expected a name or a path, got 3"),
        (lambda table: qc_jax.create(3), "model: expected the name of a model, got 3"),
        (lambda table: qc_jax.features(3), "table: expected a table of pairs, larger structures"),
        (lambda table: qc_jax.prepare(table, []), "targets: expected a target, or several, got no"),
        (lambda table: qc_jax.prepare(table, 3), "targets: expected a target, or several, got 3"),
        (lambda table: qc_jax.prepare("gfn2_xtb", "mu_ev"), "table: expected what qc_jax.open_da"),
        (lambda table: qc_jax.fit("egnn", 4), "model: expected what qc_jax.create returns"),
        (lambda table: qc_jax.fit(qc_jax.create("gcn"), table), "task: expected what qc_jax.prep"),
        (lambda table: qc_jax.TrainConfig(epochs="3"), "epochs: expected a whole number, got '3'"),
        (lambda table: qc_jax.TrainConfig(epochs=2.5), "epochs: expected a whole number, got 2.5"),
        (lambda table: qc_jax.TrainConfig(epochs=True), "epochs: expected a whole number, got Tr"),
        (lambda table: qc_jax.TrainConfig(lr="x"), "lr: expected a number, got 'x'"),
    ],
)
def test_a_wrong_argument_is_one_line(small_table, call, words):
    with pytest.raises(InputError, match=re.escape(words)):
        call(small_table)
