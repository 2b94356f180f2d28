"""Weights of a PyTorch reference become a work directory; its numbers are the reference's."""

import json
import pathlib

import jax
import numpy as np
import pytest

from qc_jax.data.batch import from_arrays
from qc_jax.evaluate.predict import predict
from qc_jax.runs import building
from qc_jax.runs.loading import restore
from qc_jax.runs.workdir import Workdir

SCRIPT = ("-m", "experiments.import_torch")
FIXTURE = pathlib.Path(__file__).parents[1] / "fixtures" / "reference" / "schnet.npz"
# The fixture's sizes, and a target that is learned by its logarithm when it is trained here.
HYPER = {"hidden": 24, "filters": 20, "interactions": 3, "gaussians": 12, "cutoff": 3.0}
CARD = ("--config=experiments/configs/schnet.py",)
CARD += tuple(f"--config.model.{key}={value}" for key, value in HYPER.items())
LOW, HIGH = 0.02, 3.5


pytestmark = pytest.mark.slow  # a start of Python a test


@pytest.fixture(scope="module")
def reference():
    """The fixture's arrays by name."""
    with np.load(FIXTURE) as file:
        assert json.loads(str(file["about"])) == {"model": "schnet", "hyper": HYPER}
        return {name: file[name] for name in file.files}


@pytest.fixture(scope="module")
def weights(reference):
    prefix = "weights/"
    names = [name for name in reference if name.startswith(prefix)]
    return {name.removeprefix(prefix): reference[name] for name in names}


@pytest.fixture(scope="module")
def folder(weights, small_table, tmp_path_factory) -> pathlib.Path:
    """weights.npz, and a table.npz of which one pair has no softness."""
    made = tmp_path_factory.mktemp("import")
    np.savez(made / "weights.npz", **weights)
    small_table.save(made / "table.npz")
    return made


@pytest.fixture(scope="module")
def imported(folder, run_python):
    """A work directory, the command that made it, and what it said."""
    command = (
        *(*SCRIPT, f"--checkpoint={folder / 'weights.npz'}", *CARD),
        *(f"--config.data={folder / 'table.npz'}", "--target=softness_evinv"),
        *(f"--label_min={LOW}", f"--label_max={HIGH}", f"--workdir={folder / 'run'}"),
    )
    done = run_python(*command)
    assert done.returncode == 0, done.stderr
    return folder / "run", command, done


def restored(workdir: pathlib.Path):
    """Model and state of a work directory."""
    work = Workdir(workdir)
    run = building.from_config(work.config())
    return run, restore(work, run.model, run.config)


def unscaled(outputs, low, high):
    """The published rule, whatever the target."""
    return (outputs + 1) / 2 * (high - low) + low


def test_it_predicts_what_the_reference_does(imported, reference):
    """On a linear scale, though here softness would be learned by its logarithm."""
    run, state = restored(imported[0])
    assert run.task.scaler.log.all() and not state.scaler.log.any()
    pairs = from_arrays(reference["pairs/atomic_numbers"], reference["pairs/positions"])
    got = predict(run.model, state.best_variables, state.scaler, pairs)
    expected = unscaled(reference["pairs/outputs"], LOW, HIGH)
    np.testing.assert_allclose(got, expected, rtol=1e-5)
    assert np.ptp(expected) > 0.1
    jax.tree.map(np.testing.assert_array_equal, state.params, state.best_params)


def test_predict_script(imported, reference, run_python):
    done = run_python("-m", "experiments.predict", f"--workdir={imported[0]}", "C", "O")
    assert done.returncode == 0, done.stderr
    row = next(line.split() for line in done.stdout.splitlines() if "softness_evinv" in line)
    pair = reference["pairs/atomic_numbers"].tolist().index([6, 8])
    expected = unscaled(reference["pairs/outputs"][pair, 0], LOW, HIGH)
    assert float(row[1]) == pytest.approx(expected, rel=1e-3)
    assert "split, if the imported weights were trained on this split" in done.stdout


def test_result_says_where_it_comes_from(imported, small_table):
    workdir, _, done = imported
    result = json.loads((workdir / "result.json").read_text())
    about = result["imported"]
    assert about == json.loads((workdir / "config.json").read_text())["imported"]
    assert about["file"] == "weights.npz" and "--label_min" in about["scaled_by"]
    assert about["presumed"].endswith(f"of split random, seed 42, of {result['dataset']}")
    assert about["presumed"] in done.stdout
    assert (about["label_min"], about["label_max"]) == ([LOW], [HIGH])
    run, state = restored(workdir)
    test = run.task.dataset.take(run.task.split.test)
    got = predict(run.model, state.best_variables, state.scaler, test.structures)
    mae = np.abs(got - test.labels).mean()
    assert result["test"]["softness_evinv"]["mae"] == pytest.approx(mae, rel=1e-5)
    assert (workdir / "parity.png").stat().st_size > 10_000
    assert "weights imported from weights.npz" in done.stdout
    assert "best epoch" not in done.stdout
    labels = small_table.columns(("softness_evinv",))
    low, high = np.nanmin(labels), np.nanmax(labels)
    assert (low, high) != (
        LOW,
        HIGH,
    ) and "they were trained on other data, or scaled" in done.stdout


def test_it_is_trained_no_further(imported, folder, run_python):
    """And the same import is shown again, another refused."""
    workdir, command, done = imported
    before = {path: path.stat().st_mtime_ns for path in workdir.rglob("*") if path.is_file()}
    train = ("-m", "experiments.train", *CARD, f"--config.data={folder / 'table.npz'}")
    trained = run_python(*train, "--config.target=softness_evinv", f"--workdir={workdir}")
    assert_one_line(trained, "holds another run (imported.file is 'weights.npz' there, None asked")
    again = run_python(*command)
    assert again.returncode == 0 and again.stdout == done.stdout
    other = run_python(*command, "--label_max=4")
    assert_one_line(other, "imported.label_max is [3.5] there, [4.0] asked")
    assert {p: p.stat().st_mtime_ns for p in workdir.rglob("*") if p.is_file()} == before


def assert_one_line(done, *words):
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("error: ")
    for some in words:
        assert some in done.stderr, done.stderr


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (
            ("--model=egnn", "--target=e_g_ev"),
            (
                "weights.npz: these weights are not of egnn: missing: ",
                "; what is published as egnn is gcn here",
            ),
        ),
        (
            (*CARD, "--config.model.cutoff=4"),
            ("distance_expansion.offset holds other numbers than",),
        ),
        (CARD, ("does not say between which labels its outputs −1 and 1 lie",)),
    ],
    ids=("model", "cutoff", "range"),
)
def test_what_does_not_fit_leaves_nothing(folder, run_python, tmp_path, flags, words):
    path = f"--checkpoint={folder / 'weights.npz'}"
    done = run_python(*SCRIPT, path, *flags, f"--workdir={tmp_path / 'run'}")
    assert_one_line(done, *words)
    assert not (tmp_path / "run").exists()


def test_a_published_checkpoint(folder, weights, reference, run_python, tmp_path):
    """Model, target and range are in it, hyper-parameters too; nothing else tells them."""
    torch = pytest.importorskip("torch", reason="a checkpoint of torch is made by torch")
    made = {
        "model_state_dict": {name: torch.tensor(array) for name, array in weights.items()},
        "val_mae": np.float64(0.2),  # as the published trainer keeps it
        "model_config": {"hidden_channels": 24, "cutoff": 3.0},
        "model_type": "schnet",
        "target": "e_homo_ev",
        "normalization_stats": {"min": -15.5, "max": -2.5},
    }
    torch.save(made, tmp_path / "best_model.pt")
    flags = (f"--checkpoint={tmp_path / 'best_model.pt'}", f"--workdir={tmp_path / 'run'}", *CARD)
    done = run_python(*SCRIPT, *flags, f"--config.data={folder / 'table.npz'}")
    assert done.returncode == 0, done.stderr
    assert "as the checkpoint says: {'hidden_channels': 24, 'cutoff': 3.0}" in done.stdout
    run, state = restored(tmp_path / "run")
    assert run.config.imported["scaled_by"] == "the range in the checkpoint"
    pairs = from_arrays(reference["pairs/atomic_numbers"], reference["pairs/positions"])
    got = predict(run.model, state.best_variables, state.scaler, pairs)
    expected = unscaled(reference["pairs/outputs"], -15.5, -2.5)
    np.testing.assert_allclose(got, expected, rtol=1e-5)


@pytest.fixture
def exported_and_back(imported, run_python, tmp_path):
    """Exports the run to a file of a name, imports that and compares the errors."""

    def go(name):
        out, again = tmp_path / name, tmp_path / "again"
        export = ("-m", "experiments.export", "--format=torch", f"--workdir={imported[0]}")
        done = run_python(*export, f"--out={out}")
        assert done.returncode == 0, done.stderr
        table = imported[0].parent / "table.npz"
        given = (f"--checkpoint={out}", *CARD, f"--config.data={table}", "--target=softness_evinv")
        done = run_python(*SCRIPT, *given, f"--workdir={again}")
        assert done.returncode == 0, done.stderr
        both = [json.loads((path / "result.json").read_text()) for path in (imported[0], again)]
        assert both[1]["test"]["softness_evinv"]["mae"] == both[0]["test"]["softness_evinv"]["mae"]
        return out

    return go


def test_what_export_writes_comes_back(imported, exported_and_back, run_python, tmp_path):
    """--format=torch of the run, imported again: the same tensors, range and errors."""
    first = imported[0].parent / "weights.npz"
    with np.load(exported_and_back("again.npz")) as written, np.load(first) as before:
        assert set(written.files) == {*before.files, "about"}
        for name in before.files:
            np.testing.assert_allclose(written[name], before[name], rtol=1e-6, err_msg=name)
    export = ("-m", "experiments.export", "--format=torch", f"--workdir={imported[0]}")
    refused = run_python(*export, f"--out={tmp_path / 'weights.txt'}")
    assert refused.returncode == 2 and "expected a file that ends in .npz or .pt" in refused.stderr


def test_what_export_writes_says_what_it_is(exported_and_back):
    """As the published trainer's files: how labels are scaled need not be said."""
    pytest.importorskip("torch")
    exported_and_back("best_model.pt")
