"""SchNet."""

from tests.models.rows import Row

ROW = Row(
    "schnet", {"hidden": 16, "filters": 12, "interactions": 2, "gaussians": 10, "cutoff": 3.0}
)
