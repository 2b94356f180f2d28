"""The published numbers beside planted ones of ours."""

import itertools
import math

import pandas as pd
import pytest

from qc_jax.canvas import CHANNELS
from qc_jax.report import published_tables, studies
from qc_jax.runs import results

FLAWS = ", as published: on all rows"


def rows(model, targets, settings, values, data="ptbp", split="random"):
    """Two seeds whose numbers differ by 10 %, of each target and setting."""
    shared = {"data": data, "data_fingerprint": "f" * 16, "status": results.FINISHED, "unit": "eV"}
    return [
        {**shared, "model": model, "target": target, "seed": seed, "split": split}
        | {"training": f"{model}-{target}-{seed}", "setting": setting, "metric": metric}
        | {"value": value * (1.05 if seed == 42 else 0.95)}
        for (target, setting), seed in itertools.product(
            zip(targets, settings, strict=True), (42, 1)
        )
        for metric, value in values[setting].items()
    ]


def texts(table):
    return [[f"{cell.text} {cell.note}".strip() for cell in row] for row in table.rows]


def test_out_of_distribution():
    """Published of geometry_only by period: 0.718 ± 0.103 within and 0.960 ± 0.069 without."""
    values = {"": {"mae": 0.96, "mae_in": 0.4, "gap": 0.56}}
    frame = results.table(rows("geometry_only", ["a_ev"], [""], values, split="by_period"))
    table = studies.published_beside("ood-as_published", frame)
    assert table is not None and table.title.startswith("Out of distribution: published numbers")
    what = ["geometry_only", "a_ev", "MAE in distribution", "eV"]
    assert texts(table) == [
        [*what, "0.718 ± 0.103", "0.400 ± 0.028", "0.56", "lower", "not found"],
        [
            "geometry_only",
            "a_ev",
            "MAE",
            "eV",
            "0.960 ± 0.069",
            "0.960 ± 0.068",
            "1.0",
            "reproduced",
            "",
        ],
    ]


def test_elements():
    """Published of film_cnn: a_ev 0.1415, and with shuffled elements of all rows 944.8 % more."""
    settings = [f"{name}{FLAWS}" for name in ("normal", "shuffle", "swap")]
    values = {
        settings[0]: {"mae": 0.2},
        settings[1]: {"mae": 2.2, "mae_change": 2.0},
        settings[2]: {"mae": 0.6, "mae_change": 0.4},
    }
    frame = results.table(rows("film_cnn", ["a_ev"] * 3, settings, values))
    table = studies.published_beside("elements-as_published", frame)
    assert table is not None
    found = {(row[2], row[3]): row[4:7] for row in texts(table)}
    assert found.keys() == {
        *(("normal", "MAE"), ("shuffle", "MAE"), ("swap", "MAE"), ("shuffle", "MAE grows by")),
    }
    assert found["shuffle", "MAE grows by"][::2] == ["%", "1000 ± 0"]
    assert found["swap", "MAE"][:2] == ["eV", "0.551 ± 0.056"]


def test_channels_are_a_mean_over_models_and_targets():
    """Published of channels 4 and 6: 15.935 and 9.666 %; of groups of channels nothing."""
    names = [CHANNELS[4], CHANNELS[6], "charge"]
    settings = [f"{name}{FLAWS}" for name in names]
    made = []
    for model, change in (("qsn_v2", 0.1), ("film_cnn", 0.3)):
        values = {one: {"mae": 1 + change, "mae_change": change} for one in settings}
        for target in ("a_ev", "e_g_ev", "chi_ev", "eta_ev", "i_ev"):
            made += rows(model, [target] * 3, settings, values)
    table = studies.published_beside("channels-as_published", results.table(made))
    assert table is not None
    assert {row[0] for row in texts(table)} == {"modality checkpoints"}
    numbers = {row[2]: row[5:7] for row in texts(table)}
    ours = "20.0 ± 0.0 (film_cnn, qsn_v2)"
    assert numbers == {names[0]: ["15.9", ours], names[1]: ["9.67", ours]}


@pytest.mark.parametrize(
    ("epochs", "note"), [((100, 100), ""), ((25, 60), "(25 to 60 epochs)"), ((3, 3), "(3 epochs)")]
)
def test_trainings_of_other_lengths_than_the_published_say_so(epochs, note):
    made = rows("geometry_only", ["a_ev"], [""], {"": {"mae": 0.9}}, split="by_period")
    frame = results.table([{**row, "epochs": n} for row, n in zip(made, epochs, strict=True)])
    table = studies.published_beside("ood-as_published", frame)
    assert table is not None and table.rows[0][5].note == note


@pytest.mark.parametrize("name", ["ood", "timing-as_published", "leakage"])
def test_nothing_is_beside_what_was_not_published_so(name):
    frame = results.table(rows("geometry_only", ["a_ev"], [""], {"": {"mae": 1.0}}))
    assert studies.published_beside(name, frame) is None


def test_nothing_is_beside_other_data():
    made = rows("geometry_only", ["a_ev"], [""], {"": {"mae": 1.0}}, "gfn2_xtb", "by_period")
    assert studies.published_beside("ood-as_published", results.table(made)) is None


@pytest.mark.parametrize(
    ("mae", "std", "std_theirs", "verdict"),
    [
        (0.30, 0.02, math.nan, "reproduced"),
        (0.31, 0.02, math.nan, "higher"),
        (0.31, 0.02, 0.02, "reproduced"),
        (0.20, 0.02, 0.02, "lower"),
    ],
)
def test_verdict_is_by_the_deviations_over_seeds(mae, std, std_theirs, verdict):
    line = {"mae": mae, "std": std, "mae_theirs": 0.265, "std_theirs": std_theirs, "seeds": 3}
    assert published_tables._verdict(line) == verdict


@pytest.mark.parametrize(
    ("mae", "std_theirs", "verdict"),
    [(0.32, 0.02, "reproduced"), (0.33, 0.02, "higher"), (0.265, math.nan, "one seed")],
)
def test_of_one_seed_their_deviation_counts_for_both(mae, std_theirs, verdict):
    line = {"mae": mae, "std": math.nan, "mae_theirs": 0.265, "std_theirs": std_theirs, "seeds": 1}
    assert published_tables._verdict(line) == verdict


def test_what_departs_from_the_protocol_stands_last_and_says_so():
    """The published start first, then ours; what else was trained only where there is neither."""
    labels = ["gcn, train_fraction 0.1, lr 1e-06", "gcn", "gcn, init torch"]
    made = [
        results.table(rows("gcn", ["e_homo_ev"], [""], {"": {"mae": mae}})).assign(label=label)
        for label, mae in zip(labels, (5.0, 0.5, 0.26), strict=True)
    ]
    for there, ours in (
        (made, "0.260 ± 0.018"),
        (made[:2], "0.500 ± 0.035"),
        (made[:1], "5.00 ± 0.35 (train_fraction 0.1, lr 1e-06)"),
    ):
        table = published_tables.benchmark("one", [("yours", pd.concat(there))])
        assert table is not None and [row[4] for row in texts(table)] == [ours]


def test_numbers_of_the_published_study_go_before_those_of_the_benchmark():
    """Published of geometry_only: HOMO 0.262 ± 0.018, LUMO 0.327 ± 0.016."""
    targets = ["e_homo_ev", "e_lumo_ev"]
    made = rows("geometry_only", targets, ["", ""], {"": {"mae": 0.5}})
    benchmark = results.table(made).assign(label="geometry_only")
    by_study = rows("geometry_only", targets[:1], [""], {"": {"mae": 0.26}})
    table = published_tables.benchmark("one", [("yours", benchmark)], results.table(by_study))
    assert table is not None
    assert [row[:2] + row[4:8] for row in texts(table)] == [
        ["geometry_only", "e_homo_ev", "0.260 ± 0.018", "0.99", "reproduced", ""],
        [
            *("geometry_only", "e_lumo_ev", "0.500 ± 0.035 (by the benchmark's protocol)"),
            *("1.5", "higher", "not found"),
        ],
    ]
    assert " 82 of 84 published numbers have none beside them: " in table.caption
    assert "; dimenet (total_energy_ev, repulsive_energy_ev, distance_ang); " in table.caption
