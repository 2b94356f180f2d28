"""From a configuration to its parts."""

import pathlib

import flax.linen as nn
import jax
import numpy as np
import pytest

from experiments.configs import egnn
from qc_jax import canvas, models
from qc_jax.data.batch import Batch
from qc_jax.data.targets import BENCHMARK_TARGETS, leaking_inputs
from qc_jax.engines import published
from qc_jax.errors import InputError
from qc_jax.models import Architecture
from qc_jax.runs import building, progress, record, scoring, sources
from qc_jax.runs.sources import account
from qc_jax.runs.workdir import Workdir
from qc_jax.train import loop

FIXTURE = pathlib.Path(__file__).parents[1] / "fixtures" / "published_numpy1.npz"


class CanvasMean(Architecture):
    """Linear in the mean of each canvas channel; the canvas is rendered in the model's own jit."""

    inputs = ("canvas",)
    outputs: int = 1

    @nn.compact
    def __call__(self, batch: Batch, train: bool = False) -> jax.Array:
        picture = canvas.render(batch.canvas_features, size=16)
        return nn.Dense(self.outputs)(picture.mean(axis=(1, 2)))


def config(**changes):
    card = egnn.get_config("quick")
    with card.unlocked():
        card.update(changes)
    return card.to_dict()


def test_a_model_of_canvases_sees_the_dipole(monkeypatch, tmp_path):
    """The size of the dipole is in the canvas, and is told to be leaked by it."""
    monkeypatch.setattr(models, "create", lambda name, outputs, **_: CanvasMean(outputs))
    run = building.from_config(config(target="dipole_mag_d", epochs=30, lr=0.03))
    np.testing.assert_array_equal(
        run.task.dataset.structures.canvas_features, canvas.features(run.table)
    )
    work = Workdir(tmp_path)
    record.claim(run, work)
    history = loop.fit(run.model, run.task, run.settings, [work]).history
    errors = [line["validation_mae"]["dipole_mag_d"] for line in history]
    assert min(errors) < 0.15 * np.ptp(run.table.targets["dipole_mag_d"]) / 4
    assert errors[0] > 3 * min(errors)
    assert leaking_inputs("dipole_mag_d", run.model.inputs) == ("canvas",)


def test_a_published_file_trains_a_model_of_canvases(small_table, monkeypatch, tmp_path):
    """The features of its stored canvases are those that the table itself gives."""
    published.write(small_table, tmp_path / "dataset_combined.npz")
    monkeypatch.setattr(models, "create", lambda name, outputs, **_: CanvasMean(outputs))
    data = f"published:{tmp_path / 'dataset_combined.npz'}"
    run = building.from_config(config(data=data, target="dipole_mag_d", epochs=2, batch_size=8))
    features = np.asarray(run.task.dataset.structures.canvas_features)
    np.testing.assert_allclose(features, canvas.features(small_table), rtol=1e-5, atol=1e-6)
    work = Workdir(tmp_path / "work")
    record.claim(run, work)
    history = loop.fit(run.model, run.task, run.settings, [work]).history
    assert np.isfinite([line["loss"] for line in history]).all() and len(history) == 2


def test_curves(tmp_path):
    """Rows of training pairs are learned beside them, and baselines do without; canvases, too."""
    card = {"model": {"name": "pair_mean"}, "data": "gfn2_xtb", "train_fraction": 0.05}
    run = building.from_config({**card, "curves": "gfn2_xtb"})
    task = run.task
    assert len(task.split.train) == 2 * len(task.own_train) == 2 * task.from_curves
    assert run.config.to_dict()["curves_fingerprint"] == run.table.fingerprint()
    trained = loop.fit(run.model, task, run.settings)
    alone = building.from_config(card)
    assert (
        scoring.score(run, trained.state, {}).result["baselines"]
        == (scoring.score(alone, trained.state, {}).result["baselines"])
    )
    record_of = record.Record.of(run)
    assert record_of.split["train"] == record.Record.of(alone).split["train"]
    prepared = building.prepare(run.table, "e_homo_ev", curves="gfn2_xtb", train_fraction=0.05)
    drawn = building.for_model(prepared, CanvasMean()).dataset.structures.canvas_features
    assert len(drawn) == len(prepared.names)
    for curves, message in (
        ("ptbp", "curves: expected those of the data's engine, 'tblite', got 'dftb'"),
        (str(tmp_path / "none.npz"), "curves: .*none.npz"),
    ):
        with pytest.raises(InputError, match=message):
            building.from_config(config(data="gfn2_xtb", curves=curves))


def test_targets():
    one = building.from_config(config(target="e_g_ev"))
    assert one.task.targets == ("e_g_ev",) and one.model.outputs == 1
    two = building.from_config(config(targets="e_homo_ev, e_lumo_ev"))
    assert two.task.targets == ("e_homo_ev", "e_lumo_ev") and two.model.outputs == 2
    every = building.from_config(config(targets="all"))
    assert every.task.targets == BENCHMARK_TARGETS


def test_split():
    published = building.from_config(config())
    assert published.config.split == "random"
    assert len(published.task.split.train) == int(0.8 * len(published.table))
    by_period = building.from_config(config(split="by_period"))
    heavy = by_period.task.dataset.structures.atomic_numbers.max(axis=1) > 36
    assert heavy[by_period.task.split.test].all() and not heavy[by_period.task.split.train].any()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"split": "by_periods"}, "unknown split 'by_periods'; choose one of: by_bond_distance"),
        ({"split": "k_fold"}, "expected k_fold:FOLD/FOLDS, like k_fold:1/5"),
        ({"target": "e_homo"}, "unknown target 'e_homo'; choose one of: a_ev, band_energy_ev"),
        ({"targets": "e_homo_ev,e_homo_ev"}, "name a target twice"),
        ({"data": "gfn1"}, "unknown data 'gfn1'"),
        ({"data": "missing.npz"}, r"missing\.npz: no such file"),
        ({"data": "published:missing.npz"}, r"missing\.npz: no such file"),
        ({"data": f"{FIXTURE}"}, "in the published format, not a PairTable; .* published:"),
        ({"data_dir": "somewhere"}, "data_dir 'somewhere' is of TFDS"),
        ({"data": "tfds:quantum_canvas/gfn9"}, "gfn9"),
        ({"model": {"name": "egn"}}, "unknown model 'egn'; choose one of: .*egnn"),
        ({"model": {"name": "egnn", "depth": 3}}, "unknown hyper-parameter of egnn 'depth'"),
        ({"lr": 0.0}, "lr: expected above 0"),
    ],
)
def test_wrong_values(changes, words):
    with pytest.raises(InputError, match=words):
        building.from_config(config() | changes)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"epochs": 3}, "epochs: is of the training; expected it in qc_jax.TrainConfig"),
        ({"model": "egnn"}, "unknown field of prepare 'model'; choose one of: average_symm"),
        ({"train_fractoin": 0.1}, "unknown field of prepare 'train_fractoin'"),
    ],
)
def test_what_a_task_does_not_have(small_table, fields, words):
    with pytest.raises(InputError, match=words):
        building.prepare(small_table, "e_homo_ev", **fields)


def test_a_file_of_curves_that_has_changed_is_read_again(small_table, tmp_path):
    path = tmp_path / "curves.npz"
    for table in (small_table, small_table.take(np.arange(5))):
        table.save(path)
        found = building.fingerprints("", str(path))["curves_fingerprint"]
        assert found == table.fingerprint()


def test_a_table_by_its_path(small_table, tmp_path):
    small_table.save(tmp_path / "my.npz")
    for opener in (sources.open_table, sources.open_data):
        assert opener(tmp_path / "my.npz").opened_as == str(tmp_path / "my.npz")


def test_data_that_are_not_there():
    with pytest.raises(InputError, match=r"unknown data 'gfn3_xtb'; .* a \.csv or \.npz file"):
        sources.open_table("gfn3_xtb")


def test_what_is_wrong_with_a_file_is_told(capsys):
    """By kind with the number of rows, and the first rows with their reasons."""
    table = sources.open_table(f"published:{FIXTURE}", "")
    told = capsys.readouterr().err.splitlines()
    assert told == account(table)
    assert (
        told[0] == "3 rows in the table; 1 left out (element 1); 1 contradict themselves (dipole 1)"
    )
    assert told[1] == "  Ag_Al: element: 'X', which stands for a missing geometry"
    assert told[2].startswith("  O_Ti: dipole: size in the canvas 2.54175 Debye, dipole_mag_d 2.25")
    assert len(told) == 3


def test_a_tree_of_dftbplus_outputs_is_read_with_a_bar(capsys, monkeypatch):
    monkeypatch.setattr(progress, "_LINE_SECONDS", -1)  # one a minute where there is no terminal
    table = sources.open_table(f"dftbplus:{FIXTURE.parent / 'dftbplus' / 'tree'}", "")
    assert {"Cl_Mg", "F_Li"} <= set(table.names)
    said = capsys.readouterr().err
    assert f"{len(table)} rows in the table; {len(table.left_out)} left out" in said
    assert "5 of 5 pairs" in said


def test_images_that_a_model_does_not_read_are_told():
    config = {"model": "gcn", "images": "densities", "data": "ptbp"}
    with pytest.warns(UserWarning, match="images=densities: gcn reads none"):
        building.from_config(config)
