"""The vision transformer of the first three channels."""

from tests.models.rows import Row

ROW = Row(
    "vit",
    {"hidden": 16, "heads": 2, "layers": 2, "patch": 16, "mlp_ratio": 2},
    molecules=False,
)
