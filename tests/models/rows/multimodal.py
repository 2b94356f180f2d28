"""SchNet and ResNet-18, fused."""

from tests.models.rows import Row

ROW = Row(
    "multimodal",
    {
        "widths": (4, 4, 4, 4),
        "hidden": 8,
        "filters": 8,
        "interactions": 1,
        "gaussians": 8,
        "cutoff": 3.0,
        "fusion": (8,),
    },
    molecules=False,
    idle=("schnet/out_",),
)
