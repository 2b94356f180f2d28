"""Submissions: their scores follow from their predictions, and anything else is refused."""

import copy
import json
import os
import shutil

import numpy as np
import pytest

import qc_jax
from qc_jax.data.table import open_table
from qc_jax.errors import InputError
from qc_jax.evaluate import metrics
from qc_jax.report import leaderboard, page, source, submission, submit
from qc_jax.runs import grids, results
from tests.report import planted

DATA, TARGET = "gfn2_xtb", "e_homo_ev"


@pytest.fixture(scope="module")
def entries() -> dict[str, dict]:
    """Two submissions, written as someone without this package would, the first one better."""
    table = open_table(DATA)
    made: dict[str, dict] = {
        name: {
            "format": submission.FORMAT,
            "schema": submission.SCHEMA,
            "name": name,
            "authors": "A. <b>Nobody</b>",
            "code": "https://example.org/code",
            "data": DATA,
            "data_fingerprint": table.fingerprint(),
            "model": {"name": name},
            "inputs": ["atomic_numbers"],
            "trainings": [],
        }
        for name in ("first", "second")
    }
    for seed in grids.SEEDS:
        task = qc_jax.prepare(table, TARGET, seed=seed)
        parts = {part: task.names[rows].tolist() for part, rows in task.split.parts().items()}
        true = np.asarray(task.dataset.labels)[task.split.test, 0].astype(np.float64)
        noise = np.random.default_rng(seed).normal(size=len(true))
        for name, size in (("first", 0.1), ("second", 0.3)):
            predicted = np.round(true + size * noise, 6)
            made[name]["trainings"].append(
                {
                    "seed": seed,
                    "split": "random",
                    "split_fingerprint": submission.split_fingerprint(parts),
                    "targets": [TARGET],
                    "units": {TARGET: "eV"},
                    "scores": {TARGET: metrics.regression(predicted, true)},
                    "predicted": {TARGET: dict(zip(parts["test"], predicted, strict=True))},
                    "parameters": 3,
                    "epochs": 1,
                }
            )
    return made


def test_scores_are_computed_of_the_predictions(entries):
    entry = submission.check(entries["first"], "first.json")
    frame = results.table(entry.rows)
    assert set(frame.seed) == set(grids.SEEDS) and set(frame.model) == {"first (submitted)"}
    told = [one["scores"][TARGET]["mae"] for one in entries["first"]["trainings"]]
    np.testing.assert_allclose(frame[frame.metric == "mae"].value, told, rtol=1e-5)
    # What the file does not tell: baselines and intervals.
    assert {"mae_low", "mae_high", "mae_training_median", "skill"} <= set(frame.metric)


def test_entries_stand_among_the_models_with_the_same_test(entries, tmp_path):
    """Of the workdir's models gcn is best; both entries are better, and are tested."""
    planted.write(tmp_path / "run", {"egnn": 0.9, "gcn": 0.8}, [TARGET], grids.SEEDS)
    for name, found in entries.items():
        submit.write(tmp_path / f"{name}.json", found)
    folder = submission.read_folder(tmp_path)
    assert [entry.name for entry in folder] == ["first", "second"]
    own = source.read(tmp_path / "run")
    fingerprint = entries["first"]["data_fingerprint"]
    own = own.__class__(**{**vars(own), "frame": own.frame.assign(data_fingerprint=fingerprint)})
    both = source.with_tests(submission.added(own, folder))
    (rows,) = leaderboard.sections(both.frame).values()
    (line,) = leaderboard.verdicts(rows).to_dict("records")
    assert (line["best"], line["second"]) == ("first (submitted)", "second (submitted)")
    assert line["p"] < 0.01 and line["significant"]
    # Beside a model of the workdir, whose predictions are of the same pairs by name or of none.
    alone = source.with_tests(submission.added(own, folder[:1]))
    (line,) = leaderboard.verdicts(*leaderboard.sections(alone.frame).values()).to_dict("records")
    assert line["second"] == "gcn" and np.isfinite(line["p"])
    report = page.build(both, None, folder)
    tables = {table.name: table for table in report.tables()}
    assert [row[0].text for row in tables["submissions"].rows] == ["first", "second"]
    labels = [row[0].text for row in tables["leaderboard-frontier"].rows]
    assert {"egnn", "gcn", "first (submitted)", "second (submitted)"} <= set(labels)


def _set(found, path, value):
    *parents, last = path
    for key in parents:
        found = found[key]
    if value is None:
        del found[last]
    else:
        found[last] = value


FIRST = ("trainings", 0)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("format",), "a leaderboard", "format: expected 'a submission to the"),
        (("schema",), 2, "schema: expected at most 1, got 2: of a newer qc_jax"),
        (("schema",), None, "expected a field 'schema'"),
        (("autors",), "A", "unknown field 'autors'; choose one of: authors, code"),
        (("name",), "a b", "name: expected up to 60 of A-Z"),
        (("authors",), "two\nlines", "authors: expected a line of up to 300"),
        (("code",), " ", "code: expected where the code can be read, got nothing"),
        (("data",), "qm9", "unknown data 'qm9'; choose one of: gfn2_xtb, ptbp"),
        (("data_fingerprint",), "0" * 16, "data_fingerprint: expected "),
        (("inputs",), ["spin"], "unknown input 'spin'; choose one of"),
        (("trainings",), [], "trainings: expected some, got none"),
        ((*FIRST, "seed"), 43, "training 1, seed 43: split_fingerprint: expected "),
        ((*FIRST, "seed"), "42", "trainings: [0]: seed: expected a whole number, got '42'"),
        ((*FIRST, "sed"), 42, "training 1, seed 42: unknown field 'sed'"),
        ((*FIRST, "split_fingerprint"), "0" * 16, "got '0000000000000000': other pairs were"),
        ((*FIRST, "split"), "by_period", "split_fingerprint: expected "),
        ((*FIRST, "split"), "mine", "unknown split 'mine'"),
        ((*FIRST, "targets"), ["homo"], "unknown target 'homo'"),
        ((*FIRST, "targets"), ["e_homo_ev", "e_homo_ev"], "name a target twice"),
        ((*FIRST, "units"), {TARGET: "meV"}, "units: expected e_homo_ev in eV, got 'meV'"),
        ((*FIRST, "units"), {}, "units: expected a field 'e_homo_ev', got none"),
        ((*FIRST, "parameters"), -1, "parameters: expected 0 to 1e+15, got -1"),
        ((*FIRST, "seconds"), float("nan"), "seconds: expected 0 to 1e+15, got nan"),
        ((*FIRST, "epochs"), 10**400, "epochs: expected 0 to 1e+15, got 1000"),
        ((*FIRST, "setting"), "a\tb", "setting: expected a line"),
        ((*FIRST, "best_epoch"), 2, "best_epoch: expected at most 1, the epochs, got 2"),
        ((*FIRST, "scores", TARGET, "mae"), 0.01, "scores: e_homo_ev: expected mae 0.0"),
        ((*FIRST, "scores", TARGET, "r2"), None, "scores: e_homo_ev: expected a field 'r2'"),
        ((*FIRST, "scores", TARGET, "skill"), 1.0, "unknown score of e_homo_ev 'skill'"),
        ((*FIRST, "predicted"), {}, "predicted: expected a field 'e_homo_ev'"),
        ((*FIRST, "predicted", TARGET), {}, "e_homo_ev: expected a prediction of "),
        ((*FIRST, "predicted", TARGET, "Xx_Yy"), 1.0, "no test pair with this label is Xx_Yy"),
    ],
)
def test_what_is_wrong_is_one_line(entries, path, value, message):
    found = copy.deepcopy(entries["first"])
    _set(found, path, value)
    with pytest.raises(InputError) as error:
        submission.check(found, "first.json")
    assert str(error.value).startswith("first.json: ") and message in str(error.value)
    assert "\n" not in str(error.value)


def test_seeds_and_predictions_that_are_not_there(entries):
    found = copy.deepcopy(entries["first"])
    names = list(found["trainings"][0]["predicted"][TARGET])
    for value in (float("nan"), 1e39, None, 10**400):
        found["trainings"][0]["predicted"][TARGET][names[5]] = value
        with pytest.raises(InputError, match=f"expected a finite number for {names[5]}, got"):
            submission.check(found, "x")
    del found["trainings"][0]
    with pytest.raises(InputError, match="split random: expected the seeds 42, 123, 456, got 123"):
        submission.check(found, "x")
    found = copy.deepcopy(entries["first"])
    found["trainings"].append(found["trainings"][1])
    with pytest.raises(InputError, match="expected the seeds 42, 123, 456, got 42, 123, 123, 456"):
        submission.check(found, "x")
    found["trainings"][-1] = {**found["trainings"][0], "seed": 7, "split_seed": 42}
    with pytest.raises(InputError, match="expected the seeds 42, 123, 456, got 7, 42, 123, 456"):
        submission.check(found, "x")


def test_folders_and_files_that_are_none(entries, tmp_path):
    with pytest.raises(InputError, match=r"expected a folder with submissions, NAME\.json"):
        submission.read_folder(tmp_path)
    for name in ("a", "b"):
        submit.write(tmp_path / f"{name}.json", entries["first"])
    with pytest.raises(InputError, match=r"b\.json: name: .*a\.json is called 'first', too"):
        submission.read_folder(tmp_path)
    for text in ("", "[]", "3", '{"format": 3, "schema": 1}', json.dumps(entries["first"])[:-9]):
        (tmp_path / "b.json").write_text(text)
        with pytest.raises(InputError, match=r"b\.json: "):
            submission.read_folder(tmp_path)
    (tmp_path / "b.json").unlink()
    os.mkfifo(tmp_path / "b.json")
    with pytest.raises(InputError, match=r"b\.json: expected a file, got a named pipe"):
        submission.read_folder(tmp_path)


def test_trainings_that_are_gone(tmp_path):
    planted.write(tmp_path, {"gcn": 0.2}, [TARGET], [42, 123])
    shutil.rmtree(tmp_path / "trainings" / "gcn-e_homo_ev-seed123")
    words = "expected trainings/gcn-e_homo_ev-seed123, as in results.csv, got none"
    with pytest.raises(InputError, match=words):
        submit.make(tmp_path, "https://example.org")


def test_the_seeds_that_entries_are_compared_on_are_taken(tmp_path, monkeypatch):
    planted.write(tmp_path, {"gcn": 0.2}, [TARGET], [7, *grids.SEEDS, 8])
    monkeypatch.setattr(submit, "_training", lambda path, *_: path.name)
    monkeypatch.setattr(submit, "check", lambda *_: None)
    found, left_out = submit.make(tmp_path, "https://example.org")
    assert found["trainings"] == [f"gcn-{TARGET}-seed{seed}" for seed in grids.SEEDS]
    assert left_out == [7, 8]


def test_no_seed_that_entries_are_compared_on(tmp_path):
    planted.write(tmp_path, {"gcn": 0.2}, [TARGET], [7, 8])
    words = "gcn: expected trainings of the seeds 42, 123, 456 that did not fail, got none"
    with pytest.raises(InputError, match=words):
        submit.make(tmp_path, "https://example.org")


def test_the_fingerprint_of_a_split():
    parts = {"train": ["C_O", "Ag_Al"], "validation": ["H_H"], "test": ["H_O"]}
    assert submission.split_fingerprint(parts) == "8863f085f3918736"
