"""FAENet, averaged over frames: without, rotations change its outputs."""

from tests.models.rows import Row

ROW = Row(
    "faenet",
    {
        "hidden": 16,
        "filters": 8,
        "interactions": 2,
        "gaussians": 4,
        "tag_hidden": 2,
        "pg_hidden": 3,
        "cutoff": 3.0,
    },
)
