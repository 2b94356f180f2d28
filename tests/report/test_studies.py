"""Tables and figures of studies, from rows as the studies write them."""

import itertools

import pytest

from qc_jax.report import studies
from qc_jax.runs import results

SHARED = {
    "data": "gfn2_xtb",
    "data_fingerprint": "f" * 16,
    "split": "random",
    "status": results.FINISHED,
    "unit": "eV",
}


def rows(column, values, metrics):
    """Errors that grow along the values; the seeds differ by 0.2."""
    lines = itertools.product(("egnn", "gcn"), ("e_homo_ev", "e_g_ev"), (42, 123))
    return results.table(
        {**SHARED, "model": model, "target": target, "seed": seed, "training": f"{model}-{seed}"}
        | {"metric": metric, column: value, "value": place + 1 + (0.2 if seed == 42 else 0)}
        for model, target, seed in lines
        for place, value in enumerate(values)
        for metric in metrics
    )


def test_a_table_of_a_study():
    frame = rows("split", ["random", "by_period"], ["mae_in", "mae", "gap", "rmse"])
    table = studies.table("ood", frame)
    assert [one.name for one in table.columns] == [
        *("model", "target", "split", "unit", "MAE in distribution", "MAE", "gap"),
    ]
    texts = [[cell.text for cell in row] for row in table.rows]
    assert ["egnn", "e_homo_ev", "random", "eV", *["1.10 ± 0.14"] * 3] in texts
    assert len(texts) == 8 and table.title == "Out of distribution: numbers"


@pytest.mark.parametrize(
    ("name", "column", "values", "metrics", "drawn"),
    [
        ("ood", "split", ["random", "by_period"], ["mae_in", "mae", "gap"], ["mae_in", "mae"]),
        ("channels-as_published", "setting", ["O-Map", "Q+"], ["mae_change"], ["mae_change"]),
        ("elements", "setting", ["normal", "swap"], ["mae", "mae_change"], ["mae"]),
        ("modality", "setting", ["image", "tabular"], ["mae", "skill"], ["mae"]),
    ],
)
def test_pictures_show_what_their_data_say(name, column, values, metrics, drawn):
    picture = studies.picture(name, rows(column, values, metrics))
    assert picture is not None and set(picture.data.metric) == set(drawn)
    assert list(dict.fromkeys(picture.data[column])) == values
    axes = picture.figure.axes
    assert [axis.get_title(loc="left") for axis in axes] == ["e_g_ev (eV)", "e_homo_ev (eV)"]
    dots = [x for line in axes[0].get_lines() for x in line.get_xdata()]
    assert sorted(set(dots)) == pytest.approx([place + 1.1 for place in range(len(values))])


@pytest.mark.parametrize(
    ("name", "column", "values", "x"),
    [
        ("learning_curve", "train_rows", [200, 2000], [200, 2000]),
        ("resolution", "varied", [8, 32], [8, 32]),
    ],
)
def test_curves(name, column, values, x):
    picture = studies.picture(name, rows(column, values, ["mae"]))
    assert picture is not None
    line = picture.figure.axes[0].get_lines()[0]
    assert list(line.get_xdata()) == x and list(line.get_ydata()) == pytest.approx([1.1, 2.1])


@pytest.mark.parametrize(
    ("name", "column", "metric"),
    [("transfer", "train_rows", "mae"), ("ood", "split", "mae"), ("leakage", "setting", "skill")],
)
def test_every_known_target_is_drawn(name, column, metric):
    frame = rows(column, [20, 900], [metric]).assign(arm="scratch")
    frame["target"] = frame.target.replace({"e_g_ev": "metal_like", "e_homo_ev": "u0_ev"})
    picture = studies.picture(name, frame)
    assert picture is not None
    axes = picture.figure.axes
    if name == "leakage":
        assert [text.get_text() for text in axes[0].get_xticklabels()] == ["u0_ev", "metal_like"]
    else:
        titles = [axis.get_title(loc="left") for axis in axes]
        assert titles == ["u0_ev (eV)", "metal_like (error rate)"]


def test_times_are_drawn_by_batch_and_say_where():
    frame = rows("varied", [1, 16], ["ms_per_sample", "samples_per_s"])
    frame = frame.assign(target="", versions="jax 0.10.2; device 2 x cpu (cpu)")
    picture = studies.picture("timing", frame)
    assert picture is not None and "on 2 x cpu (cpu)" in picture.caption
    axes = picture.figure.axes
    assert [axis.get_title(loc="left") for axis in axes] == [
        *("Milliseconds a structure", "Structures a second"),
    ]
    for axis in axes:
        line = axis.get_lines()[0]
        assert list(line.get_xdata()) == [1, 16] and list(line.get_ydata()) == [1.1, 2.1]


def test_what_leaks_is_marked():
    frame = rows("setting", ["positions", "charges"], ["skill"])
    frame["leaked_by"] = ["positions" if one == "positions" else "" for one in frame.setting]
    picture = studies.picture("leakage", frame)
    assert picture is not None and picture.data.setting.tolist() == ["positions", "charges"]
    words = [text.get_text() for text in picture.figure.axes[0].texts]
    assert words == ["1.10†", "1.10†", "2.10", "2.10"]


def test_what_is_missing_is_told_and_not_drawn():
    lost = {**SHARED, "model": "vit", "target": "e_g_ev", "training": "vit-e_g_ev-seed42"}
    lost |= {"metric": "mae", "status": "not trained"}
    frame = results.table([lost])
    assert studies.picture("learning_curve", frame) is None
    assert studies.table("learning_curve", frame).rows == []
    assert studies.missing("learning_curve", frame) == [
        "Learning curves: 1 not trained: vit-e_g_ev-seed42"
    ]


def test_an_unknown_study_is_a_table():
    frame = rows("setting", ["a", "b"], ["mae"])
    assert studies.picture("mine", frame) is None
    table = studies.table("mine", frame)
    assert len(table.rows) == 8 and not table.folded
    assert studies.ordered(["timing", "mine", "ood-as_published", "ood"]) == [
        *("ood", "ood-as_published", "timing", "mine"),
    ]


def test_transfer_is_drawn_by_arm_and_told_by_size():
    frame = rows("train_rows", [20, 900], ["mae"])
    frame["varied"] = frame.train_rows.where(frame.train_rows < 900).astype(float)
    frame = frame.assign(setting="pairs, published rate", arm="pairs, published rate")
    picture = studies.picture("transfer", frame)
    assert picture is not None and set(picture.data.model) == {"pairs, published rate"}
    table = studies.table("transfer", frame)
    place = [one.name for one in table.columns].index("varied")
    assert {row[place].text for row in table.rows} == {"20", "all"}
