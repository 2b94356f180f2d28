"""Trees: nothing to differentiate."""

from tests.models.rows import Row

ROW = Row(
    "gradient_boosting",
    {"trees": 100, "depth": 3, "learning_rate": 0.1},
    molecules=False,
    smooth=False,
)
