"""Tables as they are printed."""

import dataclasses

import pytest

from qc_jax.report import source, tables
from qc_jax.runs import sources


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.0000"), (0.12345, "0.1235"), (-10.0, "-10.00"), (12345.0, "1.234e+04")],
)
def test_numbers_keep_four_digits(value, text):
    assert tables.number(value) in (text, text.rstrip("0"), "12345.", "0.000")


def test_result(capsys):
    errors = {"mae": 0.1, "rmse": 0.2, "median_ae": 0.05, "r2": 0.9}
    tables.show_result(
        {
            "model": "egnn",
            "dataset": "gfn2_xtb",
            "split": "by_period",
            "split_description": "test: pairs with an element of period 5 or later",
            "split_sizes": {"train": 80, "validation": 10, "test": 11},
            "test": {"distance_ang": errors},
            "baselines": {
                "training_median": {"distance_ang": {"mae": 0.7}},
                "pair_mean": {"distance_ang": {"mae": 0.3}},
            },
            "leaked_by": {"distance_ang": ["positions"]},
            "parameters": 465496,
            "epochs": 20,
            "best_epoch": 10,
            "seconds": {"compile": 11.2, "train": 30.9},
            "left_out": {"A_B": "no label"},
        }
    )
    printed = capsys.readouterr().out
    row = next(line for line in printed.splitlines() if "distance_ang" in line)
    assert row.split() == [
        *("distance_ang", "Å", "0.1000", "0.2000", "0.05000", "0.9000"),
        *("0.7000", "0.3000", "positions"),
    ]
    assert "errors on 11 test pairs" in printed
    assert "split by_period: test: pairs with an element of period 5 or later" in printed
    assert "465,496 parameters; best epoch 10 of 20" in printed
    assert "1 pairs left out" in printed


def test_errors_say_what_was_split(capsys):
    frame = source.packaged().frame
    frame = frame[(frame.model == "gcn") & (frame.data == "ptbp")]
    tables.show_errors(frame[frame.target == "distance_ang"])
    whole = capsys.readouterr().out
    assert "split random: 2,280 training, 285 validation, 285 test pairs" in whole
    assert "left out" not in whole
    tables.show_errors(frame[frame.target.isin(["distance_ang", "softness_evinv"])])
    part = capsys.readouterr().out
    assert "split random: 550 to 2,280 training" in part and "lists what is left out" in part


def test_no_heading_is_cut(capsys):
    wide = ("electrophilicity_ev", "1/eV", *["-1.234e+05"] * 6, "positions, canvas")
    headings = (
        *("target", "unit", "MAE", "RMSE", "median AE", "R²"),
        *("MAE of median", "MAE of pair mean", "leaked by"),
    )
    tables.show("title", headings, [wide])
    printed = capsys.readouterr().out
    assert "…" not in printed
    assert all(heading in printed for heading in headings)


def test_only_some_rows_are_told_in_full(small_table):
    reasons = {f"pair {i}": [f"kind{i % 2}: a", f"kind{i % 2}: b", "both: c"] for i in range(9)}
    told = sources.account(
        dataclasses.replace(small_table, provenance={"left_out": {}, "disagreements": reasons}), 5
    )
    assert told[0].endswith("0 left out; 9 contradict themselves (both 9, kind0 5, kind1 4)")
    assert len(told) == 7 and told[-1] == "  and 4 more that contradict themselves"


def test_every_row_is_told_in_full(small_table):
    left_out = {f"pair {i}": "SCF: no" for i in range(9)}
    told = sources.account(dataclasses.replace(small_table, provenance={"left_out": left_out}))
    assert told[0] == f"{len(small_table)} rows in the table; 9 left out (SCF 9)"
    assert told[1:] == [f"  pair {i}: SCF: no" for i in range(9)]
