"""The vision transformer of all channels."""

from tests.models.rows import Row

ROW = Row(
    "vision_only",
    {"hidden": 16, "heads": 2, "layers": 2, "patch": 16, "mlp_ratio": 2, "dropout": 0.05},
    molecules=False,
)
