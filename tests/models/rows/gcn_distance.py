"""GCN with edges weighted by their length."""

from tests.models.rows import Row

ROW = Row(
    "gcn",
    {
        "hidden": 24,
        "layers": 2,
        "dropout": 0.05,
        "edge_features": "distance",
        "gaussians": 10,
        "cutoff": 3.0,
    },
)
