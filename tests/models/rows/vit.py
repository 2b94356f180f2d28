"""The vision transformer; of channels that tell small pairs apart."""

from tests.models.rows import Row

ROW = Row(
    "vit",
    {
        "hidden": 16,
        "heads": 2,
        "layers": 1,
        "patch": 16,
        "mlp_ratio": 2,
        "dropout": 0.05,
        "channels": (0, 2, 4),
    },
    molecules=False,
)
