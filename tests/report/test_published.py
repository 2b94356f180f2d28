"""The published numbers, as they stand in the package."""

import math

import pandas as pd
import pytest

from qc_jax.data.targets import BENCHMARK_TARGETS
from qc_jax.models import available
from qc_jax.report import published


def test_scores():
    found = published.scores()
    assert set(found.target) <= set(BENCHMARK_TARGETS)
    assert set(found.model) <= set(available())
    line = found[(found.model == "gcn") & (found.target == "e_homo_ev")].iloc[0]
    assert (line.published_as, line.mae, line.study) == ("egnn", 0.265, "benchmark")
    assert math.isnan(line["std"])
    line = found[(found.model == "tabular_transformer") & (found.target == "total_energy_ev")]
    assert line["std"].tolist() == [0.1206]


@pytest.mark.parametrize(
    ("data", "theirs"),
    [
        ("gfn2_xtb", False),
        ("ptbp", True),
        ("tfds:quantum_canvas/ptbp", True),
        ("tfds:quantum_canvas", True),
        ("tfds:quantum_canvas/ptbp:1.2.0", True),
        ("tfds:quantum_canvas/ptbp_densities", True),
        ("tfds:quantum_canvas/ptbp_exact", False),
        ("tfds:quantum_canvas/published", True),
        ("published:dataset_combined.npz", True),
        ("tfds:quantum_canvas/gfn2_xtb", False),
        ("my/ptbp.npz", False),
    ],
)
def test_whose_data(data, theirs):
    assert published.is_their_data(data) == theirs


FIVE = ("e_g_ev", "e_homo_ev", "e_lumo_ev", "total_energy_ev", "dipole_mag_d")


def channels(model: str, changes: dict[str, float]) -> pd.DataFrame:
    """Rows of the study of one training, whose MAE is 2 eV with nothing exchanged."""
    rows = [("nothing", "mae", 2.0)]
    for place, change in changes.items():
        rows += [(place, "mae", 2.0 + change), (place, "mae_change", change)]
    frame = pd.DataFrame(rows, columns=["setting", "metric", "value"])
    about = {"model": model, "training": f"{model}-e_g_ev-seed42", "seed": 42, "target": "e_g_ev"}
    return frame.assign(**about, setting=frame.setting + ", as published: on all rows")


def test_channels_of_networks_published_together_and_of_the_one_published_alone():
    alone = channels("quantumshellnet", {"Q+": 0.1, "Q−": -0.3, "all channels": 5.0})
    others = [
        channels(model, {"Q+": change}).assign(target=target, training=f"{model}-{target}-seed42")
        for model, change in (("film_cnn", 0.2), ("qsn_v2", 0.6))
        for target in FIVE
    ]
    frame = pd.concat([alone, *others])
    found = published.in_their_terms("channels", frame).set_index(["model", "place", "metric"])
    together = found.loc["modality checkpoints"]
    assert together.index.tolist() == [("Q+", published.INCREASE)]
    assert together.value.tolist() == pytest.approx([100 * (0.2 + 0.6) / 2 / 2.0])
    fewer = published.in_their_terms("channels", pd.concat([alone, *others[1:]]))
    assert "modality checkpoints" not in set(fewer.model)  # an average of other targets
    assert found.loc["quantumshellnet"].value.to_dict() == pytest.approx(
        {("nothing", "mae"): 2.0, ("mean of channels", published.CHANGE): 0.2}
    )
    theirs = published.of_study("channels").set_index(["model", "target", "place", "metric"]).mae
    assert theirs["quantumshellnet", "e_g_ev", "nothing", "mae"] == 1.6142
    assert theirs["quantumshellnet", "e_g_ev", "mean of channels", published.CHANGE] == 0.0255
    assert len(theirs) == 10 + 2 * 20


def test_reasons_name_numbers_that_were_published():
    """A line whose names no number has would never be shown."""
    known = pd.concat(
        [published.scores().assign(place="", metric="mae")]
        + [
            frame.assign(study=published.name_of(name))
            for name in ("modality", "ood", "elements", "channels")
            if (frame := published.of_study(name)) is not None
        ]
    )
    for line in published._differences():
        assert line["verdict"] in ("lower", "higher", "one seed") and line["reason"]
        named = {key: word for key, word in line.items() if key not in ("verdict", "reason")}
        there = known
        for key, word in named.items():
            there = there[there[key] == word]
        assert len(there), line


def test_reason():
    fusion = {"study": "benchmark", "model": "multimodal", "target": "mermin_free_energy_ev"}
    assert "early stopping" in published.reason(fusion, "one seed")
    assert published.reason(fusion, "lower") == "not found"
