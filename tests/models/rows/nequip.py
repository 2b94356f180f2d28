"""NequIP."""

from tests.models.rows import Row

ROW = Row(
    "nequip",
    {
        "features": 6,
        "max_degree": 1,
        "layers": 2,
        "attributes": 3,
        "radial": 4,
        "radial_hidden": 8,
        "cutoff": 3.0,
    },
)
