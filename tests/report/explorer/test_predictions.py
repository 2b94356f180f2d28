"""What models say of every pair, and which part of the split it was in."""

import pathlib

import numpy as np
import pytest

import qc_jax
from qc_jax.data import splits
from qc_jax.errors import InputError
from qc_jax.report.explorer import contents, predictions
from qc_jax.runs import packed, sources
from qc_jax.runs.ensemble import Ensemble
from tests.report import planted


@pytest.fixture(scope="module")
def gfn2():
    return sources.open_table("gfn2_xtb")


def test_the_packaged_model_says_what_it_predicts():
    table = sources.open_table("ptbp")
    model, constants = predictions.collect(table)
    run = qc_jax.load("tight_binding/ptbp")
    row = table.row("Ag_Al")
    ensemble = Ensemble(packed.DEFAULT)
    estimate = ensemble.predict("Ag_Al")
    np.testing.assert_allclose(model.predicted[row], estimate.mean[0], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        model.half_width[row], ensemble.half_width(estimate, 0.8)[0], rtol=1e-4, atol=1e-5
    )
    assert f"of the {predictions.PARTS[model.parts[row, 0]]} split" == run.part_of("Ag_Al")
    counts = np.bincount(model.parts[:, 0], minlength=3)
    assert counts.tolist() == [2280, 285, 285]
    # Known errors on test pairs, as result.json has them.
    column = model.targets.index("e_homo_ev")
    test = model.parts[:, column] == predictions.PARTS.index("test")
    errors = np.abs(model.predicted[test, column] - table.targets["e_homo_ev"][test])
    assert 0.5 < errors.mean() / run.result["test"]["e_homo_ev"]["mae"] < 1.05
    assert 0.7 < (errors <= model.half_width[test, column]).mean() < 0.9
    assert model.leaked_by["distance_ang"] == ["positions"] and "e_homo_ev" not in model.leaked_by
    assert constants.name == predictions.CONSTANTS and not constants.leaked_by
    np.testing.assert_array_equal(constants.parts[:, 0], model.parts[:, 0])


def test_other_data_have_constants_alone(gfn2):
    (constants,) = predictions.collect(gfn2)
    split = splits.random(gfn2, 42)
    for part, rows in split.parts().items():
        assert (constants.parts[rows] == predictions.PARTS.index(part)).all()
    fitted = constants.predicted[:, constants.targets.index("total_energy_ev")]
    errors = np.abs(fitted - gfn2.targets["total_energy_ev"])
    assert np.median(errors[split.train]) < 2 < gfn2.targets["total_energy_ev"].std()
    assert predictions.collect(gfn2.take(np.arange(5))) == []  # too few pairs to part


@pytest.mark.slow
def test_a_run_predicts_all_pairs(gfn2, tmp_path):
    task = qc_jax.prepare(gfn2, "e_homo_ev")
    run = qc_jax.fit(qc_jax.create("pair_mean"), task).save(tmp_path / "run")
    (model,) = predictions.of_workdir(gfn2, tmp_path / "run")
    assert model.name == "pair_mean" and np.isfinite(model.predicted).all()
    np.testing.assert_allclose(model.predicted, run.predict([str(n) for n in gfn2.names]))
    with pytest.raises(InputError, match="expected a model of ptbp, got one of gfn2_xtb"):
        predictions.of_workdir(sources.open_table("ptbp"), tmp_path / "run")


def test_packed_models_are_opened_by_their_names_and_files(monkeypatch):
    monkeypatch.setattr(predictions, "of_ensemble", lambda *given: given)
    table, name = sources.open_table("ptbp"), "gcn/ptbp_e_homo_ev"
    file = pathlib.Path(qc_jax.__file__).parent / "trained" / f"{name}.npz"
    for path, told in ((name, name), (file, file.name)):
        ((_, ensemble, model, about),) = predictions.of_workdir(table, path)
        assert ensemble.members[0].targets == ("e_homo_ev",)
        assert (model, about) == ("gcn", f"packed as {told}")


@pytest.mark.slow
def test_a_class_is_told_not_to_be_shown(gfn2, tmp_path):
    task = qc_jax.prepare(gfn2, "metal_like", train_fraction=0.1)
    settings = qc_jax.TrainConfig(epochs=1)
    qc_jax.fit(qc_jax.create("geometry_only"), task, settings).save(tmp_path / "run")
    found = contents.build(gfn2, lambda *_: None, ["H", "O"], [str(tmp_path / "run")], levels=False)
    (sentence,) = found.about["not_shown"]
    assert sentence.startswith("metal_like of geometry_only (trained in run; random split, seed 42")
    assert "is not shown: the page shows quantities" in sentence
    assert "geometry_only" not in [model["name"] for model in found.about["models"]]


def test_a_benchmark_has_its_test_pairs(gfn2, tmp_path):
    planted.write(
        *(tmp_path, {"gcn": 0.2, "egnn": 0.4}, ["e_homo_ev", "distance_ang"], [42, 123]),
        fingerprint=gfn2.fingerprint(),
    )
    found = {model.name: model for model in predictions.of_workdir(gfn2, tmp_path)}
    assert set(found) == {"gcn", "egnn"}
    known = np.isfinite(found["gcn"].predicted)
    rows = [gfn2.row(name) for name in planted.NAMES if name in set(gfn2.names)]
    assert sorted(np.flatnonzero(known[:, 0])) == sorted(rows)
    assert (found["gcn"].parts[known] == predictions.PARTS.index("test")).all()
    assert (found["gcn"].parts[~known] == predictions.NO_PART).all()
    assert not found["gcn"].leaked_by
    assert found["egnn"].leaked_by == {"distance_ang": ["positions"]}
    # None tells what it was trained on: constants are fitted on the published training pairs.
    some = np.arange(0, len(gfn2), 10)
    few, models = gfn2.take(some), [model.take(some) for model in found.values()]
    (constants,) = predictions.element_constants(few, models)
    (published,) = predictions.element_constants(few, [])
    np.testing.assert_array_equal(constants.parts, published.parts)
    assert np.isfinite(constants.predicted).all()
    both = [
        predictions.source.read(tmp_path).predictions(f"gcn-e_homo_ev-seed{s}") for s in (42, 123)
    ]
    mean = np.mean([one.predicted[0, 0] for one in both])
    at = found["gcn"].targets.index("e_homo_ev")
    assert found["gcn"].predicted[gfn2.row(planted.NAMES[0]), at] == pytest.approx(mean)
    with pytest.raises(InputError, match="expected predictions for pairs of ptbp, got none"):
        predictions.of_workdir(sources.open_table("ptbp"), tmp_path)
