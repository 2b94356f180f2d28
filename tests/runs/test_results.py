"""The long table of results."""

import math

import numpy as np
import pandas as pd
import pytest

from qc_jax.errors import InputError
from qc_jax.runs import results


def result(mae=0.5, target="e_homo_ev", model="egnn", leaked_by=()):
    errors = {"mae": mae, "mae_low": 0.4, "mae_high": 0.6, "rmse": 0.7, "median_ae": 0.3, "r2": 0.9}
    return {
        "model": model,
        "targets": [target],
        "units": {target: "eV"},
        "dataset": "gfn2_xtb",
        "data_fingerprint": "0123456789012345",  # digits only stay text
        "split": "random",
        "split_sizes": {"train": 80, "validation": 10, "test": 10, "unused": 0},
        "parameters": 98,
        "epochs": 50,
        "best_epoch": 49,
        "test": {target: errors},
        "baselines": {
            "training_median": {target: {"mae": 2.0}},
            "pair_mean": {target: {"mae": 1.0}},
        },
        "leaked_by": {target: list(leaked_by)},
        "seconds": {"compile": 1.0, "train": 2.5},
        "versions": {"jax": "0.10.2", "commit": "abcdef"},
    }


def some(**changes):
    about = {"training": "egnn-e_homo_ev-seed42", "seed": 42, "lr": 1e-3, "dropout": None}
    return results.rows(about | changes.pop("about", {}), result(**changes))


def test_rows_say_what_result_json_says():
    frame = results.table(some(leaked_by=("canvas", "dipole")))
    others = {"mae_element_sum", "constant"}  # of molecules, of a constant model
    assert set(frame.metric) == set(results.METRICS) - others - set(results.CLASS_METRICS)
    values = dict(zip(frame.metric, frame.value, strict=True))
    assert values["mae"] == 0.5 and values["mae_pair_mean"] == 1.0
    assert values["skill"] == 0.75  # against the median's 2.0
    line = frame.iloc[0]
    assert (line.seed, line.train_rows, line.parameters, line.seconds) == (42, 80, 98, 2.5)
    assert (line.leaked_by, line.commit, line.versions) == (
        *("canvas dipole", "abcdef", "jax 0.10.2"),
    )
    assert math.isnan(line.dropout)


@pytest.mark.parametrize("name", ["results.csv", "results.parquet"])
def test_round_trip(name, tmp_path):
    failed = {"training": "a", "model": "egnn", "target": "e_homo_ev", "seed": 1, "status": "no, x"}
    frame = results.table([*some(), failed])
    results.write(tmp_path / name, frame)
    pd.testing.assert_frame_equal(results.read(tmp_path / name), frame)
    assert list(frame.columns) == list(results.COLUMNS)


def test_differences_of_errors_may_be_negative(tmp_path):
    """Pretraining that helps; an error below 0 is none."""
    about = {"study": "transfer", "model": "schnet", "target": "e_homo_ev", "setting": "pairs"}
    values = {"mae_difference": -0.01, "mae_difference_low": -0.02, "mae_difference_high": -0.005}
    lines = [{**about, "metric": metric, "value": value} for metric, value in values.items()]
    results.write(tmp_path / "transfer.csv", results.table(lines))
    read = results.read(tmp_path / "transfer.csv")
    assert dict(zip(read.metric, read.value, strict=True)) == values
    results.write(tmp_path / "wrong.csv", results.table([{**lines[0], "metric": "mae_low"}]))
    with pytest.raises(InputError, match=r"row 1: no error can be mae_low -0\.01"):
        results.read(tmp_path / "wrong.csv")


def test_a_table_of_nothing(tmp_path):
    results.write(tmp_path / "results.csv", results.table([]))
    assert len(results.read(tmp_path / "results.csv")) == 0


def test_bad_input(tmp_path):
    path = tmp_path / "results.csv"
    with pytest.raises(InputError, match=r"results\.csv: no such file"):
        results.read(path)
    path.write_text("training,model\na,b\n")
    with pytest.raises(InputError, match=r"results\.csv: expected a"):
        results.read(path)
    frame = results.table(some())
    frame.to_csv(path, index=False)
    path.write_text(path.read_text().replace("egnn-e_homo_ev-seed42", "egnn", 1).replace("42", "x"))
    with pytest.raises(InputError, match=r"results\.csv: expected a table of results"):
        results.read(path)
    (tmp_path / "results.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"results\.parquet: expected a table of results"):
        results.read(tmp_path / "results.parquet")


def test_summary():
    """Groups in their order; the deviation over seeds is the sample's; failures are not in it."""
    lines = [
        *some(model="schnet", mae=1.0),
        *(
            line
            for seed, mae in enumerate((1.0, 2.0, 4.0))
            for line in some(about={"seed": seed}, mae=mae)
        ),
        {"model": "schnet", "target": "e_homo_ev", "status": "the loss is not finite"},
    ]
    got = results.summary(results.table(lines), ["model", "target"])
    assert got.model.tolist() == ["schnet", "egnn"] and got.seeds.tolist() == [1, 3]
    assert got["mean"].tolist() == [1.0, pytest.approx(7 / 3)]
    assert math.isnan(got["std"][0]) and got["std"][1] == pytest.approx(np.std([1, 2, 4], ddof=1))
    skills = results.summary(results.table(lines), ["model"], "skill")
    assert skills["mean"].tolist() == [0.5, pytest.approx(1 - 7 / 6)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: [*lines, lines[-1]], "is there twice: training "),
        (lambda lines: [*lines[:-1], ",".join(lines[-1].split(",")[:5])], "fields, got 5"),
        (lambda lines: [*lines[:-1], lines[-1] + ",1"], "expected 28 fields, got 29"),
        (lambda lines: [*lines[:-1], lines[-1].replace("mae", "mae,many", 1)], "fields, got 29"),
        (
            lambda lines: [*lines[:-1], lines[-1].replace(",0.5,", ",-1,")],
            "row 2: no error can be mae",
        ),
        (
            lambda lines: [*lines[:-1], lines[-1].replace(",2,", ",2.5,", 1)],
            "expected a table of results",
        ),
        (
            lambda lines: [*lines[:-1], lines[-1].replace(",0.5,", ",inf,")],
            "no error can be mae inf",
        ),
        (
            lambda lines: [*lines[:-1], lines[-1].replace("e_homo_ev", "y")],
            "unknown target in .* 'y'",
        ),
    ],
)
def test_a_table_that_was_edited_by_hand(tmp_path, change, words):
    path = tmp_path / "results.csv"
    row = dict.fromkeys(results.KEY[:5], "x") | {"seed": 1, "metric": "mae", "value": 0.5}
    row["target"] = "e_homo_ev"
    results.write(path, results.table([row, row | {"seed": 2}]))
    assert len(results.read(path)) == 2
    path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")
    with pytest.raises(InputError, match=words):
        results.read(path)


def test_metrics_and_units_that_are_none(tmp_path):
    path = tmp_path / "results.csv"
    for change, words in {
        ("metric", "mea"): "unknown metric in .* 'mea'; choose one of: accuracy, auroc",
        ("unit", "Ha"): "expected e_homo_ev in eV, got 'Ha'",
    }.items():
        lines = some(mae=1.0)
        results.write(path, results.table(lines))
        results.read(path)
        key, value = change
        results.write(path, results.table([line | {key: value} for line in lines[:1]]))
        with pytest.raises(InputError, match=words):
            results.read(path)
