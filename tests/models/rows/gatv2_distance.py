"""GATv2 whose attention reads distances."""

from tests.models.rows import Row

ROW = Row(
    "gatv2",
    {
        "hidden": 16,
        "layers": 2,
        "heads": 2,
        "edge_features": "distance",
        "gaussians": 10,
        "cutoff": 3.0,
    },
)
