"""GotenNet, with harmonics up to degree 2 and more than one head."""

from tests.models.rows import Row

ROW = Row(
    "gotennet",
    {"hidden": 8, "interactions": 2, "radial": 4, "max_degree": 2, "cutoff": 3.0},
)
