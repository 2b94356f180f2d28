"""The published numbers, as they stand in the package."""

import math

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
        ("tfds:quantum_canvas/published", True),
        ("published:dataset_combined.npz", True),
        ("tfds:quantum_canvas/gfn2_xtb", False),
        ("my/ptbp.npz", False),
    ],
)
def test_whose_data(data, theirs):
    assert published.is_their_data(data) == theirs
