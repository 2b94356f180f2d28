"""The leaderboard's numbers, on results that are planted."""

import dataclasses
import math

import numpy as np
import pytest

from qc_jax.evaluate import predictions
from qc_jax.report import leaderboard, leaderboard_tables, page, source
from qc_jax.report.layout import Table
from qc_jax.runs import results
from tests.report import planted


@pytest.fixture(scope="module")
def clear(tmp_path_factory):
    """egnn is the best by far, but its inputs leak the distance."""
    path = tmp_path_factory.mktemp("clear")
    planted.write(path, {"egnn": 0.1, "gcn": 0.2, "pair_mean": 0.5})
    return planted.read(path)


def only(frame):
    (rows,) = leaderboard.sections(frame).values()
    return rows


def test_scores_are_means_over_seeds(clear):
    found = leaderboard.scores(only(clear.frame)).set_index(["label", "target"])
    assert len(found) == 6 and (found.seeds == 2).all()
    line = found.loc[("gcn", "e_homo_ev")]
    assert line.mae == pytest.approx(0.2) and line["std"] == pytest.approx(0, abs=1e-6)
    assert line.skill == pytest.approx(0.75) and line.mae_low < 0.2 < line.mae_high
    assert line.test_rows == len(planted.NAMES) and line.seconds == 2.5
    assert found.loc[("egnn", "distance_ang")].leaked_by == "positions"


def test_baselines_count_a_seed_once(clear):
    found = leaderboard.baselines(only(clear.frame)).set_index(["label", "target"])
    assert found.mae[("training median", "e_homo_ev")] == pytest.approx(0.8)
    assert (found.seeds == 2).all()
    assert found.skill[("training median", "e_homo_ev")] == 0
    assert found.skill[("pair mean", "e_homo_ev")] == pytest.approx(0.25)


def test_the_best_is_significant_and_what_is_leaked_is_not_eligible(clear):
    found = leaderboard.verdicts(only(clear.frame)).set_index("target")
    assert found.best.to_dict() == {"e_homo_ev": "egnn", "distance_ang": "gcn"}
    assert found.second.to_dict() == {"e_homo_ev": "gcn", "distance_ang": "pair_mean"}
    assert found.significant.all() and (found.p < 0.01).all()
    assert (found.corrected > found.p).all()  # for two targets


def test_no_difference_is_not_significant(tmp_path):
    planted.write(tmp_path, {"gcn": 0.2, "vit": 0.2 + 1e-12}, ["e_homo_ev"])
    made = planted.read(tmp_path)
    assert not leaderboard.verdicts(only(made.frame)).significant.any()


def test_what_a_baseline_beats_is_not_significantly_best(tmp_path):
    planted.write(tmp_path, {"gcn": 0.9, "vit": 5.0}, ["e_homo_ev"])
    found = leaderboard.verdicts(only(planted.read(tmp_path).frame))
    assert found.p[0] < 0.01 and not found.beats_baselines[0] and not found.significant[0]


def test_the_test_stays_without_predictions_until_the_best_two_change(clear):
    alone = dataclasses.replace(clear, workdirs={})
    again = source.with_tests(alone)
    assert (again.frame.metric == results.P_AGAINST_SECOND).sum() == 2
    assert leaderboard.verdicts(only(again.frame)).significant.all()
    # Another model in between: the test that is there was of other two.
    frame = again.frame[again.frame.label != "x"] if "label" in again.frame else again.frame
    changed = frame.assign(model=frame.model.replace("gcn", "gatv2"))
    verdict = leaderboard.verdicts(only(changed)).set_index("target")
    assert math.isnan(verdict.p["e_homo_ev"]) and not verdict.significant["e_homo_ev"]


def test_tests_are_made_once_however_often_asked(clear):
    twice = source.with_tests(clear)
    assert len(twice.frame) == len(clear.frame)


def test_sections_part_data_and_splits(tmp_path):
    planted.write(tmp_path / "a", {"gcn": 0.2}, ["e_homo_ev"])
    rows = planted.write(tmp_path / "b", {"gcn": 0.3}, ["e_homo_ev"], fingerprint="f" * 16)
    rows += planted.write(tmp_path / "c", {"gcn": 0.4}, ["e_homo_ev"], split="by_period")
    frame = results.table([*planted.read(tmp_path / "a").frame.to_dict("records"), *rows])
    found = leaderboard.sections(frame)
    assert [(key.fingerprint[:1], key.split) for key in found] == [
        *(("0", "random"), ("f", "random"), ("0", "by_period")),
    ]
    assert [leaderboard.scores(rows).mae[0] for rows in found.values()] == pytest.approx(
        [0.2, 0.3, 0.4]
    )


def test_settings_that_differ_are_told_in_the_label(tmp_path):
    rows = planted.write(tmp_path, {"gcn": 0.2, "vit": 0.2}, ["e_homo_ev"], [42])
    for row in rows:
        if row["model"] == "gcn":
            rows = [*rows, {**row, "lr": 3e-4}]
    labels = set(only(results.table(rows)).label)
    assert labels == {"gcn, lr 0.001", "gcn, lr 0.0003", "vit"}


def test_every_target_has_a_family():
    names = [name for family in leaderboard.FAMILIES.values() for name in family]
    assert sorted(names) == sorted(leaderboard.ALL_TARGETS)
    assert leaderboard.families(["i_ev"]) == {"Linear in HOMO and LUMO": ["i_ev"]}


def test_the_correction_is_for_the_targets_that_were_tested(clear):
    """Each source by itself; without predictions there is no test."""

    def caption(*parts):
        found = [one for one in leaderboard_tables.tables(parts, "x") if isinstance(one, Table)]
        return next(one.caption for one in found if one.name == "x-tests")

    rows = only(clear.frame)
    assert "for the targets that were tested: 2; below" in caption(("yours", rows))
    one = rows[(rows.metric != results.P_AGAINST_SECOND) | (rows.target == "e_homo_ev")]
    words = caption(("yours", one), ("project", rows))
    assert "for the targets that were tested: 1 (yours) and 2 (project); below" in words


def test_pair_errors(clear):
    rows = only(clear.frame)
    mine = rows[(rows.label == "gcn") & (rows.target == "e_homo_ev") & (rows.metric == "mae")]
    found = leaderboard.pair_errors(mine, "e_homo_ev", clear.predictions)
    assert found is not None and len(found) == 2 * len(planted.NAMES)
    assert found.error.mean() == pytest.approx(0.2)
    assert np.allclose(found.error, (found.predicted - found.true).abs())
    assert leaderboard.pair_errors(mine, "e_homo_ev", lambda name: None) is None


def test_classes_have_a_table_of_their_own(tmp_path):
    planted.write(tmp_path, {"gcn": 0.4, "egnn": 0.9}, ["e_homo_ev", "metal_like"])
    found = planted.read(tmp_path)
    (rows,) = leaderboard.sections(found.frame).values()
    # Of gcn's pairs none is wrong, of egnn's those whose error is above 1.
    best = leaderboard.verdicts(rows).set_index("target").best
    assert best["metal_like"] == "gcn"
    report = page.build(found, None)
    (table,) = (one for one in report.tables() if one.name == "leaderboard-classes")
    heads = [(one.name, one.unit) for one in table.columns]
    assert heads == [
        *(("model", ""), ("metal_like", "error rate"), ("accuracy", "")),
        *(("balanced accuracy", ""), ("AUROC", "")),
    ]
    by_model = {row[0].text: [cell.text for cell in row[1:]] for row in table.rows}
    assert by_model["gcn"][1:] == ["1.00", "1.00", "1.00"]
    assert by_model["egnn"][1] == "0.600" and by_model["training median"][1] == "–"
    shown = [one.title for one in report.pictures() if one.name.endswith("metal_like-parity")]
    assert shown == ["metal_like: probabilities"]


def test_larger_structures(tmp_path):
    """Of their forces there are errors alone: no predictions, and none at each epoch."""
    targets = ["u0_ev", "force_ev_ang"]
    planted.write(tmp_path, {"gcn": 0.2, "egnn": 0.9}, targets, data="qm9")
    for path in (tmp_path / "trainings").iterdir():
        kept = predictions.read(path / "predictions.npz")
        names = np.array([f"qm9_{row}" for row in range(len(kept.names))])
        kept._replace(names=names).write(path / "predictions.npz")
        if "force_ev_ang" in kept.targets:
            (path / "predictions.npz").unlink()
            lines = (path / "metrics.jsonl").read_text()
            (path / "metrics.jsonl").write_text(lines.replace("force_ev_ang", "u0_ev"))
    found = planted.read(tmp_path)
    assert leaderboard.targets(found.frame) == targets
    assert leaderboard.verdicts(only(found.frame)).target.tolist() == targets
    report = page.build(found, None)
    tables = {table.name: table for table in report.tables()}
    heads = [(one.name, one.unit) for one in tables["leaderboard-larger"].columns]
    assert heads == [("model", ""), ("u0_ev", "eV"), ("force_ev_ang", "eV/Å")]
    assert len(tables["leaderboard-detail"].rows) == 4
    assert tables["leaderboard-u0_ev-worst"].rows[0][0].text == "qm9_19"
    shown = [one.name for one in report.pictures() if "-u0_ev-" in one.name]
    assert shown == ["leaderboard-u0_ev-parity"]  # there is no table of elements
