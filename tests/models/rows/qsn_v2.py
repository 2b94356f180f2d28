"""A CNN of the canvas that attends to both elements."""

from tests.models.rows import Row

ROW = Row(
    "qsn_v2",
    {
        "element_embedding": 8,
        "convolutions": (4, 8),
        "heads": 2,
        "distance_hidden": 8,
        "hidden": (32, 16),
        "dropout": 0.05,
    },
    molecules=False,
    training={"epochs": 150, "lr": 1e-2},
)
