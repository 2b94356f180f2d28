import dataclasses
import json

import numpy as np
import pytest

import qc_jax
from qc_jax import Ensemble
from qc_jax.data.labels import OVER_GAP
from qc_jax.errors import InputError
from qc_jax.report import tables
from qc_jax.runs import ensemble as ensembles
from qc_jax.runs import queries


def trained(seed, target="e_homo_ev", split=1):
    task = qc_jax.prepare(qc_jax.open_table("gfn2_xtb"), target, seed=split, train_fraction=0.1)
    model = qc_jax.create("gcn", hidden=4, layers=1)
    return qc_jax.fit(model, task, qc_jax.TrainConfig(epochs=3, lr=1e-2, seed=seed))


@pytest.fixture(scope="module")
def members():
    return [trained(seed) for seed in (1, 2, 3)]


def test_mean_and_deviation(members):
    found = Ensemble(members).predict(["Ag_Al", "C_O"])
    each = [one.predict(["Ag_Al", "C_O"]) for one in members]
    np.testing.assert_allclose(found.mean, np.mean(each, axis=0))
    np.testing.assert_allclose(found.deviation, np.std(each, axis=0))
    assert (found.deviation > 0).all()


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.95])
def test_intervals_hold_their_share_of_validation_rows(members, coverage):
    """By construction, to a row: which the share of test rows follows from."""
    ensemble = Ensemble(members)
    names = list(members[0].split["validation"])
    rows = [members[0].pairs.row(name, {}) for name in names]
    estimate = ensemble.predict(names)
    errors = np.abs(estimate.mean - members[0].pairs.labels[rows])
    within = np.sum(errors <= (1 + 1e-9) * ensemble.half_width(estimate, coverage))
    assert within == np.ceil((len(names) + 1) * coverage)


def test_one_member_has_intervals_of_one_width(members):
    ensemble = Ensemble(members[:1])
    estimate = ensemble.predict(["Ag_Al", "C_O"])
    names = list(members[0].split["validation"])
    labels = members[0].pairs.labels[[members[0].pairs.row(name, {}) for name in names]]
    errors = np.sort(np.abs(members[0].predict(names) - labels)[:, 0])
    expected = errors[int(np.ceil(0.8 * (len(names) + 1))) - 1]
    np.testing.assert_allclose(ensemble.half_width(estimate)[:, 0], [expected, expected])
    assert np.isinf(ensemble.half_width(estimate, 1 - 1e-6)).all()  # more than rows can tell


def test_score(members):
    found = Ensemble(members).score()
    names = list(members[0].split["test"])
    labels = members[0].pairs.labels[[members[0].pairs.row(name, {}) for name in names]]
    error = np.abs(np.mean([one.predict(names) for one in members], axis=0) - labels)
    tested = found["test"]["e_homo_ev"]
    assert found["members"] == 3 and found["rows"] == len(names)
    assert tested["mae"] == pytest.approx(error.mean())
    alone = [one.score().result["test"]["e_homo_ev"]["mae"] for one in members]
    assert tested["mae_member"] == pytest.approx(np.mean(alone), rel=1e-5)
    # 267 rows: the share is binomial, three deviations of which are 0.08 at 80 %.
    for coverage, allowed in ((50, 0.13), (80, 0.1), (95, 0.06)):
        assert abs(tested[f"coverage_{coverage}"] - coverage / 100) < allowed
    quarters = [tested[f"mae_quarter_{k}"] for k in (1, 2, 3, 4)]
    assert np.mean(quarters) == pytest.approx(tested["mae"], rel=0.01)
    assert tested["leaked_by"] == ()


def test_a_width_that_rows_cannot_tell_is_not_told(members):
    split = members[0].split
    few = dataclasses.replace(
        members[0].record, split={**split, "validation": split["validation"][:10]}
    )
    one = dataclasses.replace(members[0], record=few)
    found = Ensemble([one]).score()
    assert {"half_width_80", "coverage_95"} <= found["test"]["e_homo_ev"].keys()
    assert "half_width_95" not in found["test"]["e_homo_ev"]
    json.dumps(found, allow_nan=False)
    tables.show_ensemble(found)


def test_bad_input(members):
    with pytest.raises(InputError, match="expected a list of trained models, got 'runs/a'"):
        Ensemble("runs/a")
    with pytest.raises(InputError, match="expected a list of trained models, got"):
        Ensemble([])
    with pytest.raises(InputError, match=r"gcn: expected the split of gcn; .*split_seed"):
        Ensemble([members[0], trained(1, split=2)])
    with pytest.raises(InputError, match=r"expected members of different --config.seed, got 1, 1"):
        Ensemble([members[0], members[0]])
    with pytest.raises(InputError, match="expected the targets of gcn"):
        Ensemble([members[0], trained(1, target="e_lumo_ev")])
    with pytest.raises(InputError, match="coverage: expected a number between 0 and 1, got 80"):
        Ensemble(members).half_width(Ensemble(members).predict("Ag_Al"), 80)


@pytest.mark.slow
def test_intervals_are_of_relaxed_pairs(members):
    """At another distance nobody has tested them."""
    asked = [queries.Asked("Ag_Al", None), queries.Asked("C_O", None)]
    for row in queries.answer(Ensemble(members), asked):
        assert row["half_width"]["e_homo_ev"] > 0
    pairs = qc_jax.prepare(qc_jax.open_table("gfn2_xtb"), "e_homo_ev", seed=1, train_fraction=0.1)
    model = qc_jax.create("geometry_only", hidden=4)
    far = [qc_jax.fit(model, pairs, qc_jax.TrainConfig(epochs=1, seed=seed)) for seed in (1, 2)]
    (row,) = queries.answer(Ensemble(far), [queries.Asked("Ag_Al", 4.0)])
    assert row["half_width"] == {"e_homo_ev": None} and "reference" not in row
    assert len(row["outside"]) == 1 and "Ag-Al at 4.000 Å" in row["outside"][0]


def test_what_is_not_defined_has_no_number():
    """He2 has no empty orbital; CH has an odd number of electrons and so no gap, anywhere."""
    asked = [
        *(queries.Asked(name, None) for name in ("He_He", "C_H", "C_O")),
        queries.Asked("C_H", 1.3),
    ]
    helium, open_shell, closed, stretched = queries.answer(Ensemble(["tight_binding/ptbp"]), asked)
    without = {"e_g_ev", "e_lumo_ev", "a_ev", "chi_ev", "mu_ev", "eta_ev", *OVER_GAP}
    for row, expected in (
        (helium, without),
        (open_shell, OVER_GAP),
        (closed, set()),
        (stretched, OVER_GAP),
    ):
        for kind in ("predicted", "half_width"):
            values = row.get(kind, {})
            assert {key for key, value in values.items() if value is None} == set(
                expected
            ) & values.keys()
        assert bool(row["outside"]) == (row is stretched)


def test_one_member_may_be_a_classifier():
    task = qc_jax.prepare(qc_jax.open_table("ptbp"), "metal_like", train_fraction=0.1)
    ensemble = Ensemble([qc_jax.fit(qc_jax.create("pair_mean"), task)])
    estimate = ensemble.predict("Ag_Al")
    assert 0 <= estimate.mean[0, 0] <= 1
    with pytest.raises(InputError, match="got a class, which has no interval"):
        ensemble.half_width(estimate)


def test_without_validation_rows(members):
    record = dataclasses.replace(members[0].record, split={**members[0].split, "validation": []})
    ensemble = Ensemble([dataclasses.replace(members[0], record=record)])
    with pytest.raises(InputError, match="expected validation rows that stand once in"):
        ensemble.half_width(ensemble.predict("Ag_Al"))


@pytest.mark.slow
def test_scripts(members, run_python, tmp_path):
    """A column more in predict, in words, CSV and JSON; a table in evaluate."""
    paths = ",".join(str(one.save(tmp_path / str(k)).path) for k, one in enumerate(members))
    expected = Ensemble(members).predict("Ag_Al")
    width = Ensemble(members).half_width(expected)[0, 0]
    shown = run_python("-m", "experiments.predict", f"--workdir={paths}", "Ag", "Al", "--json")
    assert shown.returncode == 0, shown.stderr
    (row,) = json.loads(shown.stdout)
    assert row["predicted"]["e_homo_ev"] == pytest.approx(expected.mean[0, 0], rel=1e-5)
    assert row["half_width"]["e_homo_ev"] == pytest.approx(width, rel=1e-4)
    shown = run_python("-m", "experiments.predict", f"--workdir={paths}", "Ag", "Al")
    assert "± (80%)" in shown.stdout
    out = tmp_path / "out.csv"
    run_python("-m", "experiments.predict", f"--workdir={paths}", "Ag_Al", "C_O", f"--out={out}")
    assert out.read_text().startswith("name,distance_ang,e_homo_ev_predicted,e_homo_ev_half_width")
    evaluate = ("-m", "experiments.evaluate", f"--workdir={paths}")
    shown = run_python(*evaluate, f"--out={tmp_path / 'scored'}")
    assert shown.returncode == 0 and "ensemble of 3 on 268 test rows" in shown.stdout, shown.stderr
    scored = json.loads((tmp_path / "scored" / "ensemble.json").read_text())
    for coverage in ensembles.COVERAGES:
        assert f"coverage_{100 * coverage:.0f}" in scored["test"]["e_homo_ev"]
    refused = run_python(*evaluate, "--split=by_period")
    assert refused.returncode == 2 and "an ensemble has its own" in refused.stderr
