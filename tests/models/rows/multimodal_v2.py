"""Patches and atoms; nothing but the canvas tells the atoms apart."""

from tests.models.rows import Row

ROW = Row(
    "multimodal_v2",
    {
        "hidden": 16,
        "heads": 2,
        "image_layers": 1,
        "patch": 16,
        "element_embedding": 8,
        "mlp_ratio": 2,
        "dropout": 0.05,
    },
    molecules=False,
)
