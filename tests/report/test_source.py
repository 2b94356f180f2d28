"""Work directories that are whole, cut short, mixed or damaged."""

import dataclasses
import json
import os

import pytest

from qc_jax.errors import InputError
from qc_jax.report import source
from qc_jax.runs import results
from tests.report import planted

EPOCH = '{"epoch": 1, "seconds": 2.0, "validation_mae": {}}'


def test_a_finished_benchmark(tmp_path):
    rows = planted.write(tmp_path, {"egnn": 0.1, "gcn": 0.2})
    found = source.read(tmp_path)
    assert len(found.frame) == len(rows) and not found.partial and not found.studies
    assert len(found.workdirs) == 8 and found.left_out == {"0123456789abcdef": {"He_He": "no LUMO"}}
    assert len(found.epochs("egnn-e_homo_ev-seed42")) == 3
    assert found.predictions("nothing") is None and found.epochs("nothing") == []


def test_one_that_was_cut_short_is_read_and_says_so(tmp_path):
    planted.write(tmp_path, {"egnn": 0.1}, ["e_homo_ev"], [42, 123, 456], ended=False)
    trainings = tmp_path / "trainings"
    (trainings / "egnn-e_homo_ev-seed123" / "result.json").unlink()
    (trainings / "egnn-e_homo_ev-seed456" / "result.json").unlink()
    (trainings / "egnn-e_homo_ev-seed456" / "failure.json").write_text('{"error": "not finite"}')
    with open(tmp_path / "commands.jsonl", "a") as file:
        file.write('{"command": "torn')
    (trainings / "egnn-e_homo_ev-seed42" / "metrics.jsonl").write_text(EPOCH + '\n{"ep')
    (tmp_path / "results.csv").unlink()  # as it is before the first training has ended
    found = source.read(tmp_path)
    assert found.unfinished == ("egnn-e_homo_ev-seed123",)
    assert set(found.frame.status) == {results.FINISHED, "not finite"}
    assert found.partial == [
        "1 training begun and not finished",
        "1 training failed",
        "the last command has not ended",
    ]
    assert found.epochs("egnn-e_homo_ev-seed42") == [json.loads(EPOCH)]


def test_lines_of_another_kind(tmp_path):
    planted.write(tmp_path, {"egnn": 0.1}, ["e_homo_ev"], [42])
    found = source.read(tmp_path)
    metrics = tmp_path / "trainings" / "egnn-e_homo_ev-seed42" / "metrics.jsonl"
    for text in ("3\n", "[]\n", '{"epoch": 1, "seconds": 2, "validation_mae": {"x": "y"}}\n'):
        metrics.write_text(text)
        with pytest.raises(InputError, match=r"metrics.jsonl line 1: .*expected"):
            found.epochs("egnn-e_homo_ev-seed42")
    for text in ("3\n", '{"command": 3}\n', '{"command": "", "event": "", "versions": []}\n'):
        (tmp_path / "commands.jsonl").write_text(text)
        with pytest.raises(InputError, match=r"commands.jsonl line 1: .*expected"):
            source.read(tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "trainings").touch()
    with pytest.raises(InputError, match="trainings: expected a directory, got a file"):
        source.read(tmp_path / "other")
    (tmp_path / "commands.jsonl").unlink()
    os.mkfifo(tmp_path / "commands.jsonl")
    with pytest.raises(InputError, match=r"commands.jsonl: expected a file, got a named pipe"):
        source.read(tmp_path)


def test_trainings_that_results_csv_lacks_are_not_lost(tmp_path):
    rows = planted.write(tmp_path, {"egnn": 0.1, "gcn": 0.2})
    kept = [row for row in rows if row["model"] == "gcn"]
    results.write(tmp_path / "results.csv", results.table(kept))
    assert len(source.read(tmp_path).frame) == len(rows)


def test_one_training_is_a_source(tmp_path):
    rows = planted.training(tmp_path / "egnn", "egnn", "e_homo_ev", 42, 0.3)
    found = source.read(tmp_path / "egnn")
    assert len(found.frame) == len(rows) and list(found.workdirs) == ["egnn"]


def test_studies(tmp_path):
    rows = planted.write(tmp_path, {"egnn": 0.1}, ["e_homo_ev"], [42])
    study = [{**row, "study": "ood", "setting": "in"} for row in rows]
    (tmp_path / "studies").mkdir()
    results.write(tmp_path / "studies" / "ood.csv", results.table(study))
    found = source.read(tmp_path)
    assert list(found.studies) == ["ood"] and len(found.frame) == len(rows)


def test_trainings_of_a_study_stand_aside_and_take_no_part_in_tests(tmp_path, monkeypatch):
    """Also where results.csv has a test of the best two that was made before the study was."""
    targets = ["e_homo_ev"]
    rows = planted.write(tmp_path / "run", {"egnn": 0.1, "gcn": 0.2}, targets)
    other = planted.write(tmp_path / "other", {"egnn": 0.3, "gcn": 0.4}, targets, split="by_type")
    for row in other:
        row["training"] += "-by_type"
    for path in (tmp_path / "other" / "trainings").iterdir():
        path.rename(tmp_path / "run" / "trainings" / f"{path.name}-by_type")
    results.write(tmp_path / "run" / "results.csv", results.table([*rows, *other]))
    before = planted.read(tmp_path / "run")
    assert set(before.frame.split) == {"random", "by_type"} and before.aside.empty
    tested = before.frame[before.frame.metric == results.P_AGAINST_SECOND]
    assert set(tested.split) == {"random", "by_type"}
    results.write(tmp_path / "run" / "results.csv", before.trained)

    (tmp_path / "run" / "studies").mkdir()
    study = [{**row, "study": "ood"} for row in [*rows, *other]]
    results.write(tmp_path / "run" / "studies" / "ood.csv", results.table(study))
    after = planted.read(tmp_path / "run")
    assert set(after.frame.split) == {"random"} and len(after.frame) == len(rows) + 1
    assert set(after.aside.split) == {"by_type"} and len(after.aside) == len(other)
    assert len(after.trained) == len(rows) + 1 + len(other)

    source.package(after, tmp_path / source.PACKAGED)
    monkeypatch.setattr(source.importlib.resources, "files", lambda name: tmp_path)
    found = source.packaged()
    assert found is not None and len(found.frame) == len(after.frame)
    assert len(found.aside) == len(after.aside)


def test_packaged_results_say_how_they_came_about(tmp_path, monkeypatch):
    rows = planted.write(tmp_path / "run", {"egnn": 0.1, "gcn": 0.2}, ended=False)
    made = planted.read(tmp_path / "run")
    told = (
        "python -m experiments.benchmark --models=gcn --workdir={0} --data=published:{1}d.npz "
        "--file={1}a.xyz,{1}b.xyz '--curves={1}my c.npz' --seeds=42 --lr=1e-5"
    )
    line = {"command": told.format(tmp_path, f"{tmp_path}/"), "event": "ended"}
    made = dataclasses.replace(made, commands=(*made.commands, line))
    source.package(made, tmp_path / source.PACKAGED)
    monkeypatch.setattr(source.importlib.resources, "files", lambda name: tmp_path)
    found = source.packaged()
    assert found is not None and found.commands[-1] == line | {"command": told.format("DIR", "")}
    assert len(found.commands) == len(made.commands)
    assert found.left_out == made.left_out and found.partial == made.partial
    assert len(found.frame) == len(rows) + 1  # a test of the target that has two fair models
    assert found.frame.value.tolist() == made.frame.value.tolist()
    monkeypatch.setattr(source.importlib.resources, "files", lambda name: tmp_path / "run")
    assert source.packaged() is None


def test_bad_input(tmp_path):
    with pytest.raises(InputError, match="no such directory"):
        source.read(tmp_path / "nothing")
    with pytest.raises(InputError, match=r"expected results\.csv"):
        source.read(tmp_path)
    planted.write(tmp_path, {"egnn": 0.1}, ["e_homo_ev"], [42])
    (tmp_path / "trainings" / "egnn-e_homo_ev-seed42" / "predictions.npz").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"predictions\.npz: not predictions"):
        planted.read(tmp_path).predictions("egnn-e_homo_ev-seed42")
    lines = (tmp_path / "commands.jsonl").read_text()
    (tmp_path / "commands.jsonl").write_text("{torn\n" + lines)
    with pytest.raises(InputError, match=r"commands\.jsonl line 1: expected JSON"):
        source.read(tmp_path)
    (tmp_path / "commands.jsonl").write_text(lines)
    (tmp_path / "results.csv").write_text("model\negnn\n")
    with pytest.raises(InputError, match=r"results\.csv: expected a column study"):
        source.read(tmp_path)
    assert json.loads(lines.splitlines()[0])["event"] == "started"
